"""What a client wants of the choice of its backend goes to execution; quotes and decisions are shown as they are."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from qm.execution.v1 import execution_pb2
from qm.routing.v1 import routing_pb2
from qm.type.v1.money_pb2 import Money
from qmumma.explain import render

from edge.bodies import parse_text
from edge.dialects.qmumma.decisions import Decision
from edge.dialects.qmumma.examples import DECISION, QUOTED
from edge.values import body_of

BODY: dict[str, Any] = {"algorithm_id": "vqe.molecular.v2", "parameters": {"molecule": "H2"}}
ID = "qm_job_00000000000000000000000000000001"
QUOTE = "qm_quote_" + "0" * 31 + "9"


async def test_what_a_client_wants_goes_to_execution(world: Any, client: httpx.AsyncClient) -> None:
    wanted = {
        "prefer": "fidelity",
        "min_fidelity": 0.9,
        "deadline_seconds": 1.5,
        "max_backend_cost_usd": 2.5,
        "residency": "eu",
        "kinds": ["twin", "live"],
        "explore": False,
    }
    body = {**BODY, "routing": wanted, "quote_id": QUOTE, "max_cost_usd": 40}
    assert (await client.post("/v1/jobs/submit", json=body)).status_code == 202
    sent = world.execution.submissions[-1]
    assert sent.quote_id == "00000000-0000-0000-0000-000000000009"
    assert sent.objective == routing_pb2.Objective(
        prefer=routing_pb2.PREFERENCE_FIDELITY,
        min_fidelity=0.9,
        deadline=Duration(seconds=1, nanos=500_000_000),
        max_backend_price=Money(currency_code="USD", micros=2_500_000),
        residency="eu",
        kinds=[routing_pb2.BACKEND_KIND_TWIN, routing_pb2.BACKEND_KIND_LIVE],
        explore=False,
    )
    assert (await client.post("/v1/jobs/submit", json={**BODY, "routing": {}, "max_cost_usd": 40})).status_code == 202
    plain = world.execution.submissions[-1].objective
    assert plain.max_backend_price.micros == 40_000_000
    assert not plain.HasField("explore")
    assert (await client.post("/v1/jobs/submit", json=BODY)).status_code == 202
    assert not world.execution.submissions[-1].HasField("objective")


@pytest.mark.parametrize(
    ("routing", "param"),
    [
        ({"prefer": "luck"}, "routing.prefer"),
        ({"min_fidelity": 1.01}, "routing.min_fidelity"),
        ({"min_fidelity": "0.9"}, "routing.min_fidelity"),
        ({"deadline_seconds": 0}, "routing.deadline_seconds"),
        ({"max_backend_cost_usd": 0.0000001}, "routing.max_backend_cost_usd"),
        ({"residency": "EU"}, "routing.residency"),
        ({"kinds": []}, "routing.kinds"),
        ({"kinds": ["twin", "twin"]}, "routing.kinds"),
        ({"kinds": ["abacus"]}, "routing.kinds"),
        ({"explore": 1}, "routing.explore"),
        ({"model": "mine"}, "routing.model"),
        ([], "routing"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs/submit", "/v1/jobs/quote"])
async def test_what_cannot_be_wanted_is_refused_by_its_name(
    world: Any, client: httpx.AsyncClient, path: str, routing: Any, param: str
) -> None:
    answer = await client.post(path, json={**BODY, "routing": routing})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    assert world.execution.submissions == []


async def test_a_quote_is_its_record_byte_for_byte(world: Any, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs/quote", json=BODY, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert answer.content.startswith(world.execution.quote_record[:-1])
    assert set(answer.json()) == set(QUOTED)
    assert "idempotency-replayed" not in answer.headers
    again = await client.post("/v1/jobs/quote", json=BODY, headers={"Idempotency-Key": "k"})
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")
    assert (await client.post("/v1/jobs/quote", json={**BODY, "quote_id": "mine"})).status_code == 400


async def test_a_decision_is_shown_with_every_candidate_and_printed_for_people(
    world: Any, client: httpx.AsyncClient
) -> None:
    job = world.execution.make()
    job.decision.create_time.FromJsonString("2026-11-21T04:00:00Z")
    answer = await client.get(f"/v1/jobs/{ID}/decision")
    assert answer.status_code == 200
    body_of(parse_text(answer.content), Decision)
    assert [each["backend"] for each in answer.json()["candidates"]] == ["sim.statevector", "sim.stabilizer", "sim.mps"]
    assert "sim.stabilizer: no Clifford circuit" in render(answer.content)
    other = world.execution.make(number=2, team=2)
    assert (await client.get(f"/v1/jobs/qm_job_{other.job_id.replace('-', '')}/decision")).status_code == 404
    assert (await client.get("/v1/jobs/nonsense/decision")).status_code == 404


async def test_a_decision_says_where_the_job_had_to_go_on_and_why(world: Any, client: httpx.AsyncClient) -> None:
    job = world.execution.make()
    assert (await client.get(f"/v1/jobs/{ID}/decision")).json()["moved"] is None
    job.history.append(execution_pb2.JOB_STAGE_REROUTED)
    job.backend_id, job.backend_kind, job.fault = "ibm_fez", routing_pb2.BACKEND_KIND_TWIN, "IonQ is away"
    answer = await client.get(f"/v1/jobs/{ID}/decision")
    body_of(parse_text(answer.content), Decision)
    assert answer.json()["moved"] == {"backend": "ibm_fez", "kind": "twin", "reason": "IonQ is away"}
    assert f"{ID} was to run on sim.statevector.\n" in render(answer.content)
    assert "  It was moved to ibm_fez (twin): IonQ is away\n" in render(answer.content)


def test_the_example_is_printed_as_a_table() -> None:
    text = render(json.dumps(DECISION).encode())
    assert "prefer balanced: utility = 1 fidelity - 0.03 log10(1 + minutes) - 0.02 dollars" in text
    assert "→  sim.statevector  simulator  1.000     19 ms, 9 of 10 in 45 ms  $0.00  1.0000" in text
    assert text.endswith("ruled out\n  sim.stabilizer: The program has gates outside the Clifford group.\n")
