"""A mesh for each test of the transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import structlog

from mesh.telemetry import _add_call as add_call

if TYPE_CHECKING:
    from mesh.identity import Authority
    from tests.conftest import RunningNats, RunningPostgres
    from tests.mesh.accounting import Accounts
    from tests.mesh.executing import Parts
    from tests.mesh.proving import Mesh


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    """A mesh with an authority of its own."""
    from tests.mesh.proving import Mesh

    mesh = Mesh(tmp_path / "identity")
    async with mesh.stack:
        yield mesh


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Everything that the transport, the intake of jobs and their workers log during the test."""
    lines: list[dict[str, Any]] = []

    def keep(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        lines.append({"level": _name, **add_call(_logger, _name, event)})
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[keep])
    for module in (
        "mesh.dispatch",
        "mesh.channel",
        "mesh.process",
        "services.execution.intake",
        "services.execution.run",
    ):
        monkeypatch.setattr(f"{module}.log", logger)
    return lines


@pytest_asyncio.fixture(scope="module")
async def make(
    postgres: RunningPostgres, nats_server: RunningNats, authority: Authority
) -> AsyncIterator[Callable[[], Parts]]:
    """Makes the parts of an execution service, over one database for each module."""
    from tests.mesh.executing import execution

    async with execution(postgres, nats_server, authority) as make:
        yield make


@pytest.fixture
def parts(make: Callable[[], Parts]) -> Parts:
    """An execution service in parts, with peers that are played."""
    return make()


@pytest_asyncio.fixture(scope="module")
async def accounts(
    postgres: RunningPostgres, nats_server: RunningNats, authority: Authority, scratch: Path
) -> AsyncIterator[Accounts]:
    """The accounts service, over one database for each module."""
    from tests.mesh.accounting import serving_accounts

    async with serving_accounts(postgres, nats_server, authority, scratch) as accounts:
        yield accounts
