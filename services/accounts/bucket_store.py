"""What accounts keeps of the teams' buckets of requests: a row each, changed only from the version that was read.

So any number of accounts processes may serve the same team, and a bucket outlives each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from mesh.database import Database
from services.accounts.bucket import Bucket
from services.accounts.team import TeamId

_READ = """
SELECT extract(epoch FROM clock_timestamp())::float8 AS now, asked.team_id, version, bucket
FROM unnest($1::uuid[]) AS asked (team_id) LEFT JOIN request_buckets USING (team_id)
"""
_WRITE = """
INSERT INTO request_buckets AS kept (team_id, version, bucket, idle_time)
SELECT team_id, version, bucket, now() + make_interval(secs => seconds)
FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::float8[]) AS told (team_id, version, bucket, seconds)
ORDER BY team_id
ON CONFLICT (team_id) DO UPDATE SET version = excluded.version, bucket = excluded.bucket, idle_time = excluded.idle_time
WHERE kept.version = excluded.version - 1
RETURNING team_id
"""
_FORGET = "DELETE FROM request_buckets WHERE idle_time < now()"
_IDLE_SECONDS = 3600.0
"""How long a full bucket is kept: nothing is lost with it."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Bucket)


@dataclass(slots=True)
class Kept:
    """A bucket, and its version."""

    bucket: Bucket
    version: int


class BucketStore:
    """Keeps buckets."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def read(self, team_ids: Sequence[TeamId]) -> tuple[float, dict[TeamId, Kept]]:
        """The time by the database's clock, in Unix seconds, and the buckets; one that nobody has used is full."""
        rows = await self._database.fetch(_READ, team_ids)
        found = {
            TeamId(str(row["team_id"])): Kept(
                Bucket() if row["bucket"] is None else _decoder.decode(row["bucket"]), row["version"] or 0
            )
            for row in rows
        }
        return rows[0]["now"], found

    async def write(self, changed: Mapping[TeamId, Kept], now: float) -> set[TeamId]:
        """Keep buckets as they are now; answers which were: the others have been changed meanwhile."""
        rows = await self._database.fetch(
            _WRITE,
            list(changed),
            [kept.version + 1 for kept in changed.values()],
            [_encoder.encode(kept.bucket) for kept in changed.values()],
            [max(kept.bucket.full_at - now, 0.0) + _IDLE_SECONDS for kept in changed.values()],
        )
        return {TeamId(str(row["team_id"])) for row in rows}

    async def forget_idle(self) -> None:
        """Drop the buckets that have long been full."""
        await self._database.execute(_FORGET)
