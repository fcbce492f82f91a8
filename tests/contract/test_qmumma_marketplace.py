"""The marketplace: what can be run, with which parameters, on what, for how much."""

from __future__ import annotations

import jsonschema
import pytest

from edge.dialects.qmumma.algorithms import AlgorithmDetail, AlgorithmList
from tests.live import Api, assert_is, error_of

LISTED = {
    "id",
    "name",
    "category",
    "max_qubits",
    "cost_usd",
    "hardware",
    "version",
    "description",
    "required_parameters",
}
DETAIL = LISTED | {"parameters", "result", "availability", "queue_depth", "example"}


@pytest.mark.parametrize("path", ["/v1/marketplace/algorithms", "/v1/algorithms"])
async def test_algorithms_are_listed_under_both_paths_of_the_source(own: Api, path: str) -> None:
    listed = assert_is(await own.get(path), AlgorithmList)["algorithms"]
    assert all(set(algorithm) == LISTED for algorithm in listed)
    [vqe] = [algorithm for algorithm in listed if algorithm["id"] == "vqe.molecular.v2"]
    assert (vqe["name"], vqe["category"], float(vqe["cost_usd"])) == ("VQE Molecular Simulation", "drug_discovery", 50)
    assert vqe["required_parameters"] == ["molecule"]
    assert "ibm_marrakesh" in vqe["hardware"]


async def test_algorithms_are_filtered_by_category_and_text(own: Api) -> None:
    async def ids(query: str) -> set[str]:
        listed = (await own.get(f"/v1/marketplace/algorithms?{query}")).json()["algorithms"]
        return {algorithm["id"] for algorithm in listed}

    assert await ids("category=drug_discovery") == {"vqe.molecular.v2"}
    assert "vqe.molecular.v2" in await ids("q=MOLECULAR")
    assert await ids("category=drug_discovery&q=nothing+like+it") == set()
    assert error_of(await own.get("/v1/marketplace/algorithms?sort=name")) == (400, "bad_request", "sort")


async def test_a_detail_adds_schemas_availability_and_an_example(own: Api) -> None:
    for path in ("/v1/marketplace/algorithms/vqe.molecular.v2", "/v1/algorithms/vqe.molecular.v2"):
        detail = assert_is(await own.get(path), AlgorithmDetail)
        assert set(detail) == DETAIL
        for schema in (detail["parameters"], detail["result"]):
            jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(detail["example"]["request"]["parameters"], detail["parameters"])
        jsonschema.validate(detail["example"]["result"], detail["result"])
        assert {"hardware", "status", "queue_depth", "estimated_wait_ms"} == set(detail["availability"][0])
        assert {state["hardware"] for state in detail["availability"]} == set(detail["hardware"])


async def test_an_unknown_algorithm_is_404(own: Api) -> None:
    assert error_of(await own.get("/v1/marketplace/algorithms/nothing")) == (404, "not_found", "algorithm_id")


async def test_every_example_runs_as_it_stands(api: Api) -> None:
    for algorithm in (await api.get("/v1/marketplace/algorithms")).json()["algorithms"]:
        example = (await api.get(f"/v1/marketplace/algorithms/{algorithm['id']}")).json()["example"]
        job = await api.run(example["request"])
        assert (job["status"], job["algorithm_id"]) == ("completed", algorithm["id"])
        assert set(job["result"]) == set(example["result"])
