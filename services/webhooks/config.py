"""What webhooks is told at its start."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mesh.config import Address, MeshConfig, Positive
from mesh.destination import Destinations


class MailConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is written to when an endpoint is disabled. The server takes mail from this machine without a password."""

    server: Address
    """`host:port` of an SMTP server."""
    sender: str
    recipient: str
    """An operator: webhooks knows no user's address."""


class WebhooksConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the webhooks process."""

    key_encryption_key_file: Path
    """Holds the base64 of the 32 bytes that seal the teams' secrets, mode 0600; without it they are lost."""
    destinations: Destinations = Destinations()
    """Where teams may be called; execution must be told the same."""
    authority_file: Path | None = None
    """Certificates (PEM) of authorities that are believed beside the system's own."""
    mail: MailConfig | None = None
    places: Positive = 512
    """Deliveries under way at a time, in this process."""
    team_places: Positive = 32
    """Of them, those of one team."""
    endpoint_places: Positive = 8
    """Of them, those to one URL; where its last try failed, one."""
    keep_days: Positive = 30
    """How long a delivery is shown after it was made."""
