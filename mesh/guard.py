"""Who may call what: the caller table as data, and the question put to it before every call.

Default deny: a method without a row is refused, and so is a peer whose certificate carries no SPIFFE name of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import msgspec

from mesh.errors import PermissionDenied, Unauthenticated
from mesh.identity import spiffe_name


@dataclass(frozen=True)
class Guard:
    """The caller table."""

    services: Mapping[str, frozenset[str]]
    """Callers by service ("qm.billing.v1.BillingService")."""
    methods: Mapping[str, frozenset[str]]
    """Callers by method ("/qm.billing.v1.BillingService/HoldFunds"), in place of its service's row."""

    def callers(self, method: str) -> frozenset[str]:
        """The services that may call a method; empty where it has no row."""
        own = self.methods.get(method)
        return own if own is not None else self.services.get(method[1:].rpartition("/")[0], frozenset())

    def admit(self, caller: str, method: str) -> None:
        """Raise PermissionDenied unless `caller` may call `method`."""
        if caller not in self.callers(method):
            message = f"{caller} may not call {method}: mesh/callers.toml has no row for it"
            raise PermissionDenied(message, reason="CALLER_NOT_ALLOWED")


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    service: dict[str, frozenset[str]]
    method: dict[str, frozenset[str]] = {}


def load_guard(text: str | None = None) -> Guard:
    """The guard of a table in TOML, by default of `mesh/callers.toml`; raises ValueError where it is malformed."""
    source = text if text is not None else (files("mesh") / "callers.toml").read_text()
    table = msgspec.toml.decode(source, type=_Table)
    return Guard(services=table.service, methods=table.method)


def caller_of(auth_context: Mapping[str, object]) -> str:
    """The service behind a TLS connection, from gRPC's auth context; raises Unauthenticated for any other peer."""
    uris = auth_context.get("peer_spiffe_id")
    if isinstance(uris, list | tuple) and len(uris) == 1 and (name := spiffe_name(uris[0].decode("utf-8", "replace"))):
        return name
    message = "the client certificate names no service of this mesh"
    raise Unauthenticated(message, reason="UNKNOWN_PEER")
