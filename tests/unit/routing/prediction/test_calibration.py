"""What a calibration says of gates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from noise import channel
from services.execution.twins.shelf import snapshot
from services.routing.prediction.calibration import CALIBRATIONS, UnknownCalibrationError, read
from services.routing.prediction.circuit import parse
from services.routing.prediction.summary import summary_of
from tests.unit.routing.prediction.circuits import ghz


def test_losses_are_those_of_the_twins_channels():
    known, twin = read(CALIBRATIONS, "ibm_brisbane@2025-02-26"), snapshot("ibm_brisbane")
    gate = next(each for each in known.gates if each.name == "ecr")
    for place, rate in list(known.rates(gate))[:40]:
        if rate.error == 1:
            continue
        qubits = tuple(twin.qubits[qubit] for qubit in place)
        noise = channel.gate_noise(qubits, rate.error, rate.seconds)
        assert noise is not None
        # The process fidelity of a channel is the probability that no Pauli error happens.
        assert math.exp(-sum(known.losses(place, rate))) == pytest.approx(float(np.trace(noise)) / 16, abs=5e-4)


def test_a_summary_is_between_the_best_and_the_worst_of_the_machine():
    for name in ("ibm_marrakesh@2025-02-26", "quantinuum_h2@2026-09-01", "iqm_garnet@2026-09-01"):
        calibration = read(CALIBRATIONS, name)
        summary = summary_of(calibration)
        assert summary.sparse == (name != "quantinuum_h2@2026-09-01")
        structure, _ = parse(ghz(6)).decoded()
        rough = summary.profile(structure.size)
        assert 5 * summary.pairs[0] <= rough.pair_loss <= 10 * summary.pairs[-1]
        assert len(rough.readout_errors) == 6
        assert summary.readouts[0] <= rough.readout_errors[0] <= summary.readouts[-1]


def test_one_qubit_as_good_as_another_is_told_from_a_calibration_of_each():
    assert read(CALIBRATIONS, "quantinuum_h2@2026-09-01").uniform
    assert not read(CALIBRATIONS, "ibm_marrakesh@2025-02-26").uniform
    assert not read(CALIBRATIONS, "iqm_garnet@2026-09-01").uniform


def test_a_calibration_that_is_not_there_or_not_in_the_folder_is_unknown():
    for name in ("ibm_nowhere@2026-01-01", "../twins"):
        with pytest.raises(UnknownCalibrationError):
            read(CALIBRATIONS, name)
