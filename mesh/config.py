"""Configuration: one TOML file per process, read into a typed struct. An unknown key refuses to start.

A service's own struct extends `MeshConfig`; its fields are its documentation. Secrets are never in the file itself,
only in files that it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

T = TypeVar("T")
Address = Annotated[str, Meta(pattern=r"^[^\s/]+:\d{1,5}$")]
"""`host:port`."""
Positive = Annotated[int, Meta(ge=1)]


class ConfigError(Exception):
    """A configuration that cannot be used; the message names the file and the key."""


class DatabaseConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A PostgreSQL database, as one role that sees one schema."""

    url: str
    """`postgresql://role@host:port/database`, without a password."""
    password_file: Path | None = None
    """Holds the role's password; absent where the server trusts the role."""
    pool_size: Positive = 8
    """Connections at most."""

    def __post_init__(self) -> None:
        """Refuse a password in the URL: it would show up in logs."""
        _refuse_password(self.url)


class EventsConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A NATS server or cluster with JetStream."""

    url: str
    """`tls://host:port`; several are separated by commas."""

    def __post_init__(self) -> None:
        """Refuse a password in a URL: clients of the queue are known by their certificates."""
        for url in self.url.split(","):
            _refuse_password(url)


class TelemetryConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where logs, spans and metrics go."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged."""
    otlp_endpoint: Annotated[str, Meta(pattern=r"^(https?://\S+)?$")] = ""
    """`http://host:4317` of an OTLP collector; empty to make no spans."""
    metrics_listen: Annotated[str, Meta(pattern=r"^([^\s/]+:\d{1,5})?$")] = ""
    """`host:port` for Prometheus; empty for none."""


class MeshConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What every process of the mesh is told."""

    listen: Address
    """`host:port` of the gRPC server (of the HTTP server, for the edge)."""
    identity_folder: Path
    """Holds `<name>.crt`, `<name>.key` and `authority.crt`."""
    database: DatabaseConfig | None = None
    events: EventsConfig | None = None
    peers: dict[str, Address] = {}
    """`host:port` of each service that this one calls, by name."""
    telemetry: TelemetryConfig = TelemetryConfig()
    drain_seconds: Annotated[float, Meta(ge=0)] = 10.0
    """How long calls in flight may take to end at a stop."""


def load(path: Path, kind: type[T]) -> T:
    """The file as a `kind`; raises ConfigError where it cannot be read, is no TOML, or has a wrong or unknown key."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind, dec_hook=_path)
    except OSError as error:
        message = f"cannot read the configuration {path}: {error.strerror}"
    except msgspec.ValidationError as error:
        message = f"{path}: {error}"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not valid TOML: {error}"
    raise ConfigError(message)


def _refuse_password(url: str) -> None:
    if urlsplit(url).password:
        message = "a password does not belong in a URL, put it in a file of its own"
        raise ValueError(message)


def _path(kind: type, value: object) -> Path:
    """What msgspec does not know by itself: a path, written as a string."""
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError
    return Path(value)
