"""What the execution service and its workers are told."""

from __future__ import annotations

from mesh.config import MeshConfig

GIB = 1024**3


class ExecutionConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service that accepts jobs."""

    parser_count: int = 2
    """Children that parse and measure programs; a team has one of them at a time."""
    parser_memory_bytes: int = 4 * GIB
    """Address space of each, of which a warm child already maps about 1.3 GiB."""
    sweep_seconds: float = 5.0
    """Time between two looks for what a crash left open."""
    stalled_seconds: float = 300.0
    """A job that has not moved for this long, and that no worker has, is queued again."""
    hold_seconds: float = 60.0
    """Age from which an open hold is compared with its job."""


class WorkerConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker that runs jobs."""

    engine_count: int = 2
    """Children that run programs, one job each at a time."""
    engine_memory_bytes: int = 10 * GIB
    """Address space of each."""
    run_seconds: float = 300.0
    """The longest run."""
    pool: str = "sim"
    """The queue that it takes jobs from."""
    ack_wait_seconds: float = 10.0
    """After this long without a sign of life its jobs go to another worker."""
