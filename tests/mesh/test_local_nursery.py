"""Processes that are forked from the nursery instead of started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.process import Command
from deploy.local.spawning import Forked, Nursery

SAMPLE = """
import json, os, sys, threading
print(json.dumps({"arguments": sys.argv[1:], "name": __name__, "folder": os.getcwd(), "session": os.getsid(0),
                  "threads": threading.active_count(), "parent": os.getppid()}), flush=True)
if sys.argv[1] == "fail":
    sys.exit(3)
if sys.argv[1] == "stay":
    threading.Event().wait()
"""


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    (tmp_path / "sample.py").write_text(SAMPLE)
    (tmp_path / "broken.py").write_text("raise ImportError('no such luck')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    nursery = Nursery(["sample", "broken"], {"PYTHONPATH": path}, tmp_path / "nursery.log")
    yield nursery
    nursery.kill()


def command(folder: Path, module: str, *arguments: str) -> Command:
    return Command(module, ("python", "-m", module, *arguments), folder / f"{module}.log", folder=folder)


async def said(log: Path) -> dict[str, object]:
    """What the sample wrote, once it has written."""
    async with asyncio.timeout(10):
        while not (log.exists() and log.read_text().endswith("\n")):
            await asyncio.sleep(0.01)
    return dict(json.loads(log.read_text()))


async def ended(process: Forked) -> int:
    async with asyncio.timeout(10):
        return await process.wait()


async def test_a_fork_is_the_module_that_was_asked_for(nursery: Nursery, tmp_path: Path):
    process = await nursery.spawn(command(tmp_path, "sample", "go", "--config", "x"))
    assert await ended(process) == 0
    assert await said(tmp_path / "sample.log") == {
        "arguments": ["go", "--config", "x"],
        "name": "__main__",
        "folder": str(tmp_path),
        "session": process.pid,
        "threads": 1,
        "parent": nursery.pid,
    }


async def test_the_exit_status_of_a_fork_is_known(nursery: Nursery, tmp_path: Path):
    process = await nursery.spawn(command(tmp_path, "sample", "fail"))
    assert (await ended(process), process.returncode) == (3, 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
async def test_a_signal_ends_a_fork_alone(nursery: Nursery, tmp_path: Path, number: signal.Signals):
    process = await nursery.spawn(command(tmp_path, "sample", "stay"))
    await said(tmp_path / "sample.log")
    other = await nursery.spawn(command(tmp_path, "sample", "stay"))
    process.send_signal(number)
    assert await ended(process) == -number
    assert other.returncode is None


async def test_ps_shows_the_module_of_a_fork(nursery: Nursery, tmp_path: Path):
    process = await nursery.spawn(command(tmp_path, "sample", "stay"))
    await said(tmp_path / "sample.log")
    assert Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0").split("\0")[1:] == ["-m", "sample"]


async def test_what_cannot_be_imported_says_so_in_its_own_log(nursery: Nursery, tmp_path: Path):
    process = await nursery.spawn(command(tmp_path, "broken"))
    assert await ended(process) == 1
    assert "ImportError: no such luck" in (tmp_path / "broken.log").read_text()


async def test_a_lost_nursery_takes_its_forks_along_and_comes_back(nursery: Nursery, tmp_path: Path):
    process = await nursery.spawn(command(tmp_path, "sample", "stay"))
    lost = nursery.pid
    assert lost is not None
    os.kill(lost, signal.SIGKILL)
    assert await ended(process) == -signal.SIGKILL
    again = await nursery.spawn(command(tmp_path, "sample", "fail"))
    assert await ended(again) == 3
    assert nursery.pid != lost


async def test_many_at_a_time_get_each_their_own_status(nursery: Nursery, tmp_path: Path):
    commands = [command(tmp_path, "sample", ["go", "fail"][number % 2]) for number in range(10)]
    processes = await asyncio.gather(*map(nursery.spawn, commands))
    assert await asyncio.gather(*map(ended, processes)) == [0, 3] * 5
