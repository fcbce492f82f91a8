"""Channels agree with those of qiskit-aer's device model, gate by gate."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit.library import CXGate, RXGate, UGate
from qiskit.quantum_info import PTM, Operator
from qiskit_aer.noise.device.models import basic_device_gate_errors

from noise.channel import gate_noise, joined, relaxation, swapped, unitary
from services.execution.twins.device import CalibratedDevice
from services.execution.twins.shelf import snapshot
from services.execution.twins.snapshot import Qubit


@pytest.mark.parametrize("device", ["ibm_vigo", "ibm_burlington"])
def test_the_noise_of_every_gate_is_that_of_aer(device: str):
    calibrated = CalibratedDevice(snapshot(device))
    errors = basic_device_gate_errors(target=calibrated.target)
    assert errors
    for name, places, expected in errors:
        qubits = tuple(calibrated.working[place] for place in places)
        error, seconds = calibrated.rate(name, qubits)
        described = tuple(calibrated.snapshot.qubits[qubit] for qubit in qubits)
        found = gate_noise(described, error, seconds)
        assert np.abs(PTM(expected).data - found).max() < 1e-12


@pytest.mark.parametrize("gate", [RXGate(0.3), UGate(0.1, 0.2, 0.3), CXGate()])
def test_a_unitary_is_its_pauli_transfer_matrix(gate: RXGate | UGate | CXGate):
    assert np.abs(unitary(gate.to_matrix()) - PTM(Operator(gate)).data.real).max() < 1e-12


def test_the_other_order_of_two_qubits_is_the_gate_turned_round():
    turned = Operator(CXGate()).reverse_qargs()
    assert np.abs(swapped(unitary(CXGate().to_matrix())) - unitary(turned.data)).max() < 1e-12


def test_two_channels_joined_act_each_on_its_own_qubit():
    low, high = unitary(RXGate(0.3).to_matrix()), unitary(UGate(0.1, 0.2, 0.3).to_matrix())
    both = Operator(UGate(0.1, 0.2, 0.3)).tensor(Operator(RXGate(0.3)))
    assert np.abs(joined([low, high]) - unitary(both.data)).max() < 1e-12


def test_a_qubit_that_waits_for_ever_is_in_its_ground_state():
    qubit = Qubit(t1_us=100.0, t2_us=300.0)  # more than twice T1 cannot be, and counts as twice
    excited = np.array([1.0, 0.0, 0.0, -1.0])
    assert relaxation(qubit, 1.0) @ excited == pytest.approx([1, 0, 0, 1])
    assert relaxation(qubit, 1e-4)[1, 1] == pytest.approx(np.exp(-0.5))


def test_without_error_or_time_there_is_no_noise():
    assert gate_noise((Qubit(t1_us=1.0),), None, None) is None
    assert gate_noise((Qubit(),), 0.0, 0.0) is None


def test_an_error_beyond_every_channel_is_cut():
    noise = gate_noise((Qubit(),), 1.0, None)
    assert noise is not None
    assert noise.diagonal() == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
