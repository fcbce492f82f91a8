"""Certificates as the edge asks for them: who gets one, that it stays the same, what happens when something dies."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
import pytest_asyncio
from qm.accounts.v1 import accounts_pb2
from qm.audit.v1.audit_pb2 import AuditEvents
from qm.certificates.v1 import certificates_pb2 as pb
from qm.execution.v1 import execution_pb2
from qm.type.v1.requester_pb2 import Requester
from qmumma import verify

from mesh.call import Call
from mesh.database import Database
from mesh.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, Unavailable
from mesh.events import Events
from mesh.identity import Authority, now
from mesh.outbox import Outbox
from mesh.vault import Vault
from services.certificates import press as press_module
from services.certificates.authority import Authority as SealAuthority
from services.certificates.dossier import Dossiers
from services.certificates.framework import FRAMEWORKS_FILE, Frameworks
from services.certificates.issuing import House as IssuingHouse
from services.certificates.issuing import Issuer
from services.certificates.jobs import Jobs
from services.certificates.ledger import AuditLedger
from services.certificates.press import PressClient
from services.certificates.roots import LoggedRoots
from services.certificates.service import CertificatesService
from services.certificates.store import CertificateStore
from services.certificates.trail import Trail
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.certifying import Neighbours, new_team
from tests.mesh.serving import Home
from tests.unit.certificates.conftest import make_house

EDGE = Call("edge", request_id="r-1")


@dataclass
class Desk:
    service: CertificatesService
    neighbours: Neighbours
    press: PressClient
    database: Database

    async def get(self, who: Requester, job_id: str, **fields: str | bool) -> pb.GetCertificateResponse:
        request = pb.GetCertificateRequest(requester=who, job_id=job_id, **fields)  # type: ignore[arg-type]
        return await self.service.GetCertificate(request, EDGE)

    async def told(self, job_id: str) -> list[str]:
        """What the trail will hear of a job; nothing is published before the outbox starts."""
        rows = await self.database.fetch("SELECT payload FROM outbox ORDER BY id")
        events = [event for row in rows for event in AuditEvents.FromString(row["payload"]).events]
        return [event.action for event in events if event.details["job_id"] == f"qm_job_{uuid.UUID(job_id).hex}"]


@pytest_asyncio.fixture(scope="module")
async def desk(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Desk]:
    home = await Home.make("certificates", postgres, authority)
    database = await Database.connect(home.database, schema="certificates")
    events = await Events.connect(nats_server.url, nats_server.identity("certificates"))
    neighbours = Neighbours(make_house())
    peers = neighbours.peers()
    jobs, press, ledger = Jobs(peers), PressClient(30.0), AuditLedger(database)
    house = IssuingHouse(
        authority=SealAuthority("Aumtrix", Vault(b"v" * 32)),
        public_url="https://q.example",
        frameworks=msgspec.toml.decode(FRAMEWORKS_FILE.read_bytes(), type=Frameworks),
    )
    store = CertificateStore(database, Outbox(database, events))
    issuer = Issuer(store, jobs, press, LoggedRoots(peers.signing), house=house, clock=now)
    dossiers = Dossiers(issuer, jobs, ledger, Trail(ledger, peers.signing, batch=100))
    yield Desk(CertificatesService(issuer, dossiers, ledger, jobs), neighbours, press, database)
    await press.close()
    await events.close()
    await database.close()


async def test_a_certificate_is_made_once_and_then_the_same_byte_for_byte(desk: Desk) -> None:
    job_id, who = str(uuid.uuid4()), desk.neighbours.owner
    first, other = await asyncio.gather(desk.get(who, job_id), desk.get(who, job_id))
    assert first.pdf == other.pdf
    assert (await desk.get(who, job_id)).pdf == first.pdf
    roots = (await desk.service.ListRoots(pb.ListRootsRequest(), EDGE)).pem
    house = desk.neighbours.house
    assert verify(first.pdf, house.jwks, house.log_keys, roots=roots).failed == ()
    again = await desk.get(who, job_id, reissue=True)
    assert (again.number, again.edition, first.edition) == (first.number, 2, 1)
    assert again.pdf != first.pdf
    layout = await desk.get(who, job_id, framework="iso-27001")
    assert (layout.number, layout.edition) == (first.number, 1)
    actions = await desk.told(job_id)
    assert actions.count("certificate.issued") == 2
    assert actions.count("certificate.reissued") == 1
    assert actions.count("certificate.downloaded") >= 1


async def test_who_gets_none_is_told_why(desk: Desk) -> None:
    owner, job_id = desk.neighbours.owner, str(uuid.uuid4())
    academic = new_team("academic")
    with pytest.raises(PermissionDenied, match="commercial and enterprise"):
        await desk.get(academic, job_id)
    with pytest.raises(NotFound):
        await desk.get(new_team(), job_id)
    with pytest.raises(InvalidArgument, match="fda-21cfr11"):
        await desk.get(owner, job_id, framework="nist")
    desk.neighbours.state = execution_pb2.JOB_STATE_RUNNING
    with pytest.raises(Conflict, match="not completed"):
        await desk.get(owner, job_id)
    desk.neighbours.state = execution_pb2.JOB_STATE_COMPLETED
    assert await desk.told(job_id) == []


async def test_a_certificate_of_another_team_stays_unknown_though_it_is_stored(desk: Desk) -> None:
    job_id = str(uuid.uuid4())
    await desk.get(desk.neighbours.owner, job_id)
    with pytest.raises(NotFound):
        await desk.get(new_team(), job_id)


async def test_a_press_that_is_killed_costs_a_new_one_and_no_certificate(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.get(desk.neighbours.owner, str(uuid.uuid4()))
    assert desk.press.pid is not None
    os.kill(desk.press.pid, signal.SIGKILL)
    await desk.get(desk.neighbours.owner, str(uuid.uuid4()))
    monkeypatch.setattr(press_module, "_TRIES", 0)
    with pytest.raises(Unavailable, match="try again"):
        await desk.get(desk.neighbours.owner, str(uuid.uuid4()))


async def test_a_neighbour_that_is_down_is_a_clear_refusal_and_leaves_nothing_behind(desk: Desk) -> None:
    job_id = str(uuid.uuid4())
    for method in ("GetJob", "GetAnchor"):
        desk.neighbours.failing = {method: Unavailable("down", reason="PEER_UNAVAILABLE")}
        with pytest.raises(Unavailable):
            await desk.get(desk.neighbours.owner, job_id)
    desk.neighbours.failing = {}
    assert await desk.told(job_id) == []
    assert (await desk.get(desk.neighbours.owner, job_id)).edition == 1


async def test_the_trail_is_for_admins(desk: Desk) -> None:
    request = pb.ListAuditEntriesRequest(requester=desk.neighbours.owner, page_size=10)
    assert (await desk.service.ListAuditEntries(request, EDGE)).entries == []
    desk.neighbours.role = accounts_pb2.ROLE_MEMBER
    with pytest.raises(PermissionDenied, match="owners and admins"):
        await desk.service.ListAuditEntries(request, EDGE)
    desk.neighbours.role = accounts_pb2.ROLE_ADMIN


async def test_evidence_is_a_bundle_that_says_what_it_lacks(desk: Desk) -> None:
    request = pb.GetEvidenceRequest(requester=desk.neighbours.owner, job_id=str(uuid.uuid4()))
    archive = (await desk.service.GetEvidence(request, EDGE)).archive
    roots = (await desk.service.ListRoots(pb.ListRootsRequest(), EDGE)).pem
    house = desk.neighbours.house
    report = verify(archive, house.jwks, house.log_keys, roots=roots)
    # The events are still in the outbox here, so the trail has nothing of the job.
    assert [check.name for check in report.failed] == ["audit.json job"]
