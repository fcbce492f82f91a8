r"""Signed checkpoints of the log (C2SP signed-note and tlog-checkpoint) and the keys that vouch for them.

    vkey = name + "+" + hex(key id) + "+" + base64(type || public key)
    key id = SHA-256(name || "\n" || type || public key)[:4]

A log's keys are of the types 0x01, Ed25519 over the text, and 0xff `qmumma/ML-DSA-65`, ML-DSA-65 over the text with
that identifier as context. A witness's are of 0x04, Ed25519, and 0x06, ML-DSA-44, over the text and the time at
which it signed (C2SP tlog-cosignature).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey, MLDSA65PublicKey

from qmumma.exact import UnreadableError

_MLDSA_CONTEXT = b"qmumma/ML-DSA-65"
_LOG_TYPES = {b"\x01": ("Ed25519", 32), b"\xff" + _MLDSA_CONTEXT: ("ML-DSA-65", 1952)}
ED25519_COSIGNATURE, MLDSA_COSIGNATURE = b"\x04", b"\x06"
_WITNESS_TYPES = {
    ED25519_COSIGNATURE: ("Ed25519 cosignature", 32),
    MLDSA_COSIGNATURE: ("ML-DSA-44 cosignature", 1312),
}
_TIMESTAMP_BYTES = 8
_LINE = re.compile("— (?P<name>[^ ]+) (?P<signature>[A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID_BYTES = 4
_ROOT_BYTES = 32


@dataclass(frozen=True, slots=True)
class LogKey:
    """A public key given to check checkpoints with: a log's, or a witness's where `algorithm` ends in cosignature."""

    name: str
    id: bytes
    algorithm: str
    public: bytes

    def __str__(self) -> str:
        """Name the key as people see it: its name, its id and its algorithm."""
        return f"{self.name}+{self.id.hex()} ({self.algorithm})"

    def verifies(self, checkpoint: Checkpoint, signature: bytes) -> bool:
        """Tell whether `signature` is this key's over `checkpoint`."""
        text = checkpoint.text.encode()
        time, rest = signature[:_TIMESTAMP_BYTES], signature[_TIMESTAMP_BYTES:]
        try:
            match self.algorithm:
                case "Ed25519":
                    Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
                case "ML-DSA-65":
                    MLDSA65PublicKey.from_public_bytes(self.public).verify(signature, text, _MLDSA_CONTEXT)
                case "Ed25519 cosignature":
                    message = ed25519_statement(int.from_bytes(time), checkpoint)
                    Ed25519PublicKey.from_public_bytes(self.public).verify(rest, message)
                case _:
                    message = mldsa_statement(self.name, int.from_bytes(time), checkpoint)
                    MLDSA44PublicKey.from_public_bytes(self.public).verify(rest, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """A line under a note: the signer's name, the key's id and the raw signature."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def timestamp(self) -> int:
        """When a witness signed, in seconds since 1970; means nothing in a line of the log."""
        return int.from_bytes(self.signature[:_TIMESTAMP_BYTES])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head, the text it was read from, and the signatures under it."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[SignatureLine, ...]

    def lines_of(self, key: LogKey) -> tuple[SignatureLine, ...]:
        """Return the lines that claim to be by `key`."""
        return tuple(line for line in self.signatures if (line.name, line.key_id) == (key.name, key.id))


def ed25519_statement(timestamp: int, checkpoint: Checkpoint) -> bytes:
    """What a witness signs with Ed25519."""
    return f"cosignature/v1\ntime {timestamp}\n{checkpoint.text}".encode()


def mldsa_statement(name: str, timestamp: int, checkpoint: Checkpoint) -> bytes:
    """What the witness called `name` signs with ML-DSA-44: the tree from its first leaf on."""
    witness, origin = name.encode(), checkpoint.origin.encode()
    head = b"subtree/v1\n\0" + bytes([len(witness)]) + witness + timestamp.to_bytes(8)
    return head + bytes([len(origin)]) + origin + bytes(8) + checkpoint.size.to_bytes(8) + checkpoint.root


def key_id(name: str, typed_key: bytes) -> bytes:
    """The four bytes that, with the name, tell whose line it is; `typed_key` begins with its type."""
    return hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:_KEY_ID_BYTES]


def parse_log_keys(text: str, name: str) -> tuple[LogKey, ...]:
    """Read vkeys, one a line, from the file called `name`; UnreadableError for a line that is none, or for no line."""
    return _parse_keys(text, name, _LOG_TYPES, "the log")


def parse_witness_keys(text: str, name: str) -> tuple[LogKey, ...]:
    """Read vkeys of witnesses, one a line; UnreadableError for a line that is none, or for no line."""
    return _parse_keys(text, name, _WITNESS_TYPES, "a witness")


def _parse_keys(text: str, name: str, types: Mapping[bytes, tuple[str, int]], whose: str) -> tuple[LogKey, ...]:
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                keys.append(_parse_vkey(line.strip(), types, whose))
            except ValueError as error:
                message = f"{name}: line {number}: {error}"
                raise UnreadableError(message) from None
    if not keys:
        message = f"{name}: holds no key of {whose}"
        raise UnreadableError(message)
    return tuple(keys)


def parse_checkpoint(note: str) -> Checkpoint:
    """Read a signed checkpoint; ValueError naming the line that is not in its one form."""
    lines = note.split("\n")
    if len(lines) < 6 or lines[3] or lines[-1]:  # noqa: PLR2004 - three lines, a blank, signatures, the end
        message = "must be an origin, a size, a root, an empty line and signature lines"
        raise ValueError(message)
    origin, size = lines[0], lines[1]
    if not origin or not origin.isprintable():
        message = "line 1 (origin) must be printable text"
        raise ValueError(message)
    if _SIZE.fullmatch(size) is None:
        message = "line 2 (size) must be a decimal number"
        raise ValueError(message)
    root = decode_base64(lines[2], "line 3 (root)")
    if len(root) != _ROOT_BYTES:
        message = f"line 3 (root) must have {_ROOT_BYTES} bytes"
        raise ValueError(message)
    signatures = tuple(_parse_line(line, number) for number, line in enumerate(lines[4:-1], 5))
    return Checkpoint("\n".join(lines[:3]) + "\n", origin, int(size), root, signatures)


def decode_base64(text: str, what: str) -> bytes:
    """Decode padded base64 (RFC 4648, section 4); ValueError naming `what` unless re-encoding gives the same text."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = None
    if data is None or base64.b64encode(data).decode("ascii") != text:
        message = f"{what} is not base64"
        raise ValueError(message)
    return data


def _parse_vkey(line: str, types: Mapping[bytes, tuple[str, int]], whose: str) -> LogKey:
    name, _, rest = line.partition("+")
    told, _, encoded = rest.partition("+")
    body = decode_base64(encoded, "the key")
    for type_bytes, (algorithm, length) in types.items():
        if body.startswith(type_bytes) and len(body) == len(type_bytes) + length:
            expected = key_id(name, body)
            if not name or told != expected.hex():
                message = f"the key id is {told or 'missing'}, but name and key give {expected.hex()}"
                raise ValueError(message)
            return LogKey(name, expected, algorithm, body[len(type_bytes) :])
    algorithms = " or ".join(algorithm for algorithm, _ in types.values())
    message = f"not an {algorithms} key of {whose}"
    raise ValueError(message)


def _parse_line(line: str, number: int) -> SignatureLine:
    match = _LINE.fullmatch(line)
    if match is None:
        message = f"line {number} is not a signature line"
        raise ValueError(message)
    signature = decode_base64(match["signature"], f"line {number} (signature)")
    if len(signature) <= _KEY_ID_BYTES:
        message = f"line {number} (signature) is too short"
        raise ValueError(message)
    return SignatureLine(match["name"], signature[:_KEY_ID_BYTES], signature[_KEY_ID_BYTES:])
