"""What a decision costs the service: CPU of its own process, for what is remembered, known, and of known structure.

python -m bench.routing_decisions

The whole RPC but its transport and its database: a circuit of 12 qubits among all twins, with beliefs about each,
as after some outcomes. What is encoded for the table behind the answer is told apart.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Mapping
from random import Random
from statistics import median
from typing import cast

import msgspec
from qm.routing.v1 import routing_pb2 as pb
from qm.type.v1 import requester_pb2

from bench.routing_speed import ansatz
from mesh.call import Call
from mesh.config import load
from services.routing.catalogue import CATALOGUE_FILE, Catalogue, Kind
from services.routing.decision import Decision, JobId
from services.routing.fitted import FittedFidelity
from services.routing.learning.beliefs import Beliefs
from services.routing.learning.learner import Learner
from services.routing.learning.outcome import MEASURED, Outcome
from services.routing.learning.sights import MOST
from services.routing.objective import POLICY_FILE, Policy
from services.routing.prediction.predictor import MODEL_VERSION, Predictor
from services.routing.program import Forecast
from services.routing.question import Prediction
from services.routing.recorder import Recorder
from services.routing.service import Kits, RoutingService
from services.routing.situation import Situation
from services.routing.standing import Standings
from services.routing.store import CalibrationStore, DecisionStore
from services.routing.supplier import SUPPLIERS_FILE, Suppliers
from services.routing.twin import with_twins

_NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
_QUBITS = 12
_COUNT = 100
_PATIENT = 10.0
_NO_CALL = cast("Call", None)


class _Kept:
    """Takes decisions, and encodes them as the recorder does."""

    def __init__(self) -> None:
        self.spent: list[float] = []

    def keep(self, decision: Decision) -> None:
        self.spent.append(_timed(decision.grounds.encoded))


async def main() -> None:
    """Measure, and print."""
    catalogue = with_twins(load(CATALOGUE_FILE, Catalogue))
    beliefs = Beliefs()
    policy = msgspec.structs.replace(load(POLICY_FILE, Policy), prediction_seconds=_PATIENT)
    predictor, kept = Predictor(children=1), _Kept()
    situation = Situation(
        catalogue,
        policy,
        Standings(live_queue_seconds=600, clock=lambda: _NOW),
        predict=FittedFidelity(predictor, clock=lambda: _NOW),
        model_version=MODEL_VERSION,
        beliefs=lambda: beliefs,
    )
    kits = Kits(cast("Recorder", kept), cast("DecisionStore", None), cast("CalibrationStore", None))
    service = RoutingService(situation, kits, load(SUPPLIERS_FILE, Suppliers), clock=lambda: _NOW)
    try:
        settled = False
        while not settled:
            told, settled = await situation.predict(ansatz(_QUBITS, 1, 0.1), *_twins(catalogue))  # type: ignore[misc]
        beliefs = _learned(told)
        await _measure(service, kept, sum(each.kind is Kind.TWIN for each in catalogue.backends))
    finally:
        await predictor.close()


def _learned(told: Mapping[str, Prediction]) -> Beliefs:
    """Beliefs about every twin, from as many outcomes on its places as are remembered."""
    learner, random, span = Learner(), Random(0), dt.timedelta(seconds=1)
    for name, each in told.items():
        for number in range(MOST):
            outcome = Outcome(
                job_id=JobId(f"{name} {number}"),
                decision_id=None,
                backend_id=name,
                engine="qmumma-twin",
                calibration_id=each.calibration_id,
                fidelity=min(1.0, max(0.0, each.value + random.gauss(0, 0.01))),
                fidelity_method=MEASURED,
                queue_seconds=0.0,
                run_seconds=1.0,
                engine_seconds=1.1,
                forecast=Forecast(each.value, each.low, each.high, span, 2 * span),
                exposure=each.exposure,
                end_time=_NOW,
            )
            learner.learn(outcome)
    return learner.beliefs(_NOW, "bench")


async def _measure(service: RoutingService, kept: _Kept, twins: int) -> None:
    known = _request(0.1)
    first = await _cpu(service, known)
    remembered = [await _cpu(service, known) for _ in range(_COUNT)]
    kept.spent.clear()
    structure = [await _cpu(service, _request(0.2 + number)) for number in range(_COUNT)]
    print(f"CPU ms, medians of {_COUNT}, among {twins} twins")
    print(f"after new outcomes everywhere {first:6.2f}, once")
    print(f"remembered request            {median(remembered):6.2f}")
    print(f"known structure, new angles   {median(structure):6.2f}, and behind the answer {median(kept.spent):.2f}")


async def _cpu(service: RoutingService, request: pb.ChooseBackendRequest) -> float:
    kept = cast("_Kept", service._kits.recorder)
    before, encoded = time.process_time(), len(kept.spent)
    await service.ChooseBackend(request, _NO_CALL)
    return 1e3 * (time.process_time() - before) - sum(kept.spent[encoded:])


def _timed(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return 1e3 * (time.process_time() - before)


def _twins(catalogue: Catalogue) -> tuple[list[object], int, float]:
    return [each for each in catalogue.backends if each.kind is Kind.TWIN], 1000, _PATIENT


def _request(angle: float) -> pb.ChooseBackendRequest:
    request = pb.ChooseBackendRequest(
        hardware="auto",
        shot_count=1000,
        circuit=ansatz(_QUBITS, 1, angle),
        requester=requester_pb2.Requester(environment=requester_pb2.ENVIRONMENT_LIVE),
        features=pb.Features(
            qubit_count=_QUBITS, clbit_count=_QUBITS, depth=20, gate_count=60, two_qubit_gate_count=22
        ),
        objective=pb.Objective(kinds=[pb.BACKEND_KIND_TWIN]),
    )
    offer = request.offers.add(engine="qmumma-twin", method="calibrated_noise", memory_bytes=1000)
    offer.duration_p50.FromMilliseconds(50)
    offer.duration_p90.FromMilliseconds(90)
    return request


if __name__ == "__main__":
    asyncio.run(main())
