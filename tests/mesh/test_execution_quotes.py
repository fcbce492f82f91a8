"""Quotes: signed, binding for their own request alone, once for a request, and for their team."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter
from typing import Any

import pytest
from qm.routing.v1 import routing_pb2

from mesh.errors import Conflict, InvalidArgument, MeshError, NotFound, PaymentRequired, Unavailable
from services.execution.job import State
from services.execution.messages import money
from services.execution.quote import Quote
from tests.mesh.executing import Parts, new_team, submission

TWIN = routing_pb2.Objective(kinds=[routing_pb2.BACKEND_KIND_TWIN], min_fidelity=0.5)


def asked(parts: Parts) -> routing_pb2.ChooseBackendRequest:
    return parts.routing.asked[-1]


async def refusal(parts: Parts, request: Any) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await parts.intake().submit(request)
    return caught.value


async def quoted(parts: Parts, request: Any) -> Quote:
    return (await parts.quotes().quote(request))[0]


async def test_a_quote_is_sealed_holds_nothing_and_binds_backend_and_price(parts: Parts):
    parts.routing.estimate.fidelity = 0.75
    request = submission()
    quote = await quoted(parts, request)
    record = json.loads(quote.record)
    assert parts.signing.records[f"quote/{quote.quote_id}"] == quote.record
    assert (record["type"], record["quote_id"]) == ("qmumma.quote/v1", f"qm_quote_{quote.quote_id.hex}")
    assert (record["hardware"], record["cost_usd"]) == ("first", quote.cost / 1e6)
    assert record["predicted_fidelity"]["value"] == 0.75
    assert parts.billing.states == {}
    parts.routing.backends[0].price.CopyFrom(money(9_000_000))
    parts.routing.always["ChooseBackend"] = Unavailable("it is down", reason="PEER_UNAVAILABLE")
    request.quote_id, request.request_id = str(quote.quote_id), "by the quote"
    job, _ = await parts.intake().submit(request)
    assert (job.backend.backend_id, job.cost, job.decision) == ("first", quote.cost, quote.decision)
    assert parts.billing.bounds == [quote.cost]


async def test_a_quote_is_for_its_own_request_its_own_team_and_its_own_time(parts: Parts):
    team = new_team()
    quote = await quoted(parts, submission(team, seed=7))
    name = str(quote.quote_id)
    other = {"parameters": {"qasm": "OPENQASM 2.0; qreg q[1];"}}
    for changes in ({"shot_count": 2048}, {"seed": 8}, other, {"webhook_url": "https://a.example"}):
        error = await refusal(parts, submission(team, quote_id=name, **{"seed": 7} | changes))
        assert isinstance(error, Conflict)
        assert (error.reason, error.field) == ("QUOTE_OF_ANOTHER_REQUEST", "quote_id")
    for team_, id_ in ((new_team(), name), (team, "not-a-uuid"), (team, str(dt.datetime.now(dt.UTC)))):
        error = await refusal(parts, submission(team_, quote_id=id_, seed=7))
        assert isinstance(error, NotFound)
        assert error.reason == "QUOTE_NOT_FOUND"
    parts.clock.ahead += dt.timedelta(minutes=10)
    error = await refusal(parts, submission(team, quote_id=name, seed=7))
    assert isinstance(error, Conflict)
    assert error.reason == "QUOTE_EXPIRED"
    assert parts.billing.states == {}


async def test_a_repeat_gets_the_first_quote_also_at_once_and_another_body_is_refused(parts: Parts):
    request = submission()
    quotes = parts.quotes()
    answers = await asyncio.gather(*(quotes.quote(request) for _ in range(8)))
    assert len({quote.quote_id for quote, _ in answers}) == 1
    assert Counter(replayed for _, replayed in answers)[False] == 1
    assert (await quotes.quote(request))[1]
    request.fingerprint = b"g" * 32
    with pytest.raises(Conflict, match="used with another request"):
        await quotes.quote(request)


async def test_a_quote_is_for_one_job_however_often_it_is_sent(parts: Parts):
    team, intake = new_team(), parts.intake()
    name = str((await quoted(parts, submission(team, seed=7))).quote_id)
    requests = [submission(team, seed=7, quote_id=name) for _ in range(4)]
    outcomes = await asyncio.gather(*map(intake.submit, requests), return_exceptions=True)
    ((request, (job, _)),) = [pair for pair in zip(requests, outcomes, strict=True) if isinstance(pair[1], tuple)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, tuple)]
    assert {(type(each), each.reason, each.field) for each in refused if isinstance(each, MeshError)} == {
        (Conflict, "QUOTE_USED", "quote_id")
    }
    assert f"qm_job_{job.job_id.hex}" in str(refused[0])
    assert (parts.billing.states, parts.hold(job)) == ({"open": 1, "released": 3}, "open")
    parts.clock.ahead += dt.timedelta(hours=1)  # a repeat is answered as before, though the quote is used and expired
    assert await intake.submit(request) == (job, True)


async def test_a_quote_whose_job_was_refused_can_still_be_used(parts: Parts):
    request = submission()
    quote = await quoted(parts, request)
    request.quote_id, parts.billing.poor = str(quote.quote_id), True
    assert isinstance(await refusal(parts, request), PaymentRequired)
    parts.billing.poor, request.request_id = False, "once more"
    job, _ = await parts.intake().submit(request)
    assert (job.state, parts.hold(job)) == (State.QUEUED, "open")


async def test_a_quote_that_would_cost_more_now_is_refused_and_not_charged(parts: Parts):
    request = submission()
    quote = await quoted(parts, request)
    parts.billing.before["HoldFunds"].append(InvalidArgument("too dear", reason="MAX_COST_EXCEEDED"))
    request.quote_id, request.request_id = str(quote.quote_id), "by the quote"
    error = await refusal(parts, request)
    assert isinstance(error, Conflict)
    assert error.reason == "QUOTE_NO_LONGER_HOLDS"


async def test_what_a_job_would_be_refused_for_a_quote_is_too(parts: Parts):
    parts.billing.poor = True
    with pytest.raises(PaymentRequired):
        await parts.quotes().quote(submission())
    with pytest.raises(InvalidArgument, match="without one"):
        await parts.quotes().quote(submission(quote_id="0"))
    with pytest.raises(NotFound):
        await parts.quotes().quote(submission(algorithm_id="vqe.molecular.v9"))
    assert parts.signing.records == {}


async def test_the_circuit_goes_to_routing_only_where_a_machine_may_run_it(parts: Parts):
    await parts.accepted()
    assert (asked(parts).circuit, asked(parts).HasField("objective")) == (b"", False)
    await parts.intake().submit(submission(hardware="first"))
    assert asked(parts).circuit == b"a circuit"
    await parts.intake().submit(submission(objective=TWIN))
    assert (asked(parts).circuit, asked(parts).objective) == (b"a circuit", TWIN)
    await parts.intake().submit(submission(hardware="sim.first"))
    assert asked(parts).circuit == b""
