"""What certificates is told at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mesh.config import MeshConfig, Positive
from services.certificates.framework import FRAMEWORKS_FILE


class CertificatesConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the certificates process."""

    key_encryption_key_file: Path
    """Holds the base64 of the 32 bytes that open the seals' private keys, mode 0600."""
    issuer: Annotated[str, Meta(min_length=1, max_length=32)] = "Aumtrix"
    """The organisation that the documents and the seals' X.509 certificates name."""
    public_url: str = "https://api.qmumma.com"
    """Where people reach the edge, for the link that verifies a job."""
    frameworks_file: Path = FRAMEWORKS_FILE
    """The frameworks that a certificate can be laid out for."""
    print_seconds: Annotated[float, Meta(gt=0)] = 20.0
    """How long one document may take, the start of the printing process included."""
    anchor_seconds: Annotated[float, Meta(gt=0)] = 10.0
    """How often the audit trail's new entries are put into the log."""
    audit_batch: Positive = 4096
    """Entries at most under one root."""
