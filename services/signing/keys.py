"""Names and public faces of record-signing keys: `vajra-YYYY-NN`, and the JWK of each (RFC 9964)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

import msgspec
import rfc8785

from services.signing.mldsa import ALGORITHM, PUBLIC_BYTES, SigningKey, require_length

KeyId = NewType("KeyId", str)

_KEY_ID = re.compile(r"vajra-(?P<year>[0-9]{4})-(?P<number>[0-9]{2})")
_NUMBER_MAX = 99


class BadKeyIdError(ValueError):
    """The text is no key id of the form `vajra-YYYY-NN`."""


def parse_key_id(text: str) -> KeyId:
    """Return `text` as a key id, or raise BadKeyIdError."""
    match = _KEY_ID.fullmatch(text)
    if match is None or match["number"] == "00":
        message = f"{text!r} is not a key id of the form vajra-YYYY-NN"
        raise BadKeyIdError(message)
    return KeyId(text)


def next_key_id(year: int, existing: Iterable[KeyId]) -> KeyId:
    """Return the id after the highest of `year`; BadKeyIdError after the ninety-ninth key of a year."""
    prefix = f"vajra-{year:04d}-"
    number = 1 + max((int(kid.removeprefix(prefix)) for kid in existing if kid.startswith(prefix)), default=0)
    if number > _NUMBER_MAX:
        message = f"{year} has used all {_NUMBER_MAX} of its key ids"
        raise BadKeyIdError(message)
    return parse_key_id(f"{prefix}{number:02d}")


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """A public ML-DSA-65 key as a JSON Web Key (RFC 9964, section 3). `pub` is base64url without padding."""

    kty: str = "AKP"
    alg: str = ALGORITHM
    use: str = "sig"
    kid: KeyId
    pub: str

    def thumbprint(self) -> str:
        """SHA-256 thumbprint over alg, kty and pub (RFC 7638; members from RFC 9964), base64url without padding."""
        members = {"alg": self.alg, "kty": self.kty, "pub": self.pub}
        return encode_base64url(hashlib.sha256(rfc8785.dumps(members)).digest())


class Jwks(msgspec.Struct, frozen=True):
    """The body of /.well-known/jwks.json."""

    keys: tuple[Jwk, ...]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a named key; `public` has 1,952 bytes."""

    kid: KeyId
    public: bytes

    def __post_init__(self) -> None:
        """Refuse a key of another length with ValueError."""
        require_length("an ML-DSA-65 public key", self.public, PUBLIC_BYTES)

    def jwk(self) -> Jwk:
        """Render the key as a JWK."""
        return Jwk(kid=self.kid, pub=encode_base64url(self.public))


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A loaded signing key and its id."""

    kid: KeyId
    key: SigningKey

    def public_key(self) -> PublicKey:
        """Return the public half."""
        return PublicKey(self.kid, self.key.public)


def render_jwks(keys: Iterable[PublicKey]) -> bytes:
    """Render a JWKS document, in the order given."""
    return msgspec.json.encode(Jwks(tuple(key.jwk() for key in keys)))


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
