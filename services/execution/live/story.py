"""A job on a live machine, in steps. Between two steps nothing is held: no memory, no lease, no connection.

    replay the algorithm → plan the circuits it needs → send each → ask for each → replay with what came …

A circuit is noted as SUBMITTING before it is sent, and as SUBMITTED with the provider's id after. Whoever finds one
SUBMITTING, after a crash or a lost answer, looks for its tag at the provider, and sends it again only where the tag
stays unknown for GRACE, or where the provider promises to take a tag once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2

from mesh.errors import InvalidArgument
from mesh.telemetry import log
from services.execution import task
from services.execution.children import Children, EngineFault
from services.execution.job import Job
from services.execution.lease import JobCancelled, Lease, Parked
from services.execution.live.accounts import ProviderAccounts
from services.execution.live.errors import Busy, NotAdmitted, OutcomeUnknown, ProviderError, Refused
from services.execution.live.job import ProviderJob, Stand
from services.execution.live.provider import Provider, Stage, Status
from services.execution.live.store import LiveStore
from services.execution.live.target import Reading

GRACE = dt.timedelta(seconds=90)
"""A tag that a provider does not know this long after the sending never arrived: longer than any call may last."""
PATIENCE = dt.timedelta(hours=24)
"""How long a provider may be out of reach before its job is given up."""
UNSENT_PATIENCE = dt.timedelta(minutes=1)
"""How long a job for "auto" waits for a provider that has nothing of it; then another backend may have it."""
SKEW = dt.timedelta(minutes=5)
"""How far a provider's clock may be behind ours."""
LEAST_PAUSE, MOST_PAUSE = 2.0, 60.0
"""Seconds between two looks at a job; a tenth of its age in between."""
CALLS_AT_ONCE = 8
"""To a provider, for one job."""
MOST_CIRCUITS = 300
"""Of one job: each is paid for."""


class LiveStory:
    """Takes jobs on machines a step further."""

    def __init__(
        self,
        store: LiveStore,
        accounts: ProviderAccounts,
        children: Children,
        *,
        run_seconds: float,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Replay algorithms in `children`, started with the first job, each time for `run_seconds` at most."""
        self._store = store
        self._accounts = accounts
        self._children = children
        self._run_seconds = run_seconds
        self._clock = clock
        self._starting = asyncio.Lock()
        self._started = False

    async def reach(self, requester: requester_pb2.Requester) -> list[routing_pb2.ProviderAccount]:
        """The accounts that a requester may use. Raises Unavailable."""
        return await self._accounts.reach(requester)

    async def step(self, job: Job, lease: Lease) -> task.Outcome:
        """The outcome, where everything is there for it.

        Raises Parked where the job has to wait for its machine, JobCancelled once the provider was told too,
        EngineFault where machine or provider fail, InvalidArgument for a circuit that the machine refuses, and
        LeaseLost.
        """
        circuits = await self._store.of_job(job.job_id)
        try:
            provider = await self._accounts.provider(job.backend, job.requester.team_id, f"job/{job.job_id}")
            return await self._advance(job, lease, provider, circuits)
        except (Busy, OutcomeUnknown) as busy:
            raise self._wait(job, circuits, busy, getattr(busy, "after", 0.0)) from None
        except NotAdmitted as refused:
            if lease.cancelled:
                log.warning("cancel_not_passed_on", job_id=str(job.job_id), reason=str(refused))
                raise JobCancelled from None
            if any(circuit.stand is Stand.SUBMITTED for circuit in circuits):  # it may be paid for: wait for new ones
                raise self._wait(job, circuits, refused, 0.0) from None
            raise EngineFault(str(refused)) from None
        except Refused as refused:
            raise EngineFault(str(refused)) from None

    async def _advance(
        self, job: Job, lease: Lease, provider: Provider, circuits: Sequence[ProviderJob]
    ) -> task.Outcome:
        try:
            while True:
                _require_wanted(lease)
                stages = await self._carry_all(provider, circuits, lease)
                _require_wanted(lease)
                if any(stages):
                    raise Parked(self._pause(circuits), _words(job, stages))
                answer = await lease.compute(self._replay(job, provider))
                if isinstance(answer, task.Outcome):
                    return answer
                circuits = await self._plan(job, circuits, answer)
        except JobCancelled:
            await self._withdraw(provider, job)
            raise
        except (EngineFault, InvalidArgument):
            await self._withdraw(provider, job)
            raise
        except NotAdmitted:
            self._accounts.forget(provider)
            raise

    async def _replay(self, job: Job, provider: Provider) -> task.Circuits | task.Outcome:
        async with self._starting:
            if not self._started:
                await self._children.start()
                self._started = True
        circuits = await self._store.of_job(job.job_id)
        readings = tuple(circuit.reading for circuit in circuits if circuit.reading is not None)
        target = await provider.target()
        request = task.Replay(
            algorithm_id=job.algorithm_id,
            parameters=job.parameters,
            shots=job.shot_count,
            seed=job.seed,
            provider=job.backend.provider,
            target=target,
            readings=readings,
            began_at=min((circuit.create_time for circuit in circuits), default=self._clock()).timestamp(),
        )
        return await self._children.call(request, timeout=self._run_seconds)

    async def _plan(self, job: Job, circuits: Sequence[ProviderJob], needed: task.Circuits) -> list[ProviderJob]:
        if len(circuits) + len(needed.circuits) > MOST_CIRCUITS:
            message = f"the job runs more than {MOST_CIRCUITS} circuits, the most for a live machine; choose its twin"
            raise InvalidArgument(message, reason="TOO_MANY_CIRCUITS", field="parameters")
        await self._store.plan(job.job_id, len(circuits), needed.circuits, self._clock())
        return await self._store.of_job(job.job_id)

    async def _carry_all(
        self, provider: Provider, circuits: Sequence[ProviderJob], lease: Lease
    ) -> list[Status | None]:
        """Take circuits as far as they go now, some at a time; the first error is raised when all have come to rest."""
        turns = asyncio.Semaphore(CALLS_AT_ONCE)

        async def carry(circuit: ProviderJob) -> Status | None:
            async with turns:
                _require_wanted(lease)
                return await self._carry(provider, circuit)

        stages: list[Status | None] = []
        for stage in await asyncio.gather(*map(carry, circuits), return_exceptions=True):
            if isinstance(stage, BaseException):
                raise stage
            stages.append(stage)
        return stages

    async def _carry(self, provider: Provider, circuit: ProviderJob) -> Status | None:
        """Take one circuit as far as it goes now; None where its counts are here."""
        if circuit.stand is Stand.DONE:
            return None
        if circuit.stand is Stand.SUBMITTING:
            circuit = await self._reconcile(provider, circuit)
        if circuit.stand is Stand.PLANNED:
            circuit = await self._send(provider, circuit)
        if circuit.stand is Stand.SUBMITTING or circuit.provider_job_id is None:
            return Status(Stage.QUEUED, detail="sent, and not confirmed yet")
        status = await provider.poll(circuit.provider_job_id)
        if status.stage is Stage.DONE:
            result = await provider.result(circuit.provider_job_id, circuit.circuit)
            compiled = circuit.circuit
            reading = Reading(compiled.digest, dict(result.counts), compiled.fidelity, result.seconds)
            await self._store.change(circuit, Stand.DONE, heard=self._clock(), result=(reading, result.cost_micros))
            return None
        if status.stage.ended:
            raise EngineFault(f"its provider ended the job: {status.detail or status.stage}")
        await self._store.change(circuit, Stand.SUBMITTED, heard=self._clock())
        return status

    async def _reconcile(self, provider: Provider, circuit: ProviderJob) -> ProviderJob:
        """Find out what became of a circuit that may have been sent; PLANNED where it never arrived."""
        found = await provider.find(circuit.tag, circuit.create_time - SKEW)
        now = self._clock()
        if found is not None:
            log.info("provider_job_found", tag=circuit.tag, provider_job=found)
            return await self._store.change(circuit, Stand.SUBMITTED, heard=now, provider_job_id=found)
        if provider.idempotent or now - (circuit.submit_time or circuit.create_time) > GRACE:
            return await self._store.change(circuit, Stand.PLANNED, heard=now)
        return circuit

    async def _send(self, provider: Provider, circuit: ProviderJob) -> ProviderJob:
        circuit = await self._store.change(circuit, Stand.SUBMITTING, sent=self._clock())
        try:
            provider_job_id = await provider.submit(circuit.circuit, circuit.tag)
        except OutcomeUnknown as error:
            log.warning("submit_unanswered", tag=circuit.tag, reason=str(error))
            return circuit
        except NotAdmitted:
            await self._store.change(circuit, Stand.PLANNED)
            raise
        except Refused as refused:
            await self._store.change(circuit, Stand.PLANNED, heard=self._clock())
            raise InvalidArgument(f"the machine refuses the circuit: {refused}", reason="CIRCUIT_REFUSED") from None
        except ProviderError:
            await self._store.change(circuit, Stand.PLANNED)
            raise
        now = self._clock()
        return await self._store.change(circuit, Stand.SUBMITTED, heard=now, provider_job_id=provider_job_id)

    async def _withdraw(self, provider: Provider, job: Job) -> None:
        """Cancel at the provider whatever is there; raises Busy, and Parked while it is not known what is there."""
        for circuit in await self._store.of_job(job.job_id):
            found = circuit
            if circuit.stand is Stand.SUBMITTING:
                found = await self._reconcile(provider, circuit)
                if found.stand is Stand.SUBMITTING:
                    raise Parked(LEAST_PAUSE, "looking for what was sent, to cancel it")
            if found.stand is Stand.SUBMITTED and found.provider_job_id is not None:
                await provider.cancel(found.provider_job_id)
                log.info("provider_job_cancelled", tag=circuit.tag, provider_job=found.provider_job_id)

    def _wait(self, job: Job, circuits: Sequence[ProviderJob], error: ProviderError, after: float) -> Exception:
        """Another try later, or the end where the provider was out of reach for too long."""
        heard = max([job.create_time, *(circuit.contact_time for circuit in circuits)])
        if self._clock() - heard > PATIENCE:
            left = [circuit.tag for circuit in circuits if circuit.stand in (Stand.SUBMITTING, Stand.SUBMITTED)]
            log.error("provider_given_up", job_id=str(job.job_id), provider=job.backend.provider, left_there=left)
            return EngineFault(
                f"its provider was out of reach for {PATIENCE.total_seconds() / 3600:.0f} hours: {error}"
            )
        waited = self._clock() - max(heard, job.start_time or heard)
        unsent = waited > UNSENT_PATIENCE and all(circuit.stand is Stand.PLANNED for circuit in circuits)
        return Parked(
            max(after, self._pause(circuits)), str(error), elsewhere=unsent and job.requested_hardware == "auto"
        )

    def _pause(self, circuits: Sequence[ProviderJob]) -> float:
        waiting = [circuit.create_time for circuit in circuits if circuit.stand is not Stand.DONE]
        age = (self._clock() - min(waiting, default=self._clock())).total_seconds()
        return min(MOST_PAUSE, max(LEAST_PAUSE, age / 10))


def _require_wanted(lease: Lease) -> None:
    if lease.cancelled:
        raise JobCancelled


def _words(job: Job, stages: Sequence[Status | None]) -> str:
    """Where a job stands, for people."""
    open_ones = [stage for stage in stages if stage is not None]
    first = open_ones[0]
    where = f"{first.stage} at {job.backend.provider}"
    if first.queue_position is not None:
        where += f", {first.queue_position} before it"
    done = len(stages) - len(open_ones)
    return where if len(stages) == 1 else f"{where}; {done} of {len(stages)} circuits done"
