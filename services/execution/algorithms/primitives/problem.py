"""What circuit.estimate.v1 is asked: states, observables, and the settings that measure them. Imports no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from qiskit.circuit import ClassicalRegister, QuantumCircuit

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.primitives.parameter_sets import (
    BoundProgram,
    bound_programs,
    check_runs,
    check_total,
)
from services.execution.algorithms.primitives.paulis import Pauli, Setting, settings_of
from services.execution.programs.circuit import MEASURED_ALL, program_of
from services.execution.programs.joint import joint_features
from services.execution.programs.limits import Limits

if TYPE_CHECKING:
    from services.execution.programs.features import Features
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

MOST_STRINGS = 1_000
MOST_SETTINGS = 256
MOST_CIRCUITS = 1_024
MOST_EXACT_QUBITS = 20
_SHOWN_LETTERS = 40
_SETTING_MS = 2.0
"""To build and measure the circuit of one setting, besides running it; CPU time at 10 qubits and 37 gates."""
_AMPLITUDE_MS = 27e-6
"""For one string and one amplitude of an exact value; CPU time at 16 and 20 qubits."""


@dataclass(frozen=True, slots=True)
class Observable:
    """A real sum of different Pauli strings."""

    name: str
    terms: Mapping[Pauli, float]


@dataclass(frozen=True)
class Problem:
    """The states and what is to be known of them."""

    states: Sequence[BoundProgram]
    observables: Sequence[Observable]
    exact: bool

    @property
    def qubits(self) -> int:
        """Return the qubits of every state."""
        return self.states[0].program.features.num_qubits

    @cached_property
    def settings(self) -> Sequence[Setting]:
        """Return how the qubits have to be measured; nothing where the values are exact."""
        if self.exact:
            return ()
        squares: dict[Pauli, float] = {}
        for observable in self.observables:
            for string, coefficient in observable.terms.items():
                squares[string] = squares.get(string, 0.0) + coefficient**2
        return settings_of({string: float(np.sqrt(square)) for string, square in squares.items()})


class EstimateDescriber:
    """Measures what an estimate takes."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the circuits, which differ in little but their last gates. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and the longest of the states' circuits in the setting with the most gates.

        Raises ParameterError.
        """
        problem = problem_from(parameters)
        longest = max(problem.states, key=lambda state: state.program.features.two_qubit_gate_count)
        told = measuring(longest.bare, problem.settings[0]) if problem.settings else longest.program
        return _features(problem), told.tape


def _features(problem: Problem) -> Features:
    states = len(problem.states)
    if problem.exact or not problem.settings:
        strings = sum(len(observable.terms) for observable in problem.observables)
        # Exact values come from amplitudes, of which a tableau of stabilizers has none.
        return replace(
            joint_features([state.program.features for state in problem.states]),
            amplitudes=True,
            clifford=False,
            classical_ms=states * strings * _AMPLITUDE_MS * 2 ** min(problem.qubits, MOST_EXACT_QUBITS),
        )
    circuits, heaviest = states * len(problem.settings), problem.settings[0]
    joint = joint_features([measuring(state.bare, heaviest).features for state in problem.states])
    return replace(joint, circuit_count=circuits, classical_ms=circuits * _SETTING_MS)


def problem_from(parameters: Mapping[str, Any]) -> Problem:
    """Return the problem in validated parameters. Raises ParameterError."""
    exact = parameters.get("precision", "sampled") == "exact"
    check_runs(len(parameters.get("inputs") or [{}]), "parameters.inputs")
    states = bound_programs(parameters, "parameters")
    check_total([state.program for state in states], "parameters.inputs")
    for state in states:
        _check_state(state.program, exact=exact)
        if state.program.features.num_qubits != states[0].program.features.num_qubits:
            raise ParameterError("parameters.inputs", "lead to circuits of different numbers of qubits")
    qubits = states[0].program.features.num_qubits
    observables = [_observable(asked, index, qubits) for index, asked in enumerate(parameters["observables"])]
    strings = {string for observable in observables for string in observable.terms}
    if len(strings) > MOST_STRINGS:
        _refuse_observables(f"have {len(strings)} different Pauli strings; at most {MOST_STRINGS} are estimated")
    problem = Problem(states, observables, exact)
    if len(problem.settings) > MOST_SETTINGS:
        _refuse_observables(f"need {len(problem.settings)} measurement settings; at most {MOST_SETTINGS} are made")
    if (circuits := len(states) * len(problem.settings)) > MOST_CIRCUITS:
        message = f"times {len(problem.settings)} settings are {circuits} circuits; at most {MOST_CIRCUITS} are run"
        raise ParameterError("parameters.inputs", message)
    return problem


def measuring(bare: QuantumCircuit, setting: Setting) -> Program:
    """Return the circuit of a state, measured in a setting: the k-th bit is the k-th measured qubit."""
    circuit = bare.copy()
    circuit.add_register(ClassicalRegister(len(setting.measured), "setting"))
    for bit, qubit in enumerate(setting.measured):
        if setting.basis.x >> qubit & 1:
            if setting.basis.z >> qubit & 1:
                circuit.sdg(qubit)
            circuit.h(qubit)
        circuit.measure(qubit, bit)
    return program_of(circuit, _MEASURING)


_MEASURING = Limits(operations=Limits().operations + 3 * Limits().qubits)
"""The basis changes and measurements come on top of the circuit that was sent."""


def _check_state(program: Program, *, exact: bool) -> None:
    path, features = "parameters.qasm", program.features
    measures = MEASURED_ALL not in program.notes
    if measures or features.dynamic:
        message = (
            f"the circuit {'measures' if measures else 'resets or branches'}: leave only the gates that prepare the "
            "state, what is measured follows from the observables"
        )
        raise ParameterError(path, message, "UNSUPPORTED")
    if exact and features.num_qubits > MOST_EXACT_QUBITS:
        message = (
            f"is computed for at most {MOST_EXACT_QUBITS} qubits when exact; the circuit has {features.num_qubits}"
        )
        raise ParameterError("parameters.precision", message)


def _observable(asked: Mapping[str, Any], index: int, qubits: int) -> Observable:
    path = f"parameters.observables[{index}]"
    if ("pauli" in asked) == ("terms" in asked):
        raise ParameterError(path, "needs either pauli or terms")
    if "terms" in asked and "coefficient" in asked:
        raise ParameterError(f"{path}.coefficient", "belongs to pauli; each of the terms has its own")
    listed = asked.get("terms")
    single = {"pauli": asked.get("pauli", ""), "coefficient": asked.get("coefficient", 1)}
    terms: dict[Pauli, float] = {}
    for place, term in [(f"{path}.pauli", single)] if listed is None else _placed(listed, path):
        text = term["pauli"]
        if len(text) != qubits:
            message = f"has {len(text)} letters; the circuit has {qubits} qubits, and each needs one"
            raise ParameterError(place, message)
        string = Pauli.read(text)
        terms[string] = terms.get(string, 0.0) + float(term["coefficient"])
    return Observable(asked.get("name") or _name(terms, qubits), terms)


def _placed(terms: Sequence[Mapping[str, Any]], path: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"{path}.terms[{place}].pauli", term) for place, term in enumerate(terms)]


def _name(terms: Mapping[Pauli, float], qubits: int) -> str:
    text = " + ".join(f"{coefficient:g} {string.text(qubits)}" for string, coefficient in terms.items())
    return text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…"


def _refuse_observables(message: str) -> NoReturn:
    raise ParameterError("parameters.observables", message)
