"""What services tell becomes a trail that nobody can change, once, whatever dies in between."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from mesh.audit import Deed, audit_message
from mesh.database import Database
from mesh.errors import Unavailable
from mesh.events import Events, Message
from mesh.identity import Authority, now
from services.certificates.ledger import AuditLedger, Line, Wanted
from services.certificates.trail import Trail
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.certifying import Neighbours
from tests.mesh.serving import Home
from tests.unit.certificates.conftest import make_house


@dataclass
class Desk:
    database: Database
    events: Events
    ledger: AuditLedger
    neighbours: Neighbours

    def trail(self) -> Trail:
        return Trail(self.ledger, self.neighbours.peers().signing, batch=2)

    async def lines(self, team: str, count: int) -> list[Line]:
        """The team's trail, once it has so many entries."""
        async with asyncio.timeout(10):
            while len(lines := await self.ledger.page(Wanted(uuid.UUID(team)), 100)) < count:
                await asyncio.sleep(0.01)
        return lines


@pytest_asyncio.fixture(scope="module")
async def desk(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Desk]:
    home = await Home.make("certificates", postgres, authority)
    database = await Database.connect(home.database, schema="certificates")
    events = await Events.connect(nats_server.url, nats_server.identity("certificates"))
    yield Desk(database, events, AuditLedger(database), Neighbours(make_house()))
    await events.close()
    await database.close()


def told(team: str, action: str = "key.created", object_id: str = "k") -> Message:
    return audit_message(Deed(team_id=team, service="accounts", action=action, object_id=object_id), now())


async def test_events_are_kept_once_in_order_and_linked_however_often_they_come(desk: Desk) -> None:
    team, other = str(uuid.uuid4()), str(uuid.uuid4())
    messages = [told(team, "key.created"), told(other), told(team, "key.revoked"), told(team, "job.submitted")]
    listening = asyncio.create_task(desk.trail().listen(desk.events))
    for message in messages:
        await desk.events.publish(message)
    await desk.lines(team, 3)
    again = [Message(str(uuid.uuid4()), message.subject, message.payload) for message in messages]
    marker = told(team, "key.rotated")
    for message in [*again, Message(str(uuid.uuid4()), marker.subject, b"\xff no event"), marker]:
        await desk.events.publish(message)
    entries = [json.loads(line.canonical) for line in await desk.lines(team, 4)]
    listening.cancel()
    assert [entry["action"] for entry in entries] == ["key.created", "key.revoked", "job.submitted", "key.rotated"]
    assert [entry["position"] for entry in entries] == [1, 2, 3, 4]
    assert len(await desk.ledger.page(Wanted(uuid.UUID(other)), 100)) == 1


async def test_messages_that_were_joined_are_taken_apart_and_a_bad_event_spoils_no_other(desk: Desk) -> None:
    team = str(uuid.uuid4())
    good, bad, late = told(team), told("no team"), told(team, "key.revoked")
    joined = Message(str(uuid.uuid4()), good.subject, good.payload + bad.payload + late.payload)
    listening = asyncio.create_task(desk.trail().listen(desk.events))
    await desk.events.publish(joined)
    entries = [json.loads(line.canonical) for line in await desk.lines(team, 2)]
    listening.cancel()
    assert [entry["action"] for entry in entries] == ["key.created", "key.revoked"]


async def test_a_crash_between_the_cut_and_the_signature_neither_doubles_nor_drops_a_batch(desk: Desk) -> None:
    from qm.audit.v1.audit_pb2 import AuditEvents

    team = str(uuid.uuid4())
    await desk.ledger.append([AuditEvents.FromString(told(team).payload).events[0] for _ in range(5)])
    desk.neighbours.failing["SignRecord"] = Unavailable("down", reason="PEER_UNAVAILABLE")
    with pytest.raises(Unavailable):
        await desk.trail().anchor()
    # Signed, but the process died before it could note that: the next one signs the same record again.
    unsealed = await desk.ledger.unsealed()
    desk.neighbours.failing.clear()
    desk.neighbours.sealed[unsealed[0].subject] = unsealed[0].record
    await asyncio.gather(desk.trail().anchor(), desk.trail().anchor())
    assert await desk.ledger.unsealed() == []
    rows = await desk.database.fetch("SELECT first_entry, last_entry FROM audit_batches ORDER BY number")
    spans = [number for row in rows for number in range(row["first_entry"], row["last_entry"] + 1)]
    assert spans == list(range(1, len(spans) + 1))
    assert all(line.batch_number for line in await desk.lines(team, 5))


@pytest.mark.parametrize("table", ["audit_entries", "audit_batches", "audit_seals", "editions", "keys"])
async def test_nothing_can_be_changed_or_removed(desk: Desk, table: str) -> None:
    column = {"audit_entries": "action", "editions": "number", "keys": "purpose"}.get(table, "number")
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):  # noqa: S608 - names
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await desk.database.execute(statement)


async def test_the_trail_is_filtered_by_object_job_actor_and_position(desk: Desk) -> None:
    from qm.audit.v1.audit_pb2 import AuditEvents

    team = str(uuid.uuid4())
    deeds = [
        Deed(team_id=team, service="execution", action="job.submitted", object_id="qm_job_1", user_id="u1"),
        Deed(team_id=team, service="certificates", action="certificate.issued", object_id="QMC-1", key_id="k1",
             details={"job_id": "qm_job_1"}),
        Deed(team_id=team, service="accounts", action="key.created", object_id="k1"),
    ]  # fmt: skip
    await desk.ledger.append([AuditEvents.FromString(audit_message(deed, now()).payload).events[0] for deed in deeds])

    async def found(**wanted: str | int) -> list[int]:
        return [line.position for line in await desk.ledger.page(Wanted(uuid.UUID(team), **wanted), 100)]  # type: ignore[arg-type]

    assert await found(object_id="qm_job_1") == [1, 2]
    assert await found(object_id="QMC-1") == [2]
    assert await found(actor_id="u1") == [1]
    assert await found(actor_id="k1") == [2]
    assert await found(after_position=1) == [2, 3]
