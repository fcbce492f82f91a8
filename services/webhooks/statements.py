"""The longer statements of the store, with what each promises."""

from __future__ import annotations

NEW_ENDPOINTS = """
INSERT INTO endpoints (endpoint_id, team_id, url)
SELECT DISTINCT ON (team_id, url) * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS new (endpoint_id, team_id, url)
ORDER BY team_id, url ON CONFLICT (team_id, url) DO NOTHING
"""

# A delivery that is there already is the same event again.
FILE = """
INSERT INTO deliveries (delivery_id, team_id, endpoint_id, job_id, event, body, state, due_time, create_time)
SELECT new.delivery_id, new.team_id, endpoint_id, new.job_id, new.event, new.body,
       CASE WHEN disable_time IS NULL THEN 1 ELSE 6 END, new.create_time, new.create_time
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bytea[], $7::timestamptz[])
  AS new (delivery_id, team_id, url, job_id, event, body, create_time)
JOIN endpoints USING (team_id, url)
ON CONFLICT (delivery_id) DO NOTHING
"""

# Up to $3 deliveries that are due, of as many teams as possible: each team gets a place in turn, and within a team each
# endpoint. A team has at most $4 under way and an endpoint $5, counting those of this process ($8 to $11); an endpoint
# where the last try failed has one, so that dead endpoints hold few places. Teams and endpoints are looked at from a
# random id ($1) on and from the first, $2 of each, with a probe of the index `deliveries_ready` for each: the time does
# not grow with what waits.
CLAIM = """
WITH teams AS MATERIALIZED (
  SELECT heads.team_id, $4 - coalesce(busy.count, 0) AS room
  FROM (
    SELECT DISTINCT team_id FROM unnest(ARRAY[$1::uuid, '00000000-0000-0000-0000-000000000000']) AS first (id)
    CROSS JOIN LATERAL (
      WITH RECURSIVE hop AS (
        (SELECT team_id FROM deliveries WHERE state = 1 AND team_id >= first.id ORDER BY team_id LIMIT 1)
        UNION ALL
        SELECT next.team_id FROM hop CROSS JOIN LATERAL (
          SELECT team_id FROM deliveries WHERE state = 1 AND team_id > hop.team_id ORDER BY team_id LIMIT 1) AS next
      )
      SELECT team_id FROM hop LIMIT $2
    ) AS hops
  ) AS heads
  LEFT JOIN unnest($8::uuid[], $9::integer[]) AS busy (team_id, count) USING (team_id)
), lines AS MATERIALIZED (
  SELECT DISTINCT teams.team_id, teams.room, line.endpoint_id
  FROM teams CROSS JOIN unnest(ARRAY[$1::uuid, '00000000-0000-0000-0000-000000000000']) AS first (id)
  CROSS JOIN LATERAL (
    WITH RECURSIVE hop AS (
      (SELECT endpoint_id FROM deliveries
       WHERE state = 1 AND team_id = teams.team_id AND endpoint_id >= first.id ORDER BY endpoint_id LIMIT 1)
      UNION ALL
      SELECT next.endpoint_id FROM hop CROSS JOIN LATERAL (
        SELECT endpoint_id FROM deliveries
        WHERE state = 1 AND team_id = teams.team_id AND endpoint_id > hop.endpoint_id
        ORDER BY endpoint_id LIMIT 1) AS next
    )
    SELECT endpoint_id FROM hop LIMIT $2
  ) AS line
  WHERE teams.room > 0
), due AS (
  SELECT lines.team_id, lines.room, ready.delivery_id,
         row_number() OVER (PARTITION BY lines.endpoint_id ORDER BY ready.delivery_id) AS rank
  FROM lines JOIN endpoints USING (endpoint_id)
  LEFT JOIN unnest($10::uuid[], $11::integer[]) AS busy (endpoint_id, count) USING (endpoint_id)
  CROSS JOIN LATERAL (
    SELECT delivery_id FROM deliveries
    WHERE state = 1 AND team_id = lines.team_id AND endpoint_id = lines.endpoint_id ORDER BY delivery_id
    LIMIT greatest(0, CASE WHEN failing_since IS NULL THEN $5 ELSE 1 END - coalesce(busy.count, 0))
    FOR UPDATE SKIP LOCKED
  ) AS ready
), placed AS (
  SELECT delivery_id, room, row_number() OVER (PARTITION BY team_id ORDER BY rank, delivery_id) AS place FROM due
), taken AS MATERIALIZED (
  SELECT delivery_id FROM placed WHERE place <= room ORDER BY place, random() LIMIT $3
)
UPDATE deliveries SET state = 2, attempt_count = attempt_count + 1, due_time = $6::timestamptz + $7::interval
FROM taken, endpoints
WHERE deliveries.delivery_id = taken.delivery_id AND endpoints.endpoint_id = deliveries.endpoint_id
RETURNING deliveries.delivery_id, deliveries.team_id, deliveries.endpoint_id, endpoints.url, deliveries.body,
          deliveries.attempt_count,
          ARRAY(SELECT secrets.sealed FROM secrets
                WHERE secrets.team_id = deliveries.team_id AND (expire_time IS NULL OR expire_time > $6)
                ORDER BY expire_time DESC NULLS FIRST LIMIT $12) AS sealed,
          ARRAY(SELECT secrets.kid FROM secrets
                WHERE secrets.team_id = deliveries.team_id AND (expire_time IS NULL OR expire_time > $6)
                ORDER BY expire_time DESC NULLS FIRST LIMIT $12) AS kids
"""

# What is due, and what was taken up and left.
PROMOTE = """
UPDATE deliveries SET state = 1 WHERE delivery_id IN (
  SELECT delivery_id FROM deliveries WHERE state IN (2, 3) AND due_time <= $1
  ORDER BY due_time LIMIT 1000 FOR UPDATE SKIP LOCKED)
RETURNING true
"""

# A try is kept in any case; the delivery follows it only where nobody has taken it up again meanwhile.
SETTLE = """
WITH made AS (
  SELECT * FROM unnest($1::uuid[], $2::integer[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $6::interval[],
                       $7::smallint[], $8::text[], $9::text[])
    AS made (delivery_id, attempt_count, state, due_time, create_time, latency, status_code, error, response)
), logged AS (
  INSERT INTO attempts (delivery_id, create_time, latency, status_code, error, response)
  SELECT delivery_id, create_time, latency, status_code, error, response FROM made ON CONFLICT DO NOTHING
)
UPDATE deliveries SET state = made.state, due_time = made.due_time FROM made
WHERE deliveries.delivery_id = made.delivery_id AND deliveries.state = 2
  AND deliveries.attempt_count = made.attempt_count
"""

# One row for each endpoint: whether anything was taken there, and when. Those where nothing was for $4 are disabled;
# where nothing was tried for so long, it begins anew. Most tries change nothing here.
NOTE = """
WITH seen AS (SELECT * FROM unnest($1::uuid[], $2::boolean[], $3::timestamptz[]) AS seen (endpoint_id, taken, time))
UPDATE endpoints SET
  failing_since = CASE WHEN NOT taken THEN
    CASE WHEN last_failure_time < time - $4::interval THEN time ELSE coalesce(failing_since, time) END END,
  last_failure_time = CASE WHEN taken THEN NULL ELSE time END,
  disable_time = CASE WHEN taken THEN NULL
    WHEN failing_since <= time - $4::interval AND last_failure_time >= time - $4::interval
    THEN coalesce(disable_time, time) ELSE disable_time END
FROM seen WHERE endpoints.endpoint_id = seen.endpoint_id AND NOT (taken AND last_failure_time IS NULL)
RETURNING endpoints.endpoint_id, team_id, url, time, failing_since, disable_time = time AS disabled
"""

DISABLE = "UPDATE deliveries SET state = 6 WHERE endpoint_id = ANY($1::uuid[]) AND state IN (1, 3)"

_TOLD = """
SELECT deliveries.*, url, failing_since, disable_time FROM deliveries JOIN endpoints USING (endpoint_id)
"""
ONE = f"{_TOLD} WHERE deliveries.team_id = $1 AND delivery_id = $2"
LIST = f"""{_TOLD}
WHERE deliveries.team_id = $1 AND ($2::uuid IS NULL OR delivery_id < $2) AND ($3::uuid IS NULL OR job_id = $3)
  AND ($4::smallint[] IS NULL OR state = ANY($4))
ORDER BY delivery_id DESC LIMIT $5
"""

ATTEMPTS = """
SELECT latest.* FROM unnest($1::uuid[]) AS shown (delivery_id) CROSS JOIN LATERAL (
  SELECT * FROM attempts WHERE attempts.delivery_id = shown.delivery_id ORDER BY create_time DESC LIMIT $2) AS latest
ORDER BY latest.create_time
"""

# One that is due or under way stays as it is; any other begins its schedule anew.
RETRY = """
UPDATE deliveries SET state = 1, attempt_count = 0, due_time = $3
WHERE team_id = $1 AND delivery_id = $2 AND state NOT IN (1, 2)
"""

# No secret outlives the end that is given to all of them, nor its own.
EXPIRE = """
UPDATE secrets SET expire_time = $2 WHERE team_id = $1 AND (expire_time IS NULL OR expire_time > $2)
"""

PRESENT = """
SELECT sealed, kid, create_time,
       (SELECT max(expire_time) FROM secrets WHERE team_id = $1 AND expire_time > $2) AS previous_expire_time
FROM secrets WHERE team_id = $1 AND expire_time IS NULL
"""

BARE = """
SELECT DISTINCT team_id FROM unnest($1::uuid[]) AS team_id
WHERE NOT EXISTS (SELECT FROM secrets WHERE secrets.team_id = team_id.team_id AND expire_time IS NULL)
"""

# A team that has a present secret keeps it.
ADD = """
INSERT INTO secrets (secret_id, team_id, sealed, kid, create_time)
SELECT new.*, $5 FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[]) AS new
ON CONFLICT (team_id) WHERE expire_time IS NULL DO NOTHING
"""

FORGET = """
DELETE FROM deliveries WHERE delivery_id IN (
  SELECT delivery_id FROM deliveries WHERE create_time < $1 AND state > 3 ORDER BY create_time LIMIT $2)
"""

UNUSED = """
SELECT endpoint_id FROM endpoints
WHERE NOT EXISTS (SELECT FROM deliveries WHERE deliveries.endpoint_id = endpoints.endpoint_id) LIMIT $1
"""

FORGET_ENDPOINTS = """
DELETE FROM endpoints WHERE endpoint_id = ANY ($1::uuid[])
AND NOT EXISTS (SELECT FROM deliveries WHERE deliveries.endpoint_id = endpoints.endpoint_id)
"""
