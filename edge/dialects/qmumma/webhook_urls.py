"""Which addresses a job may report its end to: public ones, over https.

This looks at the address as written. What its name resolves to can change, so delivery looks again when it connects.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from edge.errors import Refusal

MAX_LENGTH = 2048
_PRIVATE_SUFFIXES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "onion", "test")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)


def check_webhook_url(url: str, *, allow_http: bool) -> str:
    """The URL as it is, where jobs may report to it; raises Refusal 400."""
    parts = _split(url)
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        raise _refusal("must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise _refusal("must not hold a user name or password")
    if parts.fragment:
        raise _refusal("must not hold a fragment")
    if not _is_public(parts.hostname or ""):
        raise _refusal("must name a public host: private, loopback and link-local targets are refused")
    return url


def _split(url: str) -> SplitResult:
    if len(url) > MAX_LENGTH or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
        raise _refusal("is not a URL")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _refusal("is not a URL") from None
    return parts


def _is_public(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_public_name(host)
    inner = _embedded(address)
    return address.is_global and not address.is_multicast and (inner is None or inner.is_global)


def _embedded(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, 6to4, or by NAT64 (RFC 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_public_name(host: str) -> bool:
    """Whether a name has two labels or more, none of a private zone, and is no number in disguise (127.1, 0x7f.1)."""
    labels = host.removesuffix(".").split(".")
    if len(labels) < 2 or len(host) > 253:  # noqa: PLR2004 - RFC 1035, 2.3.4
        return False
    last = labels[-1].lower()
    if last in _PRIVATE_SUFFIXES or last[0:1].isdigit():
        return False
    return all(_LABEL.fullmatch(label) for label in labels)


def _refusal(what: str) -> Refusal:
    return Refusal(400, f"webhook_url: {what}", param="webhook_url", reason="INVALID_FIELD")
