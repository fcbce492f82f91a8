"""The parts of the mesh as data: what the supervisor starts, in which process and identity, and what each is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

Setting: TypeAlias = str | int | Mapping[str, object]
SCHEMA_OWNERS = ("accounts", "billing", "signing", "routing", "execution", "certificates", "webhooks", "entropy")
"""Services with a role and a schema of their own."""


@dataclass(frozen=True)
class Program:
    """One part of the mesh: a service, the edge or a worker."""

    name: str
    module: str
    """Run as `python -m <module> --config <file>`."""
    service: str
    """Its identity and, where it has one, its schema."""
    offset: int
    """Its port, counted from the base port."""
    tier: int = 0
    """At a stop a higher tier ends before a lower one, so that callers drain before those they call."""
    events: bool = False
    peers: tuple[str, ...] = ()
    secret_files: Mapping[str, str] = field(default_factory=dict)
    """Configuration key → name of a file with a random secret, made at the first start."""
    host: str = ""
    """The process that it shares with others of the same host; empty for one of its own."""
    told: Mapping[str, Setting] = field(default_factory=dict)
    """What its configuration says besides, by key."""
    memory_share: float = 0.0
    """The part of the machine's memory that its jobs may take all together; 0 where it runs none."""
    has_folder: bool = False
    """Whether it keeps files of its own: its `state_folder`."""
    is_http: bool = False
    """Whether it is the edge: it speaks HTTP, and is told under which URL clients know it."""
    links: bool = False
    """Whether it writes links to the edge, and is told its URL for them."""

    @property
    def has_schema(self) -> bool:
        """Whether it uses PostgreSQL."""
        return self.service in SCHEMA_OWNERS


POSTGRES_OFFSET = 0
NATS_OFFSET = 1
_WORKER_OFFSET = 20
JOBS_MEMORY_SHARE = 0.75
"""Of the machine's memory, for the jobs of all workers."""

_WORKER = Program(
    "worker",
    "services.execution.worker",
    "execution",
    _WORKER_OFFSET,
    tier=3,
    events=True,
    peers=("accounts", "billing", "routing", "signing"),
)
_LIVE_WORKER = replace(_WORKER, name="worker-live", offset=16, told={"pool": "live", "engine_count": 8})
_WITNESS = Program("witness", "services.witness", "witness", 17, tier=1, peers=("signing",), has_folder=True)
"""Never in the process of the log that it watches."""

_LOOPBACK = {"allow_http": True, "allowed_networks": ("127.0.0.0/8",)}
_LOCAL_WEBHOOKS = {"execution": {"webhook_destinations": _LOOPBACK}, "webhooks": {"destinations": _LOOPBACK}}

HOST = "services"
"""The process of those that share one."""
SERVICES = (
    Program(
        "accounts",
        "services.accounts",
        "accounts",
        10,
        events=True,
        secret_files={"pepper_file": "pepper", "key_encryption_key_file": "accounts-key-encryption-key"},
    ),
    Program("billing", "services.billing", "billing", 11, tier=1, events=True, peers=("accounts",)),
    Program(
        "signing",
        "services.signing",
        "signing",
        12,
        secret_files={"key_encryption_key_file": "signing-key-encryption-key"},
    ),
    Program("routing", "services.routing", "routing", 13, events=True),
    Program(
        "execution",
        "services.execution",
        "execution",
        14,
        tier=2,
        events=True,
        peers=("accounts", "billing", "routing", "signing"),
    ),
    Program(
        "certificates",
        "services.certificates",
        "certificates",
        19,
        tier=3,
        events=True,
        peers=("accounts", "billing", "execution", "signing"),
        secret_files={"key_encryption_key_file": "certificates-key-encryption-key"},
        links=True,
    ),
    Program(
        "webhooks",
        "services.webhooks",
        "webhooks",
        18,
        events=True,
        secret_files={"key_encryption_key_file": "webhooks-key-encryption-key"},
    ),
    Program(
        "entropy",
        "services.entropy",
        "entropy",
        9,
        tier=3,
        peers=("billing", "execution", "signing"),
        secret_files={"key_encryption_key_file": "entropy-key-encryption-key"},
    ),
    Program(
        "edge",
        "edge",
        "edge",
        15,
        tier=4,
        events=True,
        peers=("accounts", "billing", "certificates", "entropy", "execution", "routing", "signing", "webhooks"),
        is_http=True,
    ),
)


def every_program(*, workers: int, apart: bool = False, local_webhooks: bool = False) -> tuple[Program, ...]:
    """Every part, with as many workers as asked for; a part comes after those it calls.

    The services and the first worker share a process, which saves most of what a call between them costs; the edge,
    which speaks to strangers, and the witness have their own. `apart` gives each part its own, as in a cluster.
    `local_webhooks` lets jobs name webhooks on this machine, over plain http too.
    """
    made = tuple(
        replace(
            _WORKER,
            name=f"worker-{number}" if workers > 1 else "worker",
            offset=_WORKER_OFFSET + number,
            memory_share=JOBS_MEMORY_SHARE / workers,
        )
        for number in range(workers)
    )
    *services, edge = (*SERVICES[:-1], _LIVE_WORKER, SERVICES[-1])
    if local_webhooks:
        services = [replace(each, told={**each.told, **_LOCAL_WEBHOOKS.get(each.name, {})}) for each in services]
    if not apart:
        services = [replace(program, host=HOST) for program in services]
        made = (*(replace(worker, host=HOST) for worker in made[:1]), *made[1:])
    return (*services, *made, _WITNESS, edge)
