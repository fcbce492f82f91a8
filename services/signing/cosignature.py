r"""Signatures of witnesses under a checkpoint (C2SP tlog-cosignature): Ed25519, type 0x04, and ML-DSA-44, type 0x06.

line    = "— " + name + " " + base64(key id || timestamp (8 bytes, seconds) || signature) + "\n"
Ed25519 = over "cosignature/v1\ntime " + timestamp + "\n" + the checkpoint's text
ML-DSA  = over "subtree/v1\n\0" || <name> || timestamp || <origin> || start (0) || size || root
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from services.signing.checkpoint import Checkpoint
from services.signing.note import BadNoteError, NoteKey, SignatureLine, parse_line

ED25519_TYPE = b"\x04"
MLDSA_TYPE = b"\x06"
_PUBLIC_BYTES = {ED25519_TYPE: 32, MLDSA_TYPE: 1312}
_TIMESTAMP_BYTES = 8


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One line of a witness, and the key that it is of."""

    key: NoteKey
    line: SignatureLine

    @property
    def timestamp(self) -> int:
        """When the witness signed, in seconds since 1970."""
        return int.from_bytes(self.line.signature[:_TIMESTAMP_BYTES])

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether it is a signature of the key over this checkpoint."""
        signature = self.line.signature[_TIMESTAMP_BYTES:]
        message = signed_message(self.key, self.timestamp, checkpoint)
        try:
            if self.key.type == ED25519_TYPE:
                Ed25519PublicKey.from_public_bytes(self.key.public).verify(signature, message)
            else:
                MLDSA44PublicKey.from_public_bytes(self.key.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def signed_message(key: NoteKey, timestamp: int, checkpoint: Checkpoint) -> bytes:
    """What a witness signs with a key of this type."""
    if key.type == ED25519_TYPE:
        return f"cosignature/v1\ntime {timestamp}\n{checkpoint.text()}".encode()
    name, origin = key.name.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes([len(name)]),
            name,
            timestamp.to_bytes(8),
            bytes([len(origin)]),
            origin,
            (0).to_bytes(8),
            checkpoint.size.to_bytes(8),
            checkpoint.root,
        )
    )


def read_cosignatures(lines: Sequence[str], vkeys: Sequence[str]) -> list[Cosignature]:
    """The lines with their keys; BadNoteError for a line or key that is none, or a line without a key."""
    keys = {(key.name, key.id): key for key in map(parse_vkey, vkeys)}
    parsed = [parse_line(line) for line in lines]
    for line in parsed:
        if (line.name, line.key_id) not in keys or len(line.signature) <= _TIMESTAMP_BYTES:
            message = f"the line of {line.name} is of none of the keys"
            raise BadNoteError(message)
    return [Cosignature(keys[line.name, line.key_id], line) for line in parsed]


def parse_vkey(text: str) -> NoteKey:
    """A witness's key from its vkey; BadNoteError for another text."""
    name, _, rest = text.partition("+")
    try:
        body = base64.b64decode(rest.partition("+")[2], validate=True)
    except (binascii.Error, ValueError):
        body = b""
    if len(body) == 1 + _PUBLIC_BYTES.get(body[:1], -1):
        key = NoteKey(name, body[:1], body[1:])
        if key.vkey == text and len(name.encode()) < 256:  # noqa: PLR2004 - its length is one byte of what is signed
            return key
    message = f"{text[:60]!r} is no vkey of a witness"
    raise BadNoteError(message)
