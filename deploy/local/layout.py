"""Where everything of one local mesh lies and listens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import HOST, free_ports
from deploy.local.programs import NATS_OFFSET, POSTGRES_OFFSET, SERVICES, Program


@dataclass(frozen=True)
class Layout:
    """Folders under one state folder, and a port for each process."""

    state: Path
    ports: Mapping[str, int]

    @property
    def identities(self) -> Path:
        """A folder for each service's certificate."""
        return self.state / "identity"

    @property
    def secrets(self) -> Path:
        """Random secrets, one a file."""
        return self.state / "secrets"

    @property
    def credentials(self) -> Path:
        """The keys of the demo team, for whoever sits at this machine."""
        return self.state / "credentials.json"

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self.state / "logs" / f"{name}.log"

    def configuration(self, name: str) -> Path:
        """The configuration of a process."""
        return self.state / "config" / f"{name}.toml"

    def address(self, name: str) -> str:
        """`host:port` of a process."""
        return f"{HOST}:{self.ports[name]}"

    @property
    def base_url(self) -> str:
        """Where the REST API answers."""
        return f"http://{self.address('edge')}"


def assign_ports(programs: Sequence[Program], *, port: int, base_port: int) -> dict[str, int]:
    """A port for each process: `port` for the edge, the rest from `base_port` on; 0 takes free ones.

    Services have theirs also where only a part of the mesh is started: their callers are told an address.
    """
    offsets = {"postgres": POSTGRES_OFFSET, "nats": NATS_OFFSET}
    offsets |= {program.name: program.offset for program in (*SERVICES, *programs)}
    free = iter(free_ports(len(offsets) + 1))
    ports = {name: base_port + offset if base_port else next(free) for name, offset in offsets.items()}
    return ports | {"edge": port or next(free)}
