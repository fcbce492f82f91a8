"""Seeds at rest: AES-256-GCM under a key-encryption key, bound to the key's id.

A wrapped seed is `0x01 || nonce (12) || ciphertext (32) || tag (16)`, 61 bytes; the additional data is the id,
so a row that was moved to another id does not open. Nothing here shows a secret in its repr or in an error.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.signing.mldsa import SEED_BYTES, require_length

WRAPPED_BYTES = 61

_FORMAT = b"\x01"
NONCE_BYTES = 12
_KEY_BYTES = 32


class CustodyError(RuntimeError):
    """A key-encryption key cannot be read, or a wrapped seed cannot be opened."""


class Seed:
    """32 secret bytes. `reveal` is the only way to them."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        require_length("a seed", value, SEED_BYTES)
        self._value = bytes(value)

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> Seed:
        """Draw a new seed; `random(n)` returns n bytes."""
        return cls(random(SEED_BYTES))

    def reveal(self) -> bytes:
        """Return the secret bytes."""
        return self._value

    def __repr__(self) -> str:
        """Hide the value."""
        return "Seed(<32 secret bytes>)"

    def __reduce__(self) -> str:
        """Refuse to be pickled."""
        message = "a seed is not pickled"
        raise TypeError(message)


class Wrapping(Protocol):
    """What wraps seeds: a key in memory, or one that never leaves a token."""

    def wrap(self, seed: Seed, key_id: str) -> bytes:
        """Encrypt `seed` for storage under `key_id`, 61 bytes."""

    def unwrap(self, wrapped: bytes, key_id: str) -> Seed:
        """Open what `wrap` made; CustodyError when the key, the id or one bit of it is another."""


class KeyEncryptionKey:
    """A 256-bit AES key in memory that wraps seeds."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        require_length("a key-encryption key", key, _KEY_BYTES)
        self._cipher = AESGCM(key)

    @classmethod
    def from_text(cls, text: str, origin: str) -> KeyEncryptionKey:
        """Decode 32 bytes in base64 or base64url, padded or not; CustodyError naming `origin` otherwise."""
        standard = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
        try:
            key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
            return cls(key)
        except (binascii.Error, ValueError):
            message = f"{origin} must hold the base64 of {_KEY_BYTES} bytes"
            raise CustodyError(message) from None

    @classmethod
    def from_file(cls, path: Path) -> KeyEncryptionKey:
        """Read the key from a file that other users cannot read."""
        try:
            mode = path.stat().st_mode
            text = path.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            message = f"the key-encryption key file {path} cannot be read: {type(error).__name__}"
            raise CustodyError(message) from None
        if mode & stat.S_IRWXO:
            message = f"the key-encryption key file {path} is open to other users; make it mode 0600"
            raise CustodyError(message)
        return cls.from_text(text, str(path))

    @classmethod
    def from_environment(cls, name: str, environment: Mapping[str, str]) -> KeyEncryptionKey:
        """Read the key from the variable `name`."""
        if name not in environment:
            message = f"the environment variable {name} is not set"
            raise CustodyError(message)
        return cls.from_text(environment[name], f"the environment variable {name}")

    def wrap(self, seed: Seed, key_id: str, random: Callable[[int], bytes] = os.urandom) -> bytes:
        """Encrypt `seed` for storage under `key_id`; `random(n)` must never return the same nonce twice."""
        nonce = random(NONCE_BYTES)
        return join(nonce, self._cipher.encrypt(nonce, seed.reveal(), key_id.encode()))

    def unwrap(self, wrapped: bytes, key_id: str) -> Seed:
        """Open what `wrap` made; CustodyError when the key, the id or one bit of it is another."""
        nonce, ciphertext = split(wrapped, key_id)
        try:
            return Seed(self._cipher.decrypt(nonce, ciphertext, key_id.encode()))
        except InvalidTag:
            raise does_not_open(key_id) from None

    def __repr__(self) -> str:
        """Hide the key."""
        return "KeyEncryptionKey(<secret>)"


def join(nonce: bytes, ciphertext: bytes) -> bytes:
    """A wrapped seed from its parts; the ciphertext ends in the tag."""
    return _FORMAT + nonce + ciphertext


def split(wrapped: bytes, key_id: str) -> tuple[bytes, bytes]:
    """The nonce, and the ciphertext with its tag, of a wrapped seed; CustodyError for another format."""
    if len(wrapped) != WRAPPED_BYTES or wrapped[:1] != _FORMAT:
        message = f"the wrapped seed of {key_id} has an unknown format"
        raise CustodyError(message)
    return wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]


def does_not_open(key_id: str) -> CustodyError:
    """What to raise where a tag does not fit."""
    return CustodyError(f"the seed of {key_id} does not open: another key-encryption key, another id, or altered bytes")
