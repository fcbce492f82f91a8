"""Where the circuits of an algorithm run: an engine on this machine, a twin of a machine, or a machine itself.

An algorithm is handed a device and asks it for counts; it never names an engine. What only a noise-free simulator
knows (amplitudes) it asks for where `ideal` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy import complex128
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.engine import Engine, Method, Outcome
    from services.execution.programs.program import Program


class RunWishes(TypedDict, total=False):
    """What may be asked of a run besides its counts; see `Device.run`."""

    with_probabilities: bool
    with_memory: bool


class Device(Protocol):
    """Runs programs, one call a circuit; the same for every algorithm."""

    @property
    def ideal(self) -> bool:
        """Whether it simulates without noise, and so has amplitudes."""
        ...

    @property
    def engine(self) -> str:
        """What computes, by the name of its package, for the signed record."""
        ...

    @property
    def engine_version(self) -> str:
        """The version of that package."""
        ...

    @property
    def calibration_id(self) -> str | None:
        """The calibration that the machine had, or that its twin simulates; None for an ideal simulator."""
        ...

    def expect(self, programs: Sequence[tuple[Program, int]]) -> None:
        """Hear which programs are run next, with how many shots: a machine is sent them at once, not one by one."""
        ...

    def run(  # what a caller may ask of a run, each part one thing
        self,
        program: Program,
        *,
        shots: int,
        seed: int,
        with_probabilities: bool = False,
        with_memory: bool = False,
    ) -> Outcome:
        """Run a program and sample it `shots` times; `seed` repeats the counts of a simulator bit for bit.

        Raises EngineError.
        """
        ...

    def statevector(self, circuit: QuantumCircuit) -> NDArray[complex128]:
        """The final state of a flat circuit without measurements, qubit 0 lowest; only where `ideal`.

        Raises EngineError.
        """
        ...


class Simulator:
    """An ideal simulation by one method."""

    ideal = True
    calibration_id = None

    def __init__(self, engine: Engine, method: Method) -> None:
        """Run everything with `method` of `engine`."""
        self._engine = engine
        self._method: Method = method
        self.engine = engine.capabilities.engine
        self.engine_version = engine.capabilities.engine_version

    def expect(self, programs: Sequence[tuple[Program, int]]) -> None:
        """Do nothing; see `Device.expect`."""

    def run(  # what a caller may ask of a run, each part one thing
        self,
        program: Program,
        *,
        shots: int,
        seed: int,
        with_probabilities: bool = False,
        with_memory: bool = False,
    ) -> Outcome:
        """Run a program; see `Device.run`."""
        return self._engine.run(
            program,
            shots=shots,
            seed=seed,
            method=self._method,
            with_probabilities=with_probabilities,
            with_memory=with_memory,
        )

    def statevector(self, circuit: QuantumCircuit) -> NDArray[complex128]:
        """The final state; see `Device.statevector`."""
        return self._engine.statevector(circuit, self._method)
