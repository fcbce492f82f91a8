"""Webhooks in parts, on a real PostgreSQL and NATS, with a clock and names that a test sets."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qm.execution.v1 import events_pb2, execution_pb2
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST, Requester
from qm.webhooks.v1 import webhooks_pb2 as pb

from mesh.call import Call
from mesh.database import Database
from mesh.destination import Destinations
from mesh.events import Events, Message
from mesh.identity import Authority
from mesh.outbox import Outbox
from mesh.streams import webhook_subject
from mesh.vault import Vault
from services.webhooks.config import MailConfig, WebhooksConfig
from services.webhooks.delivery import Announcement, Attempt, Delivery, DeliveryId, State, TeamId
from services.webhooks.dispatch import Dispatcher
from services.webhooks.filing import Filing
from services.webhooks.mail import Postman
from services.webhooks.resolver import Resolver
from services.webhooks.secrets import Secrets
from services.webhooks.sender import Sender
from services.webhooks.service import WebhooksService
from services.webhooks.store import WebhooksStore
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.serving import Home

LOCAL = Destinations(allow_http=True, allowed_networks=("127.0.0.0/8",))
KEY = base64.b64encode(bytes(range(32))).decode()


class Clock:
    """The time, which stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def ahead(self, **span: float) -> None:
        self.now += dt.timedelta(**span)


class Hooks:
    """The parts, over one database for all tests of a module; each test has teams of its own."""

    def __init__(self, home: Home, database: Database, events: Events) -> None:
        self.home = home
        self.events = events
        self.clock = Clock()
        self.names: dict[str, Sequence[str]] = {"hooks.test": ["127.0.0.1"]}
        self.context = ssl.create_default_context()
        self.store = WebhooksStore(database, Outbox(database, events))
        self.secrets = Secrets(self.store, Vault(bytes(range(32))), clock=self.clock)
        self.service = WebhooksService(self.store, self.secrets, lambda: None, clock=self.clock)

    def dispatcher(
        self, *, destinations: Destinations = LOCAL, mail: MailConfig | None = None, **settings: Any
    ) -> Dispatcher:
        """One that does nothing until it is told to claim."""
        base: dict[str, Any] = {"listen": "127.0.0.1:0", "identity_folder": Path(), "key_encryption_key_file": Path()}
        config = WebhooksConfig(**base, destinations=destinations, drain_seconds=5, **settings)
        sender = Sender(Resolver(destinations, self._look_up), self.context)
        return Dispatcher(self.store, self.secrets, sender, Postman(mail), config, clock=self.clock)

    async def file(self, url: str, team: str | None = None, count: int = 1, event: str = "job.completed") -> list[str]:
        """Deliveries that are due at once; answers their ids."""
        mine = team or str(uuid.uuid4())
        new = [self.announcement(url, mine, event) for _ in range(count)]
        await self.refile(new)
        return [each.delivery_id for each in new]

    async def refile(self, announcements: Sequence[Announcement]) -> None:
        await self.store.file(announcements, self.secrets.new, self.clock())

    def filing(self) -> Filing:
        return Filing(self.events, self.store, self.secrets, lambda: None, clock=self.clock)

    def announcement(self, url: str, team: str, event: str = "job.completed") -> Announcement:
        return Announcement(
            delivery_id=DeliveryId(str(uuid.uuid4())),
            team_id=TeamId(team),
            url=url,
            job_id=str(uuid.uuid4()),
            event=event,
            body=b'{"event":"job.completed"}',
            create_time=self.clock(),
        )

    def event(self, team: str, url: str, stage: int = execution_pb2.JOB_STAGE_COMPLETED) -> Message:
        """What execution tells of a job."""
        event = events_pb2.JobEvent(
            job_id=str(uuid.uuid4()),
            team_id=team,
            state=execution_pb2.JOB_STATE_COMPLETED,
            stage=execution_pb2.JobStage.ValueType(stage),
            webhook_url=url,
        )
        event.create_time.FromDatetime(self.clock())
        return Message(str(uuid.uuid4()), webhook_subject("completed", team), event.SerializeToString())

    async def of_team(self, team: str) -> Sequence[Delivery]:
        return (await self.store.page(TeamId(team), after=None, job_id=None, states=None, size=100))[0]

    async def has(self, team: str, count: int) -> bool:
        return len(await self.of_team(team)) == count

    async def turn(self, dispatcher: Dispatcher) -> int:
        """Send what is due now, and wait until its outcome is kept; answers how many were taken up."""
        await self.store.promote(self.clock())
        claimed = await dispatcher.claim()
        await asyncio.gather(*dispatcher._tasks)
        return len(claimed)

    async def shown(self, team: str, delivery_id: str) -> Delivery:
        return next(each for each in await self.of_team(team) if each.delivery_id == delivery_id)

    async def retry(self, team: str, delivery_id: str, request_id: str = "") -> pb.RetryDeliveryResponse:
        request = pb.RetryDeliveryRequest(
            requester=requester(team), request_id=request_id or uuid.uuid4().hex, delivery_id=delivery_id
        )
        return await self.service.RetryDelivery(request, Call("edge"))

    async def secret(self, team: str) -> str:
        request = pb.GetSecretRequest(requester=requester(team))
        return (await self.service.GetSecret(request, Call("edge"))).secret.secret

    async def rotate(self, team: str, grace: dt.timedelta, request_id: str = "") -> str:
        request = pb.RotateSecretRequest(requester=requester(team), request_id=request_id or uuid.uuid4().hex)
        request.grace.FromTimedelta(grace)
        return (await self.service.RotateSecret(request, Call("edge"))).secret.secret

    async def state(self, delivery_id: str) -> State:
        [row] = await self.home.rows("SELECT state FROM deliveries WHERE delivery_id = $1", delivery_id)
        return State(row["state"])

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        rows = await self.home.rows(
            "SELECT create_time, latency, status_code, error, response FROM attempts"
            " WHERE delivery_id = $1 ORDER BY create_time",
            delivery_id,
        )
        return [Attempt(**row) for row in rows]

    def _look_up(self, name: str) -> Sequence[str]:
        if name not in self.names:
            raise OSError(f"{name} is unknown")
        return self.names[name]


def requester(team: str) -> Requester:
    user, key = str(uuid.uuid4()), str(uuid.uuid4())
    return Requester(team_id=team, user_id=user, key_id=key, plan="academic", environment=ENVIRONMENT_TEST)


@asynccontextmanager
async def hooking(postgres: RunningPostgres, nats_server: RunningNats, authority: Authority) -> AsyncIterator[Hooks]:
    home = await Home.make("webhooks", postgres, authority)
    database = await Database.connect(home.database, schema="webhooks")
    events = await Events.connect(nats_server.url, nats_server.identity("webhooks"))
    try:
        yield Hooks(home, database, events)
    finally:
        await events.close()
        await database.close()
