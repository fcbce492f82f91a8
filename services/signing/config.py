"""What signing is told at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mesh.config import MeshConfig
from services.signing.mldsa import ProviderName
from services.signing.token import TokenConfig

KEY_ENVIRONMENT = "QMUMMA_SIGNING_KEY_ENCRYPTION_KEY"
"""The environment variable that holds the key-encryption key where neither a file nor a token is configured."""
PREVIOUS_KEY_ENVIRONMENT = "QMUMMA_SIGNING_PREVIOUS_KEY_ENCRYPTION_KEY"
"""The environment variable that may hold the one before."""


class SigningConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the signing process."""

    origin: str = "qmumma.local/log"
    """The log's name, the first line of its checkpoints and the name of its keys. It can never change."""
    key_encryption_key_file: Path | None = None
    """Holds the base64 of the 32 bytes that open every seed, mode 0600; without it, the environment variable does."""
    key_encryption_token: TokenConfig | None = None
    """The key that opens every seed, where it stays in a PKCS#11 token."""
    previous_key_encryption_key_file: Path | None = None
    """What opened the seeds before: at the start they are wrapped with the new key. Take it away afterwards."""
    previous_key_encryption_token: TokenConfig | None = None
    """As the file, for a key in a token."""
    rotation_days: Annotated[int, Meta(ge=7, le=365)] | None = None
    """The age at which a key of records is followed by the next, without it only before it ends, after a year. A week
    at least: a year has 99 key ids."""
    timestamp_calendars: tuple[Annotated[str, Meta(pattern=r"^https?://[^\s]+$")], ...] = ()
    """OpenTimestamps calendars that the hash of a checkpoint is sent to, such as https://a.pool.opentimestamps.org."""
    timestamp_seconds: Annotated[float, Meta(ge=60)] = 3600.0
    """Between two checkpoints that are sent."""
    signature_provider: ProviderName = "auto"
    """Who signs: `openssl`, `oqs`, or `auto` for liboqs where it is installed and OpenSSL elsewhere."""
