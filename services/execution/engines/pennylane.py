"""PennyLane's lightning.qubit, for who compares frameworks: it runs only where it is named."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import numpy as np
import pennylane as qml
from pennylane.tape import QuantumScript
from pennylane_lightning.lightning_qubit import LightningQubit

from services.execution.engines.matrices import matrix
from services.execution.engines.statevector import StateVector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from services.execution.programs.tape import Tape

BYTES_PER_AMPLITUDE = 48


class PennylaneEngine(StateVector):
    """`lightning.qubit`, in double precision."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:  # noqa: ARG002 - a forward run has one thread
        """Make the engine."""
        super().__init__("pennylane-lightning", bytes_per_amplitude=BYTES_PER_AMPLITUDE, memory_limit=memory_limit)

    def state(self, tape: Tape) -> NDArray[np.complex128]:
        """Return the state."""
        (found,) = LightningQubit(wires=tape.width).execute([QuantumScript(transcode(tape), [qml.state()])])
        return np.asarray(found, dtype=np.complex128)


def transcode(tape: Tape) -> list[qml.operation.Operation]:
    """Return the gates of a tape, each one that the device has itself; wire 0 is PennyLane's highest bit."""
    last = tape.width - 1
    return [
        _made(name, [last - qubit for qubit in qubits], angles)
        for name, qubits, angles, _ in tape.operations()
        if name not in {"id", "measure"}
    ]


def _made(name: str, wires: list[int], angles: tuple[float, ...]) -> qml.operation.Operation:
    if name in _SHIFTS:
        return qml.PhaseShift(_SHIFTS[name], wires)
    if name in _ADD:
        return _ADD[name](*angles, wires)
    return qml.QubitUnitary(np.array(matrix(name, angles)), wires[::-1])


_SHIFTS: Mapping[str, float] = {"sdg": -pi / 2, "tdg": -pi / 4}
_ADD: Mapping[str, Callable[..., qml.operation.Operation]] = {
    "x": qml.X, "y": qml.Y, "z": qml.Z, "h": qml.H, "s": qml.S, "sx": qml.SX, "t": qml.T,
    "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "p": qml.PhaseShift, "u1": qml.PhaseShift,
    "cx": qml.CNOT, "cy": qml.CY, "cz": qml.CZ, "cp": qml.ControlledPhaseShift, "swap": qml.SWAP,
    "rxx": qml.IsingXX, "ryy": qml.IsingYY, "rzz": qml.IsingZZ, "ccx": qml.Toffoli, "cswap": qml.CSWAP,
}  # fmt: skip
"""Of the rest the device takes the matrix."""
