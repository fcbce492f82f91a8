"""How a job is accepted: measured, routed, its money held, stored and queued in one commit.

Nothing is stored or billed before everything is known to be right. If the process dies between the hold and the
commit, the sweeper gives the money back.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import rfc8785
import uuid_utils.compat
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from qm.billing.v1 import billing_pb2
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2

from mesh.batch import Batcher
from mesh.destination import Destinations, require_callable
from mesh.errors import Conflict, InvalidArgument, MeshError, ResourceExhausted
from services.execution import faults, task
from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.listing import Algorithm, Catalogue
from services.execution.children import Children, EngineFault
from services.execution.engines.seeds import derive_seed
from services.execution.job import Job, JobId, NewJob, Priority
from services.execution.live.accounts import ProviderAccounts
from services.execution.market import find
from services.execution.messages import features_message, money
from services.execution.offers import Offers
from services.execution.peers import Peers
from services.execution.programs.features import Features
from services.execution.store import Store

DESCRIBE_SECONDS = 6.0
"""How long a program may take to be parsed and measured; 64 KiB of OpenQASM 3 take about 3."""
LONG_BYTES = 16 * 1024
"""Parameters beyond this size may take seconds to be measured, and leave one child to the others."""
KNOWN_PROGRAMS = 4096
"""Programs whose features are remembered: the same circuit is often sent again."""


@dataclass(slots=True)
class _Measured:
    """What is remembered of a program."""

    features: Features
    message: routing_pb2.Features
    engine: str | None
    """The one that the caller named."""
    offers: dict[int, list[routing_pb2.EngineOffer]] = field(default_factory=dict)
    """By shots."""


class Intake:
    """Accepts jobs."""

    def __init__(  # noqa: PLR0913 - the parts of intake, wired once
        self,
        store: Store,
        catalogue: Catalogue,
        children: Children,
        peers: Peers,
        offers: Offers,
        *,
        accounts: ProviderAccounts,
        clock: Callable[[], dt.datetime],
        webhooks: Destinations,
    ) -> None:
        """Measure programs in `children`, and commit in groups to `store`; teams may be called at `webhooks`."""
        self._store = store
        self._catalogue = catalogue
        self._children = children
        self._peers = peers
        self._offers = offers
        self._accounts = accounts
        self._clock = clock
        self._webhooks = webhooks
        self._measured: OrderedDict[tuple[str, bytes], _Measured] = OrderedDict()
        self._in_flight: dict[tuple[str, str], asyncio.Event] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._long = asyncio.Semaphore(max(1, children.count - 1))
        self._commits: Batcher[NewJob, bool] = Batcher(self._commit)

    async def submit(self, request: pb.SubmitJobRequest) -> tuple[Job, bool]:
        """The accepted job, and whether an earlier request with the same id made it; raises MeshError."""
        key = (request.requester.team_id, request.request_id)
        while (earlier := self._in_flight.get(key)) is not None:
            await earlier.wait()
            if (job := await self._replay(request)) is not None:
                return job, True
        done = self._in_flight[key] = asyncio.Event()
        try:
            return await self._submit(request)
        finally:
            del self._in_flight[key]
            done.set()

    async def close(self) -> None:
        """Commit what waits."""
        await self._commits.close()

    async def _submit(self, request: pb.SubmitJobRequest) -> tuple[Job, bool]:
        faults.require_test_key(request)
        require_callable(self._webhooks, request.webhook_url)
        try:
            new = await self._prepare(request)
        except MeshError:
            # A repeat must get its job even where a new one would be refused, for want of money for instance.
            if (job := await self._replay(request)) is not None:
                return job, True
            raise
        # If this raises, it is unknown whether the job is stored: a repeat finds out, the sweeper looks after the hold.
        if await self._commits.add(new):
            return Job.accepted(new), False
        await self._peers.billing.ReleaseHold(billing_pb2.ReleaseHoldRequest(job_id=str(new.job_id)))
        job = await self._replay(request)
        if job is None:
            raise Conflict("another request with this key is being worked on; repeat it", reason="REQUEST_IN_FLIGHT")
        return job, True

    async def _prepare(self, request: pb.SubmitJobRequest) -> NewJob:
        algorithm = find(self._catalogue, request.algorithm_id)
        given = _given(request.parameters)
        measured = await self._measure(request, algorithm, _canonical(given))
        job_id = JobId(uuid_utils.compat.uuid7())
        decision = await self._route(request, job_id, measured)
        hold = await self._hold(request, job_id, algorithm.facts.price_micros + decision.backend.price.micros)
        now = self._clock()
        return NewJob(
            job_id=job_id,
            requester=request.requester,
            request_id=request.request_id,
            fingerprint=request.fingerprint,
            algorithm_id=algorithm.id,
            parameters=_canonical({**algorithm.parameters.defaults, **given}),
            requested_hardware=request.hardware,
            shot_count=request.shot_count,
            priority=Priority(request.priority),
            seed=request.seed if request.HasField("seed") else derive_seed(str(job_id)),
            webhook_url=request.webhook_url,
            decision=decision,
            cost=hold.amount.micros,
            create_time=now,
            release_time=faults.release_time(request, now),
            engine_crash=request.test_faults.engine_crash,
        )

    async def _measure(self, request: pb.SubmitJobRequest, algorithm: Algorithm, parameters: bytes) -> _Measured:
        key = (algorithm.id, hashlib.sha256(parameters).digest())
        if key not in self._measured:
            describe = task.Describe(algorithm.id, _checked(algorithm, parameters))
            # One of a team at a time: its slow programs keep its own waiting, and nobody else's.
            async with self._turns.setdefault(request.requester.team_id, asyncio.Lock()):
                if key not in self._measured:
                    features = await self._describe(describe)
                    # Only an algorithm whose schema has an `engine` gets so far with one.
                    named = request.parameters.fields["engine"].string_value if "engine" in request.parameters else None
                    self._measured[key] = _Measured(features, features_message(features), named)
        self._measured.move_to_end(key)
        measured = self._measured[key]
        if len(self._measured) > KNOWN_PROGRAMS:
            self._measured.popitem(last=False)
        return measured

    async def _describe(self, request: task.Describe) -> Features:
        try:
            async with self._long if len(request.parameters) > LONG_BYTES else nullcontext():
                description = await self._children.call(request, timeout=DESCRIBE_SECONDS)
        except (ResourceExhausted, EngineFault) as error:
            message = f"parameters: the program could not be analysed in {DESCRIBE_SECONDS:.0f} s; make it simpler"
            raise InvalidArgument(message, reason="PROGRAM_TOO_COMPLEX", field="parameters") from error
        return description.features

    async def _route(self, request: pb.SubmitJobRequest, job_id: JobId, measured: _Measured) -> routing_pb2.Decision:
        shots = request.shot_count
        if shots not in measured.offers:
            measured.offers = {shots: self._offers.of(measured.features, shots, engine=measured.engine)}
        # "auto" never spends a provider's money, so that nobody need be asked for accounts.
        named = request.hardware != "auto"
        wish = routing_pb2.ChooseBackendRequest(
            job_id=str(job_id),
            requester=request.requester,
            hardware=request.hardware,
            features=measured.message,
            shot_count=shots,
            offers=measured.offers[shots],
            accounts=await self._accounts.reach(request.requester) if named else (),
        )
        response = await self._peers.routing.ChooseBackend(wish)
        if request.test_faults.hardware_offline:
            first = response.decision.backend.backend_id
            if named:
                raise faults.offline(first)
            wish.excluded_backend_ids.append(first)
            response = await self._peers.routing.ChooseBackend(wish)
        response.decision.twin_allowed = request.allow_twin
        backend = response.decision.backend
        if measured.engine not in (None, backend.engine):
            message = (
                f"parameters.engine: {backend.backend_id} does not run on {measured.engine}; leave one of them out"
            )
            raise InvalidArgument(message, reason="ENGINE_DOES_NOT_FIT", field="parameters.engine")
        return response.decision

    async def _hold(self, request: pb.SubmitJobRequest, job_id: JobId, price: int) -> billing_pb2.Hold:
        response = await self._peers.billing.HoldFunds(
            billing_pb2.HoldFundsRequest(
                job_id=str(job_id),
                requester=request.requester,
                price=money(price),
                priority=request.priority == pb.PRIORITY_PRIORITY,
                max_amount=request.max_cost if request.HasField("max_cost") else None,
            )
        )
        return response.hold

    async def _commit(self, jobs: list[NewJob]) -> list[bool | Exception]:
        inserted = await self._store.insert(jobs)
        return [job.job_id in inserted for job in jobs]

    async def _replay(self, request: pb.SubmitJobRequest) -> Job | None:
        job = await self._store.by_request(request.requester.team_id, request.request_id)
        if job is not None and job.fingerprint != request.fingerprint:
            message = "this Idempotency-Key was used with another request; use a new key for a new request"
            raise Conflict(message, reason="IDEMPOTENCY_KEY_REUSED", field="Idempotency-Key")
        return job


def _checked(algorithm: Algorithm, parameters: bytes) -> bytes:
    """The parameters with their defaults, as JSON; raises InvalidArgument naming what breaks the schema."""
    try:
        return json.dumps(algorithm.checked(json.loads(parameters))).encode()
    except ParameterError as error:
        raise InvalidArgument(str(error), reason=error.reason, field=error.path) from error


def _given(parameters: Struct) -> dict[str, Any]:
    """The parameters as they were sent."""
    try:
        return json_format.MessageToDict(parameters)
    except (ValueError, RecursionError) as error:  # a number that JSON does not have
        message = f"parameters: {error}"
        raise InvalidArgument(message, reason="INVALID_PARAMETERS", field="parameters") from error


def _canonical(parameters: dict[str, Any]) -> bytes:
    try:
        return rfc8785.dumps(parameters)
    except (ValueError, RecursionError) as error:  # a number that JSON does not carry exactly
        message = f"parameters: {error}"
        raise InvalidArgument(message, reason="INVALID_PARAMETERS", field="parameters") from error
