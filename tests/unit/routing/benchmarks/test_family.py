"""The circuits of benchmarks do what their families say."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import qasm2
from qiskit.quantum_info import Statevector

from services.routing.benchmarks.circuit import Circuit
from services.routing.benchmarks.family import FAMILIES, SHOTS, SPREAD_WIDTHS


def probabilities(circuit: Circuit) -> dict[str, float]:
    """Of the outcomes that are not impossible."""
    loaded = qasm2.loads(circuit.openqasm, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    assert loaded.depth() == circuit.depth
    assert loaded.num_nonlocal_gates() == circuit.two_qubit_gate_count
    loaded.remove_final_measurements()
    found: dict[str, float] = Statevector(loaded).probabilities_dict(decimals=9)
    return {outcome: value for outcome, value in found.items() if value > 1e-9}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["mirror", "fourier"])
def test_a_peaked_circuit_has_one_outcome(name: str, seed: int):
    for width in (3, 4, 8):
        assert list(probabilities(FAMILIES[name].circuit(width, seed)).values()) == pytest.approx([1.0])


def test_a_ghz_state_has_two_outcomes_and_a_w_state_one_for_each_qubit():
    assert probabilities(FAMILIES["ghz"].circuit(5, 0)) == pytest.approx({"00000": 0.5, "11111": 0.5})
    ones = {format(1 << qubit, "05b"): 0.2 for qubit in range(5)}
    assert probabilities(FAMILIES["wstate"].circuit(5, 0)) == pytest.approx(ones)


def test_a_balanced_oracle_never_answers_zero():
    found = probabilities(FAMILIES["deutsch_jozsa"].circuit(6, 3))
    assert {outcome[1:] for outcome in found} != {"00000"}
    assert len({outcome[1:] for outcome in found}) == 1


def test_random_circuits_spread_over_their_outcomes_as_they_should():
    values = np.array(list(probabilities(FAMILIES["volume"].circuit(8, 5)).values()))
    heavy = values[values > np.median(values)].sum()
    assert heavy == pytest.approx((1 + np.log(2)) / 2, abs=0.06), "the heavy outcomes of random states"


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_makes_the_same_circuit(name: str):
    family = FAMILIES[name]
    assert family.circuit(6, 1) == family.circuit(6, 1)
    assert family.circuit(6, 1).qubit_count == 6
    if name not in {"ghz", "wstate"}:
        assert family.circuit(6, 1).openqasm != family.circuit(6, 2).openqasm


def test_circuits_with_many_outcomes_get_ten_shots_for_each():
    assert 10 * 2 ** max(SPREAD_WIDTHS) <= SHOTS
