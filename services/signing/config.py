"""What signing is told at its start."""

from __future__ import annotations

from pathlib import Path

from mesh.config import MeshConfig
from services.signing.mldsa import ProviderName

KEY_ENVIRONMENT = "QMUMMA_SIGNING_KEY_ENCRYPTION_KEY"
"""The environment variable that holds the key-encryption key where no file is configured."""


class SigningConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the signing process."""

    origin: str = "qmumma.local/log"
    """The log's name, the first line of its checkpoints and the name of its keys. It can never change."""
    key_encryption_key_file: Path | None = None
    """Holds the base64 of the 32 bytes that open every seed, mode 0600; without it, the environment variable does."""
    signature_provider: ProviderName = "auto"
    """Who signs: `openssl`, `oqs`, or `auto` for liboqs where it is installed and OpenSSL elsewhere."""
