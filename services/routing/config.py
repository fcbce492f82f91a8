"""What routing is told at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mesh.config import MeshConfig
from services.routing.catalogue import CATALOGUE_FILE, Region
from services.routing.objective import POLICY_FILE
from services.routing.supplier import SUPPLIERS_FILE
from services.routing.twin import TWINS_FILE


class RoutingConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the routing process."""

    catalogue_file: Path = CATALOGUE_FILE
    """The backends, with their limits, prices and speeds."""
    twins_file: Path = TWINS_FILE
    """The twins, with the errors of the machines that they simulate."""
    learn_seconds: Annotated[float, Meta(gt=0)] = 5.0
    """Time between two looks at what became of jobs; what is believed changes so often at most."""
    policy_file: Path = POLICY_FILE
    """What a choice weighs."""
    suppliers_file: Path = SUPPLIERS_FILE
    """Who sells access to machines, and under which names."""
    residency: tuple[Region, ...] = ("local",)
    """The regions that this installation is in: where simulators and twins run. "local" need not be said."""
    prediction_children: int = 1
    """Processes that fit circuits to machines, started with the first circuit that may reach one."""
    warm_seconds: Annotated[float, Meta(ge=0)] | None = 5.0
    """How long after its start routing starts the first of them, for the first circuit to find it ready; None: not."""
