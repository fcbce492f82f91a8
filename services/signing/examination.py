"""Is a record genuine? Each claim of its seal, checked on its own against the keys and the log. Pure.

Every check is always there, in one order; what cannot be checked does not hold, and says why. Nothing that a caller
can write makes this raise.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.signing.anchor import Anchor
from services.signing.checkpoint import parse_checkpoint
from services.signing.cosignature import Cosignature
from services.signing.keys import KeyId, PublicKey
from services.signing.mldsa import Provider
from services.signing.note import BadNoteError, NoteKey, parse_note
from services.signing.records import BadRecordError, Leaf, NotCanonicalError, Record, sha256_text


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `detail` is for people."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A record and the seal that someone shows with it; nothing of it is trusted."""

    record: bytes
    audit_hash: bytes
    signature: bytes
    key_id: str
    leaf_hash: bytes
    leaf_index: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What this service itself knows: the key of the claimed id, the claimed leaf with its proof, the log's keys."""

    key: PublicKey | None
    anchor: Anchor | None
    log_keys: Sequence[NoteKey]
    witness_keys: Sequence[NoteKey] = ()
    """Those of the witnesses that have signed the log so far."""


def examine(claim: Claim, evidence: Evidence, provider: Provider) -> Iterator[Check]:
    """Make every check: canonical, type, audit_hash, key, signature, leaf, inclusion, checkpoint.

    Where witnesses have signed the checkpoint, one more follows for each of their keys.
    """
    record, checks = _read(claim.record)
    yield from checks
    yield _audit_hash(claim)
    yield Check("key", evidence.key is not None, _key_detail(claim, evidence))
    yield _signature(claim, record, evidence.key, provider)
    yield _leaf(claim, record, evidence.anchor)
    yield _inclusion(claim, evidence.anchor)
    yield _checkpoint(evidence, provider)
    yield from _witnesses(evidence)


def _read(data: bytes) -> tuple[Record | None, tuple[Check, Check]]:
    try:
        record = Record.read(data)
    except NotCanonicalError as error:
        canonical, kind = Check("canonical", ok=False, detail=str(error)), _unchecked("type", "the record is not read")
        return None, (canonical, kind)
    except BadRecordError as error:
        return None, (_canonical(data), Check("type", ok=False, detail=str(error)))
    return record, (_canonical(data), Check("type", ok=True, detail=f"is a {record.type}"))


def _canonical(data: bytes) -> Check:
    return Check("canonical", ok=True, detail=f"is RFC 8785, {len(data)} bytes")


def _audit_hash(claim: Claim) -> Check:
    actual = hashlib.sha256(claim.record).digest()
    if actual == claim.audit_hash:
        return Check("audit_hash", ok=True, detail=f"is the hash of the record, sha256:{actual.hex()}")
    return Check("audit_hash", ok=False, detail=f"the record hashes to sha256:{actual.hex()}")


def _key_detail(claim: Claim, evidence: Evidence) -> str:
    if evidence.key is None:
        return f"no key of ours is called {claim.key_id!r}"
    return f"{claim.key_id}, thumbprint {evidence.key.jwk().thumbprint()}"


def _signature(claim: Claim, record: Record | None, key: PublicKey | None, provider: Provider) -> Check:
    if record is None or key is None:
        return _unchecked("signature", "the record is not read" if record is None else "the key is not known")
    if record.signed_by(provider.verifying_key(key.public), claim.signature):
        detail = f"ML-DSA-65 signature of {key.kid} over the record, context {record.type}"
        return Check("signature", ok=True, detail=detail)
    return Check("signature", ok=False, detail=f"is not one of {key.kid} over this record")


def _leaf(claim: Claim, record: Record | None, anchor: Anchor | None) -> Check:
    if anchor is None:
        return Check("leaf", ok=False, detail=f"the log has no leaf {claim.leaf_hash.hex()}")
    if record is None:
        return _unchecked("leaf", "the record is not read")
    named = Leaf(record.type, record.audit_hash, KeyId(claim.key_id), sha256_text(claim.signature))
    if named.text() != anchor.leaf:
        return Check("leaf", ok=False, detail="the log's leaf is of another record, signature or key")
    if claim.leaf_index != anchor.leaf_index:
        return Check("leaf", ok=False, detail=f"is number {anchor.leaf_index} of the log, not {claim.leaf_index}")
    detail = f"number {anchor.leaf_index} of the log names this record, signature and key"
    return Check("leaf", ok=True, detail=detail)


def _inclusion(claim: Claim, anchor: Anchor | None) -> Check:
    if anchor is None:
        return _unchecked("inclusion", "the leaf is not in the log")
    size, length = anchor.head.size, len(anchor.inclusion)
    if anchor.leaf_hash != claim.leaf_hash or not anchor.holds():
        return Check("inclusion", ok=False, detail=f"no path leads from it to the root of {size} leaves")
    return Check("inclusion", ok=True, detail=f"{length} hashes lead from it to the root of {size} leaves")


def _checkpoint(evidence: Evidence, provider: Provider) -> Check:
    if evidence.anchor is None:
        return _unchecked("checkpoint", "the leaf is not in the log")
    head = evidence.anchor.head
    try:
        note = parse_note(head.note)
        checkpoint = parse_checkpoint(note.text)
    except BadNoteError as error:
        return Check("checkpoint", ok=False, detail=str(error))
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        return Check("checkpoint", ok=False, detail="is of another tree")
    if not all(note.signed_by(key, provider) for key in evidence.log_keys):
        return Check("checkpoint", ok=False, detail="is not signed by every key of the log")
    detail = f"{checkpoint.origin} signed {checkpoint.size} leaves with {len(evidence.log_keys)} keys"
    return Check("checkpoint", ok=True, detail=detail)


def _witnesses(evidence: Evidence) -> Iterator[Check]:
    if evidence.anchor is None:
        return
    head = evidence.anchor.head
    try:
        lines = parse_note(head.note).signatures
        checkpoint = parse_checkpoint(parse_note(head.note).text)
    except BadNoteError:
        return
    for key in evidence.witness_keys:
        for line in lines:
            if (line.name, line.key_id) == (key.name, key.id):
                signed = Cosignature(key, line)
                ok, time = signed.holds(checkpoint), dt.datetime.fromtimestamp(signed.timestamp, dt.UTC)
                found = f"signed at {time:%Y-%m-%d %H:%M:%S} UTC that the log only grew until then"
                yield Check("witness", ok, f"{key.name} {found if ok else 'did not sign this tree'}")


def _unchecked(name: str, reason: str) -> Check:
    return Check(name, ok=False, detail=f"cannot be checked: {reason}")
