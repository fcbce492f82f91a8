"""What billing is told at its start."""

from __future__ import annotations

from pathlib import Path

from mesh.config import MeshConfig
from services.billing.plan import PLANS_FILE


class BillingConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the billing process."""

    plans_file: Path = PLANS_FILE
    """The table of plans."""
