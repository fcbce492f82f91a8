"""Chunks: raw bits of one job, what the tests said of them, and the blocks made of them. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import uuid_utils.compat

from services.entropy import conditioning
from services.entropy.block import Block, BlockId, ChunkId, Grade, Provenance
from services.entropy.drbg import NONCE_BYTES
from services.entropy.source import SourceKey

PIECES = 16
"""Each is the raw material of a seed of its own, and compared with all that came before."""
SEED_PIECES_OF_LIVE = 4
"""A machine's bits are dear: the rest of a chunk becomes full-entropy output."""
DIGITS = 6


@dataclass(frozen=True, slots=True)
class RawChunk:
    """Raw bits, packed, and what made them."""

    source: SourceKey
    data: bytes
    job_id: UUID
    simulated: bool
    engine: str
    calibration_id: str
    circuit_sha256: bytes
    collect_time: dt.datetime


@dataclass(frozen=True, slots=True)
class Chunk:
    """Raw bits under examination. They are in no store: only their digests, and what was found."""

    chunk_id: ChunkId
    raw: RawChunk
    claimed_min_entropy: float
    findings: dict[str, Any]
    """As `Laboratory.assess` answers."""
    repeated: bool = False
    """Whether a piece of it came before."""

    @property
    def failure(self) -> str:
        """What failed, for people; empty where nothing did."""
        if self.repeated:
            return "repetition: a part of these raw bits came before"
        if failed := self.findings["failure"]:
            return str(failed)
        assessed = self.findings["min_entropy"]
        if assessed < self.claimed_min_entropy:
            return f"SP 800-90B assessed {assessed:.4f} bits a bit, less than the {self.claimed_min_entropy} claimed"
        return ""

    @property
    def assessed_min_entropy(self) -> float:
        """The least of the estimates, in bits a bit; 0 where the health tests had failed before."""
        return float(self.findings.get("min_entropy", 0.0))

    @property
    def credited_bits(self) -> int:
        """The entropy that the chunk is credited with: none that a simulator made."""
        return 0 if self.raw.simulated or self.failure else int(8 * len(self.raw.data) * self.claimed_min_entropy)

    @property
    def digests(self) -> Sequence[bytes]:
        """SHA-256 of each piece."""
        return piece_digests(self.raw.data)

    @property
    def report(self) -> dict[str, Any]:
        """What a report says of where its bits come from."""
        raw, health = self.raw, self.findings["health"]
        return {
            "source": {
                "id": raw.source.source_id,
                "simulated": raw.simulated,
                "engine": raw.engine,
                "calibration_id": raw.calibration_id or None,
                "circuit": "H on every qubit, measured",
                "circuit_sha256": raw.circuit_sha256.hex(),
                "job_id": str(raw.job_id),
                "chunk_id": str(self.chunk_id),
                "raw_bits": 8 * len(raw.data),
                "credited_min_entropy_bits": self.credited_bits,
                "collected_at": raw.collect_time.isoformat().replace("+00:00", "Z"),
            },
            "health_tests": {
                "standard": "SP 800-90B, 4.4",
                "false_positive_probability": "2^-30",
                "claimed_min_entropy": self.claimed_min_entropy,
                "repetition_count": {"cutoff": health["repetition_cutoff"], "longest_run": health["longest_run"]},
                "adaptive_proportion": {
                    "cutoff": health["proportion_cutoff"],
                    "window": 1024,
                    "highest_count": health["highest_count"],
                },
                "passed": not self.findings["failure"],
            },
            "sp800_90b": {
                "of": "the raw bits, before conditioning",
                "sample_bits": 8 * len(raw.data),
                "min_entropy": round(self.assessed_min_entropy, DIGITS),
                "estimates": {name: round(value, DIGITS) for name, value in self.findings.get("estimates", {}).items()},
            },
        }

    def blocks(self, block_bits: int, random: Callable[[int], bytes]) -> list[Block]:
        """The blocks that it gives, each from raw bits of its own; `random` is the kernel's generator."""
        pieces = _pieces(self.raw.data)
        seeds = pieces if self.raw.simulated else pieces[:SEED_PIECES_OF_LIVE]
        made = [
            self._block(Grade.DRBG, block_bits, conditioning.condition(piece, random) + random(NONCE_BYTES))
            for piece in seeds
        ]
        if not self.raw.simulated:
            rest = b"".join(pieces[SEED_PIECES_OF_LIVE:])
            output = conditioning.full_entropy(rest, self.claimed_min_entropy, random)
            made.append(self._block(Grade.FULL_ENTROPY, 8 * len(output), output))
        return made

    def _block(self, grade: Grade, bit_count: int, secret: bytes) -> Block:
        provenance = Provenance(self.raw.source, self.raw.simulated, self.report)
        return Block(BlockId(uuid_utils.compat.uuid7()), grade, bit_count, secret, provenance, {})


def full_entropy_bits(chunk_bits: int, min_entropy: float) -> int:
    """How many bits of full entropy a chunk of a machine gives."""
    raw = chunk_bits // 8 // PIECES * (PIECES - SEED_PIECES_OF_LIVE)
    return raw // conditioning.full_entropy_input_bytes(min_entropy) * conditioning.OUTPUT_BYTES * 8


def piece_digests(data: bytes) -> list[bytes]:
    """SHA-256 of each piece of raw bits."""
    return [hashlib.sha256(piece).digest() for piece in _pieces(data)]


def _pieces(data: bytes) -> list[bytes]:
    size = len(data) // PIECES
    return [data[index * size : (index + 1) * size] for index in range(PIECES)]
