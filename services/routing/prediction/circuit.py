"""A circuit as it comes to routing: flat, without control flow, its structure apart from its angles.

    msgpack [structure, angles]
    structure: msgpack [qubits, classical bits, [[gate, [qubit, ...], [classical bit, ...], angles], ...]]
    angles:    the radians of all gates in their order, as little-endian doubles

Gates bear Qiskit's names; measurements are "measure", resets "reset", barriers, over which a transpiler moves nothing,
"barrier". Two circuits of one structure differ in nothing but angles, so what a transpiler made of the one says how the
other fares. A circuit of 200 gates takes 4 kB.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NewType

import msgspec

Operation = tuple[str, tuple[int, ...], tuple[float, ...], tuple[int, ...]]
"""Name, qubits, angles in radians, classical bits."""
Step = tuple[str, tuple[int, ...], tuple[int, ...], int]
"""Name, qubits, classical bits, how many angles."""
Digest = NewType("Digest", bytes)

_BARRIER = "barrier"
_SILENT = frozenset({"measure", "reset", "id"})
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Size:
    """How large a circuit is."""

    qubit_count: int
    single_qubit_gate_count: int
    two_qubit_gate_count: int
    """With those on more than two."""
    measured_count: int
    depth: int


class Structure(msgspec.Struct, frozen=True, array_like=True):
    """All of a circuit but its angles."""

    qubit_count: int
    clbit_count: int
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Refuse what is no circuit."""
        for name, qubits, _, _ in self.steps:
            if not qubits or len(set(qubits)) < len(qubits) or not 0 <= min(qubits) <= max(qubits) < self.qubit_count:
                raise ValueError(f"{name} acts on qubits {qubits} of {self.qubit_count}")

    @property
    def size(self) -> Size:
        """Its size; the depth is the length of the longest chain of operations that wait for one another."""
        ends = [0] * self.qubit_count
        singles = pairs = 0
        for name, qubits, _, _ in self.steps:
            if name == _BARRIER:
                continue
            end = 1 + max(ends[qubit] for qubit in qubits)
            for qubit in qubits:
                ends[qubit] = end
            pairs += len(qubits) > 1
            singles += len(qubits) == 1 and name not in _SILENT
        return Size(self.qubit_count, singles, pairs, len(self.measured), max(ends, default=0))

    @property
    def measured(self) -> tuple[int, ...]:
        """The qubits that are read, ascending."""
        return tuple(sorted({qubits[0] for name, qubits, _, _ in self.steps if name == "measure"}))

    @property
    def read_at_the_end(self) -> bool:
        """Whether every qubit is read at most once, and nothing follows on it; and nothing is reset."""
        done: set[int] = set()
        for name, qubits, _, _ in self.steps:
            if name == _BARRIER:
                continue
            if name == "reset" or not done.isdisjoint(qubits):
                return False
            if name == "measure":
                done.update(qubits)
        return bool(done)


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit, and what it and its structure are known by."""

    encoded: bytes
    structure: bytes
    angles: bytes

    @property
    def key(self) -> Digest:
        """Equal for equal circuits."""
        return _digest(self.encoded)

    @property
    def structure_key(self) -> Digest:
        """Equal for circuits that differ in angles alone."""
        return _digest(self.structure)

    def decoded(self) -> tuple[Structure, tuple[float, ...]]:
        """The steps, and the angles of all. Raises msgspec.ValidationError, which is a ValueError."""
        structure = msgspec.msgpack.decode(self.structure, type=Structure)
        angles = array("d")
        try:
            angles.frombytes(self.angles)
        except ValueError as error:
            raise msgspec.ValidationError(f"angles: {error}") from error
        if sys.byteorder == "big":
            angles.byteswap()
        if len(angles) != sum(step[3] for step in structure.steps):
            raise msgspec.ValidationError("the structure asks for another number of angles")
        return structure, tuple(angles)


def encode(qubit_count: int, clbit_count: int, operations: Iterable[Operation]) -> bytes:
    """A circuit from its operations in order, on qubits numbered from 0 without gaps."""
    steps: list[Step] = []
    angles = array("d")
    for name, qubits, turned, clbits in operations:
        steps.append((name, qubits, clbits, len(turned)))
        angles.extend(turned)
    if sys.byteorder == "big":
        angles.byteswap()
    structure = msgspec.msgpack.encode((qubit_count, clbit_count, steps))
    return msgspec.msgpack.encode((structure, angles.tobytes()))


def parse(encoded: bytes) -> Circuit:
    """A circuit as it came; only its envelope is opened. Raises msgspec.DecodeError, which is a ValueError."""
    structure, angles = msgspec.msgpack.decode(encoded, type=tuple[bytes, bytes])
    return Circuit(encoded, structure, angles)


def _digest(content: bytes) -> Digest:
    return Digest(blake2b(content, digest_size=_DIGEST_BYTES).digest())
