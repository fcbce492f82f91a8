"""From measured qubits to bit strings, and back; many outcomes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.execution.engines.engine import LARGEST_COUNTS, LARGEST_MEMORY, EngineError
from services.execution.programs.tape import Branch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

_ZERO, _SPACE = ord("0"), ord(" ")


@dataclass(frozen=True, slots=True)
class Readout:
    """Where the classical bits of a circuit that is not dynamic come from.

    An *index* numbers an outcome of the measured `qubits` (numbers of the tape, ascending), the first one lowest. A
    *row* is an outcome as one 0 or 1 for each classical bit, bit 0 first. `clbits` are those that something is measured
    into, and `places` where in `qubits` each of them comes from; the other bits stay 0.
    """

    qubits: tuple[int, ...]
    num_clbits: int
    clbits: tuple[int, ...]
    places: tuple[int, ...]

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the row of each index."""
        found = np.zeros((len(indices), self.num_clbits), dtype=np.uint8)
        found[:, self.clbits] = indices[:, None] >> np.array(self.places) & 1
        return found

    def indices(self, rows: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the index of each row; a qubit measured into several bits is read from one of them."""
        weights = np.zeros(self.num_clbits, dtype=np.int64)
        for place, clbit in dict(zip(self.places, self.clbits, strict=True)).items():
            weights[clbit] = 1 << place
        return np.asarray(rows @ weights)


def readout_of(tape: Tape) -> Readout:
    """Return the readout of a tape that is not dynamic; the last measurement into a bit counts."""
    home: dict[int, int] = {}
    for step in tape.steps:
        if not isinstance(step, Branch) and step[0] == "measure":
            home[step[3][0]] = step[1][0]
    qubits = tuple(sorted(set(home.values())))
    place = {qubit: index for index, qubit in enumerate(qubits)}
    return Readout(qubits, tape.num_clbits, tuple(home), tuple(place[qubit] for qubit in home.values()))


def labels(program: Program, rows: NDArray[np.uint8]) -> list[str]:
    """Write rows as Qiskit does: the highest bit first, the last register leftmost, registers apart by a space.

    Raises EngineError where that is longer than LARGEST_COUNTS.
    """
    width = _width(program)
    if len(rows) * width > LARGEST_COUNTS:
        message = (
            f"the counts have {len(rows)} outcomes of {width} characters, more than {LARGEST_COUNTS} in all: "
            "take fewer shots or measure fewer qubits"
        )
        raise EngineError("OUT_OF_MEMORY", message)
    characters = np.full((len(rows), width), _SPACE, dtype=np.uint8)
    characters[:, _columns(program.registers, width)] = rows + np.uint8(_ZERO)
    text = characters.tobytes().decode("ascii")
    return [text[start : start + width] for start in range(0, len(text), width)]


def check_memory(program: Program, shots: int) -> None:
    """Refuse to write down every shot where that would be too long. Raises EngineError."""
    size = shots * _width(program)
    if size > LARGEST_MEMORY:
        message = (
            f"the bit strings of {shots} shots are {size} characters; {LARGEST_MEMORY} are allowed: take fewer shots"
        )
        raise EngineError("OUT_OF_MEMORY", message)


def _width(program: Program) -> int:
    return program.features.num_clbits + len(program.registers) - 1


def _columns(registers: Sequence[tuple[str, int]], width: int) -> NDArray[np.int64]:
    """Return the column of each classical bit in a string."""
    sizes = [size for _, size in registers]
    return width - 1 - np.arange(sum(sizes)) - np.repeat(np.arange(len(sizes)), sizes)
