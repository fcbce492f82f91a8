"""Braket's local simulator, for who compares frameworks: it runs only where it is named.

Gates go straight to the simulation that `LocalSimulator` runs, with no OpenQASM in between. The package knows nothing
of AWS: neither boto3 nor a region is looked for.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import numpy as np

# Its compiled loops are not used; were they to be, the import would fail where no folder for them can be written.
os.environ["NUMBA_DISABLE_JIT"] = "1"
if (numba := sys.modules.get("numba")) is not None:  # it was imported before, and has read its settings
    numba.config.reload_config()
from braket.default_simulator import gate_operations as gates
from braket.default_simulator.state_vector_simulation import StateVectorSimulation

from services.execution.engines.matrices import matrix
from services.execution.engines.statevector import StateVector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from braket.default_simulator.operation import GateOperation
    from numpy.typing import NDArray

    from services.execution.programs.tape import Tape

BYTES_PER_AMPLITUDE = 64
_COMPILED, _TOGETHER = 10, 20
"""Past so many qubits the library would compile its loops anew for every width, which takes 3 to 5 s, and write them to
the disk. It is asked there to contract so many gates together instead, which takes two or three times as long as loops
that are compiled already (measured at 16 and 20 qubits)."""


class BraketEngine(StateVector):
    """The state vector simulation of `amazon-braket-default-simulator`."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:  # noqa: ARG002 - numpy's threads are the process's
        """Make the engine."""
        name = "amazon-braket-default-simulator"
        super().__init__(name, bytes_per_amplitude=BYTES_PER_AMPLITUDE, memory_limit=memory_limit)

    def state(self, tape: Tape) -> NDArray[np.complex128]:
        """Return the state."""
        simulation = StateVectorSimulation(tape.width, 0, 1 if tape.width <= _COMPILED else _TOGETHER)
        simulation.evolve(transcode(tape))
        return np.asarray(simulation.state_vector)


def transcode(tape: Tape) -> list[GateOperation]:
    """Return the gates of a tape; qubit 0 is Braket's highest bit."""
    last = tape.width - 1
    return [
        _made(name, [last - qubit for qubit in qubits], angles)
        for name, qubits, angles, _ in tape.operations()
        if name not in {"id", "measure"}
    ]


def _made(name: str, targets: list[int], angles: tuple[float, ...]) -> GateOperation:
    if name in _ADD:
        return _ADD[name](targets, *angles)
    return gates.Unitary(targets[::-1], np.array(matrix(name, angles)))


_ADD: Mapping[str, Callable[..., GateOperation]] = {
    "x": gates.PauliX, "y": gates.PauliY, "z": gates.PauliZ, "h": gates.Hadamard, "s": gates.S, "sdg": gates.Si,
    "t": gates.T, "tdg": gates.Ti, "sx": gates.V, "sxdg": gates.Vi, "rx": gates.RotX, "ry": gates.RotY,
    "rz": gates.RotZ, "p": gates.PhaseShift, "u1": gates.PhaseShift, "u": gates.U, "u3": gates.U,
    "cx": gates.CX, "cy": gates.CY, "cz": gates.CZ, "csx": gates.CV, "cp": gates.CPhaseShift, "ecr": gates.ECR,
    "swap": gates.Swap, "rxx": gates.XX, "ryy": gates.YY, "rzz": gates.ZZ, "ccx": gates.CCNot, "cswap": gates.CSwap,
}  # fmt: skip
"""Of the rest it takes the matrix."""
