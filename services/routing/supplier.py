"""Suppliers of machines, and what they call them. The rows are data, in suppliers.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from mesh.config import ConfigError
from services.routing.catalogue import BackendId, Catalogue

SUPPLIERS_FILE = Path(__file__).with_name("suppliers.toml")

Name = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_.-]{0,63}$")]
Qubits = Annotated[int, msgspec.Meta(ge=1)]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that a provider offers."""

    target_id: Name
    qubit_count: Qubits
    backend_id: BackendId | None = None
    """The backend that runs it here; None where nothing does."""


class Maker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider: who makes machines, or simulators."""

    provider_id: Name
    display_name: str
    description: str
    qubit_count: Qubits
    """As the supplier publishes it."""
    cost_model: str
    targets: Annotated[tuple[Target, ...], msgspec.Meta(min_length=1)]


class Supplier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who sells access to the machines of several providers."""

    supplier_id: Name
    display_name: str
    description: str
    providers: Annotated[tuple[Maker, ...], msgspec.Meta(min_length=1)]


class Suppliers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table."""

    suppliers: tuple[Supplier, ...]

    def check(self, catalogue: Catalogue) -> None:
        """Raise ConfigError where a target names a backend that the catalogue does not have."""
        targets = (target for each in self.suppliers for maker in each.providers for target in maker.targets)
        for target in targets:
            if target.backend_id is not None and catalogue.find(target.backend_id) is None:
                message = f"target {target.target_id}: there is no backend {target.backend_id}"
                raise ConfigError(f"{message}; see {SUPPLIERS_FILE.name}")
