"""How much memory this process may have."""

from __future__ import annotations

import os
import resource
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
