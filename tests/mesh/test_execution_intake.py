"""Accepting jobs: once, of good input alone, with one hold each, and no team in another's way."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio
from google.protobuf.json_format import Parse
from google.protobuf.struct_pb2 import Struct
from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2

from mesh.call import Call, serving
from mesh.errors import Conflict, InvalidArgument, MeshError, NotFound, PaymentRequired, ResourceExhausted, Unavailable
from mesh.streams import work_subject
from services.execution import task
from services.execution.algorithms.facts import AlgorithmId
from services.execution.algorithms.listing import load_catalogue
from services.execution.children import Children, EngineFault
from services.execution.job import Job, Queue, State
from services.execution.place import Place
from tests.mesh.executing import BELL, BELL_FEATURES, ENGINE_BYTES, Parts, new_team, submission

DOWN = Unavailable("it is down", reason="PEER_UNAVAILABLE")


@pytest_asyncio.fixture(scope="module")
async def engines() -> AsyncIterator[Children]:
    engines = Children(1, memory_bytes=ENGINE_BYTES)
    await engines.start()
    yield engines
    await engines.close()


async def stored(parts: Parts, team: requester_pb2.Requester) -> int:
    count: int = await parts.database.fetchval("SELECT count(*) FROM jobs WHERE team_id = $1", team.team_id)
    return count


async def test_a_repeat_gets_the_first_job_and_holds_nothing_more(parts: Parts):
    intake, request = parts.intake(), submission()
    first, replayed = await intake.submit(request)
    assert not replayed
    again, replayed = await intake.submit(request)
    assert replayed
    assert again == await parts.read(first.job_id) == first
    assert parts.billing.states == {"open": 1, "released": 1}
    assert parts.hold(first) == "open"


async def test_who_began_a_job_is_told_whether_it_was_committed(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    begun, commits = list[Job](), list[asyncio.Future[bool]]()

    def begin(job: Job, accepted: asyncio.Future[bool]) -> None:
        begun.append(job)
        commits.append(accepted)

    subject = work_subject(parts.routing.pool, Queue.ENTERPRISE_SHORT.word)
    stop = parts.events.bulletin.offer(subject, lambda: Place("w", begin))
    intake, request = parts.intake(), submission()
    first, _ = await intake.submit(request)
    assert await intake.submit(request) == (begun[0], True)
    monkeypatch.setattr(parts.store, "insert", AsyncMock(side_effect=DOWN))
    with pytest.raises(Unavailable):
        await intake.submit(submission())
    stop()
    assert (first.job_id, [await commit for commit in commits]) == (begun[0].job_id, [True, False, False])


async def test_the_log_tells_which_request_and_trace_a_job_came_from(parts: Parts, log_lines: list[dict[str, Any]]):
    intake, request = parts.intake(), submission()
    with serving(Call("edge", "req_7", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")):
        job, _ = await intake.submit(request)
        await intake.submit(request)
    (line,) = [line for line in log_lines if line["event"] == "job_accepted"]
    assert (line["request_id"], line["trace_id"], line["job_id"]) == ("req_7", "a" * 32, str(job.job_id))


async def test_a_key_that_was_used_for_another_request_is_refused(parts: Parts):
    intake, request = parts.intake(), submission()
    await intake.submit(request)
    request.fingerprint = b"g" * 32
    with pytest.raises(Conflict) as refusal:
        await intake.submit(request)
    assert (refusal.value.reason, refusal.value.field) == ("IDEMPOTENCY_KEY_REUSED", "Idempotency-Key")
    assert parts.billing.states == {"open": 1, "released": 1}


async def test_the_same_key_of_another_team_is_another_key(parts: Parts):
    intake = parts.intake()
    first, _ = await intake.submit(submission(request_id="1"))
    second, replayed = await intake.submit(submission(request_id="1"))
    assert first.job_id != second.job_id
    assert not replayed


async def test_fifty_repeats_at_once_in_two_processes_make_one_job(parts: Parts):
    intakes, request = [parts.intake(), parts.intake()], submission()
    answers = await asyncio.gather(*(intakes[number % 2].submit(request) for number in range(50)))
    assert len({job.job_id for job, _ in answers}) == 1
    assert Counter(replayed for _, replayed in answers) == {False: 1, True: 49}
    assert parts.billing.states["open"] == await stored(parts, request.requester) == 1
    assert set(parts.billing.states) <= {"open", "released"}
    assert parts.billing.calls["HoldFunds"] <= 4  # who waited for an earlier one asks for no money


async def test_a_repeat_gets_its_job_though_the_money_is_spent(parts: Parts):
    intake, request = parts.intake(), submission()
    first, _ = await intake.submit(request)
    parts.billing.poor = True
    assert await intake.submit(request) == (first, True)
    with pytest.raises(PaymentRequired):
        await intake.submit(submission())


async def test_a_repeat_gets_its_job_though_routing_is_down(parts: Parts):
    intake, request = parts.intake(), submission()
    first, _ = await intake.submit(request)
    parts.routing.always["ChooseBackend"] = DOWN
    assert await intake.submit(request) == (first, True)


async def test_a_caller_that_goes_away_harms_no_repeat(parts: Parts):
    intake, request = parts.intake(), submission()
    calls = [asyncio.create_task(intake.submit(request)) for _ in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()  # it waits for the first, which another waits for too
    first, gone, last = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(gone, asyncio.CancelledError)
    assert isinstance(first, tuple)
    assert last == (first[0], True)


async def test_a_hold_that_cannot_be_released_is_left_to_the_sweeper(parts: Parts):
    intake, request = parts.intake(), submission()
    first, _ = await intake.submit(request)
    parts.billing.before["ReleaseHold"].append(DOWN)
    with pytest.raises(Unavailable):
        await intake.submit(request)
    assert parts.billing.states == {"open": 2}
    assert await intake.submit(request) == (first, True)


def struct(**members: Any) -> Struct:
    made = Struct()
    made.update(members)
    return made


BAD = [
    ({"algorithm_id": "vqe.molecular.v9"}, NotFound, "algorithm_id"),
    ({"parameters": {}}, InvalidArgument, "parameters.qasm"),
    ({"parameters": {"qasm": 5}}, InvalidArgument, "parameters.qasm"),
    ({"parameters": {"qasm": "OPENQASM 2.0; qreg q[1];", "shots": 3}}, InvalidArgument, "parameters.shots"),
    ({"parameters": {"qasm": "OPENQASM 2.0; qreg q[1]; h q[1;"}}, InvalidArgument, "parameters.qasm"),
    ({"parameters": {"qasm": 'OPENQASM 2.0; include "/etc/passwd"; qreg q[1];'}}, InvalidArgument, "parameters.qasm"),
    ({"parameters": {"qasm": "OPENQASM 2.0; qreg q[4000];"}}, InvalidArgument, "parameters.qasm"),
    ({"parameters": struct(qasm=math.nan)}, InvalidArgument, "parameters"),
    ({"parameters": struct(qasm=math.inf)}, InvalidArgument, "parameters"),
    ({"parameters": struct(qasm=1e300)}, InvalidArgument, "parameters.qasm"),
    (
        {"algorithm_id": "vqe.molecular.v2", "parameters": {"molecule": "C60"}},
        InvalidArgument,
        "parameters.molecule",
    ),
]


@pytest.mark.parametrize(("changes", "kind", "field"), BAD)
async def test_bad_input_stores_and_holds_nothing(
    parts: Parts, engines: Children, changes: dict[str, Any], kind: type[MeshError], field: str
):
    request = submission(**changes)
    with pytest.raises(kind) as refusal:
        await parts.intake(engines).submit(request)
    assert refusal.value.field == field
    assert (parts.billing.holds, await stored(parts, request.requester)) == ({}, 0)


@pytest.mark.parametrize("method", ["ChooseBackend", "HoldFunds"])
async def test_what_a_peer_refuses_is_not_stored(parts: Parts, method: str):
    peer = parts.routing if method == "ChooseBackend" else parts.billing
    peer.always[method] = InvalidArgument("no", reason="UNKNOWN_BACKEND", field="hardware")
    request = submission()
    with pytest.raises(InvalidArgument):
        await parts.intake().submit(request)
    assert (parts.billing.holds, await stored(parts, request.requester)) == ({}, 0)


async def test_parameters_are_kept_alike_whatever_their_order_and_spelling(parts: Parts):
    spellings = [
        '{"molecule": "H2", "geometry": {"bond_length_angstrom": 1}}',
        '{"geometry": {"bond_length_angstrom": 1.0}, "molecule": "H2"}',
        '{"geometry":{"bond_length_angstrom":10e-1},"molecule":"\\u00482"}',
    ]
    jobs = [
        await parts.accepted(algorithm_id="vqe.molecular.v2", parameters=Parse(spelling, Struct()))
        for spelling in spellings
    ]
    kept = {(await parts.read(job.job_id)).parameters for job in jobs}
    [one] = kept
    assert one.startswith(b'{"estimator":"sampled","geometry":{"bond_length_angstrom":1},"molecule":"H2"')


async def test_a_seed_is_the_callers_or_follows_from_the_job(parts: Parts):
    assert (await parts.accepted(seed=0)).seed == 0
    assert (await parts.accepted()).seed != (await parts.accepted()).seed


class SlowDescribers:
    """Two children whose work for some programs takes until `release` is set."""

    count = 2

    def __init__(self, error: Exception | None = None) -> None:
        self.release = asyncio.Event()
        self.started: asyncio.Queue[bytes] = asyncio.Queue()
        self.free = asyncio.Semaphore(self.count)
        self.busy = self.most = 0
        self.error = error

    async def call(self, request: task.Describe, *, timeout: float) -> task.Description:
        assert (request.cpu_seconds, timeout) == (6.0, 15.0)
        async with self.free:
            self.busy += 1
            self.most = max(self.most, self.busy)
            self.started.put_nowait(request.parameters)
            if self.error:
                raise self.error
            if b"slow" in request.parameters:
                await self.release.wait()
            self.busy -= 1
        return task.Description(BELL_FEATURES)


async def test_slow_programs_of_one_team_keep_no_other_waiting(parts: Parts):
    describers = SlowDescribers()
    intake, hog = parts.intake(describers), new_team()
    slow = [
        asyncio.create_task(intake.submit(submission(hog, parameters={"qasm": f"slow {number}"})))
        for number in range(20)
    ]
    await describers.started.get()
    for number in range(5):
        await asyncio.wait_for(intake.submit(submission(parameters={"qasm": f"quick {number}"})), 5)
    assert not any(call.done() for call in slow)
    describers.release.set()
    await asyncio.gather(*slow)
    assert describers.most == 2


async def test_long_programs_of_many_teams_leave_a_child_to_the_short_ones(parts: Parts):
    describers = SlowDescribers()
    intake = parts.intake(describers)
    long = [
        asyncio.create_task(intake.submit(submission(new_team(), parameters={"qasm": f"slow {number}" + 20_000 * " "})))
        for number in range(5)
    ]
    await describers.started.get()
    await asyncio.wait_for(intake.submit(submission(parameters={"qasm": "quick"})), 5)
    describers.release.set()
    await asyncio.gather(*long)


async def test_a_program_is_measured_once(parts: Parts):
    describers = SlowDescribers()
    intake, team = parts.intake(describers), new_team()
    await asyncio.gather(*(intake.submit(submission(team)) for _ in range(10)))
    await intake.submit(submission())
    assert describers.started.qsize() == 1


@pytest.mark.parametrize("error", [ResourceExhausted("late", reason="TIME_LIMIT"), EngineFault("it died")])
async def test_a_program_that_cannot_be_measured_is_refused(parts: Parts, error: Exception):
    with pytest.raises(InvalidArgument) as refusal:
        await parts.intake(SlowDescribers(error)).submit(submission())
    assert refusal.value.reason == "PROGRAM_TOO_COMPLEX"
    assert parts.billing.holds == {}


async def test_an_accepted_job_waits_with_its_work_in_the_outbox(parts: Parts):
    job = await parts.accepted()
    assert (job.state, job.version) == (State.QUEUED, 1)
    assert await parts.told(job) == [f"jobs.work.{parts.routing.pool}.enterprise-short"]


async def test_a_job_keeps_the_defaults_of_what_was_left_out(parts: Parts):
    job = await parts.accepted()
    kept = json.loads(job.parameters)
    defaults = load_catalogue()[AlgorithmId(job.algorithm_id)].parameters.defaults
    assert defaults
    assert kept == {**defaults, "qasm": BELL}


def named(engine: str) -> dict[str, Any]:
    return {"parameters": {"qasm": "OPENQASM 2.0; qreg q[2]; creg c[2]; measure q -> c;", "engine": engine}}


async def test_a_named_engine_is_the_only_one_that_routing_hears_of(parts: Parts):
    job = await parts.accepted(**named("spare"))
    assert {offer.engine for offer in parts.routing.asked[-1].offers} == {"spare"}
    assert job.backend.engine == "spare"
    await parts.accepted()
    assert {offer.engine for offer in parts.routing.asked[-1].offers} >= {"aer", "spare"}


async def test_a_named_engine_that_is_not_there_is_refused_with_those_that_are(parts: Parts):
    request = submission(**named("abacus"))
    with pytest.raises(InvalidArgument) as refusal:
        await parts.intake().submit(request)
    assert (refusal.value.reason, refusal.value.field) == ("ENGINE_DOES_NOT_FIT", "parameters.engine")
    assert "These can run it: aer, spare." in refusal.value.message
    assert (parts.billing.holds, await stored(parts, request.requester)) == ({}, 0)


async def test_a_named_engine_on_other_hardware_is_refused(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    async def elsewhere(request: routing_pb2.ChooseBackendRequest) -> routing_pb2.ChooseBackendResponse:
        assert {offer.engine for offer in request.offers} == {"aer"}
        backend = routing_pb2.Backend(backend_id="ibm_fez", engine="twin")
        return routing_pb2.ChooseBackendResponse(decision=routing_pb2.Decision(backend=backend))

    monkeypatch.setattr(parts.routing, "ChooseBackend", elsewhere)
    with pytest.raises(InvalidArgument, match=r"engine: ibm_fez does not run on aer; leave one of them out"):
        await parts.intake().submit(submission(hardware="ibm_fez", **named("aer")))
    assert parts.billing.holds == {}
