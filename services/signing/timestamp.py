"""OpenTimestamps: a calendar's proof that a digest was there at a time. Pure; the format is that of `.ots` files.

A proof is a tree of operations from a digest to attestations. A calendar answers at once with a *pending* attestation,
its promise; hours later it has one of Bitcoin: the operations lead to the Merkle root of a block. Everything between is
checked here. Whether that block has that root only a Bitcoin node can say: `bitcoin_roots` tells what to ask it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

PROOF_BYTES_MAX = 64 * 1024
_MAGIC = b"\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94\x01"
_PENDING = bytes.fromhex("83dfe30d2ef90c8e")
_BITCOIN = bytes.fromhex("0588960d73d71901")
_ATTESTATION, _FORK, _APPEND, _PREPEND, _SHA256 = 0x00, 0xFF, 0xF0, 0xF1, 0x08
_OPERAND_BYTES_MAX = 4096
_BRANCHES_MAX = 256
_VARUINT_BITS_MAX = 63


class BadTimestampError(ValueError):
    """The bytes are no proof of a calendar."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """Where a proof leads: `message` is what the operations make of the digest."""

    message: bytes
    calendar: str = ""
    """Of a pending one: the address at which the rest of the proof will be."""
    block: int | None = None
    """Of one in Bitcoin: the block whose Merkle root the message is."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A proof as a calendar gave it, for a digest of 32 bytes."""

    digest: bytes
    proof: bytes

    def attestations(self) -> tuple[Attestation, ...]:
        """Follow every branch; BadTimestampError unless the whole proof is one of this digest."""
        if len(self.proof) > PROOF_BYTES_MAX:
            message = f"a proof has at most {PROOF_BYTES_MAX} bytes"
            raise BadTimestampError(message)
        reader = _Reader(self.proof)
        found = tuple(_follow(reader, self.digest))
        if not reader.at_end or not found:
            message = "the proof goes on after its end, or leads nowhere"
            raise BadTimestampError(message)
        return found

    def bitcoin_roots(self) -> dict[int, str]:
        """The Merkle root that each Bitcoin block must have, as Bitcoin shows it; empty while it is pending."""
        return {each.block: each.message[::-1].hex() for each in self.attestations() if each.block is not None}

    def file(self) -> bytes:
        """The proof as an `.ots` file, for the public tools."""
        return _MAGIC + bytes([_SHA256]) + self.digest + self.proof


def extended(pending: Timestamp, commitment: bytes, rest: bytes) -> Timestamp:
    """The proof that goes on from a pending attestation over `commitment` with what its calendar has now.

    BadTimestampError where the proof has no such attestation, or the two do not fit.
    """
    reader = _Reader(pending.proof)
    for attestation, start, end in _places(reader, pending.digest):
        if attestation.calendar and attestation.message == commitment:
            whole = Timestamp(pending.digest, pending.proof[:start] + rest + pending.proof[end:])
            whole.attestations()
            return whole
    message = "the proof has no such pending attestation"
    raise BadTimestampError(message)


class _Reader:
    """Takes bytes from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @property
    def at_end(self) -> bool:
        return self.at == len(self._data)

    def take(self, count: int) -> bytes:
        if self.at + count > len(self._data):
            message = "the proof ends in the middle"
            raise BadTimestampError(message)
        self.at += count
        return self._data[self.at - count : self.at]

    def number(self) -> int:
        value = shift = 0
        while True:
            [byte] = self.take(1)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7
            if shift > _VARUINT_BITS_MAX:
                message = "a number in the proof is too long"
                raise BadTimestampError(message)

    def operand(self) -> bytes:
        length = self.number()
        if length > _OPERAND_BYTES_MAX:
            message = "an operand of the proof is too long"
            raise BadTimestampError(message)
        return self.take(length)


def _follow(reader: _Reader, message: bytes) -> Iterator[Attestation]:
    return (attestation for attestation, _, _ in _places(reader, message))


def _places(reader: _Reader, message: bytes) -> Iterator[tuple[Attestation, int, int]]:
    """Every attestation, and where it begins and ends; a stack in place of recursion, which a proof could exhaust."""
    branches = [message]
    while branches:
        message = branches.pop()
        while True:
            start = reader.at
            [tag] = reader.take(1)
            if tag == _FORK:
                branches.append(message)
                if len(branches) > _BRANCHES_MAX:
                    text = "the proof has too many branches"
                    raise BadTimestampError(text)
            elif tag == _ATTESTATION:
                yield _attestation(reader, message), start, reader.at
                break
            else:
                message = _applied(tag, reader, message)


def _applied(tag: int, reader: _Reader, message: bytes) -> bytes:
    if tag == _SHA256:
        return hashlib.sha256(message).digest()
    if tag == _APPEND:
        message += reader.operand()
    elif tag == _PREPEND:
        message = reader.operand() + message
    else:
        text = f"the proof has an operation {tag:#04x} that no calendar uses"
        raise BadTimestampError(text)
    if len(message) > _OPERAND_BYTES_MAX:
        text = "a message of the proof is too long"
        raise BadTimestampError(text)
    return message


def _attestation(reader: _Reader, message: bytes) -> Attestation:
    kind, payload = reader.take(8), _Reader(reader.operand())
    if kind == _PENDING:
        address = payload.operand()
        if not address.isascii():
            text = "the address of a calendar is ASCII"
            raise BadTimestampError(text)
        return Attestation(message, calendar=address.decode("ascii"))
    if kind == _BITCOIN:
        return Attestation(message, block=payload.number())
    return Attestation(message)
