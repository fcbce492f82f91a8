"""Execution on a real PostgreSQL and NATS, between peers that are small and do what a test tells them."""

# ruff: noqa: N802 - RPCs are named as in their proto

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from qm.accounts.v1 import accounts_pb2
from qm.billing.v1 import billing_pb2
from qm.execution.v1 import events_pb2
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1 import requester_pb2

from mesh.call import Call, current
from mesh.database import Database
from mesh.destination import Destinations
from mesh.errors import Conflict, NotFound, PaymentRequired
from mesh.events import Events
from mesh.identity import Authority, now
from mesh.outbox import Outbox
from mesh.streams import cancel_subject
from services.execution import task
from services.execution.algorithms.listing import load_catalogue
from services.execution.assessing import Assessor
from services.execution.cancel import Cancellations
from services.execution.children import Children, EngineFault
from services.execution.config import WorkerConfig
from services.execution.download import Downloads
from services.execution.engines.cost import Cost, CostModel, Costs, Limits
from services.execution.intake import Intake
from services.execution.job import Job, JobId
from services.execution.live.accounts import ProviderAccounts
from services.execution.measuring import Measurer
from services.execution.messages import money
from services.execution.offers import Offers
from services.execution.peers import Peers
from services.execution.programs.features import Features
from services.execution.quote_store import QuoteStore
from services.execution.quoting import Quotes
from services.execution.results.result_store import ResultKey, result_gone
from services.execution.run import Runner
from services.execution.store import Store
from services.execution.turns import Turns
from services.execution.watch import Watchers
from services.execution.worker import Worker
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.serving import Home

BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
CIRCUIT = "circuit.openqasm.v1"
ENGINE_BYTES = 10 * 1024**3
MEMORY_BYTES = 4 * 1024**3
BELL_FEATURES = Features(2, 2, 2, 3, 2, 1, 2, 1, clifford=True, dynamic=False, unbounded=False, gates={"h": 1, "cx": 1})
BELL_OUTCOME = task.Outcome({"counts": {"00": 512, "11": 512}}, 2, 1.0, "exact", "fake", "1.0", 0.1)
_COST = Cost(
    engine="aer",
    method="statevector",
    dynamic=True,
    branching=True,
    double=True,
    bytes_per_amplitude=16,
    max_qubits=29,
    measured="nowhere",
    spread_p90=1.5,
    seconds={"run": 0.001, "wide": 1e-9},
)
_SPARE = msgspec.structs.replace(_COST, engine="spare", method="matrix_product_state", seconds={"run": 0.002})
COSTS = Costs(measured="nowhere", costs=(_COST, _SPARE))
"""Two engines, of which the first is the faster one for few qubits."""
_numbers = itertools.count()


def new_team(plan: str = "enterprise") -> requester_pb2.Requester:
    return requester_pb2.Requester(
        team_id=str(uuid.uuid4()),
        user_id=str(uuid.uuid4()),
        key_id=str(uuid.uuid4()),
        plan=plan,
        environment=requester_pb2.ENVIRONMENT_LIVE,
    )


def submission(team: requester_pb2.Requester | None = None, **changes: Any) -> pb.SubmitJobRequest:
    """A Bell pair for a team of its own, unless told otherwise; `parameters` may be a plain dict."""
    parameters = changes.pop("parameters", {"qasm": BELL})
    fields: dict[str, Any] = {
        "requester": team or new_team(),
        "request_id": uuid.uuid4().hex,
        "fingerprint": b"f" * 32,
        "algorithm_id": CIRCUIT,
        "hardware": "auto",
        "shot_count": 1024,
        "parameters": parameters if isinstance(parameters, Struct) else ParseDict(parameters, Struct()),
        "priority": pb.PRIORITY_STANDARD,
    }
    return pb.SubmitJobRequest(**(fields | changes))


class Peer:
    """What the fakes share: calls are counted, and fail as scripted, before or after they took effect."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.parts_of: dict[str, Call | None] = {}
        """What each method was last called as a part of."""
        self.before: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self.always: dict[str, Exception] = {}

    def meet(self, method: str) -> None:
        self.calls[method] += 1
        self.parts_of[method] = current()
        if self.before[method]:
            raise self.before[method].popleft()
        if method in self.always:
            raise self.always[method]


class FakeRouting(Peer):
    """Two simulators, each with a queue of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[routing_pb2.ChooseBackendRequest] = []
        self.listed: list[routing_pb2.ListBackendsRequest] = []
        self.pool = f"pool{next(_numbers)}"
        self.estimate = routing_pb2.Estimate()
        self.objective = routing_pb2.Objective()
        self.backends = [
            routing_pb2.Backend(
                backend_id=name,
                kind=routing_pb2.BACKEND_KIND_SIMULATOR,
                status=routing_pb2.BACKEND_STATUS_ONLINE,
                qubit_count=29,
                method=method,
                price=money(0),
                pool=self.pool + suffix,
            )
            for name, method, suffix in (("first", "statevector", ""), ("second", "matrix_product_state", "b"))
        ]

    async def ListBackends(self, request: routing_pb2.ListBackendsRequest) -> routing_pb2.ListBackendsResponse:
        self.meet("ListBackends")
        self.listed.append(request)
        return routing_pb2.ListBackendsResponse(backends=self.backends)

    async def ChooseBackend(self, request: routing_pb2.ChooseBackendRequest) -> routing_pb2.ChooseBackendResponse:
        self.meet("ChooseBackend")
        self.asked.append(request)
        ways = {offer.method: offer.engine for offer in request.offers if not offer.refusal}
        able = (each for each in self.backends if each.method in ways or each.kind == routing_pb2.BACKEND_KIND_LIVE)
        backend = routing_pb2.Backend()
        backend.CopyFrom(next(each for each in able if each.backend_id not in request.excluded_backend_ids))
        backend.engine = ways.get(backend.method, backend.engine)
        decision = routing_pb2.Decision(backend=backend, reason="it is there", estimate=self.estimate)
        decision.objective.CopyFrom(self.objective)
        return routing_pb2.ChooseBackendResponse(decision=decision)


class FakeBilling(Peer):
    """Holds by job id: "open", "settled" or "released"."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: dict[str, str] = {}
        self.bounds: list[int] = []
        """What jobs may cost at most, of those that said it."""
        self.poor = False
        self.plans: list[billing_pb2.Plan] = []

    async def ListPlans(self, _request: billing_pb2.ListPlansRequest) -> billing_pb2.ListPlansResponse:
        self.meet("ListPlans")
        return billing_pb2.ListPlansResponse(plans=self.plans)

    @property
    def states(self) -> Counter[str]:
        return Counter(self.holds.values())

    async def HoldFunds(self, request: billing_pb2.HoldFundsRequest) -> billing_pb2.HoldFundsResponse:
        self.meet("HoldFunds")
        if self.poor:
            raise PaymentRequired("the budget is spent", reason="BUDGET_EXCEEDED")
        self.holds[request.job_id] = "open"
        self.bounds += [request.max_amount.micros] if request.HasField("max_amount") else []
        return billing_pb2.HoldFundsResponse(hold=billing_pb2.Hold(job_id=request.job_id, amount=request.price))

    async def PriceJob(self, request: billing_pb2.PriceJobRequest) -> billing_pb2.PriceJobResponse:
        self.meet("PriceJob")
        if self.poor:
            raise PaymentRequired("the budget is spent", reason="BUDGET_EXCEEDED")
        return billing_pb2.PriceJobResponse(amount=request.price, charge_kind=billing_pb2.CHARGE_KIND_PRICE)

    async def SettleHold(self, request: billing_pb2.SettleHoldRequest) -> billing_pb2.SettleHoldResponse:
        self.meet("SettleHold")
        if request.job_id not in self.holds:
            raise NotFound("no hold", reason="HOLD_NOT_FOUND")
        if self.holds[request.job_id] == "released":
            raise Conflict("released", reason="HOLD_RELEASED")
        self.holds[request.job_id] = "settled"
        return billing_pb2.SettleHoldResponse()

    async def ReleaseHold(self, request: billing_pb2.ReleaseHoldRequest) -> billing_pb2.ReleaseHoldResponse:
        self.meet("ReleaseHold")
        if self.holds.get(request.job_id) == "settled":
            raise Conflict("settled", reason="HOLD_SETTLED")
        if request.job_id in self.holds:
            self.holds[request.job_id] = "released"
        return billing_pb2.ReleaseHoldResponse()

    async def ListOpenHolds(self, request: billing_pb2.ListOpenHoldsRequest) -> billing_pb2.ListOpenHoldsResponse:
        self.meet("ListOpenHolds")
        ids = [job_id for job_id, state in self.holds.items() if state == "open"][: request.page_size]
        return billing_pb2.ListOpenHoldsResponse(holds=[billing_pb2.Hold(job_id=job_id) for job_id in ids])


class FakeSigning(Peer):
    """Keeps what it signed, by subject; another record for the same subject is a failed test."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, bytes] = {}

    async def PrepareRecord(self, _request: signing_pb2.PrepareRecordRequest) -> signing_pb2.PrepareRecordResponse:
        self.meet("PrepareRecord")
        return signing_pb2.PrepareRecordResponse()

    async def SignRecord(self, request: signing_pb2.SignRecordRequest) -> signing_pb2.SignRecordResponse:
        self.meet("SignRecord")
        assert self.records.setdefault(request.subject, request.record) == request.record
        seal = signing_pb2.Seal(key_id="key-1", signature=b"s" * 8, leaf_index=len(self.records))
        return signing_pb2.SignRecordResponse(seal=seal)


class FakeChildren:
    """Engines that answer at once, or as scripted: an Exception is raised, an Event is waited for."""

    count = 1

    def __init__(self, *script: Exception | asyncio.Event | task.Outcome) -> None:
        self.script = deque(script)
        self.runs = 0
        self.timeouts: list[float] = []
        self.running = asyncio.Event()

    def allowance(self, predicted_bytes: int) -> int:
        return predicted_bytes

    async def call(self, request: task.Request, *, timeout: float, on_progress: Any = None) -> task.Answer:
        assert timeout > 0
        if isinstance(request, task.Describe):
            return task.Description(BELL_FEATURES, b"a circuit" if request.with_circuit else b"")
        if isinstance(request, task.Lane):
            raise EngineFault("these run one at a time")
        self.runs += 1
        self.timeouts.append(timeout)
        self.running.set()
        step = self.script.popleft() if self.script else BELL_OUTCOME
        if isinstance(step, Exception):
            raise step
        if isinstance(step, asyncio.Event):
            on_progress(0.5, "half way")
            await step.wait()
            step = BELL_OUTCOME
        return step


class FakeAccounts(Peer):
    """Credentials of teams: a key for IonQ where `teams` has one. Connections are what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.teams: dict[str, str] = {}
        self.connect: Any = None

    async def ListProviderSecrets(
        self, request: accounts_pb2.ListProviderSecretsRequest
    ) -> accounts_pb2.ListProviderSecretsResponse:
        self.meet("ListProviderSecrets")
        secrets = [accounts_pb2.ProviderSecret(provider="ionq")] if request.team_id in self.teams else []
        return accounts_pb2.ListProviderSecretsResponse(secrets=secrets)

    async def GetProviderSecret(
        self, request: accounts_pb2.GetProviderSecretRequest
    ) -> accounts_pb2.GetProviderSecretResponse:
        self.meet("GetProviderSecret")
        if request.team_id not in self.teams:
            raise NotFound("no credentials", reason="SECRET_NOT_FOUND")
        ionq = accounts_pb2.IonqCredentials(api_key=self.teams[request.team_id])
        return accounts_pb2.GetProviderSecretResponse(credentials=accounts_pb2.ProviderCredentials(ionq=ionq))


class FakeResults:
    """A store of results in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.failures: deque[Exception] = deque()

    async def put(self, key: ResultKey, data: bytes) -> None:
        if self.failures:
            raise self.failures.popleft()
        self.kept[str(key)] = data

    async def get(self, key: ResultKey) -> AsyncIterator[bytes]:
        if str(key) not in self.kept:
            raise result_gone()
        data = self.kept[str(key)]
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]


class Clock:
    """The time, which a test may move ahead."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta(0)

    def __call__(self) -> dt.datetime:
        return now() + self.ahead


class Parts:
    """The parts of execution on one database; new peers for each test."""

    def __init__(self, database: Database, events: Events) -> None:
        self.database = database
        self.events = events
        self.clock = Clock()
        self.routing, self.billing, self.signing = FakeRouting(), FakeBilling(), FakeSigning()
        self.accounts = FakeAccounts()
        peers = (self.routing, self.billing, self.signing, self.accounts)
        self.peers = Peers(*(cast("Any", peer) for peer in peers))
        self.provider_accounts = ProviderAccounts(self.peers.accounts, {}, self.clock, self.accounts.connect)
        self.outbox = Outbox(database, events)
        self.store = Store(database, self.outbox)
        self.watchers = Watchers()
        self.results = FakeResults()
        self.catalogue = load_catalogue()
        self.model = CostModel(COSTS)

    def intake(self, children: object | None = None) -> Intake:
        offers = Offers(self.model, Limits(MEMORY_BYTES, seconds=300))
        children = self._children(children)
        assessor = Assessor(self.catalogue, Measurer(children), self.peers, offers, self.provider_accounts)
        quotes = self.quotes(assessor)
        return Intake(
            self.store,
            assessor,
            quotes,
            self.peers,
            clock=self.clock,
            webhooks=Destinations(),
            bulletin=self.events.bulletin,
            watchers=self.watchers,
        )

    def quotes(self, assessor: Assessor | None = None) -> Quotes:
        offers = Offers(self.model, Limits(MEMORY_BYTES, seconds=300))
        measurer = Measurer(self._children(None))
        assessor = assessor or Assessor(self.catalogue, measurer, self.peers, offers, self.provider_accounts)
        store, lifetime = QuoteStore(self.database), dt.timedelta(minutes=10)
        return Quotes(store, assessor, self.peers, lifetime=lifetime, clock=self.clock)

    def runner(self, name: str = "worker", children: object | None = None, run_seconds: float = 30) -> Runner:
        children = self._children(children)
        offers = Offers(self.model, Limits(MEMORY_BYTES, run_seconds))
        return Runner(self.store, children, self.peers, self.results, offers, worker=name, clock=self.clock)

    def downloads(self) -> Downloads:
        return Downloads(self.store, self.results)

    def turns(self, name: str = "worker") -> Turns:
        return Turns(self.store, pool=self.routing.pool, worker=name, priority_weight=4, clock=self.clock)

    def cancellations(self) -> Cancellations:
        return Cancellations(self.store, cast("Any", self.billing), self.events, self.clock)

    async def accepted(self, **changes: Any) -> Job:
        """A job that waits."""
        job, replayed = await self.intake(changes.pop("children", None)).submit(submission(**changes))
        assert not replayed
        return job

    async def read(self, job_id: JobId) -> Job:
        job = await self.store.get(job_id)
        assert job is not None
        return job

    def hold(self, job: Job) -> str:
        return self.billing.holds[str(job.job_id)]

    async def told(self, job: Job) -> list[str]:
        """The subjects that wait in the outbox for a job, oldest first; nothing is published before `start`."""
        rows = await self.database.fetch(
            "SELECT subject FROM outbox WHERE position($1::bytea IN payload) > 0 ORDER BY id", str(job.job_id).encode()
        )
        return [row["subject"].removesuffix(f".{job.requester.team_id}") for row in rows]

    async def said(self, job: Job) -> list[events_pb2.JobEvent]:
        """The events that wait in the outbox for a job, oldest first."""
        rows = await self.database.fetch(
            "SELECT payload FROM outbox WHERE subject LIKE 'jobs.event.%' AND position($1::bytea IN payload) > 0"
            " ORDER BY id",
            str(job.job_id).encode(),
        )
        return [events_pb2.JobEvent.FromString(row["payload"]) for row in rows]

    def _children(self, children: object | None) -> Children:
        return cast("Children", children or FakeChildren())


@asynccontextmanager
async def execution(
    postgres: RunningPostgres, nats_server: RunningNats, authority: Authority
) -> AsyncIterator[Callable[[], Parts]]:
    """A database with the schema of execution; yields what makes parts on it."""
    home = await Home.make("execution", postgres, authority)
    database = await Database.connect(home.database, schema="execution")
    events = await Events.connect(nats_server.url, nats_server.identity("execution"))
    try:
        yield lambda: Parts(database, events)
    finally:
        await events.close()
        await database.close()


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Return when `true` is; for what PostgreSQL alone can tell."""
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def working(parts: Parts, children: object, name: str = "worker", **settings: Any) -> AsyncIterator[Worker]:
    """A worker of the test's own pool."""
    base: dict[str, Any] = {"listen": "127.0.0.1:0", "identity_folder": Path(), "pool": parts.routing.pool}
    config = WorkerConfig(**{**base, "drain_seconds": 5, **settings})
    worker = Worker(parts.events, parts.runner(name, children), parts.turns(name), config)
    heard = await parts.events.subscribe(cancel_subject("*"), worker.hear_cancel)
    work = asyncio.create_task(worker.work())
    try:
        yield worker
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await worker.finish()
        await heard.unsubscribe()


async def ended(parts: Parts, job: Job) -> Job:
    async def check() -> bool:
        return (await parts.read(job.job_id)).state.ended

    await until(check)
    return await parts.read(job.job_id)
