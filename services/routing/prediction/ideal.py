"""What a circuit would give, and what is left of it after errors, by state vectors. Heavy: for child processes alone.

Errors are Pauli errors at the gates on two qubits, drawn once for a circuit, whatever the machine: a *pair* error is
one of the 15 Pauli strings on both qubits, a *single* error X, Y or Z on one of them. Some change nothing that is read
(a Z before the measurement, a flip of |+>); the share of these, and the mean distribution that the others leave, is
what makes one circuit suffer more than another of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.circuit.library import get_standard_gate_name_mapping
from qulacs import QuantumCircuit, QuantumState
from qulacs.gate import DenseMatrix, X, Y, Z

from services.routing.prediction import wide
from services.routing.prediction.profile import UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from services.routing.prediction.circuit import Structure

WIDEST_WITH_ERRORS = 13
"""Qubits of the widest circuit whose errors are drawn."""
_DRAWS, _FEWEST_DRAWS = 120, 12
"""Draws of an error of each kind: as many as take 0.1 s, by the next two numbers, between these."""
_DRAW_WORK = 5e7
_GATE_WORK = 600
"""What a gate takes besides its amplitudes, in amplitudes of about a nanosecond."""
_SAME = 0.999
"""The Hellinger fidelity from which an error has changed nothing."""
_SEED = 20_261_121
_POSSIBLE = 1e-6
"""The probability from which an outcome counts: rarer ones are in no sample, or single precision's noise."""

_SKIPPED = frozenset({"measure", "id", "delay", "barrier"})
_GATES = get_standard_gate_name_mapping()
_PAIR = 2
_PAULI = (X, Y, Z)
_PAULIS = 1 + len(_PAULI)
_COST = {"cx": 1, "cz": 1, "ecr": 1, "cy": 1, "ch": 1, "csx": 1, "swap": 3}
"""Gates on two qubits of a machine that a gate takes; two for any other."""
_ADD: Mapping[str, Callable[..., None]] = {
    "x": QuantumCircuit.add_X_gate,
    "z": QuantumCircuit.add_Z_gate,
    "h": QuantumCircuit.add_H_gate,
    "s": QuantumCircuit.add_S_gate,
    "sdg": QuantumCircuit.add_Sdag_gate,
    "sx": QuantumCircuit.add_sqrtX_gate,
    "t": QuantumCircuit.add_T_gate,
    "tdg": QuantumCircuit.add_Tdag_gate,
    "rx": lambda circuit, qubit, angle: circuit.add_RotX_gate(qubit, angle),
    "ry": lambda circuit, qubit, angle: circuit.add_RotY_gate(qubit, angle),
    "rz": lambda circuit, qubit, angle: circuit.add_RotZ_gate(qubit, angle),
    "p": lambda circuit, qubit, angle: circuit.add_RotZ_gate(qubit, angle),
    "cx": QuantumCircuit.add_CNOT_gate,
    "cz": QuantumCircuit.add_CZ_gate,
    "swap": QuantumCircuit.add_SWAP_gate,
}
"""What qulacs runs faster than a matrix; p differs from rz by a global phase. Every other gate goes by its matrix."""

Gate = tuple[str, tuple[int, ...], tuple[float, ...]]
Error = tuple[int, tuple[tuple[int, int], ...]]
"""After how many gates, and on which qubits which Pauli matrix (1 to 3)."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What errors of one kind do."""

    unseen: float
    """The share that changes nothing."""
    left: NDArray[np.float32]
    """The mean distribution that the others leave."""


@dataclass(frozen=True, slots=True)
class Errors:
    """What errors do to a circuit."""

    pair: Aftermath
    single: Aftermath
    two: NDArray[np.float32]
    """The mean distribution after two errors that are seen, and after three."""
    three: NDArray[np.float32]


@dataclass(frozen=True)
class Ideal:
    """What a circuit gives without errors, over the measured qubits, the first one lowest; and with errors."""

    probabilities: NDArray[np.float32]
    errors: Errors | None
    """None where they were not drawn."""

    @cached_property
    def support(self) -> int:
        """How many outcomes it has."""
        return int(np.count_nonzero(self.probabilities > _POSSIBLE))


def ideal_of(structure: Structure, angles: tuple[float, ...], *, with_errors: bool) -> Ideal:
    """What a circuit gives that reads at its end, `with_errors` also after them. Raises UnfitError for an unknown gate.

    Errors of a circuit of more than WIDEST_WITH_ERRORS qubits are not drawn.
    """
    gates = list(_gates(structure, angles))
    if structure.qubit_count > WIDEST_WITH_ERRORS:
        found = wide.probabilities(structure.qubit_count, ((on, _matrix(name, turned)) for name, on, turned in gates))
        return Ideal(_of_measured(found, structure), None)
    simulation = _Simulation(structure, gates)
    probabilities = simulation.run(())
    return Ideal(probabilities, simulation.errors(probabilities) if with_errors else None)


class _Simulation:
    """A circuit that is run again and again, with other errors."""

    def __init__(self, structure: Structure, gates: Sequence[Gate]) -> None:
        width = structure.qubit_count
        self._structure = structure
        self._circuit = QuantumCircuit(width)
        for gate in gates:
            _append(self._circuit, gate)
        pairs = [(index + 1, on, _COST.get(name, 2)) for index, (name, on, _) in enumerate(gates) if len(on) == _PAIR]
        self._places = pairs or [(index + 1, on, 1) for index, (_, on, _) in enumerate(gates)]
        costs = np.cumsum([cost for _, _, cost in self._places], dtype=np.float64)
        self._shares = costs / costs[-1] if len(costs) else costs
        work = max(1, len(gates)) * (_GATE_WORK + (1 << width))
        self._draws = int(min(_DRAWS, max(_FEWEST_DRAWS, _DRAW_WORK / work)))
        self._random = np.random.default_rng(_SEED)

    def run(self, errors: Sequence[Error]) -> NDArray[np.float32]:
        """The distribution of what is read after some errors."""
        circuit = self._circuit.copy() if errors else self._circuit
        for index, paulis in sorted(errors, reverse=True):
            for qubit, pauli in paulis:
                circuit.add_gate(_PAULI[pauli - 1](qubit), index)
        state = QuantumState(self._structure.qubit_count)
        circuit.update_quantum_state(state)
        parts = state.get_vector().view(np.float64).reshape(-1, 2)
        return _of_measured(np.einsum("ij,ij->i", parts, parts), self._structure)

    def errors(self, right: NDArray[np.float32]) -> Errors | None:
        """What errors do to the circuit whose distribution without them is `right`; None where there is no gate."""
        if not self._places:
            return None
        seen: list[Error] = []
        pair, single = (self._aftermath(right, seen, both=both) for both in (True, False))
        return Errors(pair, single, self._several(2, seen, right), self._several(3, seen, right))

    def _aftermath(self, right: NDArray[np.float32], seen: list[Error], *, both: bool) -> Aftermath:
        """What one error does; those that change something are added to `seen`."""
        left, count = np.zeros_like(right), 0
        for draw in range(self._draws):
            error = self._drawn((draw + self._random.random()) / self._draws, both=both)
            found = self.run((error,))
            if float(np.sqrt(found * right).sum()) ** 2 < _SAME:
                left += found
                count += 1
                seen.append(error)
        return Aftermath(1 - count / self._draws, left / np.float32(count) if count else right)

    def _several(self, count: int, seen: Sequence[Error], right: NDArray[np.float32]) -> NDArray[np.float32]:
        if not seen:
            return right
        left, draws = np.zeros_like(right), self._draws // 2
        for _ in range(draws):
            left += self.run([seen[index] for index in self._random.integers(0, len(seen), count)])
        return left / np.float32(draws)

    def _drawn(self, where: float, *, both: bool) -> Error:
        """An error at a gate: the gates in order share out 0 to 1, by what they cost."""
        index, qubits, _ = self._places[min(int(np.searchsorted(self._shares, where)), len(self._places) - 1)]
        if both:
            code = int(self._random.integers(1, _PAULIS ** len(qubits)))
            letters = [code // _PAULIS**place % _PAULIS for place in range(len(qubits))]
            return index, tuple((qubit, letter) for qubit, letter in zip(qubits, letters, strict=True) if letter)
        return index, ((qubits[int(self._random.integers(len(qubits)))], int(self._random.integers(1, _PAULIS))),)


def _of_measured(found: NDArray[np.floating[Any]], structure: Structure) -> NDArray[np.float32]:
    """The distribution over the measured qubits alone, from one over all."""
    width, measured = structure.qubit_count, set(structure.measured)
    if len(measured) < width:
        dropped = tuple(width - 1 - qubit for qubit in range(width) if qubit not in measured)
        found = found.reshape((2,) * width).sum(axis=dropped).ravel()
    return np.asarray(found / found.sum(), dtype=np.float32)


def _gates(structure: Structure, angles: tuple[float, ...]) -> Iterator[Gate]:
    """The gates on one and two qubits of a circuit; wider ones are taken apart as Qiskit defines them."""
    taken = 0
    for name, qubits, _, count in structure.steps:
        turned = angles[taken : taken + count]
        taken += count
        if name not in _SKIPPED:
            yield from _narrow((name, qubits, turned))


def _narrow(gate: Gate) -> Iterator[Gate]:
    name, qubits, turned = gate
    if len(qubits) <= _PAIR:
        yield gate
        return
    if name not in _GATES:
        raise UnfitError(f"there is no gate {name}")
    definition = (type(_GATES[name])(*turned) if turned else _GATES[name]).definition
    for item in definition.data:
        on = tuple(qubits[definition.find_bit(qubit).index] for qubit in item.qubits)
        yield from _narrow((item.operation.name, on, tuple(map(float, item.operation.params))))


def _append(circuit: QuantumCircuit, gate: Gate) -> None:
    name, qubits, turned = gate
    if name in _ADD:
        _ADD[name](circuit, *qubits, *turned)
    else:
        circuit.add_gate(DenseMatrix(list(qubits), _matrix(name, turned)))


def _matrix(name: str, turned: tuple[float, ...]) -> NDArray[np.complex128]:
    """A gate's matrix, its first qubit lowest. Raises UnfitError."""
    if name not in _GATES:
        raise UnfitError(f"there is no gate {name}")
    known = _GATES[name]
    return np.asarray((type(known)(*turned) if turned else known).to_matrix(), dtype=np.complex128)
