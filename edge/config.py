"""What an operator can set about the edge."""

from __future__ import annotations

import msgspec

from mesh.config import MeshConfig


class AnonymousLimit(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Requests without a key, for each client address and edge process."""

    requests_per_minute: int = 300
    """For good; 0 for no limit."""
    burst: int = 100
    """At once."""


class EdgeConfig(MeshConfig, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The edge. `listen` is the HTTP address; `peers` names accounts, billing, signing, execution and webhooks."""

    public_url: str = "http://127.0.0.1:8080"
    """Where clients reach this edge: scheme and host, without a path. It stands in the document and in errors."""
    trusted_proxies: str = ""
    """Addresses whose `X-Forwarded-For` is believed, separated by commas; "*" for all, empty for none."""
    anonymous: AnonymousLimit = AnonymousLimit()
    most_edges: int = 4
    """Edge processes that run at a time, at most: while accounts gives no tokens, each admits so small a part of a
    plan's requests."""
    streams_per_team: int = 100
    """Event streams and waiting reads that a team may hold open at this process."""
    body_seconds: float = 10.0
    """How long a body may take to arrive."""
    keep_alive_seconds: int = 65
    """How long an idle connection is kept; longer than the load balancer's own limit."""
