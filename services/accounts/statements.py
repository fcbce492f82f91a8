"""The statements of accounts' stores. Names need no schema: the search path is accounts' own."""
# ruff: noqa: S608 - put together from constants alone

from __future__ import annotations

CLAIM = """
INSERT INTO requests (scope, request_id, fingerprint, made_id, create_time, sealed, kid)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING true
"""
CLAIMED = "SELECT fingerprint, made_id, sealed, kid FROM requests WHERE scope = $1 AND request_id = $2"
FORGET_SECRETS = "UPDATE requests SET sealed = NULL, kid = '' WHERE sealed IS NOT NULL AND create_time < $1"

_TEAMS = "SELECT team_id, name, plan, suspended, create_time FROM teams"
TEAM = f"{_TEAMS} WHERE team_id = $1"
TEAMS = f"""
{_TEAMS} WHERE ($1::uuid IS NULL OR team_id < $1) AND ($2 = '' OR position(lower($2) IN lower(name)) > 0 OR EXISTS (
  SELECT FROM users WHERE users.team_id = teams.team_id AND lower(email) = lower($2) AND remove_time IS NULL
)) ORDER BY team_id DESC LIMIT $3
"""
CHANGE_TEAM = "UPDATE teams SET plan = $2, suspended = $3 WHERE team_id = $1"
NEW_TEAM = "INSERT INTO teams (team_id, name, plan, suspended, create_time) VALUES ($1, $2, $3, $4, $5)"
LOCK_TEAM = f"{TEAM} FOR NO KEY UPDATE"

_USERS = "SELECT user_id, team_id, email, name, role, create_time FROM users"
USER = f"{_USERS} WHERE user_id = $1"
USERS = f"{_USERS} WHERE team_id = $1 AND remove_time IS NULL ORDER BY role, user_id"
SET_ROLE = "UPDATE users SET role = $3 WHERE team_id = $1 AND user_id = $2"
REMOVE_USER = "UPDATE users SET remove_time = $3 WHERE team_id = $1 AND user_id = $2"
NEW_USER = "INSERT INTO users (user_id, team_id, email, name, role, create_time) VALUES ($1, $2, $3, $4, $5, $6)"
ROLE = "SELECT role FROM users WHERE team_id = $1 AND user_id = $2 AND remove_time IS NULL"

_KEY_COLUMNS = (
    "key_id, team_id, user_id, name, environment, hint, create_time, expire_time, revoke_time, retire_time, "
    "last_use_time"
)
KEY = f"SELECT {_KEY_COLUMNS} FROM keys WHERE team_id = $1 AND key_id = $2"
_KEYS = f"SELECT {_KEY_COLUMNS} FROM keys WHERE team_id = $1 AND ($2::uuid IS NULL OR user_id = $2)"
NEWEST_KEYS = f"{_KEYS} ORDER BY key_id DESC LIMIT $3"
OLDER_KEYS = f"{_KEYS} AND key_id < $4 ORDER BY key_id DESC LIMIT $3"
NEWER_KEYS = f"{_KEYS} AND key_id > $4 ORDER BY key_id LIMIT $3"
NEW_KEY = """
INSERT INTO keys (key_id, team_id, user_id, name, environment, hint, create_time, expire_time, digest, pepper_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
COUNT_VALID = """
SELECT count(*) FROM keys
WHERE team_id = $1 AND revoke_time IS NULL AND least(expire_time, retire_time) > $2 IS NOT FALSE
"""
RETIRE = f"""
UPDATE keys SET retire_time = $3
WHERE team_id = $1 AND key_id = $2 AND revoke_time IS NULL AND retire_time IS NULL AND expire_time > $4 IS NOT FALSE
RETURNING {_KEY_COLUMNS}
"""
REVOKE = f"""
UPDATE keys SET revoke_time = $3 WHERE team_id = $1 AND key_id = $2 AND revoke_time IS NULL
RETURNING {_KEY_COLUMNS}
"""
REVOKE_ALL = """
UPDATE keys SET revoke_time = $3 WHERE team_id = $1 AND user_id = $2 AND revoke_time IS NULL RETURNING key_id
"""
COUNT_BY_PEPPER = """
SELECT pepper_id, count(*) AS key_count FROM keys
WHERE revoke_time IS NULL AND least(expire_time, retire_time) > $1 IS NOT FALSE GROUP BY pepper_id
"""
CREDENTIAL = """
SELECT keys.*, teams.plan, teams.suspended FROM keys JOIN teams USING (team_id) WHERE digest = ANY($1)
"""
NOTE_USES = """
UPDATE keys SET last_use_time = seen.time
FROM unnest($1::uuid[], $2::timestamptz[]) AS seen (key_id, time)
WHERE keys.key_id = seen.key_id AND keys.last_use_time >= seen.time IS NOT TRUE
"""
MOVE_DIGESTS = """
UPDATE keys SET digest = moved.digest, pepper_id = $3
FROM unnest($1::uuid[], $2::bytea[]) AS moved (key_id, digest)
WHERE keys.key_id = moved.key_id AND keys.pepper_id <> $3
"""

SET_CREDENTIALS = """
INSERT INTO provider_secrets (team_id, provider, sealed, kid, set_time, set_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (team_id, provider) DO UPDATE SET sealed = $3, kid = $4, set_time = $5, set_by = $6
RETURNING provider, set_time, set_by, last_use_time
"""
LIST_CREDENTIALS = """
SELECT provider, set_time, set_by, last_use_time FROM provider_secrets WHERE team_id = $1 ORDER BY provider
"""
DELETE_CREDENTIALS = "DELETE FROM provider_secrets WHERE team_id = $1 AND provider = $2"
USE_CREDENTIALS = """
UPDATE provider_secrets SET last_use_time = $3 WHERE team_id = $1 AND provider = $2 RETURNING sealed, kid
"""
NOTE_CREDENTIALS = """
INSERT INTO provider_secret_events (team_id, provider, action, user_id, purpose, create_time)
VALUES ($1, $2, $3, $4, $5, $6)
"""
CREDENTIALS_EVENTS = """
SELECT provider, action, user_id, purpose, create_time FROM provider_secret_events
WHERE team_id = $1 ORDER BY event_id DESC LIMIT $2
"""
