"""Secrets of API keys: how they look, how they are made, and what of them is stored.

    qm_live_sk_8x9zQ…    prefix of the environment, `sk_`, then 32 random bytes as 43 digits in base 62

Stored is HMAC-SHA-256 of the whole secret under the server's pepper. A secret has 256 bits of entropy, so no slow hash
is needed; a stolen table is of no use without the pepper, and the digest can be looked up by an index.

A pepper is replaced without a key lost: the new file is the current one and the old file stays among the older ones. A
key that is used is then stored under the current pepper; one that no key needs any more can go.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mesh.config import ConfigError
from services.accounts.key import Environment

PREFIXES = {
    Environment.LIVE: "qm_live_sk_",
    Environment.TEST: "qm_test_sk_",
    Environment.ENTERPRISE: "qm_ent_sk_",
}
RANDOM_BYTES = 32
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LENGTH = 43  # the least n with 62^n >= 2^256
_SHAPE = re.compile(r"qm_(?:live|test|ent)_sk_[0-9A-Za-z]{43}", re.ASCII)
_HINT_DIGITS = 4
_LEAST_PEPPER_BYTES = 32


class Pepper:
    """The server's own secret, which never shows itself."""

    def __init__(self, value: bytes) -> None:
        """Take at least 32 bytes; raises ValueError for fewer."""
        if len(value) < _LEAST_PEPPER_BYTES:
            raise ValueError(f"a pepper has at least {_LEAST_PEPPER_BYTES} bytes, not {len(value)}")
        self._value = value
        self.pepper_id = hmac.digest(value, b"q-mumma pepper id", hashlib.sha256)[:8].hex()
        """Names the pepper, and tells nothing of it."""

    @classmethod
    def read(cls, path: Path) -> Pepper:
        """The pepper in a file, byte by byte. Raises ConfigError where it cannot be read or is too short."""
        try:
            return cls(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot use the pepper file {path}: {error}") from None

    def digest(self, secret: str) -> bytes:
        """The 32 bytes that stand for a secret."""
        return hmac.digest(self._value, secret.encode(), hashlib.sha256)

    def __repr__(self) -> str:
        return "Pepper(…)"


@dataclass(frozen=True, slots=True)
class Digest:
    """What stands for a secret, and under which pepper."""

    value: bytes
    pepper_id: str


class Peppers:
    """The pepper of the moment, and older ones under which keys may still be stored."""

    def __init__(self, current: Pepper, *older: Pepper) -> None:
        """Store under `current`; know the others."""
        self.current = current
        self._older = older

    @classmethod
    def read(cls, current: Path, older: Iterable[Path] = ()) -> Peppers:
        """The peppers in these files; raises ConfigError."""
        return cls(Pepper.read(current), *map(Pepper.read, older))

    @property
    def ids(self) -> list[str]:
        """The ids of the peppers, the current one's first."""
        return [pepper.pepper_id for pepper in (self.current, *self._older)]

    def digest(self, secret: str) -> Digest:
        """What a secret is stored as."""
        return Digest(self.current.digest(secret), self.current.pepper_id)

    def digests(self, secret: str) -> list[bytes]:
        """What may stand for a secret, the current pepper's first."""
        return [pepper.digest(secret) for pepper in (self.current, *self._older)]


def make_secret(environment: Environment, random_bytes: Callable[[int], bytes]) -> str:
    """A new secret; `random_bytes` is a cryptographic source such as `secrets.token_bytes`."""
    return PREFIXES[environment] + _base62(random_bytes(RANDOM_BYTES))


def is_well_formed(secret: str) -> bool:
    """Whether a string could be a secret of ours."""
    return _SHAPE.fullmatch(secret) is not None


def hint(secret: str) -> str:
    """The start of a secret, for recognition: prefix and four digits, leaving 39 unknown."""
    prefix, sk, digits = secret.rpartition("sk_")
    return prefix + sk + digits[:_HINT_DIGITS]


def _base62(value: bytes) -> str:
    number = int.from_bytes(value)
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
