"""Money, the words of refusals, algorithms, health: what small pieces promise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bodies import parse_text
from edge.dialects.qmumma.requests import ListJobs, SubmitJob
from edge.errors import STATUS_BY_CLASS, Refusal
from edge.money import MAX_MICROS, Usd
from edge.operations import Nothing
from edge.paths import PathTable
from edge.values import body_of, canonical, encode, query_of
from mesh.errors import CLASSES


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (50_000_000, b"50.00"),
        (0, b"0.00"),
        (10_000, b"0.01"),
        (1, b"0.000001"),
        (-1_500_000, b"-1.50"),
        (123_456, b"0.123456"),
        (10**15, b"1000000000.00"),
    ],
)
def test_money_is_written_exactly(micros: int, text: bytes) -> None:
    assert encode(Usd(micros)) == text


@given(st.integers(0, MAX_MICROS))
def test_money_comes_back_as_it_went_out(micros: int) -> None:
    assert Usd.parse(parse_text(encode(Usd(micros)))) == Usd(micros)


@given(st.decimals(0, 10**9, places=6, allow_nan=False))
def test_money_never_goes_through_a_float(amount: Decimal) -> None:
    assert Usd.parse(parse_text(str(amount).encode())).micros == amount * 10**6


@pytest.mark.parametrize(("left", "right"), [(b'{"a":1,"b":[2.0]}', b'{ "b" : [2], "a":1.0 }'), (b"1e2", b"100")])
def test_equal_values_have_one_canonical_text(left: bytes, right: bytes) -> None:
    assert canonical(parse_text(left)) == canonical(parse_text(right))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("shots", 131073, "shots: must be at most 131072"),
        ("shots", "4096", "shots: must be an integer, not a string"),
        ("shots", Decimal("1.5"), "shots: must be an integer, not a fraction"),
        ("shots", None, "shots: must be an integer, not null"),
        ("hardware", "", "hardware: must have at least 1 character"),
        ("hardware", "x" * 65, "hardware: must have at most 64 characters"),
        ("priority", "urgent", "priority: must be one of priority, standard"),
        ("parameters", [], "parameters: must be an object, not an array"),
        ("max_cost_usd", "1", "max_cost_usd: must be a number"),
    ],
)
def test_a_wrong_field_is_told_in_words_of_json(field: str, value: Any, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        body_of({"algorithm_id": "a", field: value}, SubmitJob)
    assert (caught.value.message, caught.value.param) == (message, field)


def test_an_unknown_field_is_told_the_known_ones() -> None:
    with pytest.raises(Refusal, match=r"^algoritm_id: is not a known field; known are algorithm_id, hardware, shots, "):
        body_of({"algoritm_id": "a"}, SubmitJob)
    with pytest.raises(Refusal, match=r"^x: is not a known field; none are taken$"):
        query_of(b"x=1", Nothing)


@pytest.mark.parametrize(
    ("routing", "message"),
    [
        ({"prefer": "best"}, "routing.prefer: must be one of balanced, cost, fidelity, time"),
        ({"kinds": ["qpu"]}, "routing.kinds[0]: must be one of live, simulator, twin"),
        ({"foo": 1}, "routing.foo: is not a known field; known are prefer, min_fidelity, deadline_seconds, "),
    ],
)
def test_a_wrong_field_inside_another_is_told_what_it_may_be(routing: Any, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        body_of({"algorithm_id": "a", "routing": routing}, SubmitJob)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"limit=ten", "limit: must be an integer"),
        (b"limit=0", "limit: must be at least 1"),
        (b"status=done", "status: must be one of cancelled, completed, failed, queued, running"),
        (b"before=7", "before: must match '^qm_job_[0-9a-f]{32}$'"),
    ],
)
def test_a_wrong_query_parameter_is_told_what_it_must_be(query: bytes, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        query_of(query, ListJobs)
    assert caught.value.message == message


def test_every_class_of_error_of_the_mesh_has_a_status() -> None:
    assert set(STATUS_BY_CLASS) == set(CLASSES)


def test_two_operations_cannot_share_a_path_and_a_method() -> None:
    table: PathTable[int] = PathTable()
    table.add("GET", "/a/{x}", 1)
    table.add("POST", "/a/{x}", 2)
    with pytest.raises(ValueError, match="declared twice"):
        table.add("GET", "/a/{y}", 3)


async def test_algorithms_are_listed_under_both_paths_and_filtered(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/marketplace/algorithms")
    first = answer.json()["algorithms"][0]
    assert first == {
        "id": "vqe.molecular.v2",
        "name": "VQE Molecular Simulation",
        "category": "drug_discovery",
        "version": "2.0.0",
        "description": "Ground states",
        "max_qubits": 8,
        "cost_usd": 50.0,
        "hardware": ["sim.statevector"],
        "required_parameters": ["molecule"],
    }
    assert (await client.get("/v1/algorithms")).content == answer.content
    for query, ids in [
        ("category=circuits", ["circuit.openqasm.v1"]),
        ("q=VQE", ["vqe.molecular.v2"]),
        ("q=ground", ["vqe.molecular.v2"]),
        ("q=nothing", []),
        ("category=circuits&q=vqe", []),
    ]:
        found = (await client.get(f"/v1/algorithms?{query}")).json()["algorithms"]
        assert [algorithm["id"] for algorithm in found] == ids


async def test_an_algorithm_shows_its_schemas_with_whole_numbers_whole(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/marketplace/algorithms/vqe.molecular.v2")
    detail = answer.json()
    assert detail["queue_depth"] == 3
    assert detail["availability"] == [
        {"hardware": "sim.statevector", "status": "online", "queue_depth": 3, "estimated_wait_ms": 120}
    ]
    assert b'"maxProperties":3,' in answer.content
    assert detail["parameters"]["properties"]["distance"]["minimum"] == 0.1
    assert detail["example"] == {
        "request": {"algorithm_id": "vqe.molecular.v2", "parameters": {"molecule": "H2"}},
        "result": {"energy_hartree": -1.5},
    }
    assert (await client.post("/v1/jobs/submit", json=detail["example"]["request"])).status_code == 202
    unknown = await client.get("/v1/algorithms/nothing")
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found")


async def test_liveness_needs_nothing_and_readiness_every_dependency(world: Any) -> None:
    async with world.client(None) as anyone:
        assert (await anyone.get("/readyz")).json() == {"status": "ok", "dependencies": {"execution": "ok"}}
        world.failing.add("execution")
        failed = await anyone.get("/readyz")
        assert (failed.status_code, failed.json()["dependencies"]) == (503, {"execution": "unavailable"})
        assert (await anyone.get("/healthz")).json() == {"status": "ok"}
        world.failing.clear()
        world.edge.draining.set()
        draining = await anyone.get("/readyz")
        assert (draining.status_code, draining.json()["status"]) == (503, "draining")


async def test_readiness_is_bounded_in_time(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.health.PROBE_SECONDS", 0.05)
    world.failing.add("slow")
    async with world.client(None) as anyone:
        answer = await anyone.get("/readyz")
    assert (answer.status_code, answer.json()["dependencies"]) == (503, {"execution": "timeout"})
