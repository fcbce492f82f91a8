"""What is factored, and with which bases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.shor.order import Order

BASES = {15: 7, 21: 10, 35: 19}
"""The numbers, each with the base whose circuit stands for those of all when a job is measured."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A number to factor, the counting qubits, and the bases that were asked for; none where they are drawn."""

    number: int
    counting: int
    bases: tuple[int, ...]

    @property
    def choices(self) -> list[int]:
        """Return the bases that share no factor with the number; 1 and -1 tell nothing."""
        return [base for base in range(2, self.number - 1) if math.gcd(base, self.number) == 1]

    def order(self, base: int) -> Order:
        """Return the order to find for a base."""
        return Order(self.number, base, self.counting)


def problem_from(parameters: Mapping[str, Any]) -> Problem:
    """Return the problem; counting qubits that are left out are as many as N^2 has bits. Raises ParameterError."""
    number = int(parameters["number"])
    bases = tuple(int(base) for base in parameters.get("bases", ()))
    for index, base in enumerate(bases):
        path = f"parameters.bases[{index}]"
        if not 1 < base < number:
            raise ParameterError(path, f"must be from 2 to {number - 1}")
        if (shared := math.gcd(base, number)) > 1:
            message = (
                f"shares the factor {shared} with {number}: Euclid's algorithm finds it without a quantum computer"
            )
            raise ParameterError(path, message)
    return Problem(number, int(parameters.get("counting_qubits", (number**2).bit_length())), bases)
