"""What routing expects to be read is what the machine's twin would read, were there no end of shots."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit

from services.execution.programs.encoding import encode
from services.routing.prediction import noisy
from services.routing.prediction.calibration import CALIBRATIONS
from services.routing.prediction.circuit import parse
from services.routing.prediction.fitting import Fitter
from services.routing.prediction.ideal import ideal_of
from tests.unit.execution.twins.programs import program, twin


@pytest.mark.parametrize("device", ["ibm_lima", "ionq_aria_1"])
def test_the_expected_distribution_is_that_of_the_twin(device: str):
    circuit = QuantumCircuit(5, 3)
    circuit.h(0)
    circuit.cx(0, 2)
    circuit.barrier()
    circuit.cx(0, 2)
    circuit.ry(0.7, 3)
    circuit.ccx(0, 3, 2)
    circuit.measure([3, 0, 2], [0, 1, 2])
    asked = program(circuit)
    (file,) = CALIBRATIONS.glob(f"{device}@*.json")
    structure, angles = parse(encode(asked.tape)).decoded()
    fitted = Fitter(CALIBRATIONS, file.stem).fit(structure, angles)
    outcome = twin(device).run(asked, shots=100_000, seed=1, with_probabilities=True)
    assert outcome.transpiled is not None
    assert fitted.profile.two_qubit_gate_count == outcome.transpiled.two_qubit_gate_count
    assert fitted.read is not None
    assert outcome.probabilities is not None
    # The twin writes classical bits, the highest first; here they are measured qubits, the lowest first: 0, 2 and 3.
    expected = [outcome.probabilities[f"{bits >> 1 & 1}{bits & 1}{bits >> 2 & 1}"] for bits in range(8)]
    assert np.abs(fitted.read - expected).max() < 1e-6


def test_a_circuit_whose_density_matrix_takes_long_is_left_to_the_mixture(monkeypatch: pytest.MonkeyPatch):
    (file,) = CALIBRATIONS.glob("ibm_lima@*.json")
    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    circuit.measure_all()
    decoded = parse(encode(program(circuit).tape)).decoded()
    fitter = Fitter(CALIBRATIONS, file.stem)
    read = fitter.fit(*decoded).read
    assert read is not None
    flat = ideal_of(*decoded, with_errors=False)
    assert flat.errors is None
    assert noisy.hellinger(flat.probabilities, read) == pytest.approx(1, abs=0.01)
    monkeypatch.setattr(noisy, "MOST_WORK", 1)
    assert fitter.fit(*decoded).read is None
