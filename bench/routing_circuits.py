"""The circuits of the truth's test side, of kinds that are in no other: textbook ones.

Every builder takes a number of qubits and gives a circuit that reads all of them at its end, unless it says otherwise;
what is random in it is drawn from `_SEED` and the number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from mqt.bench import get_benchmark_indep
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import PauliEvolutionGate, StatePreparation, UCRYGate, zz_feature_map
from qiskit.quantum_info import SparsePauliOp, random_clifford
from qiskit.synthesis import LieTrotter

_SEED = 20_261_151
_GATES = ("h", "x", "z", "s", "sdg", "t", "tdg", "sx", "rx", "ry", "rz", "p", "cx", "cz", "cp", "swap", "rzz", "ccx")


def circuit(family: str, size: int) -> QuantumCircuit:
    """A circuit of a family, ours or MQT Bench's, in gates that every part of the truth knows."""
    if family not in BUILDERS:
        return get_benchmark_indep(family, size)
    made = BUILDERS[family](size)
    if not made.cregs:
        made.measure_all()
    return transpile(made, basis_gates=[*_GATES, "measure"], optimization_level=0)


def _random(size: int) -> np.random.Generator:
    return np.random.default_rng((_SEED, size))


def _repetition_code(size: int) -> QuantumCircuit:
    """A random qubit in a repetition code: encoded, its parities read by every second qubit, which are read with it."""
    made = QuantumCircuit(size)
    made.ry(float(_random(size).uniform(0.3, math.pi - 0.3)), 0)
    for data in range(2, size, 2):
        made.cx(0, data)
    for check in range(1, size - 1, 2):
        made.cx(check - 1, check)
        made.cx(check + 1, check)
    return made


def _detection_code(size: int) -> QuantumCircuit:
    """Two qubits in the [[4, 2, 2]] code, entangled inside it; with more qubits its checks are read as well."""
    made = QuantumCircuit(size)
    made.h(3)
    for qubit in (0, 1, 2):
        made.cx(3, qubit)
    made.h(range(4))
    made.s(range(4))
    made.swap(0, 1)
    made.h(range(4))
    for check in range(4, size):
        for qubit in range(4):
            made.cx(qubit, check)
    return made


def _teleportation(size: int) -> QuantumCircuit:
    """A random qubit teleported again and again, with corrections by gates in the place of measurements."""
    made = QuantumCircuit(size)
    made.ry(float(_random(size).uniform(0.3, math.pi - 0.3)), 0)
    for here in range(0, size - 2, 2):
        made.h(here + 1)
        made.cx(here + 1, here + 2)
        made.cx(here, here + 1)
        made.h(here)
        made.cx(here + 1, here + 2)
        made.cz(here, here + 2)
    return made


def _reversible(size: int) -> QuantumCircuit:
    """Random NOT, CNOT and Toffoli gates on a random number: one outcome."""
    random = _random(size)
    made = QuantumCircuit(size)
    made.x([qubit for qubit in range(size) if random.random() < 0.5] or [0])
    for _ in range(2 * size):
        qubits = [int(qubit) for qubit in random.permutation(size)[: random.integers(2, 4)]]
        made.cx(*qubits) if len(qubits) == 2 else made.ccx(*qubits)
    return made


def _clifford(size: int) -> QuantumCircuit:
    return random_clifford(size, seed=_random(size)).to_circuit()


def _cnot_network(size: int) -> QuantumCircuit:
    """A random linear map of the bits of a number in a biased superposition."""
    random = _random(size)
    made = QuantumCircuit(size)
    for qubit in range(size):
        made.ry(float(random.uniform(0, math.pi / 2)), qubit)
    for _ in range(2 * size):
        first, second = random.permutation(size)[:2]
        made.cx(int(first), int(second))
    return made


def _matchgates(size: int) -> QuantumCircuit:
    """Free fermions: random nearest-neighbour hops and phases, from a half-filled line."""
    random = _random(size)
    made = QuantumCircuit(size)
    made.x(range(0, size, 2))
    for layer in range(3):
        for left in range(layer % 2, size - 1, 2):
            angle = float(random.uniform(0, math.pi))
            made.rxx(angle, left, left + 1)
            made.ryy(angle, left, left + 1)
        for qubit in range(size):
            made.rz(float(random.uniform(-math.pi, math.pi)), qubit)
    return made


def _floquet(size: int) -> QuantumCircuit:
    """A discrete time crystal: imperfect flips, and Ising couplings that differ from pair to pair."""
    random = _random(size)
    made = QuantumCircuit(size)
    for _ in range(4):
        made.rx(0.95 * math.pi, range(size))
        for left in range(size - 1):
            made.rzz(float(random.uniform(0.25, 0.75) * math.pi), left, left + 1)
    return made


def _state_preparation(size: int) -> QuantumCircuit:
    """A random real state, by multiplexed rotations."""
    amplitudes = _random(size).standard_normal(1 << size)
    made = QuantumCircuit(size)
    made.append(StatePreparation(amplitudes / np.linalg.norm(amplitudes)), made.qubits)
    return made


def _image(size: int) -> QuantumCircuit:
    """A picture of 2^(size - 1) random greys: addresses in superposition, each grey an angle of the last qubit."""
    made = QuantumCircuit(size)
    made.h(range(size - 1))
    greys = _random(size).uniform(0, math.pi, 1 << (size - 1)).tolist()
    made.append(UCRYGate(greys), [size - 1, *range(size - 1)])
    return made


def _kernel(size: int) -> QuantumCircuit:
    """The overlap of two points that are alike, in the feature space of Havlíček et al., 2019."""
    random = _random(size)
    point = random.uniform(0, 1, size)
    there, back = (
        zz_feature_map(size, reps=1, entanglement="linear").assign_parameters(each)
        for each in (point, point + 0.2 * random.standard_normal(size))
    )
    return there.compose(back.inverse())


def _coupled_cluster(size: int) -> QuantumCircuit:
    """Excitations of an electron from the lower to the upper half, with their Jordan-Wigner strings."""
    random, half = _random(size), size // 2
    made = QuantumCircuit(size)
    made.x(range(half))
    for low in range(half):
        for high in range(half, size):
            string = "Z" * (high - low - 1)
            angle = float(random.uniform(0.1, 0.5))
            for pauli, sign in (("X" + string + "Y", 1), ("Y" + string + "X", -1)):
                gate = PauliEvolutionGate(SparsePauliOp(pauli), sign * angle, synthesis=LieTrotter())
                made.append(gate, range(low, high + 1))
    return made


def _signal_processing(size: int) -> QuantumCircuit:
    """Phases between controlled products of rotations, on the signal qubit, which is read with the others."""
    random = _random(size)
    made = QuantumCircuit(size)
    made.h(0)
    for _ in range(3):
        made.rz(float(random.uniform(-math.pi, math.pi)), 0)
        for qubit in range(1, size):
            made.cry(float(random.uniform(0.2, 1.2)), 0, qubit)
        made.h(0)
    return made


def _hadamard_test(size: int) -> QuantumCircuit:
    """The real part of an expectation of an entangler; the first qubit alone is read."""
    random = _random(size)
    made = QuantumCircuit(size, 1)
    for qubit in range(1, size):
        made.ry(float(random.uniform(0, math.pi)), qubit)
    made.h(0)
    for qubit in range(1, size):
        made.crx(float(random.uniform(0.3, 2.0)), 0, qubit)
    for qubit in range(1, size - 1):
        made.ccz(0, qubit, qubit + 1)
    made.h(0)
    made.measure(0, 0)
    return made


BUILDERS: dict[str, Callable[[int], QuantumCircuit]] = {
    "clifford": _clifford,
    "cnot_network": _cnot_network,
    "coupled_cluster": _coupled_cluster,
    "detection_code": _detection_code,
    "floquet": _floquet,
    "hadamard_test": _hadamard_test,
    "image": _image,
    "kernel": _kernel,
    "matchgates": _matchgates,
    "repetition_code": _repetition_code,
    "reversible": _reversible,
    "signal_processing": _signal_processing,
    "state_preparation": _state_preparation,
    "teleportation": _teleportation,
}
