"""The naive way to accept a job, as the rival of bench.submit: a plain first version of the same product.

For each request the edge asks `accounts` whose key it is and hands the job to `execution`, which has `billing` hold the
money: three unary calls of grpc.aio over mTLS with the generated stubs. What a service stores is one statement and so
its own transaction, and each job is published to JetStream and acknowledged before the answer.

It is no straw man: uvloop, httptools, persistent channels, asyncpg's pools with prepared statements, no access log. And
it does less than the mesh: no measuring of the program, no routing service, no balances and quotas, no rate limit, no
checks of the request beyond its types, no logs, metrics or traces.
"""

# ruff: noqa: D102, N802 - RPCs are named and described in their proto

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import asyncpg
import grpc
import nats
import uvicorn
import uvloop
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy
from qm.accounts.v1 import accounts_pb2
from qm.accounts.v1.accounts_pb2_grpc import (
    AccountsServiceServicer,
    AccountsServiceStub,
    add_AccountsServiceServicer_to_server,
)
from qm.billing.v1 import billing_pb2
from qm.billing.v1.billing_pb2_grpc import (
    BillingServiceServicer,
    BillingServiceStub,
    add_BillingServiceServicer_to_server,
)
from qm.execution.v1 import events_pb2, execution_pb2
from qm.execution.v1.execution_pb2_grpc import (
    ExecutionServiceServicer,
    ExecutionServiceStub,
    add_ExecutionServiceServicer_to_server,
)
from qm.type.v1 import money_pb2, requester_pb2
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.local.nats import Nats
from deploy.local.ports import HOST, free_ports
from deploy.local.postgres import SUPERUSER, Postgres, ensure_database
from deploy.local.process import Child, Command
from mesh.identity import Identity, ensure_authority, ensure_identity
from mesh.streams import JOBS_WORK, RIGHTS, inbox_prefix, work_subject

TABLES = """
CREATE TABLE keys (secret_hash bytea PRIMARY KEY, key_id uuid, team_id uuid, user_id uuid, plan text, environment int);
CREATE TABLE holds (job_id uuid PRIMARY KEY, team_id uuid, amount bigint, create_time timestamptz DEFAULT now());
CREATE TABLE entries (job_id uuid, account text, amount bigint, PRIMARY KEY (job_id, account));
CREATE TABLE jobs (job_id uuid PRIMARY KEY, team_id uuid, request_id text, algorithm_id text, shot_count bigint,
  parameters jsonb, cost bigint, state text, create_time timestamptz DEFAULT now(), UNIQUE (team_id, request_id));
"""
HOLD = """
WITH hold AS (INSERT INTO holds (job_id, team_id, amount) VALUES ($1, $2, $3))
INSERT INTO entries VALUES ($1, $4, -$3::bigint), ($1, $5, $3)
"""
PRICE_MICROS = 50_000
PARTS = ("accounts", "billing", "execution", "edge")
HTTP_STATUS = {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.ALREADY_EXISTS: 409}


@dataclass(frozen=True)
class Settings:
    """What each process is told."""

    ports: Mapping[str, int]
    identities: str
    database_url: str
    password_file: str
    queue_url: str

    def identity(self, part: str) -> Identity:
        """The certificate of a process."""
        return Identity.at(Path(self.identities), part)

    def channel(self, caller: str, called: str) -> grpc.aio.Channel:
        """A channel for as long as the process lives."""
        return grpc.aio.secure_channel(f"{HOST}:{self.ports[called]}", self.identity(caller).channel_credentials())


@dataclass
class Accounts(AccountsServiceServicer):
    """Knows the keys."""

    pool: asyncpg.Pool

    async def AuthenticateKey(
        self, request: accounts_pb2.AuthenticateKeyRequest, context: grpc.aio.ServicerContext
    ) -> accounts_pb2.AuthenticateKeyResponse:
        hashed = hashlib.sha256(request.secret.encode()).digest()
        row = await self.pool.fetchrow("SELECT * FROM keys WHERE secret_hash = $1", hashed)
        if row is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key")
        requester = requester_pb2.Requester(
            team_id=str(row["team_id"]),
            user_id=str(row["user_id"]),
            key_id=str(row["key_id"]),
            plan=row["plan"],
            environment=row["environment"],
        )
        return accounts_pb2.AuthenticateKeyResponse(requester=requester)


@dataclass
class Billing(BillingServiceServicer):
    """Holds the money of a job."""

    pool: asyncpg.Pool

    async def HoldFunds(
        self, request: billing_pb2.HoldFundsRequest, _context: grpc.aio.ServicerContext
    ) -> billing_pb2.HoldFundsResponse:
        team = request.requester.team_id
        accounts = f"team/{team}/available", f"team/{team}/held"
        await self.pool.execute(HOLD, request.job_id, team, request.price.micros, *accounts)
        hold = billing_pb2.Hold(job_id=request.job_id, team_id=team, amount=request.price)
        return billing_pb2.HoldFundsResponse(hold=hold)


@dataclass
class Execution(ExecutionServiceServicer):
    """Stores the job and queues it."""

    pool: asyncpg.Pool
    billing: BillingServiceStub
    queue: JetStreamContext

    async def SubmitJob(
        self, request: execution_pb2.SubmitJobRequest, context: grpc.aio.ServicerContext
    ) -> execution_pb2.SubmitJobResponse:
        job_id, price = str(uuid.uuid4()), money_pb2.Money(currency_code="USD", micros=PRICE_MICROS)
        hold = billing_pb2.HoldFundsRequest(job_id=job_id, requester=request.requester, price=price)
        cost = (await self.billing.HoldFunds(hold)).hold.amount
        try:
            await self.pool.execute(
                "INSERT INTO jobs VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued')",
                job_id,
                request.requester.team_id,
                request.request_id,
                request.algorithm_id,
                request.shot_count,
                json_format.MessageToJson(request.parameters),
                cost.micros,
            )
        except asyncpg.UniqueViolationError:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "this Idempotency-Key was used before")
        work = events_pb2.JobWork(job_id=job_id).SerializeToString()
        await self.queue.publish(work_subject("aer", "standard"), work, headers={"Nats-Msg-Id": job_id})
        job = execution_pb2.Job(
            job_id=job_id, algorithm_id=request.algorithm_id, shot_count=request.shot_count, cost=cost
        )
        job.create_time.GetCurrentTime()
        return execution_pb2.SubmitJobResponse(job=job)


@dataclass
class Edge:
    """The REST API."""

    accounts: AccountsServiceStub
    execution: ExecutionServiceStub

    async def submit(self, request: Request) -> JSONResponse:
        """Answer `POST /v1/jobs/submit`."""
        try:
            job = await self._submit(request.headers, await request.body())
        except grpc.aio.AioRpcError as error:
            return JSONResponse({"error": error.details()}, HTTP_STATUS.get(error.code(), 500))
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)
        answer = {
            "job_id": job.job_id,
            "status": "queued",
            "algorithm_id": job.algorithm_id,
            "shots": job.shot_count,
            "cost_usd": job.cost.micros / 1e6,
            "created_at": job.create_time.ToJsonString(),
        }
        return JSONResponse(answer, 202, {"Location": f"/v1/jobs/{job.job_id}"})

    async def _submit(self, headers: Headers, raw: bytes) -> execution_pb2.Job:
        secret = headers.get("authorization", "").removeprefix("Bearer ")
        known = await self.accounts.AuthenticateKey(accounts_pb2.AuthenticateKeyRequest(secret=secret))
        body = json.loads(raw)
        parameters = Struct()
        parameters.update(body["parameters"])
        wanted = execution_pb2.SubmitJobRequest(
            requester=known.requester,
            request_id=headers.get("idempotency-key") or uuid.uuid4().hex,
            algorithm_id=body["algorithm_id"],
            hardware=body.get("hardware", "auto"),
            shot_count=body.get("shots", 1024),
            parameters=parameters,
        )
        return (await self.execution.SubmitJob(wanted)).job


async def serve(part: str, settings: Settings) -> None:
    """Be one of the services until the process is ended."""
    server = grpc.aio.server()
    pool = await asyncpg.create_pool(settings.database_url, password=Path(settings.password_file).read_text().strip())
    if part == "accounts":
        add_AccountsServiceServicer_to_server(Accounts(pool), server)
    elif part == "billing":
        add_BillingServiceServicer_to_server(Billing(pool), server)
    else:
        tls, inbox = settings.identity(part).ssl_context(), inbox_prefix(part)
        client = await nats.connect(settings.queue_url, tls=tls, tls_handshake_first=True, inbox_prefix=inbox)
        queue = client.jetstream()
        await queue.add_stream(
            name=JOBS_WORK.name, subjects=[*JOBS_WORK.subjects], retention=RetentionPolicy.WORK_QUEUE
        )
        stub = BillingServiceStub(settings.channel(part, "billing"))
        add_ExecutionServiceServicer_to_server(Execution(pool, stub, queue), server)
    server.add_secure_port(f"{HOST}:{settings.ports[part]}", settings.identity(part).server_credentials())
    await server.start()
    await server.wait_for_termination()


async def serve_http(part: str, settings: Settings) -> None:
    """Be the edge until the process is ended."""
    accounts = AccountsServiceStub(settings.channel(part, "accounts"))
    execution = ExecutionServiceStub(settings.channel(part, "execution"))
    app = Starlette(routes=[Route("/v1/jobs/submit", Edge(accounts, execution).submit, methods=["POST"])])
    config = uvicorn.Config(app, host=HOST, port=settings.ports[part], access_log=False, log_level="warning")
    await uvicorn.Server(config).serve()


@dataclass(frozen=True)
class NaiveMesh:
    """The running rival."""

    postgres: Postgres
    port: int
    secret: str
    children: Mapping[str, Child]


@contextlib.asynccontextmanager
async def naive_mesh(state: Path) -> AsyncIterator[NaiveMesh]:
    """Start everything, with its files in `state`; stop everything at the end of the block."""
    *free, postgres_port, nats_port = free_ports(len(PARTS) + 2)
    authority = ensure_authority(state / "identity")
    for part in PARTS:
        ensure_identity(authority, part)
    postgres = Postgres(state / "postgres", postgres_port, state / "postgres.log")
    await asyncio.to_thread(postgres.initialise)
    queue = Nats(state / "nats", nats_port, state / "nats.log", ensure_identity(authority, "nats"))
    queue.configure(RIGHTS)
    database = postgres.config(SUPERUSER)
    settings = Settings(
        dict(zip(PARTS, free, strict=True)),
        str(authority.folder),
        database.url,
        str(database.password_file),
        queue.url,
    )
    children: dict[str, Child] = {}

    async def start(command: Command, is_ready: Callable[[], Coroutine[None, None, bool]]) -> None:
        child = children[command.name] = Child(command, is_ready, on_crash=lambda *what: print("crashed:", *what))
        child.start()
        await child.ready(30)

    try:
        await start(postgres.command(), postgres.is_ready)
        await start(queue.command(), queue.is_ready)
        secret = await _prepare(postgres)
        for part in PARTS:  # each after those that it calls
            command = (sys.executable, "-m", "bench.naive", part, json.dumps(asdict(settings)))
            environment = {"MALLOC_ARENA_MAX": "2"}  # as the mesh's own processes have it
            log = state / f"{part}.log"
            await start(Command(part, command, log, environment=environment), partial(_listens, settings.ports[part]))
        yield NaiveMesh(postgres, settings.ports["edge"], secret, children)
    finally:
        for child in reversed(children.values()):
            await child.stop()


async def _prepare(postgres: Postgres) -> str:
    """Make the tables and one key; answers its secret."""
    server = await postgres.connect("postgres")
    await ensure_database(server)
    await server.close()
    connection = await postgres.connect()
    secret = f"qm_live_sk_{secrets.token_hex(16)}"
    await connection.execute(TABLES)
    await connection.execute(
        "INSERT INTO keys VALUES ($1, $2, $3, $4, 'enterprise', $5)",
        hashlib.sha256(secret.encode()).digest(),
        *(uuid.uuid4() for _ in range(3)),
        requester_pb2.ENVIRONMENT_LIVE,
    )
    await connection.close()
    return secret


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


if __name__ == "__main__" and sys.argv[1:]:  # bench.submit starts it; alone there is nothing to measure
    _part, _settings = sys.argv[1:]
    uvloop.run((serve_http if _part == "edge" else serve)(_part, Settings(**json.loads(_settings))))
