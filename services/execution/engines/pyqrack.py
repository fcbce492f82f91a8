"""PyQrack, for who compares frameworks: it runs only where it is named."""

from __future__ import annotations

from importlib.metadata import version
from math import pi
from typing import TYPE_CHECKING

import numpy as np
from pyqrack import Pauli, QrackSimulator

from services.execution.engines.engine import Capabilities, Method
from services.execution.engines.matrices import matrix
from services.execution.engines.sampling import marginal
from services.execution.engines.simulating import Draw, Simulating, draw_from
from services.execution.engines.statevector import WIDEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

ENGINE = "pyqrack-cpu"
BYTES_PER_AMPLITUDE = 64
"""At the peak, when the probabilities are a list of Python's."""


class PyqrackEngine(Simulating):
    """State vectors of single precision, kept apart as far as they are not entangled; their global phase is random."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:
        """Keep the number of threads of a run; `memory_limit` bounds in bytes what it may need."""
        self._threads = threads
        widest = min(WIDEST, (memory_limit // BYTES_PER_AMPLITUDE).bit_length() - 1)
        self.capabilities = Capabilities(ENGINE, version(ENGINE), {"statevector": widest}, precision="single")

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample the distribution."""
        simulator = QrackSimulator(program.tape.width, is_gpu=False)
        simulator.set_concurrency(self._threads)
        apply(simulator, program.tape)
        weights = marginal(np.array(simulator.out_probs()), readout.qubits)
        return draw_from(weights / weights.sum(), readout, shots, seed)


def apply(simulator: QrackSimulator, tape: Tape) -> None:
    """Run the gates of a tape."""
    for name, qubits, angles, _ in tape.operations():
        if name in _ADD:
            _ADD[name](simulator, *qubits, *angles)
        elif name not in {"id", "measure"}:
            simulator.mtrx(_row(name, *angles), *qubits)


def _row(name: str, *angles: float) -> list[complex]:
    return [entry for row in matrix(name, angles) for entry in row]


def _turn(*paulis: Pauli) -> Callable[[QrackSimulator, int, int, float], None]:
    return lambda s, first, second, angle: s.exp(list(paulis), -angle / 2, [first, second])


def _ecr(simulator: QrackSimulator, first: int, second: int) -> None:
    _rzx(simulator, first, second, pi / 2)
    simulator.x(first)


_S, _rzx = QrackSimulator, _turn(Pauli.PauliZ, Pauli.PauliX)
_ADD: Mapping[str, Callable[..., None]] = {
    "x": _S.x, "y": _S.y, "z": _S.z, "h": _S.h, "s": _S.s, "sdg": _S.adjs, "t": _S.t, "tdg": _S.adjt,
    "u": _S.u, "u3": _S.u, "swap": _S.swap, "rzx": _rzx, "ecr": _ecr,
    "cx": lambda s, c, t: s.mcx([c], t), "cy": lambda s, c, t: s.mcy([c], t), "cz": lambda s, c, t: s.mcz([c], t),
    "csx": lambda s, c, t: s.mcmtrx([c], _row("sx"), t), "cp": lambda s, c, t, a: s.mcmtrx([c], _row("p", a), t),
    "rxx": _turn(*[Pauli.PauliX] * 2), "ryy": _turn(*[Pauli.PauliY] * 2), "rzz": _turn(*[Pauli.PauliZ] * 2),
    "ccx": lambda s, first, second, t: s.mcx([first, second], t), "cswap": lambda s, c, a, b: s.cswap([c], a, b),
}  # fmt: skip
"""Gates of one qubit that are not here go as matrices."""
