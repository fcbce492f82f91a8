r"""Does a signed answer hold? Each step from its fields to the log's signed checkpoint, checked on its own.

    fields -> canonical record -> audit hash -> log entry (with key id and signature's hash) -> anchor
                              \-> ML-DSA signature <- key from the JWKS
    log entry -> inclusion path -> root in the checkpoint <- signatures of the log's keys

Where two copies of one thing disagree, the others tell which was altered, and the check is named after that one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from qmumma.evidence import ANCHOR_PREFIX, Evidence, MalformedError, read_evidence
from qmumma.exact import Json, UnreadableError, canonical
from qmumma.jwks import find_key, parse_jwks
from qmumma.kinds import UNSIGNED
from qmumma.merkle import hash_leaf, root_of
from qmumma.note import LogKey, parse_log_keys, parse_witness_keys
from qmumma.report import Check, Report

_TIMESTAMP_MAX = 253402300799  # the last second that a date can tell


@dataclass(frozen=True, slots=True)
class Trust:
    """The public keys that everything is checked against."""

    signing_keys: tuple[dict[str, Json], ...]
    """The members of each key of a JSON Web Key Set."""
    log_keys: tuple[LogKey, ...]
    """The log's: each of them must have signed."""
    witness_keys: tuple[LogKey, ...] = ()
    """Those of witnesses, where some are demanded: each of them must have signed too."""
    roots: tuple[x509.Certificate, ...] = ()
    """Of the digital seals of documents; one that has none of them as its root does not hold."""

    @classmethod
    def read(cls, jwks: bytes, log_keys: str, witness_keys: str | None = None, roots: bytes | None = None) -> Trust:
        """Read a JSON Web Key Set, vkeys, one a line, and PEM certificates; UnreadableError where one is none."""
        return cls(
            parse_jwks(jwks, "the JWKS"),
            parse_log_keys(log_keys, "the log's keys"),
            () if witness_keys is None else parse_witness_keys(witness_keys, "the witness's keys"),
            () if roots is None else parse_roots(roots, "the roots"),
        )


def parse_roots(pem: bytes, name: str) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file; UnreadableError where it has none."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        message = f"{name}: no certificates in PEM"
        raise UnreadableError(message) from None


def verify_answer(answer: bytes, trust: Trust, download: bytes | None = None) -> Report:
    """Check a signed answer with its proof, such as `GET /v1/jobs/{id}?include=proof` gives.

    `download` is what `GET /v1/jobs/{id}/result` gave, where the result is too large to be in the answer. Raises
    UnreadableError where the answer is no JSON object.
    """
    try:
        evidence = read_evidence(answer, "the result")
    except MalformedError as fault:
        return Report((Check(fault.place, ok=False, detail=str(fault)),))
    return Examination(evidence, trust, download).report()


class Examination:
    """One answer under examination. What is known of each part is worked out once, then the checks read it."""

    def __init__(self, evidence: Evidence, trust: Trust, download: bytes | None = None) -> None:
        self._download = download
        self._evidence = evidence
        self._signing_keys = trust.signing_keys
        self._log_keys = trust.log_keys
        self._witness_keys = trust.witness_keys
        self._canonical = canonical(evidence.record)
        self._record_hash = _sha256(self._canonical)
        self._leaf_hash = hash_leaf(evidence.leaf.text.encode())
        self._root = root_of(self._leaf_hash, evidence.leaf_index, evidence.tree_size, evidence.inclusion)
        self._path_holds = self._root == evidence.checkpoint.root
        self._anchored = evidence.anchor == ANCHOR_PREFIX + self._leaf_hash.hex()
        self._leaf_intact = self._path_holds or self._anchored
        self._record_intact = self._record_hash in {evidence.audit_hash, evidence.leaf.audit_hash}
        self._signature_intact = _sha256(evidence.signature) == evidence.leaf.sig_sha256
        self._log_signed = {key: self._signed_by(key) for key in trust.log_keys}

    def report(self) -> Report:
        """Make every check, in the order of the chain."""
        checks = (
            *self._fields(),
            *self._downloaded(),
            *self._evidence.kind.examine(self._evidence.answer),
            self._audit_hash(),
            *self._signature(),
            *self._leaf(),
            self._anchor(),
            *self._inclusion(),
            *self._checkpoint(),
            *self._witnesses(),
        )
        return Report(checks, tuple(self._notes()))

    def _fields(self) -> Iterator[Check]:
        """Compare each field with its digest. If they differ, the record's hash tells which of the two is altered."""
        record, digests = self._evidence.record, self._evidence.digests
        faults = 0
        for name in sorted(record.keys() | digests.keys()):
            if name not in digests:
                fault = ("has no digest", "was added: no digest names it")
            elif name not in record:
                fault = ("names no field of the record", "missing")
            elif digests[name] != _sha256(canonical(record[name])):
                fault = ("is not that of the field", "is not what was signed: its digest is another")
            else:
                continue
            faults += 1
            yield _failed(f"proof.digests.{name}", fault[0]) if self._record_intact else _failed(name, fault[1])
        if not faults:
            yield _passed("fields", f"all {len(record)} have the digests that the proof names")

    def _downloaded(self) -> Iterator[Check]:
        """Compare a download with what the record says of a result that is not in it."""
        if self._download is None:
            return
        digest, size = self._evidence.kind.download(self._evidence.record)
        if (_sha256(self._download), len(self._download)) == (digest, size):
            yield _passed("download", f"is what was signed: {size} bytes, {digest}")
        else:
            yield _failed("download", f"is not what was signed, which has {size} bytes and the digest {digest}")

    def _audit_hash(self) -> Check:
        evidence = self._evidence
        if self._record_hash == evidence.audit_hash:
            return _passed("audit_hash", f"is the hash of the record, {self._record_hash}")
        if self._record_hash == evidence.leaf.audit_hash:
            return _failed("audit_hash", f"is not that of the record and of the log entry, {self._record_hash}")
        return _failed("audit_hash", f"the record's fields hash to {self._record_hash}")

    def _signature(self) -> Iterator[Check]:
        evidence = self._evidence
        try:
            key = find_key(self._signing_keys, evidence.key_id)
        except ValueError as error:
            yield _failed("jwks", str(error))
            yield _failed("pqc_signature", "cannot be checked without the key")
            return
        shown = f"{key.kid}, thumbprint {key.thumbprint}"
        kind = evidence.kind.type
        holds = key.verifies(self._canonical, evidence.signature, kind.encode())
        if not holds and self._record_intact and self._signature_intact:
            yield _failed("jwks", f"record and signature are those of the log entry, but not made by {shown}")
        else:
            yield _passed("jwks", f"has the key {shown}")
        if holds:
            yield _passed("pqc_signature", f"ML-DSA-65 signature of {key.kid} over the record, type {kind}")
        elif self._record_intact:
            yield _failed("pqc_signature", f"is not a signature of {key.kid} over the record")
        else:
            yield _failed("pqc_signature", "was not made over these fields")

    def _leaf(self) -> Iterator[Check]:
        """Compare the log's entry with the record, the signature and the key that are here."""
        evidence, faults = self._evidence, 0
        comparisons = (
            ("type", evidence.leaf.type == evidence.kind.type, evidence.leaf.type),
            ("audit_hash", evidence.leaf.audit_hash == evidence.audit_hash, evidence.leaf.audit_hash),
            ("pqc_signature", self._signature_intact, evidence.leaf.sig_sha256),
            ("key_id", evidence.leaf.kid == evidence.key_id, evidence.leaf.kid),
        )
        for member, same, logged in comparisons:
            if not same:
                faults += 1
                detail = f"differs from the log entry, which has {logged}"
                yield _failed(member, detail) if self._leaf_intact else _failed("proof.leaf", f"{member} {detail}")
        if not faults:
            yield _passed("proof.leaf", "names this record, this signature and this key")

    def _anchor(self) -> Check:
        if self._anchored:
            return _passed("blockchain_anchor", "is the hash of the log entry")
        actual = ANCHOR_PREFIX + self._leaf_hash.hex()
        if self._leaf_intact:
            return _failed("blockchain_anchor", f"is not that of the log entry, {actual}")
        return _failed("proof.leaf", f"is not the entry that was anchored: it gives {actual}")

    def _inclusion(self) -> Iterator[Check]:
        evidence = self._evidence
        altered = [
            number
            for number, node in enumerate(evidence.inclusion)
            if number >= len(evidence.inclusion_digests) or evidence.inclusion_digests[number] != _sha256(node)
        ]
        if self._path_holds:
            for number in altered:
                yield _failed(f"proof.inclusion_digests[{number}]", "is not that of the node, which leads to the root")
            if len(evidence.inclusion_digests) > len(evidence.inclusion):
                yield _failed("proof.inclusion_digests", "has more entries than the path has nodes")
            place = f"leaf {evidence.leaf_index} of {evidence.tree_size}"
            yield _passed("proof.inclusion", f"{len(evidence.inclusion)} nodes lead from {place} to the root")
            return
        for number in altered:
            yield _failed(f"proof.inclusion[{number}]", "is not the node of the path: its digest is another")
        yield _failed(*self._broken_path(nodes_intact=not altered))

    def _broken_path(self, *, nodes_intact: bool) -> tuple[str, str]:
        """Say why the path does not lead to the root; where all else is intact, what is left is altered."""
        evidence = self._evidence
        index, size, nodes = evidence.leaf_index, evidence.tree_size, len(evidence.inclusion)
        unsigned = not any(self._log_signed.values())
        reasons = (
            (size != evidence.checkpoint.size, "proof.tree_size", f"is {size}, the checkpoint's another"),
            (index >= size, "proof.leaf_index", f"is {index}, but the tree has {size} leaves"),
            (
                nodes != len(evidence.inclusion_digests),
                "proof.inclusion",
                f"has {nodes} nodes, not as many digests",
            ),
            (self._root is None, "proof.leaf_index", f"leaf {index} of {size} has no path of {nodes} nodes"),
            (not nodes_intact, "proof.inclusion", "does not lead to the checkpoint's root"),
            (not self._anchored, "proof.leaf", "the path does not lead from it to the checkpoint's root"),
            (unsigned, "proof.checkpoint root", "line 3 is not the root that the path leads to"),
            (True, "proof.leaf_index", f"the path does not lead from leaf {index} to the root, and all else is intact"),
        )
        return next((place, detail) for applies, place, detail in reasons if applies)

    def _checkpoint(self) -> Iterator[Check]:
        evidence, checkpoint = self._evidence, self._evidence.checkpoint
        origins = {key.name for key in self._log_keys}
        if checkpoint.origin in origins:
            yield _passed("proof.checkpoint origin", checkpoint.origin)
        else:
            detail = f"line 1 is {checkpoint.origin}, but the keys are of {', '.join(sorted(origins))}"
            yield _failed("proof.checkpoint origin", detail)
        if checkpoint.size == evidence.tree_size:
            yield _passed("proof.checkpoint size", f"{checkpoint.size} leaves")
        elif any(self._log_signed.values()):
            yield _failed("proof.tree_size", f"is {evidence.tree_size}, but {checkpoint.size} in the checkpoint")
        else:
            yield _failed("proof.checkpoint size", f"line 2 is {checkpoint.size}, but the proof is for another")
        for key, signed in self._log_signed.items():
            name = f"proof.checkpoint signature {key}"
            if signed:
                yield _passed(name, "holds")
            elif not checkpoint.lines_of(key):
                yield _failed(name, "there is no line of this key")
            elif any(self._log_signed.values()):
                yield _failed(name, "does not hold, though another of the log's does: this line is altered")
            else:
                yield _failed(name, "does not hold for this origin, size and root")

    def _witnesses(self) -> Iterator[Check]:
        """Every witness that is demanded, and when it signed."""
        for key in self._witness_keys:
            name, lines = f"proof.checkpoint witness {key}", self._evidence.checkpoint.lines_of(key)
            if not lines:
                yield _failed(name, "has not signed: ask for the answer again in a moment, or look at the log")
            elif self._signed_by(key):
                time = dt.datetime.fromtimestamp(min(lines[0].timestamp, _TIMESTAMP_MAX), dt.UTC)
                yield _passed(name, f"signed at {time:%Y-%m-%d %H:%M:%S} UTC that the log only grew until then")
            else:
                yield _failed(name, "does not hold for this origin, size, root and time")

    def _signed_by(self, key: LogKey) -> bool:
        checkpoint = self._evidence.checkpoint
        lines = checkpoint.lines_of(key)
        return bool(lines) and all(key.verifies(checkpoint, line.signature) for line in lines)

    def _notes(self) -> Iterator[str]:
        if UNSIGNED in self._evidence.answer.keys() & self._evidence.kind.beside:
            yield "completed_at is what the server told of the time after signing: nothing proves it"
        if self._download is None and "result_object" in self._evidence.record:
            yield "the result itself is not in the file: download it, and give it too to have it checked"
        known = {(key.name, key.id) for key in (*self._log_keys, *self._witness_keys)}
        for line in self._evidence.checkpoint.signatures:
            if (line.name, line.key_id) not in known:
                yield f"the checkpoint's line of {line.name}+{line.key_id.hex()} is not checked: its key was not given"


def _passed(name: str, detail: str) -> Check:
    return Check(name, ok=True, detail=detail)


def _failed(name: str, detail: str) -> Check:
    return Check(name, ok=False, detail=detail)


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
