"""Reading a signed answer and its proof: each member is there, of its type and in its one form, or is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from qmumma.exact import Json, UnkeptNumberError, UnreadableError, canonical, parse_object
from qmumma.kinds import Kind, kind_of
from qmumma.note import Checkpoint, decode_base64, parse_checkpoint

ANCHOR_PREFIX = "vajra://txid/"

_PROOF_MEMBERS = {"leaf", "leaf_index", "tree_size", "inclusion", "inclusion_digests", "checkpoint", "digests"}
_LEAF_MEMBERS = {"v", "type", "audit_hash", "kid", "sig_sha256"}
_TYPE = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9_]+)+/v[1-9][0-9]*")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SIGNATURE_BYTES = 3309
_HASH_BYTES = 32
_SIZE_MAX = 2**53 - 1

T = TypeVar("T")


class MalformedError(ValueError):
    """A member is missing or not in its form; `place` is its path, such as `proof.inclusion[3]`."""

    def __init__(self, detail: str, place: str = "") -> None:
        super().__init__(detail)
        self.place = place


@dataclass(frozen=True, slots=True)
class Leaf:
    """The log's entry, and the text it was read from."""

    text: str
    type: str
    audit_hash: str
    kid: str
    sig_sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signed answer in the parts that are checked against each other. `record` includes the member `type`."""

    kind: Kind
    answer: dict[str, Json]
    """All of its members."""
    record: dict[str, Json]
    signature: bytes
    key_id: str
    audit_hash: str
    anchor: str
    leaf: Leaf
    leaf_index: int
    tree_size: int
    inclusion: tuple[bytes, ...]
    inclusion_digests: tuple[str, ...]
    checkpoint: Checkpoint
    digests: dict[str, str]


def read_evidence(data: bytes, name: str) -> Evidence:
    """Read the answer in the file called `name`.

    Raises MalformedError naming the first member that is missing or not in its form, UnreadableError when the file
    is not a JSON object.
    """
    try:
        members = parse_object(data, name)
    except UnkeptNumberError as fault:
        message = f"{fault.literal} is no number that a signed record can hold, so it was changed"
        raise MalformedError(message, fault.place) from None
    if "proof" not in members:
        message = "missing: this is no signed answer with its proof, such as GET /v1/jobs/{id}?include=proof gives"
        raise MalformedError(message, "proof")
    kind = kind_of(_take(members, "type", _type))
    signature = _take(members, "pqc_signature", _signature)
    key_id = _take(members, "key_id", _text)
    audit_hash = _take(members, "audit_hash", _hash_text)
    anchor = _take(members, "blockchain_anchor", _anchor)
    proof = _take(members, "proof", _object)
    if others := sorted(proof.keys() - _PROOF_MEMBERS):
        message = "not a member of a proof"
        raise MalformedError(message, f"proof.{others[0]}")
    return Evidence(
        kind=kind,
        answer=members,
        record=kind.record(members),
        signature=signature,
        key_id=key_id,
        audit_hash=audit_hash,
        anchor=anchor,
        leaf=_take(proof, "leaf", _leaf, "proof."),
        leaf_index=_take(proof, "leaf_index", _count, "proof."),
        tree_size=_take(proof, "tree_size", _count, "proof."),
        inclusion=_take(proof, "inclusion", _hashes, "proof."),
        inclusion_digests=_take(proof, "inclusion_digests", _hash_texts, "proof."),
        checkpoint=_take(proof, "checkpoint", _checkpoint, "proof."),
        digests=_take(proof, "digests", _digests, "proof."),
    )


def _type(value: Json) -> str:
    if _TYPE.fullmatch(_text(value)) is None:
        message = "must name a type of record, such as qmumma.result/v1"
        raise MalformedError(message)
    return _text(value)


def _take(members: dict[str, Json], name: str, read: Callable[[Json], T], prefix: str = "") -> T:
    """Return `read` of a member; MalformedError with its whole path when it is missing or malformed."""
    if name not in members:
        message = "missing"
        raise MalformedError(message, prefix + name)
    try:
        return read(members[name])
    except MalformedError as error:
        raise MalformedError(str(error), prefix + name + error.place) from None
    except ValueError as error:
        raise MalformedError(str(error), prefix + name) from None


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        message = "must be an object"
        raise MalformedError(message)
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        message = "must be a list"
        raise MalformedError(message)
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str) or not value:
        message = "must be text"
        raise MalformedError(message)
    return value


def _count(value: Json) -> int:
    if type(value) is not int or not 0 <= value <= _SIZE_MAX:
        message = "must be a whole number from 0"
        raise MalformedError(message)
    return value


def _bytes(value: Json, length: int) -> bytes:
    data = decode_base64(_text(value), "it")
    if len(data) != length:
        message = f"must have {length} bytes, not {len(data)}"
        raise MalformedError(message)
    return data


def _signature(value: Json) -> bytes:
    return _bytes(value, _SIGNATURE_BYTES)


def _hash_text(value: Json) -> str:
    if _HASH.fullmatch(_text(value)) is None:
        message = "must be sha256: and 64 hex digits"
        raise MalformedError(message)
    return _text(value)


def _anchor(value: Json) -> str:
    text = _text(value)
    if not text.startswith(ANCHOR_PREFIX) or _HASH.fullmatch(f"sha256:{text.removeprefix(ANCHOR_PREFIX)}") is None:
        message = f"must be {ANCHOR_PREFIX} and 64 hex digits"
        raise MalformedError(message)
    return text


def _each(items: list[Json], read: Callable[[Json], T]) -> tuple[T, ...]:
    taken = []
    for number, item in enumerate(items):
        try:
            taken.append(read(item))
        except ValueError as error:
            raise MalformedError(str(error), place=f"[{number}]") from None
    return tuple(taken)


def _hashes(value: Json) -> tuple[bytes, ...]:
    return _each(_list(value), lambda item: _bytes(item, _HASH_BYTES))


def _hash_texts(value: Json) -> tuple[str, ...]:
    return _each(_list(value), _hash_text)


def _digests(value: Json) -> dict[str, str]:
    digests = {}
    for name, item in _object(value).items():
        try:
            digests[name] = _hash_text(item)
        except ValueError as error:
            raise MalformedError(str(error), place=f".{name}") from None
    return digests


def _checkpoint(value: Json) -> Checkpoint:
    return parse_checkpoint(_text(value))


def _leaf(value: Json) -> Leaf:
    text = _text(value)
    try:
        members = parse_object(text.encode(), "the entry")
    except UnreadableError as error:
        raise MalformedError(str(error)) from None
    if members.keys() != _LEAF_MEMBERS or canonical(members) != text.encode():
        message = f"must be the RFC 8785 form of {', '.join(sorted(_LEAF_MEMBERS))}"
        raise MalformedError(message)
    if _count(members["v"]) != 1:
        message = "must have v 1"
        raise MalformedError(message)
    return Leaf(
        text,
        _type(members["type"]),
        _hash_text(members["audit_hash"]),
        _text(members["kid"]),
        _hash_text(members["sig_sha256"]),
    )
