"""The whole edge in this process, over services that are played by objects with the shape of generated stubs."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import rfc8785
from google.protobuf.timestamp_pb2 import Timestamp
from qm.accounts.v1 import accounts_pb2
from qm.billing.v1 import billing_pb2
from qm.certificates.v1 import certificates_pb2
from qm.entropy.v1 import entropy_pb2
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1 import requester_pb2
from qm.type.v1.money_pb2 import Money

from edge.app import Bounds, Edge, create_app
from edge.authentication import Authentication
from edge.dialects.qmumma.examples import QUOTED
from edge.dialects.qmumma.ids import shown_job_id
from edge.dialects.qmumma.routes import Services, Settings, qmumma
from edge.health import Health
from edge.limits import Rate
from edge.plans import Plans
from mesh.call import Call, current
from mesh.errors import Conflict, MeshError, NotFound, PermissionDenied, Unauthenticated
from mesh.telemetry import Telemetry
from tests.unit.edge.tokens import Clock, Edges

SECRET = "qm_test_sk_alice"
LIVE_SECRET = "qm_live_sk_alice"
OTHER_TEAM_SECRET = "qm_test_sk_mallory"
POOR_SECRET = "qm_live_sk_student"
UNLIMITED_SECRET = "qm_ent_sk_big"
URL = "http://edge.test"
DESCRIBE_SECONDS = 15
"""How long the job service takes at most to analyse a program: whoever waits for less never hears of it."""


def requester(team: int, plan: str) -> requester_pb2.Requester:
    return requester_pb2.Requester(
        team_id=str(uuid.UUID(int=team)),
        user_id=str(uuid.UUID(int=team + 1000)),
        key_id=str(uuid.UUID(int=team + 2000)),
        plan=plan,
        environment=requester_pb2.ENVIRONMENT_TEST,
    )


KEYS = {
    SECRET: requester(1, "commercial"),
    OTHER_TEAM_SECRET: requester(2, "commercial"),
    POOR_SECRET: requester(3, "student"),
    UNLIMITED_SECRET: requester(4, "enterprise"),
    LIVE_SECRET: requester(1, "commercial"),
}
KEYS[LIVE_SECRET].environment = requester_pb2.ENVIRONMENT_LIVE


@dataclass
class FakeAccounts:
    calls: list[str] = field(default_factory=list)
    parts_of: list[Call | None] = field(default_factory=list)
    """As a part of which call each was made."""
    error: MeshError | None = None
    gate: asyncio.Event | None = None
    expire_seconds: int = 0
    ended: set[str] = field(default_factory=set)
    """Secrets that hold no more."""
    suspended: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def AuthenticateKey(  # noqa: N802
        self, request: accounts_pb2.AuthenticateKeyRequest
    ) -> accounts_pb2.AuthenticateKeyResponse:
        self.calls.append(request.secret)
        self.parts_of.append(current())
        known = request.secret in KEYS.keys() - self.ended
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        if self.suspended:
            raise PermissionDenied("ask your operator", reason="TEAM_SUSPENDED")
        if not known:
            raise Unauthenticated("no such key", reason="INVALID_KEY")
        response = accounts_pb2.AuthenticateKeyResponse(requester=KEYS[request.secret])
        if self.expire_seconds:
            response.expire_time.seconds = self.expire_seconds
        return response


@dataclass
class FakeBenchmarks:
    """One measurement of each of two machines, and what is said of them."""

    asked: list[routing_pb2.ListBenchmarksRequest] = field(default_factory=list)

    async def ListBenchmarks(  # noqa: N802
        self, request: routing_pb2.ListBenchmarksRequest
    ) -> routing_pb2.ListBenchmarksResponse:
        self.asked.append(request)
        made = [
            routing_pb2.Benchmark(
                backend_id=backend,
                kind=routing_pb2.BACKEND_KIND_TWIN,
                family="ghz",
                qubit_count=4,
                depth=5,
                two_qubit_gate_count=3,
                shot_count=4096,
                fidelity=fidelity,
                estimate=routing_pb2.Estimate(fidelity=0.9, fidelity_low=0.85, fidelity_high=0.95),
                calibration_id=f"{backend}@2026-01-01",
                end_time=Timestamp(seconds=1_790_000_000),
            )
            for backend, fidelity in (("ibm_fez", 0.91), ("ibm_<&>", 0.42))
        ]
        return routing_pb2.ListBenchmarksResponse(
            benchmarks=[each for each in made if request.backend_id in ("", each.backend_id)]
        )

    async def GetScoreboard(  # noqa: N802
        self, request: routing_pb2.GetScoreboardRequest
    ) -> routing_pb2.GetScoreboardResponse:
        board = routing_pb2.Scoreboard(job_count=request.job_count, beliefs_version="1:1-7@now")
        board.fidelity.count, board.fidelity.coverage = 2, 0.5
        board.offline.scores.add(world="fresh", measure="coverage", method="prediction", value=0.9)
        board.drifts.add(backend_id="ibm_fez").create_time.seconds = 1_790_000_000
        for measured in (0.91, 0.42):
            board.points.add(family="ghz<", predicted=0.9, low=0.85, high=0.95, measured=measured)
        return routing_pb2.GetScoreboardResponse(scoreboard=board)


def usd(micros: int) -> Money:
    return Money(currency_code="USD", micros=micros)


@dataclass
class FakeBilling:
    """The books of one team, in its third charge of a month."""

    asked: list[Any] = field(default_factory=list)
    budget: Money | None = None
    charges: list[billing_pb2.Hold] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number, item in enumerate(("vqe.molecular.v2", "=1+1", "entropy, 60 bits")):
            charge = billing_pb2.Hold(
                job_id=str(uuid.UUID(int=number)),
                amount=usd(number * 1_500_000),
                surcharge=usd(500_000),
                charge_kind=billing_pb2.CHARGE_KIND_INCLUDED if number == 0 else billing_pb2.CHARGE_KIND_PRICE,
                item=item,
                metered=number == 2,
            )
            charge.create_time.FromJsonString("2026-11-21T04:00:00.125Z")
            charge.close_time.FromJsonString("2026-11-21T04:00:01Z")
            self.charges.append(charge)

    @property
    def spending(self) -> billing_pb2.Spending:
        told = billing_pb2.Spending(month="2026-11", spent=usd(4_500_000), held=usd(1), budget=self.budget)
        told.end_time.FromJsonString("2026-12-01T00:00:00Z")
        return told

    async def GetUsage(self, request: billing_pb2.GetUsageRequest) -> billing_pb2.GetUsageResponse:  # noqa: N802
        self.asked.append(request)
        answer = billing_pb2.GetUsageResponse(
            spending=self.spending,
            plan=billing_pb2.Plan(
                plan=request.plan,
                included_per=billing_pb2.PERIOD_MONTH,
                included_unlimited=request.plan == "enterprise",
            ),
            included_job_count=5,
            used_job_count=7,
        )
        answer.included_end_time.CopyFrom(answer.spending.end_time)
        return answer

    async def SetBudget(self, request: billing_pb2.SetBudgetRequest) -> billing_pb2.SetBudgetResponse:  # noqa: N802
        self.asked.append(request)
        self.budget = request.budget if request.HasField("budget") else None
        return billing_pb2.SetBudgetResponse(spending=self.spending)

    async def ListStatements(  # noqa: N802
        self, request: billing_pb2.ListStatementsRequest
    ) -> billing_pb2.ListStatementsResponse:
        self.asked.append(request)
        month = billing_pb2.StatementSummary(month="2026-11", charged=usd(4_500_000), charge_count=3, final=True)
        return billing_pb2.ListStatementsResponse(statements=[month], has_more=True)

    async def GetStatement(  # noqa: N802
        self, request: billing_pb2.GetStatementRequest
    ) -> billing_pb2.GetStatementResponse:
        """Two lines a page at most, however many are asked for."""
        self.asked.append(billing_pb2.GetStatementRequest.FromString(request.SerializeToString()))
        ids = ["", *(charge.job_id for charge in self.charges)]
        start = ids.index(request.after_job_id)
        stop = start + min(2, request.page_size)
        return billing_pb2.GetStatementResponse(
            owed_before=usd(1),
            owed_after=usd(4_500_001),
            charges=self.charges[start:stop],
            has_more=stop < len(self.charges),
            released_count=4,
            lines=[
                billing_pb2.StatementLine(
                    charge_kind=billing_pb2.CHARGE_KIND_PRICE, job_count=1, amount=usd(4_500_000)
                ),
                billing_pb2.StatementLine(charge_kind=billing_pb2.CHARGE_KIND_TEST, job_count=6),
            ],
        )

    async def ListPlans(self, _request: billing_pb2.ListPlansRequest) -> billing_pb2.ListPlansResponse:  # noqa: N802
        return billing_pb2.ListPlansResponse(
            plans=[
                billing_pb2.Plan(plan="student", requests_per_minute=10, burst_count=20),
                billing_pb2.Plan(plan="commercial", requests_per_minute=60_000, burst_count=60_000),
                billing_pb2.Plan(plan="enterprise"),
            ]
        )


DECISION = routing_pb2.Decision(
    backend=routing_pb2.Backend(backend_id="sim.statevector", kind=routing_pb2.BACKEND_KIND_SIMULATOR),
    reason="exact and fast",
    alternatives=[
        routing_pb2.Alternative(backend_id="sim.stabilizer", eligible=False, reason="no Clifford circuit"),
        routing_pb2.Alternative(backend_id="sim.mps", eligible=True, reason="slower"),
    ],
)
DECISION.estimate.duration_p50.FromMilliseconds(8400)
DECISION.alternatives[1].estimate.duration_p50.FromMilliseconds(9000)


@dataclass
class FakeExecution:
    """Keeps jobs as execution does: by team, with versions, idempotent by request id."""

    jobs: dict[str, pb.Job] = field(default_factory=dict)
    submissions: list[pb.SubmitJobRequest] = field(default_factory=list)
    quotes: list[str] = field(default_factory=list)
    lists: list[pb.ListJobsRequest] = field(default_factory=list)
    by_request_id: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    error: Exception | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    watching: int = 0
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    unwatched: asyncio.Event = field(default_factory=asyncio.Event)
    pieces: int = 3
    """Of a result, before it breaks off."""

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _find(self, job_id: str, team_id: str) -> pb.Job:
        job = self.jobs.get(job_id)
        if job is None or job.team_id != team_id:
            raise NotFound("There is no such job.", reason="JOB_NOT_FOUND")
        return job

    @property
    def quote_record(self) -> bytes:
        sealed = {"pqc_signature", "key_id", "audit_hash", "blockchain_anchor"}
        return rfc8785.dumps({name: value for name, value in QUOTED.items() if name not in sealed})

    async def QuoteJob(  # noqa: N802
        self, request: pb.QuoteJobRequest, *, timeout: float | None = None
    ) -> pb.QuoteJobResponse:
        self._fail()
        assert timeout is not None
        assert timeout > DESCRIBE_SECONDS
        self.quotes.append(request.job.request_id)
        quote = pb.Quote(record=self.quote_record, seal=signing_pb2.Seal(key_id="vajra-2026-11"))
        return pb.QuoteJobResponse(quote=quote, replayed=self.quotes.count(request.job.request_id) > 1)

    def make(self, *, number: int = 1, state: int = pb.JOB_STATE_QUEUED, team: int = 1) -> pb.Job:
        job = pb.Job(
            job_id=str(uuid.UUID(int=number)),
            team_id=str(uuid.UUID(int=team)),
            algorithm_id="vqe.molecular.v2",
            requested_hardware="auto",
            backend_id="sim.statevector",
            shot_count=4096,
            priority=pb.PRIORITY_STANDARD,
            state=pb.JobState.ValueType(state),
            version=1,
            decision=DECISION,
            cost=Money(currency_code="USD", micros=50_000_000),
            quoted_cost=Money(currency_code="USD", micros=50_000_000),
            history=[pb.JOB_STAGE_QUEUED, *([pb.JobStage.ValueType(state)] if state > pb.JOB_STATE_QUEUED else [])],
        )
        job.create_time.FromJsonString("2026-11-21T04:00:00.125Z")
        self.jobs[job.job_id] = job
        return job

    async def complete(self, job: pb.Job) -> None:
        job.state, job.version = pb.JOB_STATE_COMPLETED, job.version + 1
        job.history.append(pb.JOB_STAGE_COMPLETED)
        job.record = record_of(job)
        job.seal.CopyFrom(SEAL)
        async with self.changed:
            self.changed.notify_all()

    async def SubmitJob(  # noqa: N802
        self, request: pb.SubmitJobRequest, *, timeout: float
    ) -> pb.SubmitJobResponse:
        assert timeout > DESCRIBE_SECONDS
        self._fail()
        self.submissions.append(request)
        known = self.by_request_id.get(request.request_id)
        if known is not None:
            if known[0] != request.fingerprint:
                raise Conflict("another body", reason="IDEMPOTENCY_KEY_REUSED")
            return pb.SubmitJobResponse(job=self.jobs[known[1]], replayed=True)
        job = self.make(number=len(self.jobs) + 1)
        job.team_id = request.requester.team_id
        self.by_request_id[request.request_id] = (request.fingerprint, job.job_id)
        return pb.SubmitJobResponse(job=job)

    async def GetJob(self, request: pb.GetJobRequest) -> pb.GetJobResponse:  # noqa: N802
        self._fail()
        job = self._find(request.job_id, request.requester.team_id)
        if request.known_version == job.version:
            return pb.GetJobResponse(job=pb.Job(job_id=job.job_id, version=job.version))
        return pb.GetJobResponse(job=job)

    async def ViewJob(self, request: pb.ViewJobRequest) -> pb.ViewJobResponse:  # noqa: N802
        job = self.jobs.get(request.job_id)
        if job is None or request.token != "the-token":
            raise NotFound("there is no such job in your team", reason="JOB_NOT_FOUND", field="job_id")
        return pb.ViewJobResponse(job=job)

    async def ListJobs(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse:  # noqa: N802
        self._fail()
        self.lists.append(request)
        mine = [job for job in self.jobs.values() if job.team_id == request.requester.team_id]
        return pb.ListJobsResponse(jobs=mine[: request.page_size], has_more=len(mine) > request.page_size)

    async def CancelJob(self, request: pb.CancelJobRequest) -> pb.CancelJobResponse:  # noqa: N802
        self._fail()
        job = self._find(request.job_id, request.requester.team_id)
        if job.state >= pb.JOB_STATE_COMPLETED:
            raise Conflict("The job has ended.", reason="JOB_ENDED")
        job.state, job.cost.micros = pb.JOB_STATE_CANCELLED, 0
        return pb.CancelJobResponse(job=job)

    async def AwaitJob(self, request: pb.AwaitJobRequest, *, timeout: float) -> pb.AwaitJobResponse:  # noqa: N802
        assert timeout > request.wait.seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(request.wait.seconds):
                async for state in self.WatchJob(
                    pb.WatchJobRequest(requester=request.requester, job_id=request.job_id)
                ):
                    request.known_version = request.known_version or state.job.version
                    if state.job.version != request.known_version:
                        break
        return pb.AwaitJobResponse(job=self._find(request.job_id, request.requester.team_id))

    async def WatchJob(self, request: pb.WatchJobRequest) -> AsyncIterator[pb.WatchJobResponse]:  # noqa: N802
        self._fail()
        after = request.after_version
        self.watching += 1
        self.watched.set()
        try:
            while True:
                job = self._find(request.job_id, request.requester.team_id)
                if job.version > after:
                    after = job.version
                    yield pb.WatchJobResponse(job=job)
                    continue  # it may have changed while its reader was at work
                if job.state >= pb.JOB_STATE_COMPLETED:
                    return
                async with self.changed:
                    await self.changed.wait()
        finally:
            self.watching -= 1
            self.unwatched.set()

    async def GetJobResult(  # noqa: N802
        self, request: pb.GetJobResultRequest
    ) -> AsyncIterator[pb.GetJobResultResponse]:
        self._fail()
        job = self._find(request.job_id, request.requester.team_id)
        if job.state != pb.JOB_STATE_COMPLETED:
            raise Conflict("the job is queued and has no result", reason="NO_RESULT", field="job_id")
        self.watching += 1
        try:
            sha256 = hashlib.sha256(b"".join(RESULT)).digest()
            size = sum(map(len, RESULT))
            yield pb.GetJobResultResponse(
                info=pb.ResultInfo(media_type="application/json", size_bytes=size, sha256=sha256)
            )
            for piece in RESULT[: self.pieces]:
                yield pb.GetJobResultResponse(data=piece)
        finally:
            self.watching -= 1

    async def ListAlgorithms(self, _request: pb.ListAlgorithmsRequest) -> pb.ListAlgorithmsResponse:  # noqa: N802
        self._fail()
        backends = [routing_pb2.Backend(backend_id="sim.statevector")]
        return pb.ListAlgorithmsResponse(algorithms=ALGORITHMS, backends=backends)

    async def GetAlgorithm(self, request: pb.GetAlgorithmRequest) -> pb.GetAlgorithmResponse:  # noqa: N802
        self._fail()
        found = [algorithm for algorithm in ALGORITHMS if algorithm.algorithm_id == request.algorithm_id]
        if not found:
            raise NotFound("There is no such algorithm.", reason="UNKNOWN_ALGORITHM", field="algorithm_id")
        state = pb.BackendAvailability(queue_depth=3, estimated_wait_ms=120)
        state.backend.backend_id, state.backend.status = "sim.statevector", routing_pb2.BACKEND_STATUS_ONLINE
        return pb.GetAlgorithmResponse(algorithm=found[0], availability=[state])


ALGORITHMS = [
    pb.Algorithm(
        algorithm_id="vqe.molecular.v2",
        display_name="VQE Molecular Simulation",
        category="drug_discovery",
        version="2.0.0",
        description="Ground states",
        max_qubit_count=8,
        price=Money(currency_code="USD", micros=50_000_000),
        required_parameters=["molecule"],
        example_request={"molecule": "H2"},
        example_result={"energy_hartree": -1.5},
        parameters_schema={"type": "object", "maxProperties": 3, "properties": {"distance": {"minimum": 0.1}}},
    ),
    pb.Algorithm(
        algorithm_id="circuit.openqasm.v1", display_name="OpenQASM", category="circuits", price=Money(micros=10_000)
    ),
]
RESULT = (b'{"counts":', b'{"00":507,"11":', b"517}}")
SEAL = signing_pb2.Seal(
    audit_hash=bytes(range(32)), signature=b"signature" * 20, key_id="vajra-2026-11", leaf_hash=b"\xab" * 32
)


def record_of(job: pb.Job) -> bytes:
    record: dict[str, Any] = {
        "type": "qmumma.result/v1",
        "job_id": shown_job_id(job.job_id),
        "status": "completed",
        "algorithm_id": job.algorithm_id,
        "hardware": job.backend_id,
        "shots": job.shot_count,
        "priority": "standard",
        "created_at": "2026-11-21T04:00:00.125000Z",
        "executed_at": "2026-11-21T04:00:01.000000Z",
        "cost_usd": 50.0,
        "qubits": 29,
        "qubits_used": 2,
        "parameters_hash": "sha256:" + "0" * 64,
        "result": {"energy_hartree": -1.1373},
        "fidelity": "100.00%",
        "fidelity_method": "exact",
        "execution": {
            "engine": "aer",
            "engine_version": "0.18.2",
            "method": "statevector",
            "simulated": True,
            "seed": "7",
            "calibration_id": None,
            "duration_ms": 12.5,
        },
    }
    return rfc8785.dumps(record)


@dataclass
class FakeSigning:
    verified: list[signing_pb2.VerifyRecordRequest] = field(default_factory=list)
    keys: signing_pb2.ListKeysResponse = field(
        default_factory=lambda: signing_pb2.ListKeysResponse(
            keys=[
                signing_pb2.PublicKey(
                    key_id="vajra-2026-11",
                    public_key=b"\x00\xff" * 976,
                    not_before=Timestamp(seconds=1_800_000_000),
                    expire_time=Timestamp(seconds=1_831_536_000),
                    state=signing_pb2.KEY_STATE_ACTIVE,
                )
            ],
            log_keys=["qmumma/vajra+0a0b0c0d+AQ==", "qmumma/vajra+01020304+/w=="],
            witness_keys=["witness+0a0b0c0d+BA=="],
        )
    )

    async def GetAnchor(self, request: signing_pb2.GetAnchorRequest) -> signing_pb2.GetAnchorResponse:  # noqa: N802
        if request.leaf_hash != SEAL.leaf_hash:
            raise NotFound("The log has no such leaf.", reason="ANCHOR_NOT_FOUND", field="leaf_hash")
        return signing_pb2.GetAnchorResponse(
            leaf=b'{"v":1}', leaf_index=4, tree_size=6, inclusion=[b"\x01" * 32, b"\x02" * 32], checkpoint="note\n"
        )

    async def GetCheckpoint(  # noqa: N802
        self, _request: signing_pb2.GetCheckpointRequest
    ) -> signing_pb2.GetCheckpointResponse:
        return signing_pb2.GetCheckpointResponse(checkpoint="qmumma/vajra\n6\nroot\n\n— sig\n")

    checks: list[signing_pb2.Check] = field(
        default_factory=lambda: [signing_pb2.Check(name="signature", ok=True, detail="holds")]
    )

    async def ListRotations(  # noqa: N802
        self, _request: signing_pb2.ListRotationsRequest
    ) -> signing_pb2.ListRotationsResponse:
        rotation = signing_pb2.Rotation(record=b'{"replaces":"vajra-2026-10","type":"qmumma.key/v1"}', seal=SEAL)
        return signing_pb2.ListRotationsResponse(rotations=[rotation])

    async def ListTimestamps(  # noqa: N802
        self, _request: signing_pb2.ListTimestampsRequest
    ) -> signing_pb2.ListTimestampsResponse:
        pending = signing_pb2.LogTimestamp(size=6, calendar="https://a", digest=bytes(32), file=b"\x01")
        complete = signing_pb2.LogTimestamp(size=5, calendar="https://a", digest=bytes(32), bitcoin_roots={9: "ab"})
        return signing_pb2.ListTimestampsResponse(timestamps=[pending, complete])

    async def GetTile(self, request: signing_pb2.GetTileRequest) -> signing_pb2.GetTileResponse:  # noqa: N802
        if request.path != "tile/0/x001/067.p/2":
            raise NotFound("The log has no such tile.", reason="TILE_NOT_FOUND", field="path")
        return signing_pb2.GetTileResponse(data=b"\x01" * 64)

    async def ListKeys(self, _request: signing_pb2.ListKeysRequest) -> signing_pb2.ListKeysResponse:  # noqa: N802
        return self.keys

    async def VerifyRecord(  # noqa: N802
        self, request: signing_pb2.VerifyRecordRequest
    ) -> signing_pb2.VerifyRecordResponse:
        self.verified.append(request)
        return signing_pb2.VerifyRecordResponse(checks=self.checks)


class FakeEntropy:
    """A simulator that gives the bytes 0, 1, 2, … to whoever asks."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.record = b'{"bits":12,"report":{},"type":"qmumma.entropy/v1"}'
        self.seal = signing_pb2.Seal(
            audit_hash=b"a" * 32, signature=b"s" * 8, key_id="vajra-2026-01", leaf_hash=b"l" * 32
        )

    async def GenerateEntropy(  # noqa: N802
        self, request: entropy_pb2.GenerateEntropyRequest, **_: float
    ) -> entropy_pb2.GenerateEntropyResponse:
        self.asked.append(request)
        return entropy_pb2.GenerateEntropyResponse(
            entropy_id="0199d1c2-7d3e-7c55-9f5a-3c0f5d2b7a10",
            data=bytes(value % 256 for value in range(-(-request.bit_count // 8))),
            bit_count=request.bit_count,
            source="sim.stabilizer",
            simulated=True,
            grade=request.grade,
            tests_passed=True,
            cost=Money(currency_code="USD", micros=10_000),
            record=self.record if request.certification else b"",
            seal=self.seal if request.certification else None,
            replayed=len(self.asked) > 1 and request.keep_answer,
        )

    async def GetCertification(  # noqa: N802
        self, request: entropy_pb2.GetCertificationRequest
    ) -> entropy_pb2.GetCertificationResponse:
        self.asked.append(request)
        return entropy_pb2.GetCertificationResponse(record=self.record, seal=self.seal, plot_svg="<svg/>")

    async def ListSources(  # noqa: N802
        self, _request: entropy_pb2.ListSourcesRequest
    ) -> entropy_pb2.ListSourcesResponse:
        source = entropy_pb2.Source(
            source_id="sim.stabilizer",
            display_name="Stabilizer simulator",
            simulated=True,
            state=entropy_pb2.SOURCE_STATE_QUARANTINED,
            reason="stuck",
            grades=[entropy_pb2.GRADE_DRBG],
        )
        return entropy_pb2.ListSourcesResponse(sources=[source])

    async def GetBeacon(  # noqa: N802
        self, request: entropy_pb2.GetBeaconRequest
    ) -> entropy_pb2.GetBeaconResponse:
        self.asked.append(request)
        return entropy_pb2.GetBeaconResponse(record=self.record, seal=self.seal)


class FakeCertificates:
    """A document for every job, and a trail of one entry that begins like a formula."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def GetCertificate(  # noqa: N802
        self, request: certificates_pb2.GetCertificateRequest, *, timeout: float
    ) -> certificates_pb2.GetCertificateResponse:
        assert timeout > 5  # a document may take longer than a call
        self.asked.append(request)
        return certificates_pb2.GetCertificateResponse(
            pdf=b"%PDF-1.7", number="QMC-1", edition=1, framework=request.framework, sha256=b"s" * 32
        )

    async def ListAuditEntries(  # noqa: N802
        self, request: certificates_pb2.ListAuditEntriesRequest
    ) -> certificates_pb2.ListAuditEntriesResponse:
        self.asked.append(request)
        canonical = b'{"action":"key.created","details":{"name":"x"},"object_id":"=1+1","position":1}'
        entry = certificates_pb2.AuditEntry(canonical=canonical)
        return certificates_pb2.ListAuditEntriesResponse(entries=[entry])


@dataclass
class World:
    """One edge and everything behind it."""

    accounts: FakeAccounts
    execution: FakeExecution
    signing: FakeSigning
    certificates: FakeCertificates
    entropy: FakeEntropy
    billing: FakeBilling
    authentication: Authentication
    edge: Edge
    app: Any
    failing: set[str]

    @asynccontextmanager
    async def client(self, secret: str | None = SECRET) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as client:
            yield client


def build(*, settings: Settings | None = None, bounds: Bounds | None = None) -> World:
    accounts, execution, signing = FakeAccounts(), FakeExecution(), FakeSigning()
    failing: set[str] = set()

    async def probe() -> None:
        if "execution" in failing:
            raise RuntimeError("down")
        if "slow" in failing:
            await asyncio.Event().wait()

    certificates, entropy, billing = FakeCertificates(), FakeEntropy(), FakeBilling()
    benchmarks = FakeBenchmarks()
    services = Services(
        accounts=accounts,  # type: ignore[arg-type]
        benchmarks=benchmarks,  # type: ignore[arg-type]
        billing=billing,  # type: ignore[arg-type]
        certificates=certificates,  # type: ignore[arg-type]
        entropy=entropy,  # type: ignore[arg-type]
        execution=execution,  # type: ignore[arg-type]
        signing=signing,  # type: ignore[arg-type]
        webhooks=None,  # type: ignore[arg-type]
    )
    dialect = qmumma(services, settings or Settings(public_url=URL), Health({"execution": probe}))
    authentication = Authentication(accounts)  # type: ignore[arg-type]
    edge = Edge(
        dialect,
        authentication=authentication,
        plans=Plans(billing),  # type: ignore[arg-type]
        leases=Edges(1, Clock()).all[0],
        telemetry=Telemetry(),
        bounds=bounds or Bounds(body_seconds=0.2, anonymous=Rate(per_minute=0, burst=0)),
    )
    return World(
        accounts, execution, signing, certificates, entropy, billing, authentication, edge, create_app(edge), failing
    )


@pytest.fixture
def world() -> World:
    return build()


@pytest.fixture
def make_world() -> Any:
    return build


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        yield client
