"""The story of a job in a worker, whatever interrupts it: real PostgreSQL, and real engines where they matter."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from qm.billing.v1 import billing_pb2
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from structlog.testing import capture_logs

from mesh.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable
from services.execution import patience, task
from services.execution.children import Children, EngineFault
from services.execution.job import Job, State
from services.execution.record import LARGEST_RESULT
from services.execution.run import MAX_ATTEMPTS, Verdict
from tests.mesh.executing import ENGINE_BYTES, FakeChildren, Parts

CRASH = EngineFault("the engine ended without an answer")
DOWN = Unavailable("it is down", reason="PEER_UNAVAILABLE")
BUG = RuntimeError("a bug")
FOUR_COINS = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[4]; creg c[4]; h q; measure q -> c;'


@pytest_asyncio.fixture(scope="module")
async def engines() -> AsyncIterator[Children]:
    engines = Children(1, memory_bytes=ENGINE_BYTES)
    await engines.start()
    yield engines
    await engines.close()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)


async def attempts(parts: Parts, job: Job) -> int:
    return (await parts.read(job.job_id)).attempt_count


def failed(job: Job) -> tuple[State, str | None]:
    return job.state, job.error_type


async def test_a_job_runs_to_a_sealed_and_paid_result(parts: Parts, engines: Children):
    job = await parts.accepted(children=engines)
    assert await parts.runner(children=engines).run_job(job.job_id) is Verdict.DONE
    ended = await parts.read(job.job_id)
    assert (ended.state, parts.hold(job), ended.seal is not None) == (State.COMPLETED, "settled", True)
    record = json.loads(ended.record or b"")
    assert set(record["result"]["counts"]) == {"00", "11"}
    assert sum(record["result"]["counts"].values()) == record["shots"] == 1024
    assert parts.signing.records == {f"job/{job.job_id}": ended.record}
    assert await parts.told(job) == [
        f"jobs.work.{parts.routing.pool}.enterprise-short",
        "jobs.event.completed",
    ]
    assert ended.version == 3


async def test_the_same_seed_gives_the_same_result_bit_for_bit(parts: Parts, engines: Children):
    results = []
    for seed in (7, 7, 8):
        job = await parts.accepted(children=engines, parameters={"qasm": FOUR_COINS}, seed=seed)
        await parts.runner(children=engines).run_job(job.job_id)
        record = json.loads((await parts.read(job.job_id)).record or b"")
        assert record["execution"]["seed"] == str(seed)
        results.append(json.dumps(record["result"]))
    assert results[0] == results[1] != results[2]


async def test_a_run_may_take_what_its_plan_gives_and_no_more_than_the_worker_allows(parts: Parts):
    allowed = []
    for seconds in (7, 3600, 0):
        parts.billing.plans = [billing_pb2.Plan(plan="enterprise", max_run_seconds=seconds)]
        job, children = await parts.accepted(), FakeChildren()
        assert await parts.runner(children=children, run_seconds=30).run_job(job.job_id) is Verdict.DONE
        allowed += children.timeouts
    assert allowed == [7, 30, 30]


async def test_while_billing_is_silent_a_run_may_take_what_the_worker_allows(parts: Parts):
    job, children = await parts.accepted(), FakeChildren()
    parts.billing.before["ListPlans"] += [DOWN]
    assert await parts.runner(children=children, run_seconds=30).run_job(job.job_id) is Verdict.DONE
    assert children.timeouts == [30]


@pytest.mark.parametrize("step", ["sign", "settle", "end"])
async def test_a_redelivery_after_each_step_goes_on_from_there(
    parts: Parts, step: str, monkeypatch: pytest.MonkeyPatch
):
    job, children = await parts.accepted(), FakeChildren()
    if step == "end":
        monkeypatch.setattr(parts.store, "end", parts.store.by_request)  # called wrongly: raises TypeError
    else:
        peer, method = {"sign": (parts.signing, "SignRecord"), "settle": (parts.billing, "SettleHold")}[step]
        peer.before[method].append(BUG)
    assert await parts.runner(children=children).run_job(job.job_id) is Verdict.LATER
    between = await parts.read(job.job_id)
    assert (between.state, between.seal) == (State.RUNNING, None)
    monkeypatch.undo()
    assert await parts.runner(children=children).run_job(job.job_id) is Verdict.DONE
    ended = await parts.read(job.job_id)
    assert (ended.state, children.runs, parts.hold(job)) == (State.COMPLETED, 1, "settled")
    assert between.record == ended.record == parts.signing.records[f"job/{job.job_id}"]
    assert await parts.runner(children=children).run_job(job.job_id) is Verdict.DONE  # a delivery too many
    assert (await parts.read(job.job_id)).version == ended.version


async def test_peers_that_are_down_for_a_moment_are_waited_for(parts: Parts):
    job = await parts.accepted()
    parts.signing.before["SignRecord"] += [DOWN, DeadlineExceeded("late", reason="DEADLINE_EXCEEDED")]
    parts.billing.before["SettleHold"] += [DOWN]
    assert await parts.runner().run_job(job.job_id) is Verdict.DONE
    assert (await parts.read(job.job_id)).state is State.COMPLETED


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("method", ["SignRecord", "SettleHold"])
async def test_an_outage_never_counts_against_a_job(parts: Parts, method: str):
    job = await parts.accepted()
    peer = parts.signing if method == "SignRecord" else parts.billing
    peer.before[method] += [DOWN] * 3 * MAX_ATTEMPTS
    for number in range(3 * MAX_ATTEMPTS):  # each time another worker, at once: the lease was given back
        assert await parts.runner(f"worker-{number}").run_job(job.job_id) is Verdict.LATER
    assert await attempts(parts, job) == 0
    assert await parts.runner("the last").run_job(job.job_id) is Verdict.DONE
    assert (await parts.read(job.job_id)).state is State.COMPLETED


@pytest.mark.parametrize(("where", "again"), [("SettleHold", 0), ("run", 0), ("run", 3)])
async def test_a_job_that_breaks_every_attempt_is_given_up_unpaid(
    parts: Parts, logged: list[Any], where: str, again: int
):
    job = await parts.accepted()
    script = [BUG] * MAX_ATTEMPTS if where == "run" else []
    parts.billing.before[where] += [BUG] * MAX_ATTEMPTS
    parts.billing.before["ReleaseHold"] += [BUG] * again  # even giving up may take several goes
    runner = parts.runner(children=FakeChildren(*script))
    for _ in range(MAX_ATTEMPTS + again):
        assert await runner.run_job(job.job_id) is Verdict.LATER
        assert (await parts.read(job.job_id)).state is State.RUNNING
    assert await runner.run_job(job.job_id) is Verdict.DONE
    ended = await parts.read(job.job_id)
    assert (failed(ended), parts.hold(job)) == ((State.FAILED, "server_error"), "released")
    assert "not charged" in (ended.error_message or "")
    assert [line["event"] for line in logged].count("job_crashed") == MAX_ATTEMPTS + again


async def test_a_job_that_cannot_be_sealed_is_not_charged(parts: Parts):
    job = await parts.accepted()
    parts.signing.always["PrepareRecord"] = BUG
    for _ in range(MAX_ATTEMPTS):
        assert await parts.runner().run_job(job.job_id) is Verdict.LATER
        assert ((await parts.read(job.job_id)).state, parts.hold(job)) == (State.RUNNING, "open")
    assert await parts.runner().run_job(job.job_id) is Verdict.DONE
    assert ((await parts.read(job.job_id)).state, parts.hold(job)) == (State.FAILED, "released")


async def test_a_job_that_was_charged_is_never_failed_but_goes_on_until_it_is_completed(parts: Parts):
    job = await parts.accepted()
    parts.billing.holds[str(job.job_id)] = "settled"  # as by a worker that died right after it
    parts.signing.always["SignRecord"] = BUG
    for _ in range(MAX_ATTEMPTS + 3):
        assert await parts.runner().run_job(job.job_id) is Verdict.LATER
    assert ((await parts.read(job.job_id)).state, parts.hold(job)) == (State.RUNNING, "settled")
    del parts.signing.always["SignRecord"]
    assert await parts.runner().run_job(job.job_id) is Verdict.DONE
    assert (await parts.read(job.job_id)).state is State.COMPLETED


async def test_a_crashed_engine_is_tried_once_more(parts: Parts):
    job, children = await parts.accepted(), FakeChildren(CRASH)
    assert await parts.runner(children=children).run_job(job.job_id) is Verdict.DONE
    assert (children.runs, (await parts.read(job.job_id)).state) == (2, State.COMPLETED)


async def test_a_backend_that_fails_twice_is_left_once_and_the_watchers_are_told(parts: Parts):
    job = await parts.accepted()
    assert await parts.runner(children=FakeChildren(CRASH, CRASH)).run_job(job.job_id) is Verdict.DONE
    moved = await parts.read(job.job_id)
    assert (moved.state, moved.rerouted) == (State.QUEUED, True)
    assert (moved.decision.backend.backend_id, moved.decision.backend.engine) == ("first", "aer")
    assert (moved.backend.backend_id, moved.backend.engine) == ("second", "spare")
    assert parts.hold(job) == "open"
    [told] = [event for event in await parts.said(job) if event.HasField("outcome")]
    assert (told.outcome.backend_id, told.outcome.engine, told.outcome.backend_fault) == ("first", "aer", True)
    assert (await parts.told(job))[-2:] == ["jobs.event.rerouted", f"jobs.work.{parts.routing.pool}b.enterprise-short"]
    await parts.runner("another").run_job(job.job_id)
    ended = await parts.read(job.job_id)
    assert (ended.state, parts.hold(job)) == (State.COMPLETED, "settled")
    record = json.loads(ended.record or b"")
    assert (record["hardware"], record["execution"]["method"]) == ("second", "matrix_product_state")


async def test_a_twin_that_fails_is_left_for_another_by_the_jobs_own_wishes(parts: Parts):
    wanted = routing_pb2.Objective(kinds=[routing_pb2.BACKEND_KIND_TWIN], min_fidelity=0.75)
    for backend in parts.routing.backends:
        backend.kind = routing_pb2.BACKEND_KIND_TWIN
    parts.routing.objective.CopyFrom(wanted)
    job = await parts.accepted(objective=wanted, priority=pb.PRIORITY_PRIORITY)
    assert await parts.runner(children=FakeChildren(CRASH, CRASH)).run_job(job.job_id) is Verdict.DONE
    again = parts.routing.asked[-1]
    assert (again.hardware, list(again.excluded_backend_ids)) == ("auto", ["first"])
    assert (again.objective, again.priority, again.circuit) == (wanted, True, b"a circuit")
    moved = await parts.read(job.job_id)
    assert (moved.state, moved.backend.backend_id) == (State.QUEUED, "second")


async def test_a_job_is_moved_only_once(parts: Parts):
    job = await parts.accepted()
    runner = parts.runner(children=FakeChildren(*[CRASH] * 4))
    await runner.run_job(job.job_id)
    await runner.run_job(job.job_id)
    ended = await parts.read(job.job_id)
    assert (failed(ended), parts.hold(job)) == ((State.FAILED, "server_error"), "released")
    assert (ended.error_message or "").startswith("second failed")


async def test_a_job_for_a_named_backend_is_not_moved(parts: Parts):
    job = await parts.accepted(hardware="first")
    await parts.runner(children=FakeChildren(CRASH, CRASH)).run_job(job.job_id)
    assert failed(await parts.read(job.job_id)) == (State.FAILED, "server_error")
    assert (parts.hold(job), parts.routing.calls["ChooseBackend"]) == ("released", 1)


@pytest.mark.parametrize(
    "refusal",
    [
        Unavailable("the other is off", reason="HARDWARE_UNAVAILABLE"),
        InvalidArgument("too wide for the other", reason="NO_BACKEND_FITS"),
    ],
)
async def test_a_job_that_fits_nowhere_else_fails_at_once(parts: Parts, refusal: Exception):
    job = await parts.accepted()
    parts.routing.always["ChooseBackend"] = refusal
    assert await parts.runner(children=FakeChildren(CRASH, CRASH)).run_job(job.job_id) is Verdict.DONE
    assert failed(await parts.read(job.job_id)) == (State.FAILED, "server_error")
    assert parts.hold(job) == "released"


@pytest.mark.parametrize(
    ("step", "type_"),
    [
        (InvalidArgument("parameters.qasm: too wide", reason="OUT_OF_MEMORY"), "bad_request"),
        (ResourceExhausted("it ran too long", reason="TIME_LIMIT"), "bad_request"),
        (task.Outcome({"counts": {"0" * LARGEST_RESULT: 1}}, 1, 1.0, "exact", "fake", "1", 0.1), "bad_request"),
        (task.Outcome({"energy": float("nan")}, 1, 1.0, "exact", "fake", "1", 0.1), "server_error"),
        (task.Outcome({"blob": b"bytes"}, 1, 1.0, "exact", "fake", "1", 0.1), "server_error"),
        (task.Outcome({"count": 2**60}, 1, 1.0, "exact", "fake", "1", 0.1), "server_error"),
    ],
)
async def test_what_can_never_work_fails_at_the_first_attempt(parts: Parts, step: Exception | task.Outcome, type_: str):
    job, children = await parts.accepted(), FakeChildren(step)
    assert await parts.runner(children=children).run_job(job.job_id) is Verdict.DONE
    ended = await parts.read(job.job_id)
    assert (failed(ended), parts.hold(job), children.runs) == ((State.FAILED, type_), "released", 1)
    assert ended.error_message
    assert ended.record is None
    assert parts.signing.records == {}


LARGE = task.Outcome(
    {"counts": {f"{number:0128b}": 1 for number in range(20_000)}}, 128, 1.0, "exact", "fake", "1", 0.1
)


async def test_a_large_result_is_stored_apart_before_its_record_is_kept(parts: Parts):
    job = await parts.accepted()
    parts.results.failures.append(DOWN)
    assert await parts.runner(children=FakeChildren(LARGE)).run_job(job.job_id) is Verdict.DONE
    ended = await parts.read(job.job_id)
    assert (ended.state, len(ended.record or b"") < 2_000) == (State.COMPLETED, True)
    told = json.loads(ended.record or b"")["result_object"]
    (kept,) = parts.results.kept.items()
    assert kept[0] == f"{job.job_id.hex}/{hashlib.sha256(kept[1]).hexdigest()}"
    assert told["digest"] == f"sha256:{hashlib.sha256(kept[1]).hexdigest()}"
    assert json.loads(kept[1]) == LARGE.result


async def test_a_worker_that_died_after_storing_a_large_result_stores_no_second_one(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    job = await parts.accepted()
    monkeypatch.setattr(parts.store, "keep_record", parts.store.by_request)  # called wrongly: raises TypeError
    assert await parts.runner(children=FakeChildren(LARGE)).run_job(job.job_id) is Verdict.LATER
    assert ((await parts.read(job.job_id)).record, len(parts.results.kept)) == (None, 1)
    monkeypatch.undo()
    assert await parts.runner(children=FakeChildren(LARGE)).run_job(job.job_id) is Verdict.DONE
    named = json.loads((await parts.read(job.job_id)).record or b"")["result_object"]["digest"]
    assert list(parts.results.kept) == [f"{job.job_id.hex}/{named.removeprefix('sha256:')}"]


@pytest.mark.usefixtures("impatient")
async def test_a_large_result_that_cannot_be_stored_is_tried_again_later_and_nothing_is_kept(parts: Parts):
    job = await parts.accepted()
    parts.results.failures.append(DOWN)
    assert await parts.runner(children=FakeChildren(LARGE)).run_job(job.job_id) is Verdict.LATER
    between = await parts.read(job.job_id)
    assert (between.record, parts.signing.records, await attempts(parts, job)) == (None, {}, 0)
    assert await parts.runner(children=FakeChildren(LARGE)).run_job(job.job_id) is Verdict.DONE
    assert len(parts.results.kept) == 1


async def test_a_job_that_is_gone_needs_no_work(parts: Parts):
    job = await parts.accepted()
    await parts.database.execute("DELETE FROM jobs WHERE job_id = $1", job.job_id)
    assert await parts.runner().run_job(job.job_id) is Verdict.DONE


async def test_progress_is_told_while_a_job_runs(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.execution.lease.BEAT_SECONDS", 0.01)
    job, go_on = await parts.accepted(), asyncio.Event()
    running = asyncio.create_task(parts.runner(children=FakeChildren(go_on)).run_job(job.job_id))
    async with asyncio.timeout(5):
        while (seen := await parts.read(job.job_id)).progress == 0:
            await asyncio.sleep(0.005)
    assert (seen.progress, seen.progress_message, seen.version) == (0.5, "half way", 3)
    assert (await parts.told(job))[-1] == "jobs.event.running"
    go_on.set()
    assert await running is Verdict.DONE
