"""What a decision costs the service: nothing is predicted for simulators, and nothing is decided twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
import pytest
from qm.routing.v1 import routing_pb2 as pb
from qm.type.v1 import requester_pb2

from mesh.call import Call
from mesh.config import load
from services.routing.catalogue import CATALOGUE_FILE, Backend, Catalogue
from services.routing.decision import Decision, JobId
from services.routing.exposure import Exposure
from services.routing.learning.outcome import Outcome
from services.routing.messages import choice_message
from services.routing.objective import POLICY_FILE, Policy
from services.routing.policy import choose
from services.routing.question import Prediction, Question
from services.routing.recorder import Recorder
from services.routing.service import Kits, RoutingService
from services.routing.situation import Situation
from services.routing.standing import Standings
from services.routing.store import CalibrationStore, DecisionStore
from services.routing.supplier import SUPPLIERS_FILE, Suppliers
from services.routing.twin import with_twins

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
CALL = cast("Call", None)
MANY, ONE = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
EXPOSURE = Exposure((((0, 1), 1.0),))


class Kept:
    """A recorder that only remembers."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def keep(self, decision: Decision) -> None:
        self.decisions.append(decision)


class Desk:
    """The service over a predictor that the test sees."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.value, self.settled = 0.9, True
        self.kept = Kept()
        self.standings = Standings(live_queue_seconds=600, clock=lambda: NOW)
        situation = Situation(
            with_twins(load(CATALOGUE_FILE, Catalogue)),
            load(POLICY_FILE, Policy),
            self.standings,
            predict=self._predict,
        )
        kits = Kits(cast("Recorder", self.kept), cast("DecisionStore", None), cast("CalibrationStore", None))
        self.service = RoutingService(situation, kits, load(SUPPLIERS_FILE, Suppliers), clock=lambda: NOW)

    async def choose(
        self, circuit: bytes = b"", *kinds: pb.BackendKind, hardware: str = "auto", team_id: str = ""
    ) -> pb.Decision:
        request = pb.ChooseBackendRequest(
            hardware=hardware,
            shot_count=1000,
            circuit=circuit,
            requester=requester_pb2.Requester(team_id=team_id, environment=requester_pb2.ENVIRONMENT_LIVE),
            features=pb.Features(qubit_count=3, gate_count=5, two_qubit_gate_count=2),
        )
        request.objective.kinds.extend(kinds)
        for method in ("statevector", "calibrated_noise"):
            request.offers.add(engine="x", method=method, line="short").duration_p50.FromMilliseconds(5)
        return (await self.service.ChooseBackend(request, CALL)).decision

    async def _predict(
        self, circuit: bytes, backends: Sequence[Backend], _shots: int, _seconds: float
    ) -> tuple[Mapping[str, Prediction], bool]:
        self.asked.append(circuit)
        told = Prediction(self.value, self.value - 0.05, self.value + 0.05, "known_structure", "c@1", EXPOSURE)
        return {each.backend_id: told for each in backends}, self.settled


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(("hardware", "kinds"), [("auto", []), ("sim.statevector", []), ("auto", [1])])
async def test_a_job_for_simulators_pays_nothing_for_machines(desk: Desk, hardware: str, kinds: list[pb.BackendKind]):
    decision = await desk.choose(b"circuit", *kinds, hardware=hardware)
    assert decision.backend.kind == pb.BACKEND_KIND_SIMULATOR
    assert desk.asked == []


async def test_other_angles_with_the_same_predictions_are_the_same_choice(desk: Desk):
    desk.settled = False
    first = await desk.choose(b"some angles", pb.BACKEND_KIND_TWIN)
    second = await desk.choose(b"other angles", pb.BACKEND_KIND_TWIN)
    assert desk.asked == [b"some angles", b"other angles"]
    assert first.decision_id != second.decision_id
    [one, other] = desk.kept.decisions
    assert one.grounds is other.grounds
    desk.value = 0.8
    third = await desk.choose(b"some angles", pb.BACKEND_KIND_TWIN)
    assert third.estimate.fidelity == 0.8
    assert len(desk.asked) == 3, "what is not settled is asked for again"


@pytest.mark.parametrize("kinds", [(), (pb.BACKEND_KIND_TWIN,)])
async def test_a_team_behind_a_long_queue_of_another_is_told_its_turn(desk: Desk, kinds: list[pb.BackendKind]):
    waited = Outcome(
        job_id=JobId("1"), decision_id=None, backend_id="sim.statevector", engine="x", queue_seconds=4.0,
        run_seconds=1.0, engine_seconds=1.0, queue="pool:sim/short", queue_depth=1, end_time=NOW,
    )  # fmt: skip
    desk.standings.learn(waited)
    await desk.choose(b"circuit", *kinds, team_id=MANY)
    reports = [pb.BackendReport(backend_id="pool:sim/short", queue_depth=1)]
    reports[0].team_depths.add(team_id=MANY, depth=10_000)
    await desk.service.ReportBackends(pb.ReportBackendsRequest(reports=reports), CALL)
    many, one = [await desk.choose(b"circuit", *kinds, team_id=team) for team in (MANY, ONE)]
    assert (many.backend.queue_depth, one.backend.queue_depth) == (10_000, 1)
    assert one.estimate.queue_p50.ToTimedelta().total_seconds() == pytest.approx(4, rel=0.06)
    assert many.estimate.queue_p50.ToTimedelta().total_seconds() == pytest.approx(20_000, rel=0.06)
    kept = desk.kept.decisions[-1]
    assert (kept.queue, kept.queue_depth) == ("pool:sim/short", 1)
    decoded = msgspec.msgpack.decode(kept.grounds.encoded().question, type=Question)
    assert choice_message(choose(decoded), decoded).SerializeToString() == kept.grounds.answer
    again = await desk.choose(b"circuit", *kinds, team_id=ONE)
    assert desk.kept.decisions[-1].grounds is kept.grounds, "who has the same turn has the same choice"
    assert again.estimate == one.estimate
    wanted = pb.ListBackendsRequest(team_id=ONE, line="short")
    listed = (await desk.service.ListBackends(wanted, CALL)).backends[0]
    assert listed.queue_p50 == one.estimate.queue_p50


async def test_a_decision_keeps_the_places_where_its_circuit_runs(desk: Desk):
    await desk.choose(b"circuit", pb.BACKEND_KIND_TWIN)
    await desk.choose()
    assert [each.exposure for each in desk.kept.decisions] == [EXPOSURE, None]


async def test_what_is_settled_is_remembered(desk: Desk):
    for _ in range(3):
        await desk.choose(b"circuit", pb.BACKEND_KIND_TWIN)
    assert desk.asked == [b"circuit"]


async def test_where_no_circuit_can_be_shown_the_reason_says_so(desk: Desk):
    hidden = await desk.choose(b"", pb.BACKEND_KIND_TWIN)
    assert desk.asked == []
    assert hidden.estimate.fidelity_method == "medians"
    assert "by the medians of calibrations: the algorithm makes its circuit only as it runs" in hidden.reason
    shown = await desk.choose(b"circuit", pb.BACKEND_KIND_TWIN)
    assert "by the medians" not in shown.reason
