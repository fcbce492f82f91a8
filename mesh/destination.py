"""Where a stranger may have the mesh call: the rules for URLs, and for the addresses behind their names.

A URL is looked at when it is given; a name is resolved when it is called, and the call goes to the address that was
looked at, so that a name which changes its mind gains nothing. Refused is every address that is not plainly of the
public internet: the special-purpose registries of IANA (RFC 6890), multicast, and IPv6 that only wraps IPv4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

import msgspec

from mesh.errors import InvalidArgument

Address: TypeAlias = IPv4Address | IPv6Address

LONGEST_URL = 2048
FIRST_FREE_PORT = 1024
"""From here on any port may be named; of those below, the two of HTTP."""
_PORTS = {"https": 443, "http": 80}
_NOT_PUBLIC = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
    )
)  # fmt: skip
"""IANA's IPv4 special-purpose registry, multicast, class E, and the address at which Azure answers its machines."""
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")))
"""Within global unicast: protocol assignments with Teredo and ORCHID, documentation, 6to4, AS112."""
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class DestinationRefused(ValueError):
    """A URL or an address that may not be called; the message says why, without telling what is behind it."""


class Destinations(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the operator allows beyond https to the public internet."""

    allow_http: bool = False
    """Whether plain http may be called: then whoever is in between reads along."""
    allowed_networks: tuple[str, ...] = ()
    """Networks ("10.20.0.0/16") that may be called though they are not public."""

    def __post_init__(self) -> None:
        """Refuse what is no network, when the configuration is read."""
        for network in self.allowed_networks:
            ip_network(network)

    def parse(self, url: str) -> Destination:
        """The parts of a URL; raises DestinationRefused, where its host is an address for that too."""
        if len(url) > LONGEST_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
            raise DestinationRefused(f"must be a URL of at most {LONGEST_URL} printable ASCII characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise DestinationRefused("is not a valid URL") from None
        self._check_scheme(parts)
        port = _PORTS[parts.scheme] if port is None else port
        if port < FIRST_FREE_PORT and port not in _PORTS.values():
            raise DestinationRefused(f"may name the ports 443, 80, and {FIRST_FREE_PORT} and above")
        host = _host(parts)
        for address in _literal(host):
            if not self.allows(address):
                raise DestinationRefused("must lead to a public address")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Destination(parts.scheme == "https", host, port, path)

    def allows(self, address: Address) -> bool:
        """Whether an address may be called."""
        return is_public(address) or any(
            address in network for network in map(_network, self.allowed_networks) if network.version == address.version
        )

    def _check_scheme(self, parts: SplitResult) -> None:
        if parts.scheme == "http" and not self.allow_http:
            raise DestinationRefused("must begin with https://; plain http is not allowed here")
        if parts.scheme not in _PORTS or not parts.netloc:
            raise DestinationRefused("must begin with https://")
        if "@" in parts.netloc:
            raise DestinationRefused("may not hold a user or a password")
        if parts.fragment:
            raise DestinationRefused("may not have a fragment")


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be called, as far as it tells."""

    secure: bool
    host: str
    """A name in lower case, or an address without brackets."""
    port: int
    target: str
    """Path and query, as a request line has them."""

    @property
    def host_header(self) -> bytes:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = _PORTS["https" if self.secure else "http"]
        return (host if self.port == standard else f"{host}:{self.port}").encode("ascii")


def require_callable(destinations: Destinations, webhook_url: str) -> None:
    """Raise InvalidArgument where a job names a webhook that may not be called; empty for none."""
    if not webhook_url:
        return
    try:
        destinations.parse(webhook_url)
    except DestinationRefused as refused:
        message = f"webhook_url: {refused}"
        raise InvalidArgument(message, reason="WEBHOOK_REFUSED", field="webhook_url") from None


def is_public(address: Address) -> bool:
    """Whether an address is plainly of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


@lru_cache(256)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").removesuffix(".")
    if parts.netloc.startswith("["):
        if "%" in host:
            raise DestinationRefused("may not name a network interface")
        return host
    last = host.rpartition(".")[2]
    if not _NAME.fullmatch(host):
        raise DestinationRefused("must name a host; names beyond ASCII in their xn-- form")
    if _NUMBER.fullmatch(last):  # what a resolver would take for an address, however it is written (WHATWG URL, 3.5)
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise DestinationRefused("has a host that looks like an address and is none") from None
    return host


def _literal(host: str) -> tuple[Address, ...]:
    """The addresses that a host is by itself; none for a name that only a resolver knows."""
    if host == "localhost" or host.endswith(".localhost"):
        return (IPv4Address("127.0.0.1"),)
    try:
        return (ip_address(host),)
    except ValueError:
        return ()
