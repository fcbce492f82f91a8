"""What a caller is offered: a machine that an account reaches stands in the place of its twin. Pure."""

from __future__ import annotations

from services.routing.catalogue import Backend, Catalogue, Kind, Owner
from services.routing.program import Environment, Wish


def offered(catalogue: Catalogue, wish: Wish) -> list[Backend]:
    """The backends of the catalogue as this caller may use them.

    A machine is offered live to who names it, has an account at its provider or an operator who has, and no test key;
    to everybody else its twin is, where the catalogue has one. A twin is offered to who names it: noise is never better
    than none, and there are many.
    """
    accounts = {} if wish.environment is Environment.TEST else _first(wish.accounts)
    return [
        backend.live(accounts[backend.machine.provider])
        if backend.backend_id == wish.hardware and backend.machine and backend.machine.provider in accounts
        else backend
        for backend in catalogue.backends
        if backend.kind is not Kind.TWIN or backend.backend_id == wish.hardware
    ]


def _first(accounts: tuple[tuple[str, str], ...]) -> dict[str, Owner]:
    """The owner of each provider's first account."""
    return {provider: Owner(owner) for provider, owner in reversed(accounts)}
