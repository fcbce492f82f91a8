"""What the kernel says of a process and all that it started: who they are, CPU time, memory."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_CPU_FIELDS = slice(11, 15)
"""utime, stime, cutime and cstime in /proc/<pid>/stat, counted from behind the command."""


def descendants(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    found = [pid]
    for process in found:
        tasks = Path(f"/proc/{process}/task")
        try:
            children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [int(child) for child in children]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, the ended ones that were waited for included."""
    total = 0.0
    for process in descendants(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(field) for field in fields[_CPU_FIELDS]) / _TICK
    return total


def pss_bytes(pid: int) -> int:
    """Proportional set size of one process: pages that several share count in parts. 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def loads() -> str:
    """The machine's load averages and processors, for the record of a measurement."""
    averages = " ".join(f"{load:.2f}" for load in os.getloadavg())
    return f"load {averages} on {os.cpu_count()} processors"
