"""The address that a request comes from: that of the peer, or what a trusted proxy (`trusted_proxies`) says of it."""

from __future__ import annotations

import functools
import ipaddress

from starlette.types import Scope


def address_of(scope: Scope) -> str:
    """The client's IP address; empty where a proxy passed on something else."""
    client = scope.get("client")
    return _canonical(client[0]) if client else ""


@functools.lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    """An address in one way of writing: limits count by it, and the audit trail keeps it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
