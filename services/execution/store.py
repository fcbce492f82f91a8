"""The only SQL of execution. Names need no schema: the search path is execution's own.

Every change of state writes its events to the outbox in the same statement or transaction. A worker's writes name the
worker: once its lease has passed to another, they change nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2

from mesh import outbox
from mesh.database import Connection, Database
from mesh.events import Message
from services.execution.job import Job, JobId, NewJob, Priority, Queue, State
from services.execution.rows import columns_of, event_of, job_of, work_of

# One statement, and so one commit: jobs, and the work of those that are new.
_INSERT = """
WITH new AS (
INSERT INTO jobs (job_id, team_id, user_id, key_id, plan, environment, request_id, fingerprint, algorithm_id,
                  parameters, requested_hardware, backend_id, backend, shot_count, priority, seed, webhook_url,
                  decision, cost, create_time, update_time, pool, queue, state, version)
SELECT *, 1, 1 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::smallint[], $7::text[],
                     $8::bytea[], $9::text[], $10::bytea[], $11::text[], $12::text[], $13::bytea[], $14::bigint[],
                     $15::smallint[], $16::bigint[], $17::text[], $18::bytea[], $19::bigint[], $20::timestamptz[],
                     $20::timestamptz[], $21::text[], $22::smallint[])
ON CONFLICT (team_id, request_id) DO NOTHING
RETURNING job_id
), told AS (
INSERT INTO outbox (id, subject, payload, headers)
SELECT id, subject, payload, '{}' FROM unnest($1::uuid[], $23::uuid[], $24::text[], $25::bytea[])
  AS message (job_id, id, subject, payload) JOIN new USING (job_id)
)
SELECT job_id FROM new
"""

_OLDER = """
SELECT * FROM jobs
WHERE team_id = $1 AND ($2::uuid IS NULL OR job_id < $2) AND ($3::smallint IS NULL OR state = $3)
ORDER BY job_id DESC LIMIT $4
"""

_NEWER = """
SELECT * FROM jobs
WHERE team_id = $1 AND job_id > $2 AND ($3::smallint IS NULL OR state = $3)
ORDER BY job_id LIMIT $4
"""

_CLAIM = """
UPDATE jobs SET state = 2, version = version + 1, worker = $2, lease_end_time = $3::timestamptz + $4::interval,
                update_time = $3, start_time = coalesce(start_time, $3), attempt_count = attempt_count + 1
WHERE job_id = $1 AND (state = 1 OR state = 2 AND (worker = $2 OR lease_end_time < $3))
RETURNING *
"""

# Of the first of the priorities ($3) in which any job waits: the oldest of the team that is least ahead ($4, $5) of its
# share. At most 2 * $6 teams are looked at, from a random one ($7) on and from the first, with a probe of the index
# `jobs_waiting` for each: the time does not grow with the jobs that wait, nor beyond that with the teams.
_CLAIM_NEXT = """
WITH candidates AS MATERIALIZED (
  SELECT urgency.priority, head.team_id
  FROM unnest($3::smallint[]) WITH ORDINALITY AS urgency (priority, rank)
  CROSS JOIN LATERAL (
    SELECT DISTINCT team_id, job_id FROM unnest(ARRAY[$7::uuid, '00000000-0000-0000-0000-000000000000']) AS first (id)
    CROSS JOIN LATERAL (
      WITH RECURSIVE hop AS (
        (SELECT team_id, job_id FROM jobs
         WHERE state = 1 AND pool = $1 AND queue = $2 AND priority = urgency.priority AND team_id >= first.id
         ORDER BY team_id, job_id LIMIT 1)
        UNION ALL
        SELECT next.* FROM hop CROSS JOIN LATERAL (
          SELECT team_id, job_id FROM jobs
          WHERE state = 1 AND pool = $1 AND queue = $2 AND priority = urgency.priority AND team_id > hop.team_id
          ORDER BY team_id, job_id LIMIT 1) AS next
      )
      SELECT * FROM hop LIMIT $6
    ) AS heads
  ) AS head
  LEFT JOIN unnest($4::uuid[], $5::float8[]) AS ahead (team_id, seconds) ON ahead.team_id = head.team_id
  ORDER BY urgency.rank, coalesce(ahead.seconds, 0), head.job_id
)
UPDATE jobs SET state = 2, version = version + 1, worker = $8, lease_end_time = $9::timestamptz + $10::interval,
                update_time = $9, start_time = coalesce(start_time, $9), attempt_count = attempt_count + 1
WHERE job_id = (
  SELECT job_id FROM candidates CROSS JOIN LATERAL (
    SELECT job_id FROM jobs
    WHERE state = 1 AND pool = $1 AND queue = $2 AND priority = candidates.priority AND team_id = candidates.team_id
    ORDER BY job_id LIMIT 1 FOR UPDATE SKIP LOCKED) AS oldest
  LIMIT 1)
RETURNING *
"""

# One statement, and so one round trip: the end, and the event that tells of it.
_END = """
WITH ended AS (
UPDATE jobs SET state = $3, version = version + 1, update_time = $4, end_time = $4, seal = $5,
                error_type = $6, error_message = $7, worker = NULL, lease_end_time = NULL
WHERE job_id = $1 AND state IN (1, 2) AND worker IS NOT DISTINCT FROM $2
RETURNING *
), told AS (
INSERT INTO outbox (id, subject, payload, headers) SELECT $8, $9, $10, '{}' FROM ended
)
SELECT * FROM ended
"""

_STALLED = """
UPDATE jobs SET update_time = $1 WHERE job_id IN (
  SELECT job_id FROM jobs
  WHERE state IN (1, 2) AND update_time < $2 AND coalesce(lease_end_time, $2) < $1
  ORDER BY update_time LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING *
"""

_RECENT = """
SELECT extract(epoch FROM end_time - start_time)::float8 FROM jobs
WHERE state = 3 AND backend_id = $1 ORDER BY job_id DESC LIMIT 50
"""


MOST_TEAMS = 16
"""Up to twice as many waiting teams are compared exactly; of more, a random part."""


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs that wait for the same: those of one queue, and the order of their priorities."""

    pool: str
    queue: Queue
    priorities: Sequence[Priority]


class Store:
    """Jobs in PostgreSQL."""

    def __init__(self, database: Database, messages: outbox.Outbox) -> None:
        """Use the service's own schema, and publish through its outbox."""
        self._database = database
        self._outbox = messages

    async def insert(self, jobs: Sequence[NewJob]) -> set[JobId]:
        """Accept jobs with their work in one commit; returns those inserted.

        The others met an earlier job of their team with the same request_id. No event tells of a job's first state:
        whoever could wait for it has the answer of its submission.
        """
        work = {job.job_id: work_of(job.job_id, job.decision.backend.pool, job.queue) for job in jobs}
        rows = await self._database.fetch(
            _INSERT,
            *columns_of(jobs),
            [message.id for message in work.values()],
            [message.subject for message in work.values()],
            [message.payload for message in work.values()],
        )
        inserted = {JobId(row["job_id"]) for row in rows}
        self._outbox.publish([message for job_id, message in work.items() if job_id in inserted])
        return inserted

    async def get(self, job_id: JobId, team_id: str | None = None) -> Job | None:
        """A job; with a team, only if it is that team's."""
        row = await self._database.fetchrow(
            "SELECT * FROM jobs WHERE job_id = $1 AND ($2::uuid IS NULL OR team_id = $2)", job_id, team_id
        )
        return job_of(row) if row else None

    async def by_request(self, team_id: str, request_id: str) -> Job | None:
        """The job that a team's earlier request with this id made."""
        row = await self._database.fetchrow(
            "SELECT * FROM jobs WHERE team_id = $1 AND request_id = $2", team_id, request_id
        )
        return job_of(row) if row else None

    async def older(
        self, team_id: str, *, than: JobId | None, state: State | None, size: int
    ) -> tuple[list[Job], bool]:
        """Up to `size` jobs of a team, newest first, from the newest or below `than`; and whether there are more."""
        rows = await self._database.fetch(_OLDER, team_id, than, state, size + 1)
        return [job_of(row) for row in rows[:size]], len(rows) > size

    async def newer(self, team_id: str, *, than: JobId, state: State | None, size: int) -> tuple[list[Job], bool]:
        """The `size` jobs of a team next above `than`, newest first; and whether there are more above them."""
        rows = await self._database.fetch(_NEWER, team_id, than, state, size + 1)
        return [job_of(row) for row in reversed(rows[:size])], len(rows) > size

    async def claim(self, job_id: JobId, worker: str, *, lease: dt.timedelta, now: dt.datetime) -> Job | None:
        """Take a job for a worker; None where it has ended or another worker's lease still runs.

        Nobody is told: that is for the first `report`, which most jobs end before.
        """
        row = await self._database.fetchrow(_CLAIM, job_id, worker, now, lease)
        return job_of(row) if row else None

    async def claim_next(
        self, line: Line, ahead: Mapping[str, float], worker: str, *, lease: dt.timedelta, now: dt.datetime
    ) -> Job | None:
        """Take the job whose turn it is for a worker; None where nothing waits there.

        `ahead` are the seconds by which teams are ahead of their share; a team that is not named is not ahead.
        """
        row = await self._database.fetchrow(
            _CLAIM_NEXT, line.pool, line.queue, line.priorities, list(ahead), list(ahead.values()), MOST_TEAMS,
            uuid.uuid4(), worker, now, lease,
        )  # fmt: skip
        return job_of(row) if row else None

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
        status = await self._database.execute(
            "UPDATE jobs SET record = $3 WHERE job_id = $1 AND worker = $2 AND state = 2", job_id, worker, record
        )
        return status == "UPDATE 1"

    async def move(self, job_id: JobId, worker: str, backend: routing_pb2.Backend, now: dt.datetime) -> Job | None:
        """Give a running job another backend: it is queued again, and its watchers are told; None without the lease."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "UPDATE jobs SET state = 1, backend_id = $3, backend = $4, pool = $6, version = version + 1,"
                " update_time = $5, worker = NULL, lease_end_time = NULL"
                " WHERE job_id = $1 AND worker = $2 AND state = 2 RETURNING *",
                job_id, worker, backend.backend_id, backend.SerializeToString(), now, backend.pool,
            )  # fmt: skip
            if row is None:
                return None
            job = job_of(row)
            rerouted = event_of(job_id, job.requester.team_id, job.state, now, word="rerouted")
            messages = [rerouted, work_of(job_id, backend.pool, job.queue)]
            await outbox.insert(connection, messages)
        self._outbox.publish(messages)
        return job

    async def end(
        self,
        job: Job,
        worker: str | None,
        state: State,
        *,
        now: dt.datetime,
        seal: signing_pb2.Seal | None = None,
        error: tuple[str, str] | None = None,
    ) -> Job | None:
        """Bring a job to its last state, and tell; None where the worker has lost it or it has ended.

        `worker` None ends a job that no worker has. `error` is a type and a message.
        """
        sealed = seal.SerializeToString() if seal is not None else None
        event = event_of(job.job_id, job.requester.team_id, state, now)
        told = (event.id, event.subject, event.payload)
        row = await self._database.fetchrow(
            _END, job.job_id, worker, state, now, sealed, *(error or (None, None)), *told
        )
        if row is None:
            return None
        self._outbox.publish([event])
        return job_of(row)

    async def request_cancel(self, job_id: JobId, team_id: str) -> Job | None:
        """Ask the worker of a running job to let go, or any worker to see to a parked one; None where it runs not."""
        row = await self._database.fetchrow(
            "UPDATE jobs SET cancel_requested = true,"
            " lease_end_time = CASE WHEN worker IS NULL THEN update_time ELSE lease_end_time END"
            " WHERE job_id = $1 AND team_id = $2 AND state = 2 RETURNING *",
            job_id, team_id,
        )  # fmt: skip
        return job_of(row) if row else None

    async def requeue_stalled(self, *, older_than: dt.datetime, now: dt.datetime) -> int:
        """Queue again what waits or ran since before `older_than` without a living lease; returns how many."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_STALLED, now, older_than)
            jobs = [job_of(row) for row in rows]
            messages = [work_of(job.job_id, job.backend.pool, job.queue) for job in jobs]
            await outbox.insert(connection, messages)
        self._outbox.publish(messages)
        return len(jobs)

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

    async def recent_seconds(self, backend_id: str) -> list[float]:
        """How long the last 50 completed jobs of a backend took, in seconds."""
        return [row[0] for row in await self._database.fetch(_RECENT, backend_id)]

    async def _tell(self, connection: Connection, job: Job) -> list[Message]:
        messages = [event_of(job.job_id, job.requester.team_id, job.state, job.update_time)]
        await outbox.insert(connection, messages)
        return messages
