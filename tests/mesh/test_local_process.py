"""Children come back, tell why they do not, and never outlive their supervisor."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.process import Child, ChildError, Command, User

PATIENCE = 10.0
Start = Callable[..., Child]


async def _always() -> bool:
    return True


async def _never() -> bool:
    return False


class Nursery:
    """Starts children and stops what a test leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.crashes: list[tuple[str, int, float]] = []
        self.crashed = asyncio.Event()
        self._children: list[Child] = []

    def start(self, *arguments: str, is_ready: Callable[[], Awaitable[bool]] = _always, **options: object) -> Child:
        command = Command("child", arguments, self.folder / "child.log", **options)  # type: ignore[arg-type]
        child = Child(command, is_ready, on_crash=self._on_crash)
        child.start()
        self._children.append(child)
        return child

    def python(self, code: str, **options: object) -> Child:
        return self.start(sys.executable, "-S", "-c", code, **options)  # type: ignore[arg-type]

    async def crash_count(self, count: int) -> None:
        while len(self.crashes) < count:
            self.crashed.clear()
            await self.crashed.wait()

    async def close(self) -> None:
        for child in self._children:
            await child.stop()

    def _on_crash(self, name: str, status: int, pause: float) -> None:
        self.crashes.append((name, status, pause))
        self.crashed.set()


@pytest_asyncio.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    await nursery.close()


async def _gone(*pids: int) -> None:
    """Return when none of the processes exists any more."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            readable, _, _ = await asyncio.to_thread(select.select, [descriptor], [], [], PATIENCE)
        finally:
            os.close(descriptor)
        assert readable, f"process {pid} lives on"


async def _lines(file: Path, count: int) -> list[str]:
    """The first lines that a child has written."""
    async with asyncio.timeout(PATIENCE):
        while not (file.exists() and file.read_text().count("\n") >= count):
            await asyncio.sleep(0.01)
    return file.read_text().splitlines()


async def test_a_killed_child_comes_back_as_another_process(nursery: Nursery) -> None:
    child = nursery.start("sleep", "1000")
    await child.ready(PATIENCE)
    old = child.kill()
    await child.ready(PATIENCE)
    assert child.pid not in (None, old)
    assert nursery.crashes[0][:2] == ("child", -signal.SIGKILL)


async def test_the_delay_grows_with_each_crash(nursery: Nursery) -> None:
    nursery.start("true")
    await nursery.crash_count(4)
    pauses = [pause for _, _, pause in nursery.crashes]
    for number, pause in enumerate(pauses[:4]):
        assert 0.05 * 2**number <= pause <= 0.1 * 2**number


async def test_a_child_that_cannot_start_is_reported_with_its_last_words(nursery: Nursery) -> None:
    child = nursery.start("sh", "-c", "echo the disk is full; exit 3", is_ready=_never)
    with pytest.raises(ChildError, match=r"child ended 3 times(.|\n)*the disk is full"):
        await child.ready(PATIENCE)


async def test_a_program_that_is_missing_is_reported(nursery: Nursery) -> None:
    child = nursery.start("/no/such/program")
    with pytest.raises(ChildError, match=r"cannot be started: .*No such file"):
        await child.ready(PATIENCE)


async def test_a_program_that_is_missing_for_a_moment_comes_back(nursery: Nursery) -> None:
    program = nursery.folder / "program"
    program.symlink_to("/bin/sleep")
    child = nursery.start(str(program), "1000")
    await child.ready(PATIENCE)
    program.unlink()
    child.kill()
    await nursery.crash_count(2)
    program.symlink_to("/bin/sleep")
    await child.ready(PATIENCE)
    assert [status for _, status, _ in nursery.crashes][:2] == [-signal.SIGKILL, 127]


async def test_waiting_for_a_child_that_is_stopped_ends(nursery: Nursery) -> None:
    child = nursery.start("sleep", "1000", is_ready=_never)
    waiting = asyncio.create_task(child.ready(PATIENCE))
    while child.pid is None:
        await asyncio.sleep(0)
    await child.stop()
    with pytest.raises(ChildError, match="was stopped"):
        await waiting


async def test_a_child_that_never_answers_is_reported(nursery: Nursery) -> None:
    child = nursery.start("sleep", "1000", is_ready=_never)
    with pytest.raises(ChildError, match="was not ready within 0 s"):
        await child.ready(0.1)


async def test_a_stop_asks_first(nursery: Nursery) -> None:
    code = (
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(print('bye')));"
        "print('up', flush=True); signal.pause()"
    )
    child = nursery.python(code)
    await _lines(nursery.folder / "child.log", 1)
    await child.stop()
    assert await _lines(nursery.folder / "child.log", 2) == ["up", "bye"]
    assert child.pid is None
    assert nursery.crashes == []


async def test_a_stop_kills_what_does_not_listen_and_all_that_it_started(nursery: Nursery) -> None:
    code = (
        "import os,signal; signal.signal(15, signal.SIG_IGN); child = os.fork();"
        "os.write(1, b'%d\\n' % os.getpid()); signal.pause()"
    )
    child = nursery.python(code, stop_patience=0.1)
    pids = [int(line) for line in await _lines(nursery.folder / "child.log", 2)]
    await child.stop()
    await _gone(*pids)


async def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, pathlib
from deploy.local.process import Child, Command
async def main():
    async def ready(): return True
    child = Child(Command("c", ("sleep", "1000"), pathlib.Path({str(tmp_path)!r}) / "log"), ready, on_crash=print)
    child.start()
    await child.ready(10)
    print(child.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    orphan = int(await asyncio.to_thread(supervisor.stdout.readline))
    supervisor.kill()
    await _gone(orphan)
    supervisor.wait()
    supervisor.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_child_can_run_as_another_user(nursery: Nursery) -> None:
    nursery.start("sh", "-c", "id -u; id -g; id -G; sleep 1000", user=User(65534, 65534))
    assert await _lines(nursery.folder / "child.log", 3) == ["65534", "65534", "65534"]


async def test_a_long_log_is_set_aside(nursery: Nursery) -> None:
    log = nursery.folder / "child.log"
    with log.open("wb") as stream:
        stream.truncate(21 * 1024 * 1024)
    nursery.start("sh", "-c", "echo fresh; sleep 1000")
    async with asyncio.timeout(PATIENCE):
        while not (nursery.folder / "child.previous.log").exists():
            await asyncio.sleep(0.01)
    assert await _lines(log, 1) == ["fresh"]
