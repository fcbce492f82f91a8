"""The only SQL of execution. Names need no schema: the search path is execution's own.

Every change of state writes its events to the outbox in the same statement or transaction. A worker's writes name the
worker: once its lease has passed to another, they change nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter

from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1.requester_pb2 import Requester

from mesh import outbox
from mesh.batch import Batcher
from mesh.database import Connection, Database
from mesh.events import Message
from services.execution import deeds, statements
from services.execution.ended import fault_of, outcome_of
from services.execution.job import LEAST_SECONDS, Job, JobId, Line, NewJob, Priority, Queue, Stage, State
from services.execution.lines import Waiting
from services.execution.rows import HELD, columns_of, end_columns, event_of, job_of, webhook_of, work_of

MOST_TEAMS = 16
"""Up to twice as many waiting teams are compared exactly; of more, a random part."""
MOST_AT_ONCE = 16
VERY_SHORT_SECONDS = 0.02
"""So many jobs of a team are claimed together where each is predicted to be done in this time."""
BULKY_BYTES = 64 * 1024
"""A record of this size is kept by itself."""


class Store:
    """Jobs in PostgreSQL."""

    def __init__(self, database: Database, messages: outbox.Outbox) -> None:
        """Use the service's own schema, and publish through its outbox."""
        self._database = database
        self._outbox = messages
        self.accepted = 0
        """Jobs that were inserted here so far."""
        self._kept: Batcher[tuple[JobId, str, bytes], bool] = Batcher(self._keep)
        self._ends: Batcher[tuple[Job, str | None, list[Message]], bool] = Batcher(self._end)

    async def insert(self, jobs: Sequence[NewJob]) -> set[JobId]:
        """Accept jobs in one commit with the work of those that wait; returns those inserted.

        The others met an earlier job of their team with the same request_id, or of the same quote. No event tells of a
        job's first state: whoever could wait for it has the answer of its submission.
        """
        waiting = [job for job in jobs if job.worker is None]
        told = [(job.job_id, work_of(job.job_id, job.decision.backend.pool, job.queue)) for job in waiting]
        told += [(job.job_id, deeds.submitted(job)) for job in jobs]
        rows = await self._database.fetch(
            statements.INSERT,
            *columns_of(jobs),
            *_columns([(job_id, message.id, message.subject, message.payload) for job_id, message in told]),
        )
        inserted = {JobId(row["job_id"]) for row in rows}
        self.accepted += len(inserted)
        self._outbox.publish([message for job_id, message in told if job_id in inserted])
        return inserted

    async def get(self, job_id: JobId, team_id: str | None = None) -> Job | None:
        """A job; with a team, only if it is that team's."""
        row = await self._database.fetchrow(
            "SELECT * FROM jobs WHERE job_id = $1 AND ($2::uuid IS NULL OR team_id = $2)", job_id, team_id
        )
        return job_of(row) if row else None

    async def version(self, job_id: JobId, team_id: str) -> int | None:
        """The version of a team's job; it costs the same however large the job is."""
        found: int | None = await self._database.fetchval(
            "SELECT version FROM jobs WHERE job_id = $1 AND team_id = $2", job_id, team_id
        )
        return found

    async def by_request(self, team_id: str, request_id: str) -> Job | None:
        """The job that a team's earlier request with this id made."""
        row = await self._database.fetchrow(
            "SELECT * FROM jobs WHERE team_id = $1 AND request_id = $2", team_id, request_id
        )
        return job_of(row) if row else None

    async def by_quote(self, quote_id: uuid.UUID) -> JobId | None:
        """The job that went by a quote."""
        found: uuid.UUID | None = await self._database.fetchval("SELECT job_id FROM jobs WHERE quote_id = $1", quote_id)
        return None if found is None else JobId(found)

    async def older(
        self, team_id: str, *, than: JobId | None, state: State | None, size: int
    ) -> tuple[list[Job], bool]:
        """Up to `size` jobs of a team, newest first, from the newest or below `than`; and whether there are more."""
        rows = await self._database.fetch(statements.OLDER, team_id, than, state, size + 1)
        return [job_of(row) for row in rows[:size]], len(rows) > size

    async def newer(self, team_id: str, *, than: JobId, state: State | None, size: int) -> tuple[list[Job], bool]:
        """The `size` jobs of a team next above `than`, newest first; and whether there are more above them."""
        rows = await self._database.fetch(statements.NEWER, team_id, than, state, size + 1)
        return [job_of(row) for row in reversed(rows[:size])], len(rows) > size

    async def claim(self, job_id: JobId, worker: str, *, lease: dt.timedelta, now: dt.datetime) -> Job | None:
        """Take a job for a worker; None where it has ended or another worker's lease still runs.

        Nobody is told: that is for the first `report`, which most jobs end before.
        """
        row = await self._database.fetchrow(statements.CLAIM, job_id, worker, now, lease)
        return job_of(row) if row else None

    async def claim_next(
        self, line: Line, ahead: Mapping[str, float], worker: str, *, lease: dt.timedelta, now: dt.datetime
    ) -> list[Job]:
        """Take the job whose turn it is for a worker, or several that are very short; none where nothing waits there.

        `ahead` are the seconds by which teams are ahead of their share; a team that is not named is not ahead.
        """
        rows = await self._database.fetch(
            statements.CLAIM_NEXT, line.pool, line.queue, line.priorities, list(ahead), list(ahead.values()),
            MOST_TEAMS, uuid.uuid4(), worker, now, lease, MOST_AT_ONCE, VERY_SHORT_SECONDS,
        )  # fmt: skip
        return [job_of(row) for row in sorted(rows, key=itemgetter("job_id"))]

    async def lost(self, pool: str, now: dt.datetime) -> list[tuple[JobId, Queue]]:
        """Running jobs that no worker has any more, those first that were lost first; some of them."""
        rows = await self._database.fetch(
            "SELECT job_id, queue FROM jobs WHERE state = 2 AND pool = $1 AND lease_end_time <= $2"
            " ORDER BY lease_end_time LIMIT 50",
            pool, now,
        )  # fmt: skip
        return [(JobId(row["job_id"]), Queue(row["queue"])) for row in rows]

    async def renew(self, job_id: JobId, worker: str, *, lease: dt.timedelta, now: dt.datetime) -> bool | None:
        """Extend a lease; None where it is another's now, else whether the team has asked to cancel."""
        cancel_requested: bool | None = await self._database.fetchval(
            "UPDATE jobs SET lease_end_time = $3::timestamptz + $4::interval, update_time = $3"
            " WHERE job_id = $1 AND worker = $2 AND state = 2 RETURNING cancel_requested",
            job_id, worker, now, lease,
        )  # fmt: skip
        return cancel_requested

    async def give_back(self, job_id: JobId, worker: str, now: dt.datetime) -> None:
        """End a lease before its time; the claim that began it does not count as an attempt."""
        await self._database.execute(
            "UPDATE jobs SET lease_end_time = $3, update_time = $3, attempt_count = attempt_count - 1"
            " WHERE job_id = $1 AND worker = $2 AND state = 2",
            job_id, worker, now,
        )  # fmt: skip

    async def park(self, job_id: JobId, worker: str, *, until: dt.datetime, now: dt.datetime) -> None:
        """Let nobody have a running job until then, or until its team cancels it; it was no attempt."""
        await self._database.execute(
            "UPDATE jobs SET worker = NULL, update_time = $4::timestamptz, attempt_count = attempt_count - 1,"
            " lease_end_time = CASE WHEN cancel_requested THEN $4::timestamptz ELSE $3::timestamptz END"
            " WHERE job_id = $1 AND worker = $2 AND state = 2",
            job_id, worker, until, now,
        )  # fmt: skip

    async def report(self, job_id: JobId, worker: str, progress: float, message: str, now: dt.datetime) -> None:
        """Note how far a running job is, and tell its watchers."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "UPDATE jobs SET progress = $3, progress_message = $4, version = version + 1, update_time = $5"
                " WHERE job_id = $1 AND worker = $2 AND state = 2 RETURNING *",
                job_id, worker, progress, message, now,
            )  # fmt: skip
            messages = await self._tell(connection, job_of(row)) if row else []
        self._outbox.publish(messages)

    async def keep_record(self, job_id: JobId, worker: str, record: bytes) -> bool:
        """Keep a result before anything is told of it; False where the lease is lost."""
        kept = (job_id, worker, record)
        if len(record) > BULKY_BYTES:
            return (await self._keep([kept]))[0] is True
        return await self._kept.add(kept)

    async def move(
        self, job_id: JobId, worker: str, backend: routing_pb2.Backend, now: dt.datetime, *, fault: str
    ) -> Job | None:
        """Give a running job another backend: it is queued again, and its watchers are told; None without the lease.

        `fault` says for people why it could not stay.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "UPDATE jobs SET state = 1, backend_id = $3, backend = $4, pool = $6, version = version + 1,"
                " update_time = $5, worker = NULL, lease_end_time = NULL, history = history || 6::smallint, fault = $7"
                " WHERE job_id = $1 AND worker = $2 AND state = 2 RETURNING *",
                job_id, worker, backend.backend_id, backend.SerializeToString(), now, backend.pool, fault,
            )  # fmt: skip
            if row is None:
                return None
            job = job_of(row)
            await connection.execute("UPDATE provider_jobs SET left_behind = true WHERE job_id = $1", job_id)
            outcome, team_id = fault_of(job, now), job.requester.team_id
            rerouted = event_of(job_id, team_id, job.state, now, word=Stage.REROUTED.word, outcome=outcome)
            messages = [rerouted, work_of(job_id, backend.pool, job.queue)]
            messages += webhook_of(job, Stage.REROUTED, job.state, now)
            await outbox.insert(connection, messages)
        self._outbox.publish(messages)
        return job

    async def end(  # noqa: PLR0913 - what an end is made of
        self,
        job: Job,
        worker: str | None,
        state: State,
        *,
        now: dt.datetime,
        record: bytes | None = None,
        seal: signing_pb2.Seal | None = None,
        error: tuple[str, str] | None = None,
        by: Requester | None = None,
    ) -> bool:
        """Bring a job to its last state, and tell; False where the worker has lost it or it has ended.

        `worker` None ends a job that no worker has. `record` is told of and was kept before. `error` is a type and a
        message. `by` is who asked for it, where somebody did.
        """
        outcome = outcome_of(job, state, now, record=record, error_type=error[0] if error else None)
        messages = [event_of(job.job_id, job.requester.team_id, state, now, outcome=outcome)]
        messages += webhook_of(job, Stage(state), state, now)
        messages.append(deeds.ended(job, state, now, by=by, error_type=error[0] if error else None))
        error_type, error_message = error or (None, None)
        ended = replace(
            job, state=state, update_time=now, end_time=now, seal=seal,
            record=job.record if record is None else record,
            error_type=error_type, error_message=error_message, history=(*job.history, Stage(state)),
        )  # fmt: skip
        return await self._ends.add((ended, worker, messages))

    async def request_cancel(self, job_id: JobId, by: Requester, now: dt.datetime) -> Job | None:
        """Ask the worker of a running job to let go, or any worker to see to a parked one; None where it runs not."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "UPDATE jobs SET cancel_requested = true,"
                " lease_end_time = CASE WHEN worker IS NULL THEN update_time ELSE lease_end_time END"
                " WHERE job_id = $1 AND team_id = $2 AND state = 2 RETURNING *",
                job_id, by.team_id,
            )  # fmt: skip
            if row is None:
                return None
            job = job_of(row)
            messages = [deeds.cancel_requested(job, by, now)]
            await outbox.insert(connection, messages)
        self._outbox.publish(messages)
        return job

    async def requeue_stalled(self, *, older_than: dt.datetime, now: dt.datetime) -> int:
        """Queue again what waits or ran since before `older_than` without a living lease; returns how many."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(statements.STALLED, now, older_than)
            jobs = [job_of(row) for row in rows]
            messages = [work_of(job.job_id, job.backend.pool, job.queue) for job in jobs]
            await outbox.insert(connection, messages)
        self._outbox.publish(messages)
        return len(jobs)

    async def release(self, now: dt.datetime) -> None:
        """Let workers have the jobs that were kept from them until now."""
        async with self._database.transaction() as connection:
            jobs = [job_of(row) for row in await connection.fetch(statements.RELEASE, now)]
            messages = [work_of(job.job_id, job.backend.pool, job.queue) for job in jobs]
            await outbox.insert(connection, messages)
        self._outbox.publish(messages)

    async def versions(self, job_ids: Sequence[JobId]) -> dict[JobId, int]:
        """The versions of jobs; a job that does not exist is left out."""
        rows = await self._database.fetch("SELECT job_id, version FROM jobs WHERE job_id = ANY($1::uuid[])", job_ids)
        return {JobId(row["job_id"]): row["version"] for row in rows}

    async def states(self, job_ids: Sequence[JobId]) -> dict[JobId, State]:
        """The states of jobs; a job that does not exist is left out."""
        rows = await self._database.fetch("SELECT job_id, state FROM jobs WHERE job_id = ANY($1::uuid[])", job_ids)
        return {JobId(row["job_id"]): State(row["state"]) for row in rows}

    async def queue_depths(self) -> dict[str, int]:
        """How many jobs wait or run, by backend."""
        rows = await self._database.fetch(
            "SELECT backend_id, count(*) AS depth FROM jobs WHERE state IN (1, 2) GROUP BY backend_id"
        )
        return {row["backend_id"]: row["depth"] for row in rows}

    async def at_machines(self) -> dict[str, int]:
        """How many jobs a live machine has from here, by backend."""
        return {row["backend_id"]: row["depth"] for row in await self._database.fetch(statements.AT_MACHINES)}

    async def waiting(self) -> list[Waiting]:
        """The jobs that wait for a worker."""
        rows = await self._database.fetch(statements.WAITING, LEAST_SECONDS, HELD)
        return [Waiting(pool, Queue(queue), Priority(priority), *others) for pool, queue, priority, *others in rows]

    async def _keep(self, records: list[tuple[JobId, str, bytes]]) -> list[bool | Exception]:
        rows = await self._database.fetch(statements.KEEP, *_columns(records))
        kept = {row["job_id"] for row in rows}
        return [job_id in kept for job_id, _, _ in records]

    async def _end(self, ends: list[tuple[Job, str | None, list[Message]]]) -> list[bool | Exception]:
        told = [(job.job_id, message) for job, _, messages in ends for message in messages]
        rows = await self._database.fetch(
            statements.END,
            *_columns([end_columns(job, worker) for job, worker, _ in ends]),
            *_columns([(job_id, message.id, message.subject, message.payload) for job_id, message in told]),
        )
        changed = {row["job_id"]: dict(row) for row in rows}
        about = {
            message.id: replace(job, **changed[job.job_id])
            for job, _, messages in ends if job.job_id in changed
            for message in messages
        }  # fmt: skip
        self._outbox.publish([message for job_id, message in told if job_id in changed], about)
        return [job.job_id in changed for job, *_ in ends]

    async def _tell(self, connection: Connection, job: Job) -> list[Message]:
        messages = [event_of(job.job_id, job.requester.team_id, job.state, job.update_time)]
        await outbox.insert(connection, messages)
        return messages


def _columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
