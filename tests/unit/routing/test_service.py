"""What a decision costs the service: nothing is predicted for simulators, and nothing is decided twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import cast

import pytest
from qm.routing.v1 import routing_pb2 as pb
from qm.type.v1 import requester_pb2

from mesh.call import Call
from mesh.config import load
from services.routing.catalogue import CATALOGUE_FILE, Backend, Catalogue
from services.routing.decision import Decision
from services.routing.objective import POLICY_FILE, Policy
from services.routing.question import Prediction
from services.routing.recorder import Recorder
from services.routing.service import Kits, RoutingService
from services.routing.situation import Situation
from services.routing.standing import Standings
from services.routing.store import CalibrationStore, DecisionStore
from services.routing.supplier import SUPPLIERS_FILE, Suppliers
from services.routing.twin import with_twins

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
CALL = cast("Call", None)


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
        situation = Situation(
            with_twins(load(CATALOGUE_FILE, Catalogue)),
            load(POLICY_FILE, Policy),
            Standings(live_queue_seconds=600, clock=lambda: NOW),
            predict=self._predict,
        )
        kits = Kits(cast("Recorder", self.kept), cast("DecisionStore", None), cast("CalibrationStore", None))
        self.service = RoutingService(situation, kits, load(SUPPLIERS_FILE, Suppliers), clock=lambda: NOW)

    async def choose(self, circuit: bytes = b"", *kinds: pb.BackendKind, hardware: str = "auto") -> pb.Decision:
        request = pb.ChooseBackendRequest(
            hardware=hardware,
            shot_count=1000,
            circuit=circuit,
            requester=requester_pb2.Requester(environment=requester_pb2.ENVIRONMENT_LIVE),
            features=pb.Features(qubit_count=3, gate_count=5, two_qubit_gate_count=2),
        )
        request.objective.kinds.extend(kinds)
        for method in ("statevector", "calibrated_noise"):
            request.offers.add(engine="x", method=method).duration_p50.FromMilliseconds(5)
        return (await self.service.ChooseBackend(request, CALL)).decision

    async def _predict(
        self, circuit: bytes, backends: Sequence[Backend], _shots: int, _seconds: float
    ) -> tuple[Mapping[str, Prediction], bool]:
        self.asked.append(circuit)
        told = Prediction(self.value, self.value - 0.05, self.value + 0.05, "known_structure", "c@1")
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
