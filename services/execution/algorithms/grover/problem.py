"""What is searched for: bit strings that are listed, or the assignments that satisfy a formula."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.execution.algorithms.algorithm import ParameterError


@dataclass(frozen=True, slots=True)
class Problem:
    """A search over the strings of `qubits` bits; bit 0 is the rightmost character, and variable 1 of a formula.

    `clauses` are in conjunctive normal form as DIMACS writes it (3: variable 3, -3: its negation); they are empty where
    the solutions were listed.
    """

    qubits: int
    solutions: tuple[int, ...]
    clauses: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Return the number of strings."""
        return 1 << self.qubits

    @property
    def angle(self) -> float:
        """Return theta: a uniform superposition holds sin(theta) of the solutions' state."""
        return math.asin(math.sqrt(len(self.solutions) / self.size))

    @property
    def best_iterations(self) -> int:
        """Return the number of iterations after which a solution is first most likely.

        With (2k+1) theta nearest pi/2 (Boyer, Brassard, Hoyer, Tapp, arXiv:quant-ph/9605034). Without any solution,
        what one solution would take.
        """
        theta = self.angle or math.asin(math.sqrt(1 / self.size))
        return max(0, math.ceil(math.pi / (4 * theta) - 1 - 1e-9))

    def success(self, iterations: int) -> float:
        """Return the probability, sin^2((2k+1) theta), that k iterations and a measurement give a solution."""
        return math.sin((2 * iterations + 1) * self.angle) ** 2

    @property
    def classical_queries(self) -> float:
        """Return the mean queries, (N+1)/(M+1), until strings drawn without repetition hit a solution; N if none."""
        return (self.size + 1) / (len(self.solutions) + 1) if self.solutions else float(self.size)

    def label(self, value: int) -> str:
        """Write a string's bits, bit 0 rightmost."""
        return f"{value:0{self.qubits}b}"

    def assignment(self, value: int) -> list[int] | None:
        """Write a string as DIMACS does, variable by variable; None where there is no formula."""
        if not self.clauses:
            return None
        return [bit + 1 if value >> bit & 1 else -bit - 1 for bit in range(self.qubits)]


def problem_from(parameters: Mapping[str, Any]) -> Problem:
    """Return the problem. Raises ParameterError."""
    if "marked" in parameters:
        return _listed(parameters["marked"])
    if "formula" not in parameters:
        raise ParameterError("parameters.marked", 'is required, or else "formula"')
    return _satisfying(parameters["formula"])


def _listed(marked: Sequence[str]) -> Problem:
    for index, string in enumerate(marked):
        if len(string) != len(marked[0]):
            message = f"has {len(string)} bits where the first has {len(marked[0])}"
            raise ParameterError(f"parameters.marked[{index}]", message)
    return Problem(len(marked[0]), tuple(sorted({int(string, 2) for string in marked})), ())


def _satisfying(formula: Mapping[str, Any]) -> Problem:
    variables = int(formula["variables"])
    clauses = tuple(tuple(int(literal) for literal in clause) for clause in formula["clauses"])
    for index, clause in enumerate(clauses):
        path = f"parameters.formula.clauses[{index}]"
        if 0 in clause or max(map(abs, clause)) > variables:
            raise ParameterError(path, f"has a literal outside 1 to {variables} and -1 to -{variables}")
        if len({abs(literal) for literal in clause}) != len(clause):
            raise ParameterError(path, "names a variable twice")
    solutions = (
        value
        for value in range(1 << variables)
        if all(any((value >> abs(literal) - 1 & 1) == (literal > 0) for literal in clause) for clause in clauses)
    )
    return Problem(variables, tuple(solutions), clauses)


def iterations_from(parameters: Mapping[str, Any], problem: Problem) -> int:
    """Return the iterations that were asked for, else the best number."""
    asked = parameters.get("iterations")
    return problem.best_iterations if asked is None else int(asked)
