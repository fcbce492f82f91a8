"""Finding the signing key in a JSON Web Key Set (RFC 7517, RFC 9964)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

from qmumma.exact import Json, UnreadableError, canonical, parse_object

_KIND = {"kty": "AKP", "alg": "ML-DSA-65"}
_PUBLIC_BYTES = 1952


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public ML-DSA-65 key that a key id stands for, and its RFC 7638 thumbprint."""

    kid: str
    public: bytes
    thumbprint: str

    def verifies(self, message: bytes, signature: bytes, context: bytes) -> bool:
        """Tell whether `signature` is this key's over `message` under `context`."""
        try:
            MLDSA65PublicKey.from_public_bytes(self.public).verify(signature, message, context)
        except InvalidSignature:
            return False
        return True


def parse_jwks(data: bytes, name: str) -> tuple[dict[str, Json], ...]:
    """Read the members of every key in the file called `name`; UnreadableError unless it is a key set."""
    keys = parse_object(data, name).get("keys")
    if not isinstance(keys, list):
        message = f"{name}: must have a list `keys`"
        raise UnreadableError(message)
    return tuple(key for key in keys if isinstance(key, dict))


def find_key(keys: tuple[dict[str, Json], ...], kid: str) -> SigningKey:
    """Return the one key called `kid`; ValueError saying what is wrong with it or that it is not there."""
    named = [key for key in keys if key.get("kid") == kid]
    if len(named) != 1:
        message = f"must hold one key called {kid}, not {len(named)}"
        raise ValueError(message)
    (key,) = named
    for member, expected in _KIND.items():
        if key.get(member) != expected:
            message = f"{kid}: {member} must be {expected}"
            raise ValueError(message)
    if key.get("use", "sig") != "sig":
        message = f"{kid}: use must be sig"
        raise ValueError(message)
    public = _decode_base64url(key.get("pub"))
    if public is None or len(public) != _PUBLIC_BYTES:
        message = f"{kid}: pub must be base64url of {_PUBLIC_BYTES} bytes"
        raise ValueError(message)
    digest = hashlib.sha256(canonical({**_KIND, "pub": key["pub"]})).digest()
    return SigningKey(kid, public, _encode_base64url(digest))


def _encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode_base64url(text: Json) -> bytes | None:
    """Decode base64url without padding; None unless re-encoding gives the same text."""
    if not isinstance(text, str):
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if _encode_base64url(data) == text else None
