"""From measured qubits to bit strings, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.engines.engine import LARGEST_MEMORY, EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.programs.program import Program

_WIDEST_INT64 = 62


@dataclass(frozen=True, slots=True)
class Readout:
    """Where the classical bits of a circuit without mid-circuit measurement come from.

    An *index* numbers an outcome of the measured `qubits`, the first one lowest. A *key* is the same outcome as an
    integer over all classical bits. `sources[c]` is the place in `qubits` that bit c holds at the end, None if nothing
    was measured into it.
    """

    qubits: tuple[int, ...]
    sources: tuple[int | None, ...]

    def keys(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return the key of each index."""
        if self.sources == tuple(range(len(self.qubits))):
            return indices
        values = indices.astype(object) if len(self.sources) > _WIDEST_INT64 else indices
        keys = values * 0
        for bit, place in enumerate(self.sources):
            if place is not None:
                keys |= ((values >> place) & 1) << bit
        return keys

    def indices(self, keys: Sequence[int]) -> NDArray[np.int64]:
        """Return the index of each key."""
        bits = {place: bit for bit, place in enumerate(self.sources) if place is not None}
        found = [sum(((key >> bit) & 1) << place for place, bit in bits.items()) for key in keys]
        return np.array(found, dtype=np.int64)


def readout_of(circuit: QuantumCircuit) -> Readout:
    """Return the readout of a flat circuit that is not dynamic; the last measurement into a bit counts."""
    home: dict[int, int] = {}
    for item in circuit.data:
        if item.name == "measure":
            home[circuit.find_bit(item.clbits[0]).index] = circuit.find_bit(item.qubits[0]).index
    qubits = tuple(sorted(set(home.values())))
    place = {qubit: index for index, qubit in enumerate(qubits)}
    sources = tuple(place[home[bit]] if bit in home else None for bit in range(circuit.num_clbits))
    return Readout(qubits, sources)


def bit_string(program: Program, key: int) -> str:
    """Write a key as Qiskit does: all classical bits, highest first, registers apart by a space."""
    digits = f"{key:0{program.features.num_clbits}b}"
    parts: list[str] = []
    end = len(digits)
    for _, size in program.registers:
        parts.append(digits[end - size : end])
        end -= size
    return " ".join(reversed(parts))


def check_memory(program: Program, shots: int) -> None:
    """Refuse to write down every shot where that would be too long. Raises EngineError."""
    size = shots * (program.features.num_clbits + len(program.registers) - 1)
    if size > LARGEST_MEMORY:
        message = (
            f"the bit strings of {shots} shots are {size} characters; {LARGEST_MEMORY} are allowed: take fewer shots"
        )
        raise EngineError("OUT_OF_MEMORY", message)
