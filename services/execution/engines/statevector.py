"""Engines whose library gives the whole state: what is read from it is the same for all of them."""

from __future__ import annotations

import cmath
from abc import abstractmethod
from importlib.metadata import version
from typing import TYPE_CHECKING

from services.execution.engines.engine import Capabilities, Method
from services.execution.engines.sampling import marginal
from services.execution.engines.simulating import Draw, Simulating, draw_from
from services.execution.programs.tape import tape_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

WIDEST = 26


class StateVector(Simulating):
    """Noise-free simulation by a state vector of double precision."""

    def __init__(self, package: str, *, bytes_per_amplitude: int, memory_limit: int) -> None:
        """Take the name of the library's package; `memory_limit` bounds in bytes what a run may need."""
        widest = min(WIDEST, (memory_limit // bytes_per_amplitude).bit_length() - 1)
        self.capabilities = Capabilities(package, version(package), {"statevector": widest})

    @abstractmethod
    def state(self, tape: Tape) -> NDArray[np.complex128]:
        """Return the state at the end of a tape that is not dynamic, qubit 0 lowest, its global phase kept."""

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample the exact distribution."""
        state = self.state(program.tape)
        return draw_from(marginal(state.real**2 + state.imag**2, readout.qubits), readout, shots, seed)

    def amplitudes(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:  # noqa: ARG002 - it has one
        """Return the state at the end of a circuit."""
        return self.state(tape_of(circuit, with_idle=True)) * cmath.exp(1j * circuit.global_phase)
