"""Secrets at rest: AES-256-GCM under a key-encryption key, bound to the place where they are kept.

A sealed secret is `0x01 || nonce (12) || ciphertext || tag (16)`. The additional data is `team|table|column|kid`, so
that a value which was moved to another team, or sealed under another key, does not open. Nothing here shows a secret in
its repr or in an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mesh.config import ConfigError

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class VaultError(RuntimeError):
    """A secret that does not open: another key, another row, or altered bytes."""


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret as it is kept, and the key that opens it."""

    sealed: bytes = field(repr=False)
    kid: str


class Vault:
    """A key-encryption key, which never shows itself."""

    __slots__ = ("_cipher", "kid")

    def __init__(self, key: bytes) -> None:
        """Take 32 bytes; raises ValueError for any other number."""
        if len(key) != _KEY_BYTES:
            raise ValueError(f"a key-encryption key has {_KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self.kid = hmac.digest(key, b"q-mumma key id", hashlib.sha256)[:8].hex()
        """Names the key, and tells nothing of it."""

    @classmethod
    def read(cls, path: Path) -> Vault:
        """The key in a file that other users cannot read, as base64; raises ConfigError."""
        try:
            mode, text = path.stat().st_mode, path.read_text("ascii")
            if mode & stat.S_IRWXO:
                raise ConfigError(f"the key-encryption key file {path} is open to other users; make it mode 0600")
            return cls(base64.b64decode(text.strip(), validate=True))
        except OSError as error:
            raise ConfigError(f"cannot read the key-encryption key file {path}: {error.strerror}") from None
        except (binascii.Error, ValueError):
            raise ConfigError(
                f"the key-encryption key file {path} must hold the base64 of {_KEY_BYTES} bytes"
            ) from None

    def seal(self, secret: bytes, team_id: str, place: str, random: Callable[[int], bytes] = os.urandom) -> bytes:
        """Encrypt for one team's row of `place`, "table|column"; `random(n)` never returns the same nonce twice."""
        nonce = random(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, secret, self._data(team_id, place))

    def open(self, sealed: bytes, team_id: str, place: str, kid: str) -> bytes:
        """What `seal` was given; raises VaultError where the key is another, or one bit of the row was changed."""
        if kid != self.kid:
            raise VaultError(f"a secret was sealed under the key {kid}, and the key here is {self.kid}")
        if not sealed.startswith(_FORMAT):
            raise VaultError("a sealed secret has an unknown format")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, self._data(team_id, place))
        except InvalidTag:
            raise VaultError("a sealed secret was altered or moved") from None

    def _data(self, team_id: str, place: str) -> bytes:
        return f"{team_id}|{place}|{self.kid}".encode()

    def __repr__(self) -> str:
        return "Vault(…)"
