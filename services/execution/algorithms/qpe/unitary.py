"""The unitary whose phase is asked for: a phase gate, a matrix, or the evolution under a sum of Pauli operators."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, SparsePauliOp

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.qpe.estimation import controlled

_TOLERANCE = 1e-6
"""Of a matrix that claims to be unitary, in every element of U U^dagger."""
_PATH = "parameters.unitary"
_REACH = math.pi + 1e-9
_MOST_GATES = 40_000
"""Of an evolution; more are not measured in the time that a submission has."""


@dataclass(frozen=True, slots=True)
class Unitary:
    """A unitary on a few qubits.

    `matrix` is what is asked for, `applied` what the circuits apply: the two differ by the error of Trotter's formula.
    `powers[k]` is controlled-`applied`^(2^k) (see `phase_estimation`). `time` is that of the evolution exp(i H t), None
    where there is no H.
    """

    kind: str
    matrix: NDArray[np.complex128]
    applied: NDArray[np.complex128]
    powers: tuple[QuantumCircuit, ...]
    time: float | None = None

    @property
    def qubits(self) -> int:
        """Return the number of qubits that it acts on."""
        return len(self.matrix).bit_length() - 1

    @property
    def trotter_error(self) -> float:
        """Return the spectral norm of the difference between what is applied and what is asked for."""
        return float(np.linalg.norm(self.matrix - self.applied, 2))


def unitary_from(parameters: Mapping[str, Any]) -> Unitary:
    """Return the unitary. Raises ParameterError."""
    asked, counting = parameters["unitary"], int(parameters["counting_qubits"])
    match asked["kind"]:
        case "phase":
            return _phase(float(asked["phase"]), counting)
        case "matrix":
            return _matrix(asked["rows"], counting)
        case _:
            return _evolution(asked, counting)


def _phase(phase: float, counting: int) -> Unitary:
    matrix = np.diag([1, np.exp(2j * np.pi * phase)])
    powers = []
    for k in range(counting):
        power = QuantumCircuit(2)
        power.cp(2 * math.pi * math.fmod(phase * 2**k, 1), 0, 1)
        powers.append(power)
    return Unitary("phase", matrix, matrix, tuple(powers))


def _matrix(rows: Sequence[Sequence[Sequence[float]]], counting: int) -> Unitary:
    size = len(rows)
    if size not in (2, 4) or any(len(row) != size for row in rows):
        raise ParameterError(f"{_PATH}.rows", "must be a matrix of 2 by 2 or 4 by 4")
    given = np.array([[complex(*number) for number in row] for row in rows])
    if np.abs(given @ given.conj().T - np.eye(size)).max() > _TOLERANCE:
        raise ParameterError(f"{_PATH}.rows", f"is not unitary to {_TOLERANCE:g}")
    left, _, right = np.linalg.svd(given)
    matrix = left @ right  # the nearest unitary
    powers = (controlled(np.linalg.matrix_power(matrix, 1 << k)) for k in range(counting))
    return Unitary("matrix", matrix, matrix, tuple(powers))


def _evolution(asked: Mapping[str, Any], counting: int) -> Unitary:
    terms = [(str(term["pauli"]), float(term["coefficient"])) for term in asked["terms"]]
    time, steps = float(asked["time"]), int(asked.get("trotter_steps", 1))
    for index, (pauli, _) in enumerate(terms):
        if len(pauli) != len(terms[0][0]):
            message = f"has {len(pauli)} letters where the first term has {len(terms[0][0])}"
            raise ParameterError(f"{_PATH}.terms[{index}].pauli", message)
    reach = time * sum(abs(coefficient) for _, coefficient in terms)
    if reach > _REACH:
        message = f"time times the sum of the coefficients' sizes is {reach:.3g}; past pi energies look alike"
        raise ParameterError(f"{_PATH}.time", message)
    energies, states = np.linalg.eigh(hamiltonian(terms))
    exact = (states * np.exp(1j * time * energies)) @ states.conj().T
    step = _trotter_step(terms, time / steps)
    if (gates := step.size() * steps << counting) > _MOST_GATES:
        message = f"with this many the evolution takes about {gates} gates; {_MOST_GATES} are allowed"
        raise ParameterError("parameters.counting_qubits", message)
    powers = []
    for k in range(counting):
        power = QuantumCircuit(step.num_qubits)
        for _ in range(steps << k):
            power.compose(step, inplace=True)
        powers.append(power)
    once = Operator(powers[0]).data[1::2, 1::2]
    return Unitary("pauli_sum", exact, once, tuple(powers), time)


def hamiltonian(terms: Sequence[tuple[str, float]]) -> NDArray[np.complex128]:
    """Return the matrix of a sum of Pauli operators, qubit 0 rightmost in their names."""
    return np.asarray(SparsePauliOp.from_list(terms).to_matrix())


def _trotter_step(terms: Sequence[tuple[str, float]], time: float) -> QuantumCircuit:
    """Return one step of the second-order formula of exp(i H time), controlled by qubit 0.

    Half of every term, forth and back again (Suzuki, J. Math. Phys. 26, 601, 1985); terms that commute need no halves.
    """
    step = QuantumCircuit(len(terms[0][0]) + 1)
    operators = SparsePauliOp.from_list(terms).paulis
    if all(one.commutes(other) for one in operators for other in operators):
        parts = [(pauli, coefficient * time) for pauli, coefficient in terms]
    else:
        parts = [(pauli, coefficient * time / 2) for pauli, coefficient in terms]
        parts += parts[::-1]
    for pauli, angle in parts:
        _rotate(step, pauli, angle)
    return step


def _rotate(circuit: QuantumCircuit, pauli: str, angle: float) -> None:
    """Append exp(i angle P) on qubits from 1 on, controlled by qubit 0; only the turn in the middle needs a control."""
    places = [(place, letter) for place, letter in enumerate(reversed(pauli), start=1) if letter != "I"]
    if not places:
        circuit.p(angle, 0)
        return
    change = QuantumCircuit(circuit.num_qubits)
    for place, letter in places:
        if letter == "Y":
            change.sdg(place)
        if letter in "XY":
            change.h(place)
    for (place, _), (following, _) in itertools.pairwise(places):
        change.cx(place, following)
    last = places[-1][0]
    circuit.compose(change, inplace=True)
    circuit.rz(-angle, last)
    circuit.cx(0, last)
    circuit.rz(angle, last)
    circuit.cx(0, last)
    circuit.compose(change.inverse(), inplace=True)
