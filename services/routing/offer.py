"""What a caller is offered: a machine that an account reaches stands in the place of its twin. Pure."""

from __future__ import annotations

from services.routing.catalogue import Backend, Catalogue, Kind, Owner
from services.routing.program import Environment, Wish


def offered(catalogue: Catalogue, wish: Wish) -> list[Backend]:
    """The backends of the catalogue as this caller may use them.

    A machine is offered live to who names it, has an account at its provider or an operator who has, and no test key;
    to everybody else its twin is, where the catalogue has one. Both are offered to who names them alone: noise is never
    better than none, and there are many.
    """
    return [
        backend.live(owner) if backend.backend_id == wish.hardware and (owner := _owner(backend, wish)) else backend
        for backend in catalogue.backends
        if backend.kind is Kind.SIMULATOR or backend.backend_id == wish.hardware
    ]


def _owner(backend: Backend, wish: Wish) -> Owner | None:
    """Whose account reaches a backend's machine, the team's own first; None where nobody's does."""
    machine = backend.machine
    if machine is None or wish.environment is Environment.TEST:
        return None
    owners = [Owner(owner) for provider, owner in wish.accounts if provider == machine.provider]
    return next((owner for owner in owners if owner is Owner.TEAM or machine.task_price_micros is not None), None)
