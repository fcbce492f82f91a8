"""The circuits of the truth's test side, of kinds that are in no other: textbook ones, and the rest of MQT Bench's.

Every builder takes a number of qubits and gives a circuit that reads all of them at its end, unless it says otherwise;
what is random in it is drawn from `_SEED` and the number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from mqt.bench import get_benchmark_indep
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import (
    PauliEvolutionGate,
    excitation_preserving,
    fourier_checking,
    hidden_linear_function,
    iqp,
    quantum_volume,
)
from qiskit.quantum_info import SparsePauliOp, random_unitary
from qiskit.synthesis import LieTrotter

_SEED = 20_261_122
_GATES = ("h", "x", "z", "s", "sdg", "t", "tdg", "sx", "rx", "ry", "rz", "p", "cx", "cz", "cp", "swap", "rzz", "ccx")
_STEPS, _ANGLE = 3, 0.35
"""Of a Trotter evolution: how many, and the time of each, with couplings of 1."""


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


def _ising(size: int) -> QuantumCircuit:
    """A chain in a transverse field, from |0...0>."""
    terms = [("ZZ", [qubit, qubit + 1], 1.0) for qubit in range(size - 1)] + [("X", [q], 0.8) for q in range(size)]
    return _evolved(terms, QuantumCircuit(size))


def _heisenberg(size: int) -> QuantumCircuit:
    """A Heisenberg chain, from the Néel state."""
    start = QuantumCircuit(size)
    start.x(range(0, size, 2))
    return _evolved([(pair, [q, q + 1], 1.0) for q in range(size - 1) for pair in ("XX", "YY", "ZZ")], start)


def _evolved(terms: list[tuple[str, list[int], float]], made: QuantumCircuit) -> QuantumCircuit:
    energy = SparsePauliOp.from_sparse_list(terms, made.num_qubits)
    made.append(PauliEvolutionGate(energy, _STEPS * _ANGLE, synthesis=LieTrotter(reps=_STEPS)), made.qubits)
    return made.decompose(reps=2)


def _echo(size: int) -> QuantumCircuit:
    """Random layers, flips of some qubits, and the layers undone: what spreads in between (a Loschmidt echo)."""
    random = _random(size)
    layers = QuantumCircuit(size)
    for _ in range(3):
        for qubit in range(size):
            layers.unitary(random_unitary(2, seed=random), [qubit])
        order = random.permutation(size)
        for place in range(0, size - 1, 2):
            layers.cz(int(order[place]), int(order[place + 1]))
    made = layers.copy()
    made.x(range(0, size, 3))
    return made.compose(layers.inverse())


def _hidden_shift(size: int) -> QuantumCircuit:
    """The shift of a bent function, x y (van Dam, Hallgren & Ip, 2006): one outcome."""
    shift = [qubit for qubit in range(size) if qubit % 3 != 1]
    function = QuantumCircuit(size)
    for qubit in range(size // 2):
        function.cz(qubit, qubit + size // 2)
    made = QuantumCircuit(size)
    made.h(range(size))
    made.x(shift)
    made = made.compose(function)
    made.x(shift)
    made.h(range(size))
    made = made.compose(function)
    made.h(range(size))
    return made


def _simon(size: int) -> QuantumCircuit:
    """Simon's problem of size / 2 bits; the upper half is read, the lower computes."""
    half = size // 2
    made = QuantumCircuit(size, half)
    made.h(range(half))
    for qubit in range(half):
        made.cx(qubit, half + qubit)
    for qubit in range(half):
        made.cx(0, half + qubit)
    made.h(range(half))
    made.measure(range(half), range(half))
    return made


def _swap_test(size: int) -> QuantumCircuit:
    """Two random product states compared; the first qubit alone is read."""
    random, half = _random(size), size // 2
    made = QuantumCircuit(size, 1)
    for qubit in range(1, size):
        made.ry(float(random.uniform(0, math.pi)), qubit)
    made.h(0)
    for qubit in range(1, 1 + half):
        made.cswap(0, qubit, qubit + half)
    made.h(0)
    made.measure(0, 0)
    return made


def _dicke(size: int) -> QuantumCircuit:
    """The state of all strings with two ones (Bärtschi & Eidenbenz, 2019)."""
    weight = 2
    made = QuantumCircuit(size)
    made.x(range(size - weight, size))
    for rest in range(size, 1, -1):
        last = rest - 1
        made.cx(last - 1, last)
        made.cry(2 * math.acos(math.sqrt(1 / rest)), last, last - 1)
        made.cx(last - 1, last)
        if rest > weight:
            made.cx(last - 2, last)
            angle = 2 * math.acos(math.sqrt(2 / rest))
            made.ry(angle / 2, last - 2)
            made.ccx(last, last - 1, last - 2)
            made.ry(-angle / 2, last - 2)
            made.ccx(last, last - 1, last - 2)
            made.cx(last - 2, last)
    return made


def _carries(size: int) -> QuantumCircuit:
    """Carries that ripple through a number in superposition: a ladder of Toffolis."""
    made = QuantumCircuit(size)
    made.h(range(0, size - 1, 2))
    for qubit in range(size - 2):
        made.ccx(qubit, qubit + 1, qubit + 2)
        made.cx(qubit, qubit + 1)
    return made


def _number_conserving(size: int) -> QuantumCircuit:
    """An ansatz that keeps the number of excitations, at random angles."""
    made = QuantumCircuit(size)
    made.x(range(0, size, 2))
    ansatz = excitation_preserving(size, entanglement="linear", reps=1)
    angles = _random(size).uniform(0, math.pi, ansatz.num_parameters)
    return made.compose(ansatz.assign_parameters(angles)).decompose()


def _iqp(size: int) -> QuantumCircuit:
    drawn = _random(size).integers(0, 4, (size, size))
    return iqp((drawn + drawn.T) // 2)


def _hidden_linear(size: int) -> QuantumCircuit:
    drawn = np.triu(_random(size).integers(0, 2, (size, size)), 1)
    return hidden_linear_function((drawn + drawn.T).tolist())


def _forrelation(size: int) -> QuantumCircuit:
    f, g = _random(size).choice((-1, 1), (2, 1 << size)).tolist()
    return fourier_checking(f, g)


BUILDERS: dict[str, Callable[[int], QuantumCircuit]] = {
    "carries": _carries,
    "dicke": _dicke,
    "echo": _echo,
    "forrelation": _forrelation,
    "heisenberg": _heisenberg,
    "hidden_linear_function": _hidden_linear,
    "hidden_shift": _hidden_shift,
    "iqp": _iqp,
    "ising": _ising,
    "number_conserving": _number_conserving,
    "quantum_volume": lambda size: quantum_volume(size, seed=_SEED),
    "simon": _simon,
    "swap_test": _swap_test,
}
