"""What a caller is offered: a machine that an account reaches stands in the place of its twin. Pure."""

from __future__ import annotations

from mesh.errors import InvalidArgument
from services.routing.catalogue import Backend, Catalogue, Kind, Owner
from services.routing.program import Environment, Wish


def offered(catalogue: Catalogue, wish: Wish) -> list[Backend]:
    """The backends of the catalogue as this caller may use them.

    A machine is offered live to who names it or wants live machines, has an account at its provider or an operator who
    has, and no test key; to everybody else its twin is, where the catalogue has one and twins are wanted. Unless a
    caller wants them, both are offered to who names them alone: noise is never better than none, and there are many.
    Raises InvalidArgument for an unknown backend (UNKNOWN_BACKEND).
    """
    if wish.named and catalogue.find(wish.hardware) is None:
        known = ", ".join(sorted(backend.backend_id for backend in catalogue.backends))
        raise InvalidArgument(
            f"hardware: there is no backend {wish.hardware!r}; there are {known}, and auto.",
            reason="UNKNOWN_BACKEND",
            field="hardware",
        )
    as_offered = (_as_offered(backend, wish) for backend in catalogue.backends)
    return [backend for backend in as_offered if backend is not None]


def _as_offered(backend: Backend, wish: Wish) -> Backend | None:
    """A backend as this caller may use it; None where it is out of the question."""
    allowed = wish.objective.allowed
    if backend.backend_id == wish.hardware:
        owner = _owner(backend, wish)
        return backend.live(owner) if owner else backend
    if backend.kind is Kind.SIMULATOR:
        return backend if wish.named or Kind.SIMULATOR in allowed else None
    if wish.named:
        return None
    if Kind.LIVE in allowed:
        owner = _owner(backend, wish)
        if owner is not None:
            return backend.live(owner)
        if backend.kind is Kind.LIVE or (Kind.TWIN not in allowed and backend.machine is not None):
            return backend.live(None)
    return backend if backend.kind is Kind.TWIN and Kind.TWIN in allowed else None


def _owner(backend: Backend, wish: Wish) -> Owner | None:
    """Whose account reaches a backend's machine, the team's own first; None where nobody's does."""
    machine = backend.machine
    if machine is None or wish.environment is Environment.TEST:
        return None
    owners = [Owner(owner) for provider, owner in wish.accounts if provider == machine.provider]
    return next((owner for owner in owners if owner is Owner.TEAM or machine.task_price_micros is not None), None)
