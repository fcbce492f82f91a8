"""What the execution service and its workers are told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mesh.config import MeshConfig, Positive
from mesh.destination import Destinations
from services.execution.lines import PRIORITY_WEIGHT

GIB = 1024**3


class NatsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="nats", tag_field="store"):
    """Large results in the object store of the NATS that carries the queue, for 90 days (mesh/streams)."""


class S3Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="s3", tag_field="store"):
    """Large results in a bucket of S3 or of what speaks its language; its lifecycle rule says how long."""

    bucket: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """It has to be there."""
    endpoint_url: Annotated[str, Meta(pattern=r"^https?://\S+$")] | None = None
    """Where the service answers; AWS's own address unless given."""
    region: str = "us-east-1"
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._/-]{0,200}$")] = ""
    """Before the name of every object."""
    access_key_file: Path | None = None
    """Holds the access key's id; with none, the machine's own role or environment is used, as boto3 finds it."""
    secret_file: Path | None = None
    """Holds the access key's secret."""


ResultsConfig = NatsConfig | S3Config
"""Where results go that are too large for a signed record; the service and its workers must be told the same."""


class ExecutionConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service that accepts jobs."""

    parser_count: int = 2
    """Children that parse and measure programs; a team has one of them at a time."""
    parser_memory_bytes: int = 4 * GIB
    """Address space of each, of which a warm child already maps about 1.3 GiB."""
    run_memory_bytes: int = 4 * GIB
    """The most memory that a job may need, by the prediction; less than `engine_memory_bytes` of its workers."""
    run_seconds: float = 300.0
    """The longest run that is taken on, by the 90th percentile of the prediction: that of its workers."""
    sweep_seconds: float = 5.0
    """Time between two looks for what a crash left open."""
    stalled_seconds: float = 300.0
    """A job that has not moved for this long, and that no worker has, is queued again."""
    hold_seconds: float = 60.0
    """Age from which an open hold is compared with its job."""
    benchmark_seconds: Annotated[float, Meta(ge=0)] = 300.0
    """Time between two benchmarks of backends, each taken on only while no job waits or runs; 0 for none."""
    quote_seconds: Annotated[float, Meta(gt=0)] = 600.0
    """How long a quote holds."""
    results: ResultsConfig = NatsConfig()
    """Where large results lie."""
    webhook_destinations: Destinations = Destinations()
    """Where teams may be called; webhooks must be told the same."""
    provider_credentials_file: Path | None = None
    """The operator's credentials at providers of live machines: TOML, mode 0600, a table for each; all may use them."""
    machine_poll_seconds: Annotated[float, Meta(ge=0)] = 60.0
    """Time between two looks at each machine that the operator's accounts reach, for routing; 0 for none."""


class WorkerConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker that runs jobs."""

    engine_count: Positive = 2
    """Children that run programs, one job each at a time; as many as the worker has cores."""
    short_engine_count: Annotated[int, Meta(ge=0)] = 1
    """Of them, how many stay free of jobs that are predicted to run for over 5 s; one may always be taken by such."""
    enterprise_engine_count: Annotated[int, Meta(ge=0)] = 0
    """Of them, how many take jobs of enterprises alone, who may use the others too; all, for a worker of their own."""
    priority_weight: Annotated[float, Meta(gt=0)] = PRIORITY_WEIGHT
    """While both wait, priority jobs get this many times the engines' time of the others (waits are foretold by 4)."""
    engine_memory_bytes: int = 10 * GIB
    """Address space of each: the most that one job may have, of which a warm child already maps about 1.3 GiB."""
    memory_bytes: int | None = None
    """For the jobs of all engines together, by what each may take; unless given, three quarters of what the machine or
    the worker's control group has. A job that does not fit beside the others waits."""
    run_seconds: float = 300.0
    """The longest run; one that takes longer is ended and fails."""
    run_memory_bytes: int = 4 * GIB
    """The most memory that a job may need that it sends elsewhere, by the prediction."""
    pool: str = "sim"
    """The backends whose jobs it takes: the `pool` of routing's catalogue."""
    results: ResultsConfig = NatsConfig()
    """Where large results go."""
    provider_credentials_file: Path | None = None
    """The operator's credentials at providers of live machines: TOML, mode 0600, a table for each; all may use them."""
