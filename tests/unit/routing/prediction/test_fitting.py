"""What is kept of a fitted circuit."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit
from qiskit.transpiler import PassManager

from services.routing.prediction.calibration import CALIBRATIONS
from services.routing.prediction.circuit import parse
from services.routing.prediction.fitting import Fitter
from tests.unit.routing.prediction.circuits import rotations


def test_a_profile_counts_as_qiskit_counts(monkeypatch: pytest.MonkeyPatch):
    fitted: list[QuantumCircuit] = []
    run = PassManager.run

    def keep(manager: PassManager, circuit: QuantumCircuit) -> QuantumCircuit:
        fitted.append(run(manager, circuit))
        return fitted[-1]

    monkeypatch.setattr("qiskit.transpiler.StagedPassManager.run", keep)
    (file,) = CALIBRATIONS.glob("ibm_torino@*.json")
    profile = Fitter(CALIBRATIONS, file.stem).fit(*parse(rotations(5, 0.3)).decoded()).profile
    (circuit,) = fitted
    assert profile.depth == circuit.depth()
    assert profile.two_qubit_gate_count == circuit.num_nonlocal_gates() > 0
    assert len(profile.readout_errors) == 5
    assert sum(share for _, share in profile.places) == pytest.approx(1, abs=0.01)
    read = {place[0] for place, _ in profile.places if len(set(place)) < len(place)}
    assert len(read) == 5, "a qubit is read where its gates are"
    assert read == {qubit for place, _ in profile.places for qubit in place}
