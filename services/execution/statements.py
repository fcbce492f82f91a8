"""The longer statements of `store.py`, with what each promises."""

from __future__ import annotations

# One statement, and so one commit: jobs, and the work of those that are new: of a request that has none yet, and by a
# quote that has none.
# A job that a worker has begun is as CLAIM_NEXT would leave it.
INSERT = """
WITH new AS (
INSERT INTO jobs (worker, lease_end_time, start_time,
                  job_id, team_id, user_id, key_id, plan, environment, request_id, fingerprint, algorithm_id,
                  parameters, requested_hardware, backend_id, backend, shot_count, priority, seed, webhook_url,
                  decision, cost, create_time, update_time, pool, queue, seconds, release_time, engine_crash,
                  public_request, traceparent, quote_id, attempt_count, state, version, history)
SELECT *, num_nonnulls(worker), 1 + num_nonnulls(worker), 1 + num_nonnulls(worker),
       CASE WHEN worker IS NULL THEN '{1}'::smallint[] ELSE '{1,2}' END
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[],
            $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::smallint[], $10::text[],
            $11::bytea[], $12::text[], $13::bytea[], $14::text[], $15::text[], $16::bytea[], $17::bigint[],
            $18::smallint[], $19::bigint[], $20::text[], $21::bytea[], $22::bigint[], $23::timestamptz[],
            $23::timestamptz[], $24::text[], $25::smallint[], $26::real[], $27::timestamptz[], $28::boolean[],
            $29::text[], $30::text[], $31::uuid[]) AS job (worker)
ON CONFLICT DO NOTHING
RETURNING job_id
), told AS (
INSERT INTO outbox (id, subject, payload, headers)
SELECT id, subject, payload, '{}' FROM unnest($32::uuid[], $33::uuid[], $34::text[], $35::bytea[])
  AS message (job_id, id, subject, payload) JOIN new USING (job_id)
)
SELECT job_id FROM new
"""

# A job in a list, without what is large: with its record, a page of 100 could be of 100 MiB.
_LISTED = """
SELECT job_id, team_id, user_id, key_id, plan, environment, fingerprint, algorithm_id, ''::bytea AS parameters,
       requested_hardware, backend, shot_count, priority, seed, webhook_url, ''::bytea AS decision, queue, cost, state,
       version, create_time, update_time, start_time, end_time, cancel_requested, attempt_count, progress,
       progress_message, NULL::bytea AS record, NULL::bytea AS seal, error_type, error_message, engine_crash, history,
       public_request, traceparent, fault
FROM jobs
"""

OLDER = f"""
{_LISTED}
WHERE team_id = $1 AND ($2::uuid IS NULL OR job_id < $2) AND ($3::smallint IS NULL OR state = $3)
ORDER BY job_id DESC LIMIT $4
"""

NEWER = f"""
{_LISTED}
WHERE team_id = $1 AND job_id > $2 AND ($3::smallint IS NULL OR state = $3)
ORDER BY job_id LIMIT $4
"""

CLAIM = """
UPDATE jobs SET state = 2, version = version + 1, worker = $2, lease_end_time = $3::timestamptz + $4::interval,
                update_time = $3, start_time = coalesce(start_time, $3), attempt_count = attempt_count + 1,
                history = CASE state WHEN 1 THEN history || 2::smallint ELSE history END
WHERE job_id = $1 AND (state = 1 OR state = 2 AND (worker = $2 OR lease_end_time < $3))
RETURNING *
"""

# Of the first of the priorities ($3) in which any job waits: the oldest of the team that is least ahead ($4, $5) of its
# share, and up to $11 of the next ones that are all predicted to be done within $12 seconds each. At most 2 * $6 teams
# are looked at, from a random one ($7) on and from the first, with a probe of the index `jobs_waiting` for each: the
# time does not grow with the jobs that wait, nor beyond that with the teams. The commit does not wait for the
# disk: where PostgreSQL crashes and forgets the claim, the job waits again, and what this worker still writes changes
# nothing.
CLAIM_NEXT = """
WITH candidates AS MATERIALIZED (
  SELECT urgency.priority, head.team_id
  FROM set_config('synchronous_commit', 'off', true)
  CROSS JOIN unnest($3::smallint[]) WITH ORDINALITY AS urgency (priority, rank)
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
                update_time = $9, start_time = coalesce(start_time, $9), attempt_count = attempt_count + 1,
                history = history || 2::smallint
WHERE job_id = ANY(ARRAY(
  SELECT job_id FROM (
    SELECT job_id, row_number() OVER () AS place, greatest(seconds, first_value(seconds) OVER ()) AS longest
    FROM (
      SELECT oldest.* FROM candidates CROSS JOIN LATERAL (
        SELECT job_id, seconds FROM jobs
        WHERE state = 1 AND pool = $1 AND queue = $2 AND priority = candidates.priority AND team_id = candidates.team_id
        ORDER BY job_id LIMIT $11 FOR UPDATE SKIP LOCKED) AS oldest
      LIMIT $11) AS next) AS placed
  WHERE place = 1 OR longest <= $12))
RETURNING *
"""

KEEP = """
UPDATE jobs SET record = kept.record FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS kept (job_id, worker, record)
WHERE jobs.job_id = kept.job_id AND jobs.worker = kept.worker AND jobs.state = 2
RETURNING jobs.job_id
"""

# One statement, and so one round trip: the ends, and the messages that tell of them.
END = """
WITH last AS (
SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::timestamptz[], $5::bytea[], $6::text[], $7::text[])
  AS last (job_id, worker, state, time, seal, error_type, error_message)
), ended AS (
UPDATE jobs SET state = last.state, version = version + 1, update_time = last.time, end_time = last.time,
                seal = last.seal, error_type = last.error_type, error_message = last.error_message,
                history = history || last.state, worker = NULL, lease_end_time = NULL
FROM last
WHERE jobs.job_id = last.job_id AND jobs.state IN (1, 2) AND jobs.worker IS NOT DISTINCT FROM last.worker
RETURNING jobs.job_id, jobs.version, jobs.progress, jobs.progress_message, jobs.cancel_requested
), told AS (
INSERT INTO outbox (id, subject, payload, headers)
SELECT id, subject, payload, '{}' FROM unnest($8::uuid[], $9::uuid[], $10::text[], $11::bytea[])
  AS message (job_id, id, subject, payload) JOIN ended USING (job_id)
)
SELECT * FROM ended
"""

# Jobs that were kept from their workers until now (rows.HELD).
RELEASE = """
UPDATE jobs SET pool = substring(pool FROM 6), release_time = NULL, update_time = $1 WHERE job_id IN (
  SELECT job_id FROM jobs WHERE state = 1 AND release_time <= $1 ORDER BY release_time LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING *
"""

STALLED = """
UPDATE jobs SET update_time = $1 WHERE job_id IN (
  SELECT job_id FROM jobs
  WHERE state IN (1, 2) AND update_time < $2 AND coalesce(lease_end_time, $2) < $1
  ORDER BY update_time LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING *
"""

# A provider's machine has a queue of its own, in which its jobs lie while they run.
AT_MACHINES = """
SELECT backend_id, count(*) AS depth FROM jobs WHERE state IN (1, 2) AND pool = 'live' GROUP BY backend_id
"""

# What is not predicted counts as turns.py counts it, and what is kept from its workers ($2) waits for nobody's turn.
WAITING = """
SELECT pool, queue, priority, team_id::text, count(*),
       sum(CASE seconds WHEN 'Infinity' THEN $1 ELSE greatest(seconds, $1) END)::float8 AS seconds
FROM jobs WHERE state = 1 AND pool <> 'live' AND NOT starts_with(pool, $2) GROUP BY pool, queue, priority, team_id
"""
