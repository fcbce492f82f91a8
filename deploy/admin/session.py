"""The operator's way into a mesh: its identity, the services' addresses, and the queue.

`make up` writes the file that says them, `.local/config/operator.toml`; an operator of a cluster writes one:

    identity_folder = "/etc/qmumma/operator"     # operator.crt, operator.key, authority.crt
    [peers]
    accounts = "accounts.qmumma.svc:7100"
    [events]
    url = "tls://nats.qmumma.svc:4222"
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from mesh.channel import MeshChannel
from mesh.config import Address, ConfigError, EventsConfig, load
from mesh.identity import Identity

if TYPE_CHECKING:
    from mesh.events import Events

DEFAULT_CONFIG = Path(".local/config/operator.toml")
_NAME = "operator"


class AdminConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where the mesh is, and who the operator is in it."""

    identity_folder: Path
    """Holds `operator.crt`, `operator.key` and `authority.crt`."""
    peers: dict[str, Address]
    """`host:port` of each service, by name."""
    events: EventsConfig | None = None
    """The queue; needed for dead letters."""
    local_state: str = ""
    """The state folder of a mesh of `make up`, whose authority can be rotated from here; empty for any other."""


class Session:
    """One run of a command."""

    def __init__(self, config: AdminConfig) -> None:
        """Open nothing yet."""
        self.config = config
        self.identity = Identity.at(config.identity_folder, _NAME)
        self._stack = AsyncExitStack()
        self._channels: dict[str, MeshChannel] = {}

    @classmethod
    def read(cls, file: Path) -> Session:
        """The session that a file describes; raises ConfigError."""
        if not file.exists():
            raise ConfigError(
                f"there is no {file}: start the mesh with `make up`, or name the file that describes yours (--config)"
            )
        session = cls(load(file, AdminConfig))
        if not session.identity.key_file.exists():
            raise ConfigError(f"there is no {session.identity.key_file}: the operator's certificate is missing")
        return session

    def channel(self, service: str) -> MeshChannel:
        """The way to a service; raises ConfigError where its address is not given."""
        if service not in self._channels:
            target = self.config.peers.get(service)
            if target is None:
                raise ConfigError(f"the address of {service} is missing under [peers]")
            self._channels[service] = MeshChannel(target, self.identity, service)
            self._stack.push_async_callback(self._channels[service].close)
        return self._channels[service]

    async def events(self) -> Events:
        """The connection to the queue. Raises ConfigError where none is configured, and Unavailable."""
        from mesh.events import Events  # noqa: PLC0415 - few commands need the queue

        if self.config.events is None:
            raise ConfigError("the address of the queue is missing: [events] url")
        events = await Events.connect(self.config.events.url, self.identity, patience=3)
        self._stack.push_async_callback(events.close)
        return events

    async def __aenter__(self) -> Self:
        """Use as a context manager: everything is closed at the end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self._stack.aclose()
