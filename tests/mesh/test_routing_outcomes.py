"""How jobs ended, from the event to what routing believes: a real NATS and PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from qm.execution.v1 import events_pb2, execution_pb2
from qm.routing.v1 import routing_pb2
from qm.routing.v1.routing_pb2_grpc import BenchmarkServiceStub, RoutingServiceStub
from qm.type.v1.requester_pb2 import ENVIRONMENT_LIVE, Requester

from mesh.config import EventsConfig, load
from mesh.database import Database, retry_while_unavailable
from mesh.errors import InvalidArgument, NotFound, Unavailable
from mesh.events import Events, Message
from mesh.identity import Authority
from mesh.streams import event_subject
from services.routing.__main__ import utc_now, wire
from services.routing.catalogue import CATALOGUE_FILE, Catalogue
from services.routing.config import RoutingConfig
from services.routing.decision import Decision, DecisionId, Grounds, JobId, TeamId
from services.routing.exposure import Exposure
from services.routing.learning.memory import Memory
from services.routing.learning.outcome_store import OutcomeStore
from services.routing.policy import choose
from services.routing.program import Forecast, Wish
from services.routing.standing import Standings
from services.routing.store import DecisionStore
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.serving import Home
from tests.unit.routing.programs import asked as wished
from tests.unit.routing.programs import features, offer, simulators

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import BenchmarkServiceAsyncStub, RoutingServiceAsyncStub


def ended(backend: str, fidelity: float, predicted: float, **changes: object) -> events_pb2.JobEvent:
    event = events_pb2.JobEvent(
        job_id=str(uuid.uuid4()),
        team_id=str(uuid.uuid4()),
        state=execution_pb2.JOB_STATE_COMPLETED,
        outcome=events_pb2.JobOutcome(
            decision_id=str(uuid.uuid4()),
            backend_id=backend,
            engine="qmumma-twin",
            queue_duration=Duration(nanos=3_000_000),
            run_duration=Duration(seconds=2),
            engine_duration=Duration(seconds=1, nanos=500_000_000),
            fidelity=fidelity,
            fidelity_method="ideal_comparison",
            calibration_id=f"{backend}@2026-01-01",
            estimate=routing_pb2.Estimate(
                fidelity=predicted,
                fidelity_low=predicted - 0.05,
                fidelity_high=predicted + 0.05,
                duration_p50=Duration(seconds=11),
                duration_p90=Duration(seconds=22),
                queue_p50=Duration(seconds=10),
                queue_p90=Duration(seconds=20),
            ),
        ),
    )
    event.create_time.FromDatetime(utc_now())
    for name, value in changes.items():
        setattr(event.outcome, name, value)
    return event


@dataclass
class Ears:
    """Routing with its ears open, and execution that tells."""

    home: Home
    execution: Events
    benchmarks: BenchmarkServiceAsyncStub
    routing: RoutingServiceAsyncStub

    async def tell(self, event: events_pb2.JobEvent, word: str = "completed") -> None:
        subject = event_subject(word, event.team_id)
        await self.execution.publish(Message(str(uuid.uuid4()), subject, event.SerializeToString()))

    async def kept(self, *events: events_pb2.JobEvent) -> None:
        async def look() -> None:
            jobs = [event.job_id for event in events]
            [row] = await self.home.rows("SELECT count(*) FROM outcomes WHERE job_id = ANY($1::uuid[])", jobs)
            if row["count"] < len(events):
                raise Unavailable("rows are missing", reason="ROWS_MISSING")

        await retry_while_unavailable(look, 60)


@pytest_asyncio.fixture(scope="module")
async def ears(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Ears]:
    home = await Home.make("routing", postgres, authority)
    execution = await Events.connect(nats_server.url, nats_server.identity("execution"))
    config = home.config(RoutingConfig, events=EventsConfig(url=nats_server.url), learn_seconds=0.05)
    async with home.serve(config, wire) as way:
        stub: BenchmarkServiceAsyncStub = BenchmarkServiceStub(way("execution"))  # type: ignore[assignment]
        routing: RoutingServiceAsyncStub = RoutingServiceStub(way("execution"))  # type: ignore[assignment]
        yield Ears(home, execution, stub, routing)
    await execution.close()


async def test_an_outcome_is_kept_with_what_was_predicted(ears: Ears):
    event = ended("ibm_fez", 0.91, 0.93)
    await ears.tell(event)
    await ears.kept(event)
    [row] = await ears.home.rows("SELECT * FROM outcomes WHERE job_id = $1", event.job_id)
    assert (row["backend_id"], row["fidelity"], row["engine_seconds"]) == ("ibm_fez", 0.91, 1.5)
    assert (row["queue_seconds"], row["run_seconds"]) == (0.003, 2.0)
    assert (str(row["decision_id"]), row["calibration_id"]) == (event.outcome.decision_id, "ibm_fez@2026-01-01")
    assert '"duration_p50"' in row["forecast"], "what the models said, without the queue"


async def test_an_outcome_that_is_told_twice_counts_once(ears: Ears):
    event, last = ended("ibm_torino", 0.8, 0.9), ended("ibm_torino", 0.8, 0.9)
    await ears.tell(event)
    await ears.tell(event)
    await ears.tell(last)
    await ears.kept(event, last)
    rows = await ears.home.rows("SELECT 1 FROM outcomes WHERE job_id = $1", event.job_id)
    assert len(rows) == 1


async def test_a_failure_is_kept_and_what_is_no_event_is_put_aside(ears: Ears):
    await ears.execution.publish(
        Message(str(uuid.uuid4()), event_subject("failed", str(uuid.uuid4())), b"\xff\xff no event")
    )
    event = ended("ibm_fez", 0.0, 0.9, error_type="server_error", backend_fault=True)
    event.outcome.ClearField("fidelity")
    await ears.tell(event, "failed")
    await ears.kept(event)
    [row] = await ears.home.rows("SELECT * FROM outcomes WHERE job_id = $1", event.job_id)
    assert (row["fidelity"], row["error_type"], row["backend_fault"]) == (None, "server_error", True)


async def test_what_the_database_does_not_take_is_kept_once_it_does(ears: Ears):
    await ears.home.rows("ALTER TABLE outcomes RENAME TO elsewhere")
    event = ended("ibm_fez", 0.9, 0.9)
    await ears.tell(event)
    await ears.home.rows("ALTER TABLE elsewhere RENAME TO outcomes")
    await ears.kept(event)


async def test_beliefs_are_those_of_the_table_whoever_learns_and_whenever(ears: Ears):
    told = [ended("ibm_boston", 0.7, 0.8) for _ in range(40)]
    for event in told:
        await ears.tell(event)
    await ears.kept(*told)
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.connect(ears.home.database, schema="routing")
        stack.push_async_callback(database.close)
        store = OutcomeStore(database)
        now = utc_now()
        first, second = (Memory(store, clock=lambda: now) for _ in range(2))
        before = first.beliefs.version
        await first.catch_up()
        await second.catch_up()
    assert before == "none"
    assert first.beliefs == second.beliefs
    assert first.beliefs.version.startswith("3:1-")
    second_ = dt.timedelta(seconds=1)
    fidelity, _, _ = first.beliefs.fidelity_of("ibm_boston", Forecast(0.8, 0.75, 0.85, second_, 2 * second_))
    assert fidelity < 0.75


def asked(job_id: str) -> routing_pb2.ChooseBackendRequest:
    request = routing_pb2.ChooseBackendRequest(hardware="auto", shot_count=100, job_id=job_id)
    ids = {name: str(uuid.uuid4()) for name in ("team_id", "user_id", "key_id")}
    request.requester.CopyFrom(Requester(plan="student", environment=ENVIRONMENT_LIVE, **ids))
    request.features.qubit_count = 2
    request.offers.add(engine="qsim", method="statevector", duration_p50=Duration(nanos=1_000_000))
    return request


async def test_a_job_that_went_on_elsewhere_tells_of_both_backends(ears: Ears):
    job_id = str(uuid.uuid4())
    decision = (await ears.routing.ChooseBackend(asked(job_id))).decision
    fault = ended("ibm_fez", 0.0, 0.9, backend_fault=True, error_type="server_error", decision_id=decision.decision_id)
    end = ended(decision.backend.backend_id, 1.0, 1.0, rerouted=True, decision_id=str(uuid.uuid4()))
    fault.state = execution_pb2.JOB_STATE_QUEUED
    for event in (fault, end):
        event.job_id = job_id
    end.outcome.ClearField("estimate")
    fault.outcome.ClearField("engine_duration")
    await ears.tell(fault, "rerouted")
    await ears.kept(fault)
    await ears.tell(end)
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.connect(ears.home.database, schema="routing")
        stack.push_async_callback(database.close)
        store = OutcomeStore(database)

        async def look() -> None:
            rows = await store.after(0, 1000)
            found = {each.moved: each for _, each in rows if each.job_id == job_id}
            if found.keys() != {True, False} or found[False].forecast is None:
                raise Unavailable("rows are missing", reason="ROWS_MISSING")
            assert (found[True].backend_id, found[True].backend_fault) == ("ibm_fez", True)
            assert found[False].forecast.duration_p50 == dt.timedelta(milliseconds=1)
            assert found[False].queue == "", "of its wait the second choice knows only a part"

        await retry_while_unavailable(look, 60)
        assert job_id not in {each.job_id for each in await store.last(1000) if each.moved}


async def test_waits_are_learned_again_after_a_restart(ears: Ears):
    decision = (await ears.routing.ChooseBackend(asked(str(uuid.uuid4())))).decision
    event = ended(decision.backend.backend_id, 1.0, 1.0, decision_id=decision.decision_id)
    event.outcome.queue_duration.CopyFrom(Duration(seconds=7))
    await ears.tell(event)
    await ears.kept(event)
    backend = load(CATALOGUE_FILE, Catalogue).find(decision.backend.backend_id)
    assert backend is not None
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.connect(ears.home.database, schema="routing")
        stack.push_async_callback(database.close)

        async def look() -> None:
            standings = Standings(live_queue_seconds=600, clock=utc_now)
            await Memory(OutcomeStore(database), clock=utc_now, tell=standings.learn).catch_up()
            if standings.wait(backend).p50 == 0:  # the decision is written behind its answer
                raise Unavailable("nothing is known of the queue", reason="NO_WAIT")
            assert standings.wait(backend).p50 == pytest.approx(7.5, rel=0.06)

        await retry_while_unavailable(look, 60)


async def test_the_places_of_a_run_come_back_with_its_outcome(ears: Ears):
    exposure = Exposure((((3, 4), 0.6), ((4, 4), 0.4)), 0.25)
    question = wished(simulators(), Wish("auto", features(2), 100, (offer("qsim", "statevector"),)))
    choice = choose(question)
    event = ended(choice.backend.backend_id, 0.9, 0.9)
    decision = Decision(
        decision_id=DecisionId(event.outcome.decision_id),
        job_id=JobId(event.job_id),
        team_id=TeamId(event.team_id),
        hardware="auto",
        backend_id=choice.backend.backend_id,
        shot_count=100,
        policy_version="p",
        queue="pool:x",
        queue_depth=0,
        exposure=exposure,
        grounds=Grounds(question, choice, b""),
        create_time=utc_now(),
    )
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.connect(ears.home.database, schema="routing")
        stack.push_async_callback(database.close)
        await DecisionStore(database).add([decision])
        await ears.tell(event)
        await ears.kept(event)
        found = {each.job_id: each.exposure for _, each in await OutcomeStore(database).after(0, 1000)}
    assert found.pop(decision.job_id) == exposure
    assert set(found.values()) <= {None}


async def test_a_benchmark_is_planned_until_it_is_started_and_listed_once_it_was_measured(ears: Ears):
    ask = routing_pb2.PlanBenchmarkRequest()
    plan = (await ears.benchmarks.PlanBenchmark(ask)).plan
    assert (await ears.benchmarks.PlanBenchmark(ask)).plan == plan
    assert plan.openqasm.startswith("OPENQASM 2.0;")
    listed = routing_pb2.ListBenchmarksRequest(backend_id=plan.backend_id, family=plan.family)
    event = ended(plan.backend_id, 0.93, 0.9)
    start = routing_pb2.StartBenchmarkRequest(benchmark_id=plan.benchmark_id, job_id=event.job_id)
    await ears.benchmarks.StartBenchmark(start)
    assert not (await ears.benchmarks.ListBenchmarks(listed)).benchmarks, "it has not ended"
    await ears.tell(event)
    await ears.kept(event)
    [found] = (await ears.benchmarks.ListBenchmarks(listed)).benchmarks
    assert (found.benchmark_id, found.job_id, found.fidelity) == (plan.benchmark_id, event.job_id, 0.93)
    assert (found.estimate.fidelity, found.calibration_id) == (0.9, event.outcome.calibration_id)
    assert found.run_duration == event.outcome.engine_duration
    assert (await ears.benchmarks.PlanBenchmark(ask)).plan.benchmark_id != plan.benchmark_id
    with pytest.raises(NotFound):
        await ears.benchmarks.StartBenchmark(routing_pb2.StartBenchmarkRequest(benchmark_id=event.job_id))
    with pytest.raises(InvalidArgument):
        await ears.benchmarks.ListBenchmarks(routing_pb2.ListBenchmarksRequest(backend_id="ibm\x00"))
    elsewhere = routing_pb2.ListBenchmarksRequest(backend_id="nowhere")
    assert not (await ears.benchmarks.ListBenchmarks(elsewhere)).benchmarks


async def test_the_scoreboard_is_of_what_was_predicted_and_measured(ears: Ears):
    told = [ended("ibm_kyiv", 0.85 - 0.01 * number, 0.86 - 0.01 * number) for number in range(8)]
    for event in told:
        await ears.tell(event)
    await ears.kept(*told)
    ask = routing_pb2.GetScoreboardRequest(job_count=8)
    board = (await ears.benchmarks.GetScoreboard(ask)).scoreboard
    assert (board.job_count, board.fidelity.count, board.failed_count) == (8, 8, 0)
    assert board.fidelity.mean_absolute_error == pytest.approx(0.01)
    assert board.fidelity.bias == pytest.approx(-0.01)
    assert board.fidelity.coverage == 1.0
    assert board.fidelity.rank_correlation == pytest.approx(1.0)
    assert board.time.coverage == 1.0, "2 s of a promised 22"
    assert not board.points, "users' programs count in the sums alone"
    everything = (await ears.benchmarks.GetScoreboard(routing_pb2.GetScoreboardRequest())).scoreboard
    [point] = everything.points
    assert (point.predicted, point.measured) == (0.9, 0.93)
    assert point.family, "it is the benchmark"
