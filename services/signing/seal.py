"""Seals, and how a batch of signed records becomes leaves of the log.

A subject, such as `job/<uuid>`, has one seal for ever. A record that comes again gets the seal that stands, byte for
byte, although signing it again made another signature (they are hedged); that one is dropped unseen. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

from mesh.errors import Conflict
from services.signing.keys import KeyId
from services.signing.records import SignedRecord
from services.signing.tree import Frontier, Growth, hash_leaf

Subject = NewType("Subject", str)


@dataclass(frozen=True, slots=True)
class Seal:
    """What makes the record of a subject provable."""

    subject: Subject
    audit_hash: bytes
    """SHA-256 of the canonical record, 32 bytes."""
    signature: bytes
    kid: KeyId
    leaf: bytes
    """The log's entry, canonical JSON."""
    leaf_index: int

    @property
    def leaf_hash(self) -> bytes:
        """The leaf hash in the tree, 32 bytes: the anchor's txid."""
        return hash_leaf(self.leaf)


@dataclass(frozen=True, slots=True)
class Entry:
    """A signed record that wants into the log."""

    subject: Subject
    signed: SignedRecord


class Page:
    """The seals that one batch adds to the log; `new` is what is to be written, in the order of the leaves."""

    def __init__(self, frontier: Frontier, standing: Iterable[Seal]) -> None:
        """Open the page after `frontier`; `standing` has every seal in the log of the subjects that will be taken."""
        self._frontier = frontier
        self._seals = {seal.subject: seal for seal in standing}
        self.new: list[Seal] = []

    def take(self, entry: Entry) -> Seal | Exception:
        """The subject's seal; Conflict (SUBJECT_ALREADY_SIGNED) where it stands for another record."""
        record, signature, leaf = entry.signed.record, entry.signed.signature, entry.signed.leaf
        audit_hash = bytes.fromhex(record.audit_hash.removeprefix("sha256:"))
        seal = self._seals.get(entry.subject)
        if seal is None:
            index = self._frontier.size + len(self.new)
            seal = Seal(entry.subject, audit_hash, signature, leaf.kid, leaf.text(), index)
            self._seals[entry.subject] = seal
            self.new.append(seal)
        elif seal.audit_hash != audit_hash:
            message = f"{entry.subject} is sealed with another record; a seal is never replaced."
            return Conflict(message, reason="SUBJECT_ALREADY_SIGNED", field="subject")
        return seal

    def growth(self) -> Growth:
        """What the new leaves change in the tree."""
        return self._frontier.append([seal.leaf_hash for seal in self.new])
