"""What routing is told at its start."""

from __future__ import annotations

from pathlib import Path

from mesh.config import MeshConfig
from services.routing.catalogue import CATALOGUE_FILE
from services.routing.twin import TWINS_FILE


class RoutingConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the routing process."""

    catalogue_file: Path = CATALOGUE_FILE
    """The backends, with their limits, prices and speeds."""
    twins_file: Path = TWINS_FILE
    """The twins, with the errors of the machines that they simulate."""
