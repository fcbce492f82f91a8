"""The TOML file that each process is started with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.layout import Layout
from deploy.local.postgres import Postgres, secret
from deploy.local.programs import Program, Setting
from services.execution.engines.memory import available_memory

Value = Setting | float


def settings(program: Program, layout: Layout, postgres: Postgres, events_url: str) -> dict[str, Value]:
    """What a process is told, by the keys of `mesh.config.MeshConfig` and of its own configuration."""
    told: dict[str, Value] = {
        "listen": layout.address(program.name),
        "identity_folder": str(layout.identities / program.service),
    }
    for key, name in program.secret_files.items():
        file = layout.secrets / name
        secret(file)
        told[key] = str(file)
    if program.memory_share:
        told["memory_bytes"] = int(available_memory() * program.memory_share)
    if program.has_folder:
        told["state_folder"] = str(layout.state / program.name)
    if program.is_http or program.links:
        told["public_url"] = layout.base_url
    if program.has_schema:
        database = postgres.config(program.service)
        told["database"] = {"url": database.url, "password_file": str(database.password_file)}
    if program.events:
        told["events"] = {"url": events_url}
    if program.peers:
        told["peers"] = {peer: layout.address(peer) for peer in program.peers}
    return {**program.told, **told}


def operator_settings(programs: Sequence[Program], layout: Layout, events_url: str) -> dict[str, Value]:
    """What `qmumma-admin` is told: where the services are, and who it is."""
    return {
        "identity_folder": str(layout.identities / "operator"),
        "local_state": str(layout.state),
        "events": {"url": events_url},
        "peers": {
            program.name: layout.address(program.name)
            for program in programs
            if program.name == program.service and not program.is_http
        },
    }


def write_configuration(file: Path, told: Mapping[str, Value]) -> None:
    """Write the settings as TOML; none of them is a secret."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(to_toml(told))


def to_toml(told: Mapping[str, Value]) -> str:
    """Settings one table deep as TOML; its strings and numbers are written as JSON writes them."""
    lines = [f"{key} = {_scalar(value)}" for key, value in told.items() if not isinstance(value, Mapping)]
    for name, table in told.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {_scalar(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _scalar(value: object) -> str:
    # TOML has no escape for a lone DEL, and json leaves it as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
