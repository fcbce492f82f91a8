"""What a marketplace algorithm is, what it gives, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.execution.engines.device import Device
    from services.execution.engines.engine import FidelityMethod
    from services.execution.programs.features import Features
    from services.execution.programs.tape import Tape

    Progress = Callable[[float, str], None]
    """Called with the part done, 0 to 1, and a word on what comes next."""

_LONGEST_MESSAGE = 300


class ParameterError(Exception):
    """Parameters that break the algorithm's schema or meaning.

    `path` names the member from the request down (`parameters.molecule`). `reason` is INVALID_PARAMETERS, or the reason
    of the program's refusal; `line` and `column` count from 1 where the member is a program.
    """

    def __init__(
        self,
        path: str,
        message: str,
        reason: str = "INVALID_PARAMETERS",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Keep the parts, the message cut to 300 characters."""
        if len(message) > _LONGEST_MESSAGE:
            message = message[: _LONGEST_MESSAGE - 1] + "…"
        self.path = path
        self.message = message
        self.reason = reason
        self.line = line
        self.column = column
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(f"{path}: {place}{message}")

    def __reduce__(self) -> tuple[type[ParameterError], tuple[object, ...]]:
        """Pickle by the constructor's arguments, so that the error survives a process boundary."""
        return type(self), (self.path, self.message, self.reason, self.line, self.column)


class AlgorithmError(Exception):
    """A job that was accepted and cannot be finished, for a reason in its own parameters."""


@dataclass(frozen=True, slots=True)
class AlgorithmResult:
    """What a run gave: `result` follows the algorithm's result schema; `fidelity` is 0 to 1."""

    result: Mapping[str, Any]
    fidelity: float
    fidelity_method: FidelityMethod
    qubits_used: int


class Describer(Protocol):
    """The part of an algorithm that measures a program; its module imports what that takes, and no engine."""

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return what routing needs for validated parameters.

        Raises ParameterError.
        """
        ...


@runtime_checkable
class CircuitDescriber(Protocol):
    """A describer of an algorithm that runs one circuit, and can show it."""

    def described(self, parameters: Mapping[str, Any]) -> tuple[Features, Tape]:
        """Return what routing needs for validated parameters, and the circuit, which is made once for both.

        Raises ParameterError.
        """
        ...


class Runner(Protocol):
    """The part of an algorithm that computes; its module may import heavily."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Run validated parameters to the end, every circuit on `device`.

        The same device, shots and seed give the same result, bit for bit, where the device is a simulator.

        Raises ParameterError, AlgorithmError and EngineError.
        """
        ...
