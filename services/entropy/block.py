"""Blocks: stretches of output that are tested as a whole and handed out piece by piece, each bit once. Pure.

A block of grade `drbg` is kept as its seed and made when it is opened. Opening deletes it from the store, in the same
commit: what a crash leaves in memory is lost, and never handed out a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NewType
from uuid import UUID

from services.entropy.drbg import MOST_BYTES_A_REQUEST, NONCE_BYTES, CtrDrbg
from services.entropy.source import SourceKey

BlockId = NewType("BlockId", UUID)
ChunkId = NewType("ChunkId", UUID)


class Grade(IntEnum):
    """What bits are; the numbers are those of the proto and of the database."""

    DRBG = 1
    FULL_ENTROPY = 2

    @property
    def word(self) -> str:
        """The public word."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the raw bits of a block came from, as its report says it."""

    source: SourceKey
    simulated: bool
    report: dict[str, Any]
    """The members `source`, `health_tests` and `sp800_90b` of a report."""


@dataclass(frozen=True, slots=True, repr=False)
class Block:
    """A block out of the store."""

    block_id: BlockId
    grade: Grade
    bit_count: int
    secret: bytes
    """The seed, or for full entropy the bits themselves."""
    provenance: Provenance
    tests: dict[str, Any]
    """What SP 800-22 said of the whole; empty before."""

    def output(self) -> bytearray:
        """All of its bits."""
        return produce(self.block_id, self.grade, self.secret, self.bit_count)

    def __repr__(self) -> str:
        """Hide the secret."""
        return f"Block({self.block_id})"


def produce(block_id: BlockId, grade: Grade, secret: bytes, bit_count: int) -> bytearray:
    """The bits of a block: as they are, or from a generator that lives for this block alone."""
    if grade is Grade.FULL_ENTROPY:
        return bytearray(secret)
    generator = CtrDrbg(secret[:-NONCE_BYTES], secret[-NONCE_BYTES:], b"q-mumma block " + block_id.bytes)
    output = bytearray()
    while (left := bit_count // 8 - len(output)) > 0:
        output += generator.generate(min(left, MOST_BYTES_A_REQUEST))
    return output


class OpenBlock:
    """A block that is being handed out from the memory of this process."""

    __slots__ = ("_left", "block_id", "grade", "provenance", "tested_bits", "tests")

    def __init__(self, block: Block) -> None:
        self.block_id, self.grade, self.provenance = block.block_id, block.grade, block.provenance
        self.tests, self.tested_bits = block.tests, block.bit_count
        self._left = block.output()

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return len(self._left)

    def take(self, count: int) -> bytes:
        """The last `count` bytes that are left, which are then gone."""
        start = len(self._left) - count
        with memoryview(self._left)[start:] as handed:
            taken = handed.tobytes()
            handed[:] = bytes(count)  # what was handed out does not stay in memory
        del self._left[start:]
        return taken
