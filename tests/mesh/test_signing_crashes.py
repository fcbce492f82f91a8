"""Whatever dies at whatever moment, each record has exactly one leaf, and every seal that was given out stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qm.signing.v1 import signing_pb2 as pb

from mesh.errors import MeshError
from mesh.identity import Authority
from tests.conftest import RunningPostgres
from tests.mesh.signing import InProcess, Log, base64_of, child, sign_request, stub

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

COUNT = 240
PATIENCE = 60.0


class Story:
    """COUNT records, each asked for until it is sealed, while faults strike after so many seals."""

    def __init__(self, services: Sequence[SigningServiceAsyncStub], faults: dict[int, Callable[[], object]]) -> None:
        """Ask `services` in turn; `faults` by the number of seals after which each strikes."""
        self._services = services
        self._faults = faults
        self.given: dict[str, pb.Seal] = {}
        self.refusals = 0

    async def tell(self) -> None:
        """Have every record sealed, 40 at a time."""
        turns = asyncio.Semaphore(40)

        async def one(number: int) -> None:
            async with turns:
                await self._seal(number)

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(one(number) for number in range(COUNT)))

    async def _seal(self, number: int) -> None:
        request = sign_request(number)
        while True:
            try:
                answer = await self._services[(number + self.refusals) % len(self._services)].SignRecord(request)
            except MeshError:
                self.refusals += 1
                continue
            self.given[request.subject] = answer.seal
            if fault := self._faults.pop(len(self.given), None):
                fault()
            return

    async def check(self, log: Log) -> None:
        """Compare what was given out with what the log has."""
        seals = await log.audit()
        assert sorted(seal["subject"] for seal in seals) == sorted(self.given)
        for seal in seals:
            given = self.given[seal["subject"]]
            assert (given.leaf_index, given.leaf_hash) == (seal["leaf_index"], seal["leaf_hash"])
            assert given.signature == seal["signature"]
        assert not self._faults


async def test_two_processes_killed_in_turn_lose_and_double_nothing(
    postgres: RunningPostgres, authority: Authority, scratch: Path
) -> None:
    log = await Log.make(postgres, authority, scratch)
    (one, first_port), (two, second_port) = child(log, "signing-1"), child(log, "signing-2")
    for process in (one, two):
        process.start()
    try:
        await asyncio.gather(one.ready(PATIENCE), two.ready(PATIENCE))
        async with log.channel(first_port) as first, log.channel(second_port) as second:
            story = Story([stub(first), stub(second)], {40: one.kill, 100: two.kill})
            await story.tell()
        await story.check(log)
        written = one.command.log.read_text() + two.command.log.read_text()
        assert log.key_file.read_text().strip() not in written
        assert base64_of(log.key_file.read_bytes()) not in written
        assert '"event": "ready"' in written
    finally:
        await asyncio.gather(one.stop(), two.stop())


async def test_a_killed_postgresql_loses_and_doubles_nothing(
    postgres: RunningPostgres, authority: Authority, scratch: Path
) -> None:
    log = await Log.make(postgres, authority, scratch)
    async with InProcess(log) as service:
        story = Story([service], {50: postgres.kill})
        await story.tell()
        await postgres.ready()
        assert story.refusals
        await story.check(log)
