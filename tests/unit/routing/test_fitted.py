"""Fidelities as a choice takes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import cast

import pytest
from structlog.testing import capture_logs

from mesh.config import load
from services.routing.catalogue import CATALOGUE_FILE, Catalogue, Owner
from services.routing.fitted import FittedFidelity
from services.routing.prediction.circuit import parse
from services.routing.prediction.model import Method
from services.routing.prediction.predictor import Candidate, FidelityEstimate, Predictor
from services.routing.prediction.profile import Profile
from services.routing.twin import with_twins

TWINS = [each for each in with_twins(load(CATALOGUE_FILE, Catalogue)).backends if each.calibration is not None]
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
PROFILE = Profile(pair_loss=0, single_loss=0, readout_errors=(), depth=1, two_qubit_gate_count=1, seconds=0)


class FakePredictor:
    """Predicts the same for everybody."""

    def __init__(self, method: Method = Method.IDEAL_MIXTURE, *, busy: bool = False) -> None:
        self.method, self.busy = method, busy
        self.asked: list[tuple[bytes, int]] = []
        self.ages: list[dt.timedelta] = []
        self.broken = False

    async def predict(
        self, circuit: bytes, candidates: Sequence[Candidate], *, shots: int, seconds: float
    ) -> dict[str, FidelityEstimate]:
        del shots, seconds
        if self.broken:
            raise OSError("no child starts")
        self.asked.append((circuit, len(candidates)))
        self.ages += [each.age for each in candidates]
        return {each.backend_id: FidelityEstimate(0.9, 0.8, 0.95, self.method, PROFILE) for each in candidates}

    def works_on(self, _circuit: bytes) -> bool:
        return self.busy


def fitted_by(predictor: FakePredictor) -> FittedFidelity:
    return FittedFidelity(cast("Predictor", predictor), clock=lambda: NOW)


@pytest.mark.parametrize(
    ("method", "busy", "settled"),
    [
        (Method.IDEAL_MIXTURE, False, True),
        (Method.SUMMARY, False, True),
        (Method.SUMMARY, True, False),
        (Method.KNOWN_STRUCTURE, False, False),
    ],
)
async def test_a_prediction_is_settled_once_none_is_better(method: Method, busy: bool, settled: bool):  # noqa: FBT001 - drawn
    fitted = fitted_by(FakePredictor(method, busy=busy))
    predictions, told = await fitted(b"circuit", TWINS[:3], 1000, 1.0)
    assert set(predictions) == {each.backend_id for each in TWINS[:3]}
    assert told is settled


async def test_a_machine_has_drifted_since_its_calibration_and_its_twin_has_not():
    twin = next(each for each in TWINS if each.backend_id == "ibm_marrakesh")
    for backend, age in ((twin, dt.timedelta()), (twin.live(Owner.OPERATOR), dt.timedelta(days=634))):
        predictor = FakePredictor()
        await fitted_by(predictor)(b"circuit", [backend], 1000, 1.0)
        assert predictor.ages == [age]


async def test_a_small_circuit_is_fitted_before_the_first_one_comes():
    predictor = FakePredictor()
    await fitted_by(predictor).warm(TWINS, after=0)
    [(circuit, count)] = predictor.asked
    assert parse(circuit).decoded()[0].qubit_count == 5
    assert count == len(TWINS)


async def test_what_does_not_warm_up_is_no_reason_to_stop():
    predictor = FakePredictor()
    predictor.broken = True
    with capture_logs() as logs:
        await fitted_by(predictor).warm(TWINS, after=0)
    assert [log["event"] for log in logs] == ["prediction_not_warm"]
