r"""Signed notes (C2SP signed-note): a text, a blank line, and one line for each signature.

A key has a name and a type. Ed25519 has the type byte 0x01. C2SP has assigned none to ML-DSA-65 as of this
writing, so it takes the escape 0xff and the identifier `qmumma/ML-DSA-65`, which is also the signature's context:

    key id = SHA-256(name || "\n" || type || public key)[:4]
    vkey   = name + "+" + hex(key id) + "+" + base64(type || public key)
    line   = "— " + name + " " + base64(key id || signature) + "\n"
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.signing.mldsa import Provider, SigningKey

ED25519_TYPE = b"\x01"
MLDSA_CONTEXT = b"qmumma/ML-DSA-65"
MLDSA_TYPE = b"\xff" + MLDSA_CONTEXT

_DASH = "\N{EM DASH} "
_KEY_ID_BYTES = 4
_NOTE_BYTES_MAX = 256 * 1024


class BadNoteError(ValueError):
    """The text is no signed note, or no key of one; the message names the line."""


@dataclass(frozen=True, slots=True)
class NoteKey:
    """The public key of a signer of notes: its name, its type bytes and the key itself."""

    name: str
    type: bytes
    public: bytes

    def __post_init__(self) -> None:
        """Refuse a name that could not stand in a signature line."""
        if not self.name or "+" in self.name or any(not mark.isprintable() or mark.isspace() for mark in self.name):
            message = f"{self.name!r} cannot name a key: it is empty, or has a space, a plus or a control character"
            raise BadNoteError(message)

    @property
    def id(self) -> bytes:
        """The four bytes that, with the name, tell which key made a signature."""
        digest = hashlib.sha256(self.name.encode() + b"\n" + self.type + self.public)
        return digest.digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as one line of text."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self.type + self.public).decode('ascii')}"


class NoteSigner(Protocol):
    """A key that signs notes."""

    @property
    def key(self) -> NoteKey:
        """The public key."""

    def sign(self, text: bytes) -> bytes:
        """Return the raw signature over a note's text."""


class Ed25519Signer:
    """Signs notes with Ed25519 (RFC 8032)."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = NoteKey(name, ED25519_TYPE, self._private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._private.sign(text)


class MlDsaSigner:
    """Signs notes with ML-DSA-65."""

    def __init__(self, name: str, signing_key: SigningKey) -> None:
        self._private = signing_key
        self.key = NoteKey(name, MLDSA_TYPE, signing_key.public)

    def sign(self, text: bytes) -> bytes:
        """Return the signature, 3,309 bytes."""
        return self._private.sign(text, MLDSA_CONTEXT)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature of a note: who, under which key id (4 bytes), and the raw signature."""

    name: str
    key_id: bytes
    signature: bytes

    def render(self) -> str:
        """Write the line, newline included."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends in a newline, and the signatures under it."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def render(self) -> str:
        """Write the note."""
        return self.text + "\n" + "".join(line.render() for line in self.signatures)

    def signed_by(self, key: NoteKey, provider: Provider) -> bool:
        """Tell whether the note has lines of `key` and every one of them holds."""
        lines = [line for line in self.signatures if (line.name, line.key_id) == (key.name, key.id)]
        text = self.text.encode()
        return bool(lines) and all(_holds(key, text, line.signature, provider) for line in lines)

    def with_signature(self, signer: NoteSigner) -> SignedNote:
        """Add one signer's line, as a witness does."""
        return SignedNote(self.text, (*self.signatures, _sign_line(self.text, signer)))


def sign_note(text: str, signers: Sequence[NoteSigner]) -> SignedNote:
    """Sign `text`, which must end in a newline and have no other control character, with every signer in order."""
    _require_text(text)
    return SignedNote(text, tuple(_sign_line(text, signer) for signer in signers))


def parse_note(note: str) -> SignedNote:
    """Read a signed note; BadNoteError unless `render` would write the same characters."""
    _require_text(note)
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines:
        message = "a signed note ends in a blank line and signature lines"
        raise BadNoteError(message)
    parsed = SignedNote(text + "\n", tuple(parse_line(line) for line in lines.removesuffix("\n").split("\n")))
    if parsed.render() != note:
        message = "a signature line is not in its one canonical form"
        raise BadNoteError(message)
    return parsed


def _sign_line(text: str, signer: NoteSigner) -> SignatureLine:
    return SignatureLine(signer.key.name, signer.key.id, signer.sign(text.encode()))


def _require_text(text: str) -> None:
    if not text.endswith("\n") or len(text) > _NOTE_BYTES_MAX:
        message = f"a note ends in a newline and has at most {_NOTE_BYTES_MAX} characters"
        raise BadNoteError(message)
    if any(mark < " " and mark != "\n" for mark in text):
        message = "a note has no control characters but newlines"
        raise BadNoteError(message)


def parse_line(line: str) -> SignatureLine:
    """Read one signature line without its end; BadNoteError for another text."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        signature = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    if not line.startswith(_DASH) or not name or not space or len(signature) <= _KEY_ID_BYTES:
        message = f"not a signature line: {line[:60]!r}"
        raise BadNoteError(message)
    return SignatureLine(name, signature[:_KEY_ID_BYTES], signature[_KEY_ID_BYTES:])


def _holds(key: NoteKey, text: bytes, signature: bytes, provider: Provider) -> bool:
    if key.type == MLDSA_TYPE:
        return provider.verifying_key(key.public).verify(text, signature, MLDSA_CONTEXT)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
    except InvalidSignature:
        return False
    return True
