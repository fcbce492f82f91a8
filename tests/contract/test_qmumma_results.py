"""The primitives and their results over the whole mesh: small ones in the signed job, large ones beside it."""

from __future__ import annotations

import hashlib

from qmumma.documents import verify

from deploy.local.mesh import LocalMesh
from edge.bodies import parse_text
from edge.dialects.qmumma.answers import Job
from edge.values import body_of
from tests.live import Api, Team

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
TURN = HEAD + "input float a; qubit[2] q; ry(a) q[0]; cx q[0], q[1];"
COINS = HEAD + "qubit[20] q; h q;"


async def test_circuits_are_sampled_and_observables_estimated(api: Api) -> None:
    inputs = [{"a": 0.0}, {"a": 3.141592653589793}]
    sampled = await api.run(
        {
            "algorithm_id": "circuit.sample.v1",
            "shots": 1024,
            "parameters": {"circuits": [{"qasm": TURN, "inputs": inputs}], "statevector": True, "memory": True},
        }
    )
    results = sampled["result"]["results"]
    assert [one["counts"] for one in results] == [{"00": 1024}, {"11": 1024}]
    assert (results[0]["memory"], results[0]["statevector"][0]) == (["00"] * 1024, [1, 0])
    estimated = await api.run(
        {
            "algorithm_id": "circuit.estimate.v1",
            "shots": 1024,
            "parameters": {"qasm": TURN, "inputs": inputs, "observables": [{"pauli": "ZZ"}, {"pauli": "IZ"}]},
        }
    )
    assert [one["value"] for one in estimated["result"]["estimates"]] == [1, 1, 1, -1]


async def test_a_small_result_is_in_the_job_and_can_be_downloaded(api: Api) -> None:
    job = await api.run()
    answer = await api.get(f"/v1/jobs/{job['job_id']}/result")
    assert (answer.status_code, answer.json()) == (200, job["result"])
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'


async def test_a_large_result_lies_beside_its_signed_job(mesh: LocalMesh, api: Api, anyone: Api) -> None:
    parameters = {"circuits": [{"qasm": COINS}], "memory": True, "quasi_probabilities": False}
    job = await api.run({"algorithm_id": "circuit.sample.v1", "shots": 32768, "parameters": parameters})
    assert "result" not in job
    told = job["result_object"]
    path = f"/v1/jobs/{job['job_id']}/result"
    answer = await api.get(path)
    assert answer.status_code == 200
    assert told["digest"] == f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    assert told["size_bytes"] == len(answer.content) == int(answer.headers["content-length"]) > 2**20
    (one,) = answer.json()["results"]
    assert (len(one["memory"]), sum(one["counts"].values())) == (32768, 32768)
    again = await api.get(path, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    held = await api.get(f"/v1/jobs/{job['job_id']}?include=proof")
    body_of(parse_text(held.content), Job)
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    assert verify(held.content, jwks.content, log_keys.text).failed == ()

    other = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    assert (await other.get(path)).status_code == 404
    await other.close()


async def test_a_state_that_is_too_wide_is_refused_by_its_path(api: Api) -> None:
    body = {"algorithm_id": "circuit.sample.v1", "parameters": {"circuits": [{"qasm": COINS}], "statevector": True}}
    answer = await api.submit(body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "parameters.statevector")
