"""What a job asks for: a circuit, an observable, how noise is amplified. Imports the parsers, and no engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from qiskit import QuantumCircuit

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.openqasm import parsed
from services.execution.algorithms.primitives.paulis import IDENTITY, Pauli, Setting, settings_of
from services.execution.algorithms.primitives.problem import measuring
from services.execution.algorithms.zne.folding import Folded, Folding, folded
from services.execution.programs.limits import Limits

if TYPE_CHECKING:
    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_LIMITS = Limits()
COMPARED_QUBITS = 12
COMPARED_GATES = 5_000
"""Up to here the exact value is computed too."""
_NANOSECONDS = 60_000.0
"""Per gate of the exact simulation; measured at 12 qubits."""


@dataclass(frozen=True, slots=True)
class Request:
    """A circuit without measurements, the terms of the observable on its qubits, and what is run for it."""

    circuit: QuantumCircuit
    observable: Mapping[Pauli, float]
    settings: tuple[Setting, ...]
    folds: tuple[Folded, ...]

    @property
    def constant(self) -> float:
        """Return the coefficient of the identity: the value of the fully mixed state."""
        return self.observable.get(IDENTITY, 0.0)

    @property
    def simulable(self) -> bool:
        """Tell whether the exact value is computed."""
        return bool(self.circuit.num_qubits <= COMPARED_QUBITS and self.circuit.size() <= COMPARED_GATES)


class ZneDescriber:
    """Measures the longest circuit of a job."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the most folded circuit, with how many there are. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and it in its first setting. Raises ParameterError."""
        request = request_of(parameters)
        widest = [measuring(request.folds[-1].circuit, setting) for setting in request.settings]
        features = dataclasses.replace(
            max((program.features for program in widest), key=lambda features: features.gate_count),
            circuit_count=len(request.settings) * len(request.folds),
            classical_ms=5.0 + (request.circuit.size() * _NANOSECONDS / 1e6 if request.simulable else 0.0),
        )
        return features, widest[0].tape


def request_of(parameters: Mapping[str, Any]) -> Request:
    """Return what validated parameters ask for.

    Raises ParameterError for a dynamic circuit, a term of another width, and scale factors that come to the same.
    """
    program = parsed(parameters["qasm"], "parameters.qasm")
    if program.features.dynamic:
        message = "measures, resets or branches before its end; only a circuit of gates can be folded"
        raise ParameterError("parameters.qasm", message)
    bare = _unmeasured(program.circuit)
    observable = _observable(parameters["observable"], bare.num_qubits)
    how = cast("Folding", parameters["folding"])
    scales = sorted(float(scale) for scale in parameters["scale_factors"])
    _check_length(bare.size(), scales[-1])
    folds = tuple(folded(bare, scale, how) for scale in scales)
    if len({fold.scale for fold in folds}) < len(folds):
        message = f"come to the same number of gates for a circuit of {bare.size()}: put them further apart"
        raise ParameterError("parameters.scale_factors", message)
    weights = {string: abs(coefficient) for string, coefficient in observable.items()}
    return Request(bare, observable, tuple(settings_of(weights)), folds)


def _check_length(gates: int, scale: float) -> None:
    """Refuse a circuit that is too long once it is folded, before it is. Raises ParameterError."""
    if gates * scale > _LIMITS.operations:
        message = f"fold {gates} gates into {gates * scale:.0f}; at most {_LIMITS.operations} are run"
        raise ParameterError("parameters.scale_factors", message, "TOO_MANY_OPERATIONS")


def _unmeasured(circuit: QuantumCircuit) -> QuantumCircuit:
    place = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    bare = QuantumCircuit(circuit.num_qubits)
    for item in circuit.data:
        if item.name not in {"measure", "delay"}:
            bare.append(item.operation, [place[qubit] for qubit in item.qubits])
    return bare


def _observable(terms: list[Mapping[str, Any]], qubits: int) -> dict[Pauli, float]:
    observable: dict[Pauli, float] = {}
    for index, term in enumerate(terms):
        if len(term["pauli"]) != qubits:
            message = f"has {len(term['pauli'])} letters, and the circuit {qubits} qubits"
            raise ParameterError(f"parameters.observable[{index}].pauli", message)
        string = Pauli.read(term["pauli"])
        observable[string] = observable.get(string, 0.0) + float(term.get("coefficient", 1.0))
    observable = {string: coefficient for string, coefficient in observable.items() if coefficient}
    if not set(observable) - {IDENTITY}:
        raise ParameterError("parameters.observable", "is a constant; there is nothing to measure")
    return observable
