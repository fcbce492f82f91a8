"""Routing through its RPCs: mTLS and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from qm.routing.v1 import routing_pb2 as pb
from qm.routing.v1.routing_pb2_grpc import RoutingServiceStub
from qm.type.v1.money_pb2 import Money
from qm.type.v1.requester_pb2 import ENVIRONMENT_LIVE, Requester
from structlog.testing import capture_logs

from mesh.channel import MeshChannel
from mesh.database import retry_while_unavailable
from mesh.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, Unavailable
from mesh.identity import Authority, now
from services.routing.__main__ import wire
from services.routing.catalogue import CATALOGUE_FILE
from services.routing.config import RoutingConfig
from services.routing.prediction.circuit import encode
from tests.conftest import RunningPostgres
from tests.mesh.serving import Home

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub


def stub(channel: MeshChannel) -> RoutingServiceAsyncStub:
    made: RoutingServiceAsyncStub = RoutingServiceStub(channel)  # type: ignore[assignment]
    return made


def ask(qubits: int, hardware: str = "auto", *, clifford: bool = False, bound: int = 200) -> pb.ChooseBackendRequest:
    features = pb.Features(
        qubit_count=qubits,
        clbit_count=qubits,
        depth=4,
        gate_count=3 * qubits,
        two_qubit_gate_count=qubits,
        clifford=clifford,
        entanglement_bound=bound,
        circuit_count=1,
    )
    ids = {name: str(uuid.uuid4()) for name in ("team_id", "user_id", "key_id")}
    requester = Requester(plan="student", environment=ENVIRONMENT_LIVE, **ids)
    job_id = str(uuid.uuid4())
    return pb.ChooseBackendRequest(
        job_id=job_id,
        requester=requester,
        hardware=hardware,
        features=features,
        shot_count=1024,
        offers=offers(qubits, clifford=clifford),
    )


def offers(qubits: int, *, clifford: bool) -> list[pb.EngineOffer]:
    """A state vector up to 29 qubits, a tableau for Clifford circuits, a chain of tensors up to 20 qubits."""
    refusals = ["", "" if clifford else "the program has gates outside the Clifford group", ""]
    if qubits > 29:
        refusals[0] = "a state of so many amplitudes needs too much"
    if qubits > 20:
        refusals[2] = "a bond dimension of 2^10 needs too much"
    ways = (("qsim", "statevector"), ("stim", "stabilizer"), ("aer", "matrix_product_state"))
    return [
        pb.EngineOffer(engine=engine, method=method, refusal=refusal, excess_bits=number)
        if refusal
        else pb.EngineOffer(
            engine=engine,
            method=method,
            duration_p50=Duration(nanos=2_000_000 * number),
            duration_p90=Duration(nanos=3_000_000 * number),
            memory_bytes=4096,
        )
        for number, ((engine, method), refusal) in enumerate(zip(ways, refusals, strict=True), 1)
    ]


class Routing:
    """The service, as execution sees it."""

    def __init__(self, home: Home, execution: RoutingServiceAsyncStub, edge: RoutingServiceAsyncStub) -> None:
        self.home = home
        self.execution = execution
        self.edge = edge


@pytest_asyncio.fixture(scope="module")
async def routing(postgres: RunningPostgres, authority: Authority) -> AsyncIterator[Routing]:
    home = await Home.make("routing", postgres, authority)
    async with home.serve(home.config(RoutingConfig), wire) as way:
        yield Routing(home, stub(way("execution")), stub(way("operator")))


async def test_backends_are_listed_in_the_order_of_the_catalogue(routing: Routing):
    backends = (await routing.edge.ListBackends(pb.ListBackendsRequest())).backends
    names = [backend.backend_id for backend in backends]
    assert names[:3] == ["sim.statevector", "sim.stabilizer", "sim.mps"]
    assert "ibm_marrakesh" in names[3:]
    first = backends[0]
    assert (first.kind, first.status) == (pb.BACKEND_KIND_SIMULATOR, pb.BACKEND_STATUS_ONLINE)
    assert (first.engine, first.method, first.pool) == ("", "statevector", "sim")
    assert first.price == Money(currency_code="USD", micros=0)


async def test_a_choice_comes_with_its_grounds(routing: Routing):
    decision = (await routing.execution.ChooseBackend(ask(100, clifford=True))).decision
    assert (decision.backend.backend_id, decision.backend.engine) == ("sim.stabilizer", "stim")
    assert "circuit of 100 qubits: the stabilizer tableau is exact and takes stim 4 ms" in decision.reason
    assert (decision.estimate.fidelity, decision.estimate.memory_bytes) == (1.0, 4096)
    assert decision.estimate.duration_p50 == Duration(nanos=4_000_000)
    assert decision.estimate.duration_p90 == Duration(nanos=6_000_000)
    assert {(each.backend_id, each.eligible, each.HasField("estimate")) for each in decision.alternatives} == {
        ("sim.decision_diagram", False, False),
        ("sim.mps", False, False),
        ("sim.statevector", False, False),
    }
    assert uuid.UUID(decision.decision_id).version == 7
    assert decision.policy_version.startswith("3/")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (ask(2, "ibm_atlantis"), "UNKNOWN_BACKEND"),
        (ask(2, "sim.\x00"), "UNKNOWN_BACKEND"),
        (ask(60, "sim.statevector", clifford=True), "PROGRAM_DOES_NOT_FIT"),
        (ask(60), "NO_BACKEND_FITS"),
        (ask(2**31 - 1), "NO_BACKEND_FITS"),
    ],
)
async def test_what_cannot_run_is_refused(routing: Routing, request_: pb.ChooseBackendRequest, reason: str):
    with pytest.raises(InvalidArgument) as refusal:
        await routing.execution.ChooseBackend(request_)
    assert refusal.value.reason == reason


async def test_a_backend_that_failed_this_job_is_left_out(routing: Routing):
    request = ask(5)
    first = (await routing.execution.ChooseBackend(request)).decision
    request.excluded_backend_ids.extend([first.backend.backend_id, "no.such\x00backend"])
    second = (await routing.execution.ChooseBackend(request)).decision
    assert second.backend.backend_id != first.backend.backend_id
    request.hardware = first.backend.backend_id
    with pytest.raises(Unavailable) as refusal:
        await routing.execution.ChooseBackend(request, timeout=0.5)
    assert refusal.value.reason == "HARDWARE_UNAVAILABLE"


async def test_decisions_are_kept_behind_the_answer(routing: Routing):
    requests = [ask(2 + number % 10) for number in range(300)]
    answers = await asyncio.gather(*(routing.execution.ChooseBackend(request) for request in requests))
    jobs = [request.job_id for request in requests]

    async def kept() -> None:
        [row] = await routing.home.rows("SELECT count(*) FROM decisions WHERE job_id = ANY($1::uuid[])", jobs)
        if row["count"] < len(jobs):
            raise Unavailable("rows are missing", reason="ROWS_MISSING")

    await retry_while_unavailable(kept, 5)
    decision = answers[7].decision
    [row] = await routing.home.rows(
        """SELECT job_id, backend_id, hardware, policy_version, features ->> 'qubit_count' AS qubits,
                  candidates -> 0 ->> 'backend_id' AS first, jsonb_array_length(candidates) AS count, create_time
           FROM decisions JOIN grounds ON grounds.digest = decisions.grounds WHERE decision_id = $1""",
        decision.decision_id,
    )
    assert (str(row["job_id"]), row["backend_id"], row["hardware"]) == (jobs[7], decision.backend.backend_id, "auto")
    assert (row["qubits"], row["first"], row["count"]) == ("9", decision.backend.backend_id, 4)
    assert (row["policy_version"], row["create_time"]) == (
        decision.policy_version,
        decision.create_time.ToDatetime(tzinfo=row["create_time"].tzinfo),
    )


async def test_a_stop_keeps_what_was_decided(postgres: RunningPostgres, authority: Authority):
    home = await Home.make("routing", postgres, authority)
    async with home.serve(home.config(RoutingConfig), wire) as way:
        execution = stub(way("execution"))
        await asyncio.gather(*(execution.ChooseBackend(ask(3)) for _ in range(50)))
    [row] = await home.rows("SELECT count(*) FROM decisions")
    assert row["count"] == 50


async def test_choices_go_on_while_the_database_does_not_take_decisions(routing: Routing):
    await routing.home.rows("ALTER TABLE decisions RENAME TO elsewhere")
    try:
        with capture_logs() as logs:
            answers = await asyncio.gather(*(routing.execution.ChooseBackend(ask(3)) for _ in range(5)))

            async def told() -> None:
                if sum(line["count"] for line in logs if line["event"] == "decisions_lost") < len(answers):
                    raise Unavailable("lines are missing", reason="LINES_MISSING")

            await retry_while_unavailable(told, 5)
    finally:
        await routing.home.rows("ALTER TABLE elsewhere RENAME TO decisions")
    assert {answer.decision.backend.backend_id for answer in answers} == {"sim.statevector"}
    after = ask(3)
    await routing.execution.ChooseBackend(after)

    async def kept() -> None:
        if not await routing.home.rows("SELECT 1 FROM decisions WHERE job_id = $1", after.job_id):
            raise Unavailable("the row is missing", reason="ROW_MISSING")

    await retry_while_unavailable(kept, 5)


async def test_an_offline_backend_is_listed_and_not_chosen(
    postgres: RunningPostgres, authority: Authority, tmp_path: Path
):
    file = tmp_path / "catalogue.toml"
    file.write_text(CATALOGUE_FILE.read_text().replace("online = true", "online = false", 1))
    home = await Home.make("routing", postgres, authority)
    async with home.serve(home.config(RoutingConfig, catalogue_file=file), wire) as way:
        execution = stub(way("execution"))
        decision = (await execution.ChooseBackend(ask(5))).decision
        with pytest.raises(Unavailable) as refusal:
            await execution.ChooseBackend(ask(5, "sim.statevector"), timeout=0.5)
        listed = (await stub(way("operator")).ListBackends(pb.ListBackendsRequest())).backends
    assert decision.backend.backend_id == "sim.mps"
    assert refusal.value.reason == "HARDWARE_UNAVAILABLE"
    assert listed[0].status == pb.BACKEND_STATUS_OFFLINE


async def test_the_edge_may_not_choose(routing: Routing):
    with pytest.raises(PermissionDenied):
        await routing.edge.ChooseBackend(ask(2))


BELL = encode(2, 2, [("h", (0,), (), ()), ("cx", (0, 1), (), ()), *(("measure", (n,), (), (n,)) for n in range(2))])


def ask_twins(**changes: Any) -> pb.ChooseBackendRequest:
    """Which of the twins is best for a Bell pair."""
    request = ask(2)
    request.offers.append(pb.EngineOffer(engine="twin", method="calibrated_noise", duration_p50=Duration(nanos=10**7)))
    request.objective.kinds.append(pb.BACKEND_KIND_TWIN)
    request.objective.MergeFrom(pb.Objective(**changes))
    request.circuit = BELL
    return request


async def kept(routing: Routing, decision_id: str) -> pb.GetDecisionResponse:
    async def get() -> pb.GetDecisionResponse:
        try:
            return await routing.execution.GetDecision(pb.GetDecisionRequest(decision_id=decision_id))
        except NotFound as error:
            raise Unavailable("not yet", reason="NOT_YET") from error

    return await retry_while_unavailable(get, 5)


async def test_the_best_twin_is_predicted_by_the_circuit_explained_kept_and_replayed(routing: Routing):
    request = ask_twins(prefer=pb.PREFERENCE_FIDELITY)
    decision = (await routing.execution.ChooseBackend(request, timeout=60)).decision
    assert (decision.backend.kind, decision.backend.pool) == (pb.BACKEND_KIND_TWIN, "sim")
    best = decision.estimate
    assert best.fidelity_method not in ("exact", "medians")
    assert best.calibration_id == decision.backend.calibration_id
    assert best.fidelity_low < best.fidelity < best.fidelity_high
    assert best.utility == pytest.approx(best.fidelity_term + best.time_term + best.price_term)
    assert best.utility >= max(each.estimate.utility for each in decision.alternatives if each.eligible)
    assert len(decision.alternatives) > 60
    assert decision.model_version
    found = await kept(routing, decision.decision_id)
    assert (found.decision, found.job_id) == (decision, request.job_id)
    replay = pb.ReplayDecisionRequest(decision_id=decision.decision_id)
    again = await routing.edge.ReplayDecision(replay)
    assert again.identical
    assert again.decision == decision
    replay.weights.CopyFrom(pb.Weights(time=1))
    replay.objective.CopyFrom(pb.Objective(kinds=[pb.BACKEND_KIND_TWIN], min_fidelity=1.0))
    other = await routing.edge.ReplayDecision(replay)
    assert not other.identical
    assert "routing.min_fidelity: no backend does what is asked" in other.refusal
    replay.weights.time = -1
    with pytest.raises(InvalidArgument):
        await routing.edge.ReplayDecision(replay)
    with pytest.raises(NotFound):
        await routing.execution.GetDecision(
            pb.GetDecisionRequest(decision_id=decision.decision_id, team_id=str(uuid.uuid4()))
        )
    with pytest.raises(PermissionDenied):
        await routing.execution.ReplayDecision(replay)


async def test_a_simulators_decision_is_replayed_too_and_the_same_grounds_are_kept_once(routing: Routing):
    answers = [(await routing.execution.ChooseBackend(ask(17))).decision for _ in range(3)]
    for decision in answers:
        assert (await kept(routing, decision.decision_id)).decision == decision
        assert (await routing.edge.ReplayDecision(pb.ReplayDecisionRequest(decision_id=decision.decision_id))).identical
    names = [decision.decision_id for decision in answers]
    rows = await routing.home.rows("SELECT DISTINCT grounds FROM decisions WHERE decision_id = ANY($1::uuid[])", names)
    assert len(rows) == 1


async def test_a_report_is_heard_and_one_of_an_unknown_backend_is_refused(routing: Routing):
    offline = pb.BackendReport(backend_id="ibm_fez", status=pb.BACKEND_STATUS_OFFLINE, reason="maintenance")
    reports = [offline, pb.BackendReport(backend_id="pool:sim", queue_depth=7)]
    await routing.execution.ReportBackends(pb.ReportBackendsRequest(reports=reports))
    listed = {each.backend_id: each for each in (await routing.edge.ListBackends(pb.ListBackendsRequest())).backends}
    assert listed["sim.mps"].queue_depth == listed["ibm_fez"].queue_depth == 7  # a twin: it waits in the pool
    assert listed["ibm_fez"].status == pb.BACKEND_STATUS_ONLINE
    request = ask(2, "ibm_fez")
    request.accounts.add(provider="ibm", owner=pb.ACCOUNT_OWNER_OPERATOR)
    with pytest.raises(Unavailable, match="ibm_fez could run the program, but it is offline: maintenance"):
        await routing.execution.ChooseBackend(request, timeout=1)
    reports[0].backend_id = "ibm_atlantis"
    with pytest.raises(NotFound):
        await routing.execution.ReportBackends(pb.ReportBackendsRequest(reports=reports))


async def test_calibrations_have_a_history_and_the_newest_counts_for_the_machine(routing: Routing):
    first = (await routing.edge.ListCalibrations(pb.ListCalibrationsRequest(backend_id="ibm_boston"))).calibrations
    assert [each.calibration_id for each in first] == ["ibm_boston@2026-04-17"]
    fresh = pb.Calibration()
    fresh.CopyFrom(first[0])
    fresh.calibration_id, fresh.two_qubit_error = "ibm_boston@2026-11-20", 0.2
    fresh.measure_time.FromDatetime(now() + dt.timedelta(days=1))
    with pytest.raises(InvalidArgument, match="measured in the past"):
        await routing.edge.AddCalibration(pb.AddCalibrationRequest(calibration=fresh))
    fresh.measure_time.FromDatetime(now())
    for _ in range(2):
        await routing.edge.AddCalibration(pb.AddCalibrationRequest(calibration=fresh))
    history = (await routing.edge.ListCalibrations(pb.ListCalibrationsRequest(backend_id="ibm_boston"))).calibrations
    assert [each.calibration_id for each in history] == ["ibm_boston@2026-11-20", "ibm_boston@2026-04-17"]
    for name, backend, count in ((fresh.calibration_id, "", 1), (fresh.calibration_id, "ibm_fez", 0), ("other", "", 0)):
        one = await routing.edge.ListCalibrations(pb.ListCalibrationsRequest(calibration_id=name, backend_id=backend))
        assert len(one.calibrations) == count
    fresh.two_qubit_error = 0.3
    with pytest.raises(Conflict):
        await routing.edge.AddCalibration(pb.AddCalibrationRequest(calibration=fresh))
    request = ask(2, "ibm_boston")
    request.accounts.add(provider="ibm", owner=pb.ACCOUNT_OWNER_OPERATOR)
    request.circuit = BELL
    live = (await routing.execution.ChooseBackend(request, timeout=60)).decision
    assert (live.estimate.calibration_id, live.estimate.fidelity_method) == ("ibm_boston@2026-11-20", "medians")
    with pytest.raises(PermissionDenied):
        await routing.execution.AddCalibration(pb.AddCalibrationRequest(calibration=fresh))


async def test_suppliers_say_what_of_theirs_runs_here(routing: Routing):
    suppliers = (await routing.edge.ListSuppliers(pb.ListSuppliersRequest())).suppliers
    assert {each.supplier_id: len(each.providers) for each in suppliers} == {
        "azure_quantum": 4,
        "ibm_quantum": 4,
        "braket": 6,
    }
    targets = {target.target_id: target for each in suppliers for maker in each.providers for target in maker.targets}
    assert targets["ionq.aria"].mode == pb.BACKEND_KIND_TWIN
    assert targets["ionq.simulator"].mode == pb.BACKEND_KIND_SIMULATOR
    assert targets["pasqal.qpu.fresnel"].mode == pb.BACKEND_KIND_UNSPECIFIED
