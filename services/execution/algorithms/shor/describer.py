"""The measures of a factorisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.execution.algorithms.experiment import described_from
from services.execution.algorithms.shor.problem import BASES, problem_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qiskit import QuantumCircuit

    from services.execution.algorithms.shor.problem import Problem
    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

_CLASSICAL_MS = 50.0
_EXPECTED_BASES = 2
"""Of drawn bases: at least half give the factors, and the job ends with the first that does."""


class ShorDescriber:
    """Measures factorisations."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of one base's circuit and how many bases are expected. Raises ParameterError."""
        return self.described(parameters)[0]

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return the measures, and that circuit. Raises ParameterError."""
        problem = problem_from(parameters)
        count = len(problem.bases) or _EXPECTED_BASES
        return described_from(_circuit(problem), circuits=count, classical_ms=_CLASSICAL_MS)


def _circuit(problem: Problem) -> QuantumCircuit:
    base = problem.bases[0] if problem.bases else BASES[problem.number]
    return problem.order(base).circuit()
