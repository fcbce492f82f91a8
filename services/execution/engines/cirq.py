"""Cirq's own simulator, for who compares frameworks: it runs only where it is named."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import cirq
import numpy as np

from services.execution.engines.matrices import matrix
from services.execution.engines.statevector import StateVector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from services.execution.programs.tape import Tape

BYTES_PER_AMPLITUDE = 56


class CirqEngine(StateVector):
    """`cirq.Simulator`, in double precision."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:  # noqa: ARG002 - it has one thread
        """Make the simulator."""
        super().__init__("cirq-core", bytes_per_amplitude=BYTES_PER_AMPLITUDE, memory_limit=memory_limit)
        self._simulator = cirq.Simulator(dtype=np.complex128, split_untangled_states=False)

    def state(self, tape: Tape) -> NDArray[np.complex128]:
        """Return the state; the first qubit of Cirq's order is its highest bit."""
        line = cirq.LineQubit.range(tape.width)
        found = self._simulator.simulate(transcode(tape, line), qubit_order=line[::-1])
        return np.asarray(found.final_state_vector, dtype=np.complex128)


def transcode(tape: Tape, line: Sequence[cirq.Qid]) -> cirq.Circuit:
    """Return the gates of a tape."""
    return cirq.Circuit(
        _gate(name, angles).on(*(line[qubit] for qubit in qubits))
        for name, qubits, angles, _ in tape.operations()
        if name != "measure"
    )


def _gate(name: str, angles: tuple[float, ...]) -> cirq.Gate:
    if angles:
        return _TURNED[name](*angles) if name in _TURNED else _dense(name, angles)
    return _FIXED[name]


def _dense(name: str, angles: tuple[float, ...] = ()) -> cirq.Gate:
    found = np.array(matrix(name, angles))
    if len(found) == 4:  # noqa: PLR2004 - two qubits, of which Cirq has the first as the higher bit
        found = found[np.ix_((0, 2, 1, 3), (0, 2, 1, 3))]
    return cirq.MatrixGate(found)


_FIXED: Mapping[str, cirq.Gate] = {
    "id": cirq.I, "x": cirq.X, "y": cirq.Y, "z": cirq.Z, "h": cirq.H, "s": cirq.S, "sdg": cirq.S**-1,
    "sx": cirq.X**0.5, "sxdg": cirq.X**-0.5, "t": cirq.T, "tdg": cirq.T**-1,
    "cx": cirq.CX, "cy": cirq.ControlledGate(cirq.Y), "cz": cirq.CZ, "csx": cirq.CX**0.5, "ecr": _dense("ecr"),
    "swap": cirq.SWAP, "ccx": cirq.CCX, "cswap": cirq.CSWAP,
}  # fmt: skip
_TURNED: Mapping[str, Callable[..., cirq.Gate]] = {
    "rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz,
    "p": lambda a: cirq.ZPowGate(exponent=a / pi), "u1": lambda a: cirq.ZPowGate(exponent=a / pi),
    "cp": lambda a: cirq.CZPowGate(exponent=a / pi),
    "rxx": lambda a: cirq.XXPowGate(exponent=a / pi, global_shift=-0.5),
    "ryy": lambda a: cirq.YYPowGate(exponent=a / pi, global_shift=-0.5),
    "rzz": lambda a: cirq.ZZPowGate(exponent=a / pi, global_shift=-0.5),
}  # fmt: skip
