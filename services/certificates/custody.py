"""The key-encryption key of the seals' private keys."""

from __future__ import annotations

import base64
import binascii
import stat
from pathlib import Path

from mesh.config import ConfigError

KEY_BYTES = 32


def read_key(path: Path) -> bytes:
    """The key in a file that other users cannot read, as base64; raises ConfigError."""
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise ConfigError(f"{path} is open to other users; make it mode 0600")
        key = base64.b64decode(path.read_text("ascii").strip(), validate=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} must hold the base64 of {KEY_BYTES} bytes")
    return key
