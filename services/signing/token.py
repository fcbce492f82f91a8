"""A key-encryption key that stays in a PKCS#11 token: seeds go in to be wrapped, and come out opened.

The token does the AES-256-GCM, in the format of `services.signing.custody`, so that seeds can move from a file to a
token and back. The key is made by the operator (docs/signing.md) and found by its label; nothing here makes, changes
or reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from services.signing.custody import NONCE_BYTES, CustodyError, Seed, does_not_open, join, split

_KEY_BITS = 256
_TAG_BITS = 128


class TokenConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A key in a PKCS#11 token."""

    module: Path
    """The token's PKCS#11 library, such as /usr/lib/softhsm/libsofthsm2.so."""
    token: str
    """The token's label."""
    key: str
    """The label of the AES key of 256 bits."""
    pin_file: Path
    """Holds the user's PIN."""


class TokenKey:
    """An AES-256 key inside a token. Each operation has a session of its own."""

    def __init__(self, config: TokenConfig, random: Callable[[int], bytes] = os.urandom) -> None:
        """Find the key; CustodyError saying what is missing. `random(n)` must never return the same nonce twice."""
        import pkcs11.exceptions  # noqa: PLC0415 - only an operator with a token pays for it

        self._pkcs11 = pkcs11
        self._config = config
        self._random = random
        try:
            self._pin = config.pin_file.read_text("ascii").strip()
            self._token: Any = pkcs11.lib(str(config.module)).get_token(token_label=config.token)
        except OSError as error:
            message = f"the PIN file {config.pin_file} cannot be read: {type(error).__name__}"
            raise CustodyError(message) from None
        except pkcs11.exceptions.NoSuchToken:
            message = f"{config.module} has no token {config.token!r}"
            raise CustodyError(message) from None
        except (RuntimeError, pkcs11.PKCS11Error) as error:
            message = f"the PKCS#11 library {config.module} does not load: {_said(error)}"
            raise CustodyError(message) from None
        with self._opened() as key:
            if key.key_length != _KEY_BITS:
                message = f"the key {config.key!r} in the token has {key.key_length} bits, not {_KEY_BITS}"
                raise CustodyError(message)

    def wrap(self, seed: Seed, key_id: str) -> bytes:
        """Encrypt `seed` for storage under `key_id`."""
        nonce = self._random(NONCE_BYTES)
        with self._opened() as key:
            return join(nonce, bytes(key.encrypt(seed.reveal(), **self._mechanism(nonce, key_id))))

    def unwrap(self, wrapped: bytes, key_id: str) -> Seed:
        """Open what `wrap` made; CustodyError when the key, the id or one bit of it is another."""
        nonce, ciphertext = split(wrapped, key_id)
        with self._opened(refused=does_not_open(key_id)) as key:
            return Seed(bytes(key.decrypt(ciphertext, **self._mechanism(nonce, key_id))))

    def _mechanism(self, nonce: bytes, key_id: str) -> dict[str, Any]:
        parameters = self._pkcs11.GCMParams(nonce, key_id.encode(), _TAG_BITS)
        return {"mechanism": self._pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}

    @contextmanager
    def _opened(self, refused: CustodyError | None = None) -> Iterator[Any]:
        """The key for one operation; what the token says goes into a CustodyError, or `refused` is raised."""
        config, pkcs11 = self._config, self._pkcs11
        try:
            session = self._token.open(user_pin=self._pin)
        except pkcs11.PKCS11Error as error:
            message = f"the token {config.token!r} cannot be opened: {_said(error)}"
            raise CustodyError(message) from None
        with session:
            try:
                key = session.get_key(pkcs11.ObjectClass.SECRET_KEY, pkcs11.KeyType.AES, label=config.key)
            except pkcs11.PKCS11Error as error:
                message = f"the token {config.token!r} has no one AES key {config.key!r}: {_said(error)}"
                raise CustodyError(message) from None
            try:
                yield key
            except pkcs11.PKCS11Error as error:
                message = f"the token {config.token!r} failed: {_said(error)}"
                raise (refused or CustodyError(message)) from None

    def __repr__(self) -> str:
        """Name the key."""
        return f"TokenKey({self._config.token!r}, {self._config.key!r})"


def _said(error: Exception) -> str:
    """What a PKCS#11 error means: its class says it, its text is often empty."""
    return type(error).__name__ + (f" ({error})" if str(error) else "")
