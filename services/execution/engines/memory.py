"""How much memory this process may have, and giving it less."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def available_memory(cgroup_limit: Path = _CGROUP_LIMIT) -> int:
    """Return a bound in bytes: the machine's memory, its control group's (version 2) or this process's, the lowest."""
    bounds = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        bounds.append(address_space)
    if cgroup_limit.exists():
        limit = cgroup_limit.read_text("ascii").strip()
        bounds += [int(limit)] if limit.isdecimal() else []
    return min(bounds)


@contextmanager
def limited_memory(more_bytes: int) -> Iterator[None]:
    """Let this process map at most `more_bytes` beyond what it has mapped now; 0 for no limit of its own."""
    if not more_bytes:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    bound = mapped + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
