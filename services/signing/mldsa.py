"""ML-DSA-65 (FIPS 204, pure, with a context) behind one small interface.

Two providers satisfy it: `OpenSsl` here, always present, and `LibOqs` in `services.signing.liboqs`, several
times faster where its shared library is installed. Both expand the same 32-byte seed to the same key (FIPS 204,
algorithm 1) and both hedge their signatures, so signing one message twice gives two signatures.

A key object is costly to make (about a third of a signature); make it once and keep it.
"""

from __future__ import annotations

from typing import Literal, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

ALGORITHM = "ML-DSA-65"
SEED_BYTES = 32
PUBLIC_BYTES = 1952
SIGNATURE_BYTES = 3309
CONTEXT_BYTES_MAX = 255

ProviderName = Literal["auto", "openssl", "oqs"]


class ProviderMissingError(RuntimeError):
    """The provider asked for is not installed on this machine; the message says what is missing."""


class SigningKey(Protocol):
    """A private key, expanded and ready."""

    @property
    def public(self) -> bytes:
        """The public key, 1,952 bytes."""

    def sign(self, message: bytes, context: bytes) -> bytes:
        """Return a hedged signature of 3,309 bytes; ValueError when `context` is longer than 255 bytes."""


class VerifyingKey(Protocol):
    """A public key, parsed and ready."""

    def verify(self, message: bytes, signature: bytes, context: bytes) -> bool:
        """Tell whether `signature` is one of this key over `message` under `context`."""


class Provider(Protocol):
    """One implementation of ML-DSA-65."""

    @property
    def name(self) -> str:
        """What an operator writes to choose it: `openssl` or `oqs`."""

    def signing_key(self, seed: bytes) -> SigningKey:
        """Expand a 32-byte seed; ValueError for another length."""

    def verifying_key(self, public: bytes) -> VerifyingKey:
        """Parse a 1,952-byte public key; ValueError for another length."""


def require_length(what: str, value: bytes, length: int) -> None:
    """Raise ValueError naming `what` unless `value` has exactly `length` bytes. Never quotes the value."""
    if len(value) != length:
        message = f"{what} must have {length} bytes, not {len(value)}"
        raise ValueError(message)


def require_context(context: bytes) -> None:
    """Raise ValueError when `context` is longer than FIPS 204 allows (255 bytes)."""
    if len(context) > CONTEXT_BYTES_MAX:
        message = f"a context has at most {CONTEXT_BYTES_MAX} bytes, not {len(context)}"
        raise ValueError(message)


class OpenSslSigningKey:
    """A private key held by OpenSSL; its repr shows nothing of it."""

    __slots__ = ("_key", "_public")

    def __init__(self, seed: bytes) -> None:
        require_length("an ML-DSA seed", seed, SEED_BYTES)
        self._key = MLDSA65PrivateKey.from_seed_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()

    @property
    def public(self) -> bytes:
        """The public key, 1,952 bytes."""
        return self._public

    def sign(self, message: bytes, context: bytes) -> bytes:
        """Return a hedged signature of 3,309 bytes."""
        require_context(context)
        return self._key.sign(message, context)


class OpenSslVerifyingKey:
    """A public key held by OpenSSL."""

    __slots__ = ("_key",)

    def __init__(self, public: bytes) -> None:
        require_length("an ML-DSA-65 public key", public, PUBLIC_BYTES)
        self._key = MLDSA65PublicKey.from_public_bytes(public)

    def verify(self, message: bytes, signature: bytes, context: bytes) -> bool:
        """Tell whether `signature` is one of this key over `message` under `context`."""
        if len(context) > CONTEXT_BYTES_MAX:
            return False
        try:
            self._key.verify(signature, message, context)
        except InvalidSignature:
            return False
        return True


class OpenSsl:
    """ML-DSA-65 from the OpenSSL inside the `cryptography` wheel."""

    name = "openssl"

    def signing_key(self, seed: bytes) -> OpenSslSigningKey:
        """Expand a 32-byte seed."""
        return OpenSslSigningKey(seed)

    def verifying_key(self, public: bytes) -> OpenSslVerifyingKey:
        """Parse a 1,952-byte public key."""
        return OpenSslVerifyingKey(public)
