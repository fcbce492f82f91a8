"""What is signed, and what the log keeps of it.

    canonical  = RFC 8785 of the record, whose member `type` names its kind, such as `qmumma.result/v1`
    audit hash = "sha256:" + hex(SHA-256(canonical))
    signature  = ML-DSA-65(canonical, context = type)
    leaf       = RFC 8785 of {"v": 1, "type", "audit_hash", "kid", "sig_sha256"}
    leaf hash  = SHA-256(0x00 || leaf)                     (RFC 6962, section 2.1)
    anchor     = "vajra://txid/" + hex(leaf hash)

The anchor stands for signature and record together, so it cannot be a member of the record.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

import rfc8785

from services.signing.keys import KeyId, NamedKey, parse_key_id
from services.signing.mldsa import VerifyingKey
from services.signing.tree import hash_leaf

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]

RESULT_TYPE = "qmumma.result/v1"
PROOF_MEMBERS = frozenset({"pqc_signature", "key_id", "audit_hash", "blockchain_anchor", "proof", "completed_at"})
"""What stands beside the record in an answer."""
ANCHOR_PREFIX = "vajra://txid/"

_TYPE = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9_]+)+/v[1-9][0-9]*")
_TYPE_CHARACTERS_MAX = 64
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SAFE_INTEGER = 2**53 - 1


class BadRecordError(ValueError):
    """The record cannot be signed; the message says why."""


class NotCanonicalError(BadRecordError):
    """The bytes are no JSON object in RFC 8785 form, or the value has no such form."""


def canonicalize(value: Json) -> bytes:
    """Return the RFC 8785 form; NotCanonicalError for a number or text that JSON cannot carry exactly."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        message = f"no canonical JSON: {error}"
        raise NotCanonicalError(message) from error
    except RecursionError:
        message = "no canonical JSON: nested too deeply"
        raise NotCanonicalError(message) from None


def sha256_text(data: bytes) -> str:
    """Return `sha256:<hex>` of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """A record in its canonical form. Build it with `of` or `read`, which check it."""

    type: str
    canonical: bytes

    @classmethod
    def of(cls, record_type: str, members: Mapping[str, Json]) -> Record:
        """Build from the answer's own members; BadRecordError if one is a proof member or `type`."""
        if taken := sorted((PROOF_MEMBERS | {"type"}) & members.keys()):
            message = f"a record's own members cannot include {', '.join(taken)}"
            raise BadRecordError(message)
        return cls(require_type(record_type), canonicalize({**members, "type": record_type}))

    @classmethod
    def read(cls, canonical: bytes) -> Record:
        """Take bytes that claim to be canonical.

        NotCanonicalError unless they are, to the byte; BadRecordError for another type's name or a proof member.
        """
        try:
            value = json.loads(canonical, parse_int=_exact_integer)
        except (ValueError, RecursionError) as error:
            message = f"not JSON: {error}"
            raise NotCanonicalError(message) from error
        if not isinstance(value, dict) or canonicalize(value) != canonical:
            message = "not a JSON object in RFC 8785 form"
            raise NotCanonicalError(message)
        if taken := sorted(PROOF_MEMBERS & value.keys()):
            message = f"a record cannot include {', '.join(taken)}"
            raise BadRecordError(message)
        return cls(require_type(value.get("type")), canonical)

    @property
    def audit_hash(self) -> str:
        """`sha256:<hex>` of the canonical form."""
        return sha256_text(self.canonical)

    def digests(self) -> dict[str, str]:
        """Return `sha256:<hex>` of each member's canonical form, so that a verifier can name an altered one."""
        members: dict[str, Json] = json.loads(self.canonical, parse_int=_exact_integer)
        return {name: sha256_text(canonicalize(value)) for name, value in members.items()}

    def signed_by(self, key: VerifyingKey, signature: bytes) -> bool:
        """Tell whether `signature` is one of `key` over this record under its type."""
        return key.verify(self.canonical, signature, self.type.encode())


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry of the transparency log. Hashes are `sha256:<hex>`."""

    type: str
    audit_hash: str
    kid: KeyId
    sig_sha256: str

    @classmethod
    def read(cls, text: bytes) -> Leaf:
        """Parse a stored entry; BadRecordError unless it is exactly what `text` renders."""
        try:
            value = json.loads(text)
            leaf = cls(
                require_type(value["type"]),
                _require_hash(value["audit_hash"]),
                parse_key_id(value["kid"]),
                _require_hash(value["sig_sha256"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            message = f"not a log entry: {error}"
            raise BadRecordError(message) from error
        if leaf.text() != text:
            message = "not a log entry in its one canonical form"
            raise BadRecordError(message)
        return leaf

    def text(self) -> bytes:
        """Return the entry's canonical JSON."""
        return canonicalize(
            {
                "v": 1,
                "type": self.type,
                "audit_hash": self.audit_hash,
                "kid": self.kid,
                "sig_sha256": self.sig_sha256,
            }
        )

    def hash(self) -> bytes:
        """Return the leaf hash in the log's tree, 32 bytes."""
        return hash_leaf(self.text())

    @property
    def anchor(self) -> str:
        """`vajra://txid/<hex of the leaf hash>`."""
        return ANCHOR_PREFIX + self.hash().hex()


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record, its signature (3,309 bytes) and the entry that the log is to take."""

    record: Record
    signature: bytes
    leaf: Leaf


def sign_record(record: Record, signer: NamedKey) -> SignedRecord:
    """Sign `record` under its type as context."""
    signature = signer.key.sign(record.canonical, record.type.encode())
    leaf = Leaf(record.type, record.audit_hash, signer.kid, sha256_text(signature))
    return SignedRecord(record, signature, leaf)


def parse_anchor(anchor: str) -> bytes:
    """Return the leaf hash that an anchor names; BadRecordError for another text."""
    digest = anchor.removeprefix(ANCHOR_PREFIX)
    if anchor == digest or _HASH.fullmatch(f"sha256:{digest}") is None:
        message = f"{anchor!r} is not of the form {ANCHOR_PREFIX}<64 hex digits>"
        raise BadRecordError(message)
    return bytes.fromhex(digest)


def require_type(value: object) -> str:
    """Return `value` if it names a kind of record, such as `qmumma.result/v1`; BadRecordError otherwise."""
    if not isinstance(value, str) or len(value) > _TYPE_CHARACTERS_MAX or _TYPE.fullmatch(value) is None:
        message = f"a record's type looks like {RESULT_TYPE}, not {value!r}"
        raise BadRecordError(message)
    return value


def _require_hash(value: object) -> str:
    if not isinstance(value, str) or _HASH.fullmatch(value) is None:
        message = f"{value!r} is not of the form sha256:<64 hex digits>"
        raise BadRecordError(message)
    return value


def _exact_integer(digits: str) -> int | float:
    """RFC 8785 writes a double of 2^53 and more as an integer; read it back as the double it is."""
    number = int(digits)
    return number if abs(number) <= _SAFE_INTEGER else float(digits)
