"""The witness's key: 32 random bytes in a file, from which an Ed25519 and an ML-DSA-44 key are derived (HKDF-SHA-256).

Signatures are those of C2SP tlog-cosignature, types 0x04 and 0x06.
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from qmumma.note import (
    ED25519_COSIGNATURE,
    MLDSA_COSIGNATURE,
    Checkpoint,
    ed25519_statement,
    key_id,
    mldsa_statement,
)

from services.witness.memory import FILE, Memory, MemoryFaultError, keep, load, write_durably

_KEY_FILE = "witness.key"
_SEED_BYTES = 32


class WitnessKey:
    """Signs checkpoints; its repr shows nothing of it."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Derive both keys of the witness called `name`."""
        self._name = name
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(_derive(seed, b"Ed25519"))
        self._mldsa = MLDSA44PrivateKey.from_seed_bytes(_derive(seed, b"ML-DSA-44"))
        self._publics = (
            ED25519_COSIGNATURE + self._ed25519.public_key().public_bytes_raw(),
            MLDSA_COSIGNATURE + self._mldsa.public_key().public_bytes_raw(),
        )

    @property
    def vkeys(self) -> list[str]:
        """The public keys, as verifiers are given them."""
        return [f"{self._name}+{key_id(self._name, key).hex()}+{_base64(key)}" for key in self._publics]

    def sign(self, checkpoint: Checkpoint, timestamp: int) -> list[str]:
        """The lines that say that, as of `timestamp` in seconds, this is the newest tree that was seen."""
        signatures = (
            self._ed25519.sign(ed25519_statement(timestamp, checkpoint)),
            self._mldsa.sign(mldsa_statement(self._name, timestamp, checkpoint)),
        )
        time = timestamp.to_bytes(8)
        return [
            f"— {self._name} {_base64(key_id(self._name, key) + time + signature)}"
            for key, signature in zip(self._publics, signatures, strict=True)
        ]


def open_key(folder: Path, name: str) -> WitnessKey:
    """The key in a folder, made with an empty memory at the first start; raises MemoryFaultError.

    The memory is made first and the key after it: a key without a memory is one that has lost it.
    """
    file = folder / _KEY_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            if (folder / FILE).exists() and load(folder).size:
                message = f"{file} is gone: restore it, or begin another witness in a new folder"
                raise MemoryFaultError(message)
            keep(folder, Memory())
            write_durably(file, base64.b64encode(os.urandom(_SEED_BYTES)) + b"\n")
            _write_public(folder, WitnessKey(name, _seed(file)))
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            message = f"{file} is open to other users; make it mode 0600"
            raise MemoryFaultError(message)
        return WitnessKey(name, _seed(file))
    except OSError as error:
        message = f"{folder} cannot be used: {error.strerror}"
        raise MemoryFaultError(message) from error


def _write_public(folder: Path, key: WitnessKey) -> None:
    (folder / "witness.vkey").write_text("".join(f"{vkey}\n" for vkey in key.vkeys))


def _seed(file: Path) -> bytes:
    try:
        seed = base64.b64decode(file.read_bytes().strip(), validate=True)
    except ValueError:
        seed = b""
    if len(seed) != _SEED_BYTES:
        message = f"{file} must hold the base64 of {_SEED_BYTES} bytes"
        raise MemoryFaultError(message)
    return seed


def _derive(seed: bytes, algorithm: bytes) -> bytes:
    return HKDF(SHA256(), _SEED_BYTES, salt=None, info=b"qmumma witness " + algorithm).derive(seed)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
