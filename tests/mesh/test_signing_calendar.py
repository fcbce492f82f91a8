"""The log anchored outside, against a calendar of OpenTimestamps made for the test."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from qm.signing.v1 import signing_pb2 as pb

from mesh.database import Database
from mesh.identity import Authority
from services.signing.__main__ import utc_now
from services.signing.calendar import Calendars
from services.signing.reader import LogReader
from services.signing.store import SigningStore
from tests.conftest import RunningPostgres
from tests.mesh.signing import InProcess, Log, sign_request
from tests.unit.signing.test_timestamp import APPENDED, BITCOIN, PENDING


class FakeCalendar:
    """Promises at once, and has a block when the test says so."""

    def __init__(self) -> None:
        self.digests: list[bytes] = []
        self.has_block = False
        self.answer: bytes | None = None
        calendar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                calendar.digests.append(self.rfile.read(int(self.headers["content-length"])))
                self.reply(200, calendar.answer if calendar.answer is not None else APPENDED + PENDING)

            def do_GET(self) -> None:
                wanted = [hashlib.sha256(digest + b"ab").hexdigest() for digest in calendar.digests]
                there = calendar.has_block and self.path.removeprefix("/timestamp/") in wanted
                self.reply(200 if there else 404, BITCOIN if there else b"Pending confirmation")

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def calendar() -> Iterator[FakeCalendar]:
    made = FakeCalendar()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def test_a_checkpoint_is_stamped_once_and_its_proof_completed_later(
    postgres: RunningPostgres, authority: Authority, scratch: Path, calendar: FakeCalendar
) -> None:
    log = await Log.make(postgres, authority, scratch)
    running = InProcess(log)
    async with running as signing:
        database = await Database.connect(log.database, schema="signing")
        store = SigningStore(database)
        calendars = Calendars(store, LogReader(store, "qmumma.local/log", ()), [calendar.address + "/"], clock=utc_now)

        async def told() -> list[pb.LogTimestamp]:
            return list((await signing.ListTimestamps(pb.ListTimestampsRequest())).timestamps)

        await signing.GetCheckpoint(pb.GetCheckpointRequest())
        await calendars.turn()
        assert (calendar.digests, await told()) == ([], [])  # an empty log is not worth it
        await asyncio.gather(*(signing.SignRecord(sign_request(number)) for number in range(3)))
        note = (await signing.GetCheckpoint(pb.GetCheckpointRequest())).checkpoint
        calendar.answer = b"Service unavailable"
        await calendars.turn()
        assert await told() == []
        calendar.answer = b"\x08" * 100_000
        await calendars.turn()
        assert await told() == []
        calendar.answer, calendar.digests = None, []
        await calendars.turn()
        await calendars.turn()
        digest = hashlib.sha256(("\n".join(note.split("\n")[:3]) + "\n").encode()).digest()
        assert calendar.digests == [digest]
        [pending] = await told()
        assert (pending.size, pending.digest, dict(pending.bitcoin_roots)) == (3, digest, {})
        calendar.has_block = True
        await calendars.turn()
        [complete] = await told()
        root = hashlib.sha256(digest + b"ab").digest()[::-1].hex()
        assert dict(complete.bitcoin_roots) == {900_000: root}
        assert complete.file.endswith(digest + APPENDED + BITCOIN)
        calendar.server.shutdown()
        await signing.SignRecord(sign_request(4))
        await signing.GetCheckpoint(pb.GetCheckpointRequest())
        calendar.server.server_close()
        await calendars.turn()  # a calendar that is away is no fault of the log
        assert await told() == [complete]
        await database.close()
