"""Entropy on a real PostgreSQL with its real child process, between peers that do what a test tells them."""

# ruff: noqa: N802 - RPCs are named as in their proto

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from qm.billing.v1 import billing_pb2
from qm.entropy.v1 import entropy_pb2 as pb
from qm.execution.v1 import execution_pb2
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1 import requester_pb2

from deploy.local.postgres import secret
from mesh.call import Call
from mesh.database import Database
from mesh.errors import Conflict
from mesh.identity import Authority
from mesh.vault import Vault
from services.entropy.archive import Archive
from services.entropy.beacon import BeaconKeeper
from services.entropy.collect import Collector
from services.entropy.config import EntropyConfig
from services.entropy.generate import Generator, Peers
from services.entropy.laboratory import Laboratory
from services.entropy.lift import Lifter
from services.entropy.listing import list_sources
from services.entropy.pool import Pool
from services.entropy.refill import Refiller
from services.entropy.service import EntropyService
from services.entropy.store import PoolStore
from tests.conftest import RunningPostgres
from tests.mesh.serving import Home

SIMULATOR, MACHINE = "sim.stabilizer", "ibm_marrakesh"
CHUNK_BITS, BLOCK_BITS = 65_536, 262_144
NOON = dt.datetime(2026, 11, 21, 12, 0, 1, tzinfo=dt.UTC)
CALL = Call("edge")
Bits = Callable[[int], np.ndarray]


def good(count: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(secrets.token_bytes(-(-count // 8)), np.uint8), count=count)


class Peer:
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.before: defaultdict[str, deque[Exception]] = defaultdict(deque)

    def meet(self, method: str) -> None:
        self.calls[method] += 1
        if self.before[method]:
            raise self.before[method].popleft()


class FakeExecution(Peer):
    """A simulator and a machine, whose bits a test makes up."""

    def __init__(self) -> None:
        super().__init__()
        self.bits: Bits = good
        self.asked: list[execution_pb2.SubmitJobRequest] = []

    async def ListAlgorithms(self, _request: Any) -> execution_pb2.ListAlgorithmsResponse:
        self.meet("ListAlgorithms")
        kinds = {SIMULATOR: routing_pb2.BACKEND_KIND_SIMULATOR, MACHINE: routing_pb2.BACKEND_KIND_LIVE}
        return execution_pb2.ListAlgorithmsResponse(
            backends=[
                routing_pb2.Backend(backend_id=name, display_name=name, kind=kind, qubit_count=156)
                for name, kind in kinds.items()
            ]
        )

    async def SubmitJob(self, request: execution_pb2.SubmitJobRequest, **_: float) -> execution_pb2.SubmitJobResponse:
        self.meet("SubmitJob")
        self.asked.append(request)
        return execution_pb2.SubmitJobResponse(job=execution_pb2.Job(job_id=str(uuid.uuid4())))

    async def WatchJob(
        self, request: execution_pb2.WatchJobRequest, **_: float
    ) -> AsyncIterator[execution_pb2.WatchJobResponse]:
        self.meet("WatchJob")
        made = {"engine": "fake", "engine_version": "1", "simulated": self.asked[-1].hardware == SIMULATOR}
        job = execution_pb2.Job(
            job_id=request.job_id,
            state=execution_pb2.JOB_STATE_COMPLETED,
            record=msgspec.json.encode({"execution": {**made, "calibration_id": None}}),
            end_time=Timestamp(seconds=1),
        )
        yield execution_pb2.WatchJobResponse(job=job)

    async def GetJobResult(self, _request: Any, **_: float) -> AsyncIterator[execution_pb2.GetJobResultResponse]:
        asked = self.asked[-1]
        text = (self.bits(156 * asked.shot_count) + ord("0")).astype(np.uint8).tobytes().decode()
        memory = [text[start : start + 156] for start in range(0, len(text), 156)]
        yield execution_pb2.GetJobResultResponse(info=execution_pb2.ResultInfo(size_bytes=1))
        yield execution_pb2.GetJobResultResponse(data=msgspec.json.encode({"memory": memory}))


class FakeBilling(Peer):
    """Holds by id: what is held, and whether it is open, settled or released."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: dict[str, list[Any]] = {}

    async def HoldFunds(self, request: billing_pb2.HoldFundsRequest) -> billing_pb2.HoldFundsResponse:
        self.meet("HoldFunds")
        assert request.metered
        free = request.requester.environment == requester_pb2.ENVIRONMENT_TEST
        amount, state = self.holds.setdefault(request.job_id, [0 if free else request.price.micros, 1])
        hold = billing_pb2.Hold(job_id=request.job_id, state=state)
        hold.amount.micros = amount
        return billing_pb2.HoldFundsResponse(hold=hold)

    async def SettleHold(self, request: billing_pb2.SettleHoldRequest) -> billing_pb2.SettleHoldResponse:
        self.meet("SettleHold")
        self._close(request.job_id, billing_pb2.HOLD_STATE_SETTLED)
        return billing_pb2.SettleHoldResponse()

    async def ReleaseHold(self, request: billing_pb2.ReleaseHoldRequest) -> billing_pb2.ReleaseHoldResponse:
        self.meet("ReleaseHold")
        self._close(request.job_id, billing_pb2.HOLD_STATE_RELEASED)
        return billing_pb2.ReleaseHoldResponse()

    @property
    def settled(self) -> list[int]:
        return [amount for amount, state in self.holds.values() if state == billing_pb2.HOLD_STATE_SETTLED]

    def _close(self, job_id: str, state: int) -> None:
        if self.holds[job_id][1] not in {billing_pb2.HOLD_STATE_OPEN, state}:
            raise Conflict("closed the other way", reason="HOLD_CLOSED")
        self.holds[job_id][1] = state


class FakeSigning(Peer):
    """Keeps what it signed, by subject; another record for the same subject is a failed test."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, bytes] = {}

    async def SignRecord(self, request: signing_pb2.SignRecordRequest) -> signing_pb2.SignRecordResponse:
        self.meet("SignRecord")
        assert self.records.setdefault(request.subject, request.record) == request.record
        seal = signing_pb2.Seal(audit_hash=hashlib.sha256(request.record).digest(), signature=b"s", key_id="k")
        return signing_pb2.SignRecordResponse(seal=seal)


class Entropy:
    """The service in its parts. `again` is the same one after a kill: what was in memory is gone."""

    def __init__(self, database: Database, config: EntropyConfig, laboratory: Laboratory) -> None:
        self.execution, self.billing, self.signing = FakeExecution(), FakeBilling(), FakeSigning()
        self.now = NOON
        self.config = config
        self.database, self.laboratory = database, laboratory
        vault = Vault.read(config.key_encryption_key_file)
        self.store, self.archive = PoolStore(database, vault), Archive(database, vault)
        self.again()

    def again(self) -> None:
        config, clock = self.config, lambda: self.now
        self.collector = Collector(
            self.execution,  # type: ignore[arg-type]
            team_id=config.team_id,
            chunk_bits=config.chunk_bits,
            seconds=60,
        )
        self.refiller = Refiller(self.store, self.collector, self.laboratory, config=config, clock=clock)
        self.pool = Pool(self.store, self.refiller, self.collector, config=config, clock=clock)
        peers = Peers(self.billing, self.signing)  # type: ignore[arg-type]
        self.generator = Generator(self.pool, self.archive, self.laboratory, peers, clock=clock)
        self.beacon = BeaconKeeper(
            self.pool,
            self.archive,
            self.signing,  # type: ignore[arg-type]
            period=dt.timedelta(hours=1),
            clock=clock,
        )
        self.lifter = Lifter(self.store, self.refiller, self.signing, clock)  # type: ignore[arg-type]
        self.service = EntropyService(
            self.generator, self.archive, lambda: list_sources(self.store, self.collector, config), self.lifter
        )

    async def generate(self, bits: int = 256, **changes: Any) -> pb.GenerateEntropyResponse:
        known: dict[str, Any] = {
            "requester": requester(),
            "request_id": uuid.uuid4().hex,
            "fingerprint": b"f" * 32,
            "bit_count": bits,
            "source": "auto",
            "grade": pb.GRADE_DRBG,
            "encoding": pb.ENCODING_HEX,
        }
        return await self.service.GenerateEntropy(pb.GenerateEntropyRequest(**known | changes), CALL)


def requester(environment: Any = requester_pb2.ENVIRONMENT_LIVE, team_id: str = "") -> requester_pb2.Requester:
    return requester_pb2.Requester(
        team_id=team_id or str(uuid.uuid4()),
        user_id=str(uuid.uuid4()),
        key_id=str(uuid.uuid4()),
        plan="commercial",
        environment=environment,
    )


@asynccontextmanager
async def making_entropy(
    postgres: RunningPostgres, authority: Authority, scratch: Path
) -> AsyncIterator[Callable[..., Any]]:
    """Makes services, each on a database of its own; their child process is shared."""
    key = scratch / "entropy-key-encryption-key"
    secret(key)
    laboratory = Laboratory(idle_seconds=60)
    databases: list[Database] = []

    async def make(**settings: Any) -> Entropy:
        home = await Home.make("entropy", postgres, authority)
        known: dict[str, Any] = {
            "key_encryption_key_file": key,
            "chunk_bits": CHUNK_BITS,
            "block_bits": BLOCK_BITS,
            "ready_blocks": 1,
            "simulated_min_entropy": 0.5,
            "wait_seconds": 0.0,
        }
        config = home.config(EntropyConfig, **known | settings)
        databases.append(await Database.connect(home.database, schema="entropy"))
        return Entropy(databases[-1], config, laboratory)

    try:
        yield make
    finally:
        for database in databases:
            await database.close()
        await laboratory.close()
