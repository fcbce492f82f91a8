"""A job on a machine, whatever interrupts it: real PostgreSQL, real engines, a provider on a socket."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2
from structlog.testing import capture_logs

from mesh.errors import NotFound, Unavailable
from services.execution.children import Children
from services.execution.job import LEASE, Job, State
from services.execution.live import story
from services.execution.live.ionq import IonqProvider
from services.execution.live.job import Stand
from services.execution.live.store import LiveStore
from services.execution.live.story import GRACE, LiveStory
from services.execution.run import Runner, Verdict
from tests.mesh.executing import ENGINE_BYTES, Parts, new_team
from tests.mesh.live_worker import MACHINE
from tests.unit.execution.live.fakes import FakeIonq
from tests.unit.execution.live.serving import Fault, serving

WRONG = "wrong-key-that-must-never-show"


@pytest_asyncio.fixture(scope="module")
async def engines() -> AsyncIterator[Children]:
    engines = Children(1, memory_bytes=ENGINE_BYTES)
    await engines.start()
    yield engines
    await engines.close()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


class Live:
    """A provider, and workers that reach it."""

    def __init__(self, parts: Parts, fake: FakeIonq, engines: Children) -> None:
        self.parts = parts
        self.fake = fake
        self.engines = engines
        self.team = new_team()
        parts.routing.backends = [MACHINE]
        parts.accounts.teams[self.team.team_id] = fake.KEY

        def connect(credentials: Any, device: str, qubits: int, clock: Any) -> IonqProvider:
            return IonqProvider(credentials, device, qubits, clock, url=fake.url)

        parts.provider_accounts._connect = connect

    async def accepted(self, **changes: Any) -> Job:
        return await self.parts.accepted(team=self.team, hardware="ionq.aria", **changes)

    def worker(self, name: str = "worker") -> Runner:
        parts = self.parts
        runner = parts.runner(name, self.engines)
        store = LiveStore(parts.database, name)
        runner._live = LiveStory(
            store, parts.provider_accounts, _Started(self.engines), run_seconds=30, clock=parts.clock
        )
        return runner

    async def wait(self, seconds: float = 61) -> None:
        """Let time pass."""
        self.parts.clock.ahead += dt.timedelta(seconds=seconds)

    async def circuits(self, job: Job) -> list[Any]:
        return await LiveStore(self.parts.database, "a test").of_job(job.job_id)

    @property
    def sent(self) -> int:
        return len(self.fake.queue.jobs)


class _Started:
    """Engines that are warm already."""

    def __init__(self, engines: Children) -> None:
        self.call = engines.call

    async def start(self) -> None:
        """Nothing is left to do."""


@pytest.fixture
def live(parts: Parts, engines: Children) -> Iterator[Live]:
    fake = FakeIonq()
    with serving(fake):
        yield Live(parts, fake, engines)


def record_of(job: Job) -> Any:
    return json.loads(job.record or b"")


async def test_a_job_runs_on_the_machine_and_its_record_says_so(live: Live):
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, live.parts.hold(job), live.sent) == (State.COMPLETED, "settled", 1)
    record = record_of(ended)
    assert set(record["result"]["counts"]) == {"00", "11"}
    assert sum(record["result"]["counts"].values()) == 1024
    execution = record["execution"]
    assert (execution["engine"], execution["engine_version"], execution["simulated"]) == ("ionq", "qpu.aria-1", False)
    assert (execution["calibration_id"], execution["duration_ms"]) == ("qpu.aria-1/c-1", 1500)
    assert record["fidelity_method"] == "ideal_comparison"
    [circuit] = await live.circuits(job)
    [sent] = live.fake.queue.jobs.values()
    assert sent["metadata"] == {"qmumma_tag": f"qm-{job.job_id.hex}-0"}
    assert (circuit.stand, circuit.cost_micros) == (Stand.DONE, 12_410_000)


async def test_a_job_in_a_queue_is_held_by_nobody_until_it_is_looked_at_again(live: Live):
    live.fake.queue.stage = "queued"
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    waiting = await live.parts.read(job.job_id)
    assert (waiting.state, waiting.attempt_count, waiting.progress_message) == (State.RUNNING, 0, "queued at ionq")
    row = await live.parts.database.fetchrow("SELECT worker FROM jobs WHERE job_id = $1", job.job_id)
    assert row is not None
    assert row["worker"] is None
    asked = len(live.fake.requests)
    assert await live.worker("another").run_job(job.job_id) is Verdict.LATER  # before its time
    assert len(live.fake.requests) == asked
    for _ in range(12):
        await live.wait()
        assert await live.worker("another").run_job(job.job_id) is Verdict.LATER
    live.fake.queue.stage = "done"
    await live.wait()
    assert await live.worker("a third").run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, live.sent, ended.attempt_count) == (State.COMPLETED, 1, 1)


async def test_a_lost_answer_makes_exactly_one_job_at_the_provider(live: Live):
    live.fake.faults.append(Fault("POST", "/jobs", after=True))
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    [circuit] = await live.circuits(job)
    assert (circuit.stand, live.sent) == (Stand.SUBMITTING, 1)
    await live.wait()
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    assert (live.sent, (await live.parts.read(job.job_id)).state) == (1, State.COMPLETED)


async def test_a_circuit_that_never_arrived_is_sent_again_once_that_is_sure(live: Live):
    live.fake.faults.append(Fault("POST", "/jobs", status=502))
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    await live.wait(GRACE.total_seconds() / 2)
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    assert live.sent == 0
    assert live.fake.count("POST", "/jobs") == 1
    await live.wait(GRACE.total_seconds())
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    assert live.sent == 1


@pytest.mark.parametrize("stand", [Stand.SUBMITTING, Stand.SUBMITTED, Stand.DONE])
@pytest.mark.parametrize("noted", [False, True])
async def test_a_worker_killed_at_any_point_costs_no_second_job(
    live: Live, stand: Stand, monkeypatch: pytest.MonkeyPatch, *, noted: bool
):
    """Killed before or after the note that a circuit is being sent, was sent, is done."""
    job = await live.accepted()
    change = LiveStore.change

    async def killed(self: LiveStore, circuit: Any, to: Stand, **rest: Any) -> Any:
        if to is not stand:
            return await change(self, circuit, to, **rest)
        if noted:
            await change(self, circuit, to, **rest)
        raise RuntimeError("killed")

    monkeypatch.setattr(LiveStore, "change", killed)
    assert await live.worker("first").run_job(job.job_id) is Verdict.LATER
    monkeypatch.undo()
    sent = live.sent
    assert sent == (0 if stand is Stand.SUBMITTING else 1)
    await live.wait(LEASE.total_seconds() + 1)
    for _ in range(3):
        if await live.worker("second").run_job(job.job_id) is Verdict.DONE:
            break
        await live.wait(GRACE.total_seconds() + 1)
    assert ((await live.parts.read(job.job_id)).state, live.sent) == (State.COMPLETED, 1)


async def test_a_rate_limit_is_waited_out_as_long_as_the_provider_asks(live: Live):
    live.fake.faults.append(Fault("POST", "/jobs", status=429, headers={"retry-after": "300"}))
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    await live.wait(299)
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    assert live.fake.count("POST", "/jobs") == 1
    await live.wait(2)
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    assert live.sent == 1


async def test_an_outage_of_the_provider_is_waited_out_and_not_for_ever(live: Live):
    live.fake.queue.stage = "running"
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    live.fake.faults.append(Fault("GET", "/jobs", status=503, times=10))
    for _ in range(5):
        await live.wait()
        assert await live.worker().run_job(job.job_id) is Verdict.LATER
    assert (await live.parts.read(job.job_id)).progress_message.startswith("IonQ answered 503")
    await live.wait(story.PATIENCE.total_seconds())
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, live.parts.hold(job)) == (State.FAILED, "released")
    assert "out of reach for 24 hours" in (ended.error_message or "")


async def test_cancel_passes_on_to_the_provider(live: Live):
    live.fake.queue.stage = "queued"
    job = await live.accepted()
    await live.worker().run_job(job.job_id)
    await live.parts.cancellations().cancel(job.job_id, job.requester)
    assert await live.worker("another").run_job(job.job_id) is Verdict.DONE  # at once, not when it was due
    ended = await live.parts.read(job.job_id)
    assert (ended.state, live.parts.hold(job)) == (State.CANCELLED, "released")
    assert [each.get("cancelled") for each in live.fake.queue.jobs.values()] == [True]


async def test_cancel_waits_for_what_may_have_been_sent(live: Live):
    live.fake.queue.stage = "queued"
    live.fake.faults.append(Fault("POST", "/jobs", after=True))
    job = await live.accepted()
    await live.worker().run_job(job.job_id)
    live.fake.faults.append(Fault("GET", "/jobs", status=503))
    await live.parts.cancellations().cancel(job.job_id, job.requester)
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    await live.wait()
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    assert [each.get("cancelled") for each in live.fake.queue.jobs.values()] == [True]


async def test_a_machine_that_fails_costs_nothing(live: Live):
    live.fake.queue.stage = "failed"
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, ended.error_type, live.parts.hold(job)) == (State.FAILED, "server_error", "released")
    assert "the trap lost its ions" in (ended.error_message or "")


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_machine_that_fails_leaves_the_job_to_its_twin_where_the_caller_allows_it(live: Live, *, allowed: bool):
    live.fake.queue.stage = "failed"
    job = await live.accepted(allow_twin=allowed)
    twin = routing_pb2.Backend()
    twin.CopyFrom(MACHINE)
    twin.kind, twin.engine, twin.method, twin.pool = routing_pb2.BACKEND_KIND_TWIN, "aer", "statevector", "sim"
    live.parts.routing.backends = [twin]
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    moved = await live.parts.read(job.job_id)
    if not allowed:
        assert moved.state is State.FAILED
        return
    assert (moved.state, moved.backend.kind) == (State.QUEUED, routing_pb2.BACKEND_KIND_TWIN)
    assert live.parts.hold(job) == "open"


def other_backends(live: Live, *, kind: routing_pb2.BackendKind.ValueType, name: str) -> None:
    """There are the machine, and another backend; "auto" chooses among both."""
    other = routing_pb2.Backend()
    other.CopyFrom(MACHINE)
    other.backend_id, other.kind, other.provider_device = name, kind, "qpu.forte-1"
    if kind == routing_pb2.BACKEND_KIND_TWIN:
        other.engine, other.method, other.pool = "aer", "statevector", "sim"
    live.parts.routing.backends = [MACHINE, other]
    live.parts.routing.objective.kinds.extend([routing_pb2.BACKEND_KIND_LIVE, routing_pb2.BACKEND_KIND_TWIN])


async def test_a_job_for_auto_that_its_provider_never_got_goes_on_elsewhere_after_a_minute(live: Live):
    other_backends(live, kind=routing_pb2.BACKEND_KIND_TWIN, name="ibm_fez")
    live.fake.faults.append(Fault("GET", "/backends", status=503, times=99))
    job = await live.parts.accepted(team=live.team, objective=live.parts.routing.objective)
    assert (job.backend.backend_id, await live.worker().run_job(job.job_id)) == ("ionq.aria", Verdict.LATER)
    await live.wait(30)
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    assert (await live.parts.read(job.job_id)).state is State.RUNNING
    await live.wait(60)
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    moved = await live.parts.read(job.job_id)
    assert (moved.state, moved.backend.backend_id, live.sent) == (State.QUEUED, "ibm_fez", 0)
    assert "503" in moved.fault
    assert live.parts.hold(job) == "open"


async def test_a_job_that_has_nowhere_else_to_go_waits_for_its_provider(live: Live):
    live.parts.routing.objective.kinds.append(routing_pb2.BACKEND_KIND_LIVE)
    job = await live.parts.accepted(team=live.team, objective=live.parts.routing.objective)
    live.parts.routing.always["ChooseBackend"] = Unavailable("nothing runs", reason="HARDWARE_UNAVAILABLE")
    live.fake.faults.append(Fault("GET", "/backends", status=503, times=2))
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    await live.wait(120)
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    await live.wait(120)
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, ended.backend.backend_id, live.sent) == (State.COMPLETED, "ionq.aria", 1)


async def test_a_machine_takes_nothing_over_of_what_another_was_sent(live: Live):
    other_backends(live, kind=routing_pb2.BACKEND_KIND_LIVE, name="ionq.forte")
    live.fake.queue.stage = "failed"
    job = await live.parts.accepted(team=live.team, objective=live.parts.routing.objective)
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    assert (await live.parts.read(job.job_id)).backend.backend_id == "ionq.forte"
    live.fake.queue.stage = "done"
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, record_of(ended)["hardware"]) == (State.COMPLETED, "ionq.forte")
    sent = [(each["backend"], each["name"].rpartition("-")[2]) for each in live.fake.queue.jobs.values()]
    assert sent == [("qpu.aria-1", "0"), ("qpu.forte-1", "1")]


async def test_credentials_that_are_refused_are_told_clearly_and_never_shown(live: Live, logged: list[Any]):
    live.parts.accounts.teams[live.team.team_id] = WRONG
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, live.parts.hold(job)) == (State.FAILED, "released")
    assert "credentials are not accepted" in (ended.error_message or "")
    assert WRONG not in f"{ended} {logged}"


async def test_credentials_that_are_changed_while_a_job_waits_are_used_from_then_on(live: Live):
    live.fake.queue.stage = "queued"
    job = await live.accepted()
    await live.worker().run_job(job.job_id)
    live.parts.accounts.teams[live.team.team_id] = WRONG
    await live.wait(3600)
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    live.parts.accounts.teams[live.team.team_id] = live.fake.KEY
    live.fake.queue.stage = "done"
    await live.wait(3600)
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    assert ((await live.parts.read(job.job_id)).state, live.sent) == (State.COMPLETED, 1)


async def test_a_circuit_that_the_machine_refuses_is_the_callers_to_change(live: Live):
    live.fake.faults.append(Fault("POST", "/jobs", status=400))
    job = await live.accepted()
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert (ended.state, ended.error_type) == (State.FAILED, "bad_request")
    assert (ended.error_message or "").startswith("the machine refuses the circuit: IonQ answered 400")


async def test_an_algorithm_of_several_circuits_is_replayed_with_their_answers(live: Live):
    observable = {"name": "energy", "terms": [{"pauli": "ZZ", "coefficient": 1}, {"pauli": "XX", "coefficient": 1}]}
    bell = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; h q[0]; cx q[0],q[1];'
    parameters = {"qasm": bell, "observables": [observable]}
    job = await live.accepted(algorithm_id="circuit.estimate.v1", parameters=parameters)
    live.fake.queue.stage = "queued"
    assert await live.worker().run_job(job.job_id) is Verdict.LATER
    assert live.sent == 2  # both at once, so that they wait in the queue together
    waiting = await live.parts.read(job.job_id)
    assert waiting.progress_message == "queued at ionq; 0 of 2 circuits done"
    live.fake.queue.stage = "done"
    await live.wait()
    assert await live.worker().run_job(job.job_id) is Verdict.DONE
    ended = await live.parts.read(job.job_id)
    assert ended.state is State.COMPLETED, ended.error_message
    assert live.sent == 2
    tags = sorted(each["metadata"]["qmumma_tag"] for each in live.fake.queue.jobs.values())
    assert tags == [f"qm-{job.job_id.hex}-{index}" for index in range(2)]


async def test_only_who_names_a_machine_is_asked_for_accounts(live: Live):
    await live.parts.accepted(team=live.team)
    test_key = requester_pb2.Requester()
    test_key.CopyFrom(live.team)
    test_key.environment = requester_pb2.ENVIRONMENT_TEST
    await live.parts.accepted(team=test_key, hardware="ionq.aria")
    assert live.parts.accounts.calls["ListProviderSecrets"] == 0
    assert not live.parts.routing.asked[-1].accounts
    await live.accepted()
    [account] = live.parts.routing.asked[-1].accounts
    assert (account.provider, account.owner) == ("ionq", routing_pb2.ACCOUNT_OWNER_TEAM)


async def test_a_machine_is_not_promised_while_accounts_is_down(live: Live):
    live.parts.accounts.always["ListProviderSecrets"] = Unavailable("down", reason="PEER_UNAVAILABLE")
    with pytest.raises(Unavailable):
        await live.accepted()


async def test_credentials_are_tried_at_the_provider(live: Live):
    test = live.parts.provider_accounts.test
    assert await test(live.team.team_id, "ionq") == (True, "IonQ knows the key 'test'")
    live.parts.accounts.teams[live.team.team_id] = WRONG
    ok, detail = await test(live.team.team_id, "ionq")
    assert not ok
    assert "not accepted" in detail
    assert WRONG not in detail
    with pytest.raises(NotFound):
        await test(new_team().team_id, "ionq")
