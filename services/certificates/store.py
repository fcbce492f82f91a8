"""Editions and keys: the SQL of certificates, with that of the trail in `ledger.py`. Names need no schema."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncpg

from mesh import outbox
from mesh.database import Database
from mesh.events import Message
from services.certificates.authority import Algorithm, Purpose, StoredKey

# Held until the commit by whoever makes keys: processes take turns, and each reads what the last one wrote.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.keys', 0))"
_KEYS = """
SELECT purpose, algorithm, certificate, sealed_key, kid, not_before, expire_time FROM keys ORDER BY not_before DESC
"""
_NEW_KEYS = """
INSERT INTO keys (fingerprint, purpose, algorithm, certificate, sealed_key, kid, not_before, expire_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_NEWEST = """
SELECT edition, number, template_version, issue_time, pdf FROM editions
WHERE job_id = $1 AND framework = $2 AND team_id = $3 ORDER BY edition DESC LIMIT 1
"""
_KEEP = """
INSERT INTO editions (job_id, framework, edition, team_id, number, template_version, issue_time, pdf)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (job_id, framework, edition) DO NOTHING RETURNING edition
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One issue of a job's certificate in one framework's layout."""

    job_id: uuid.UUID
    framework: str
    edition: int
    team_id: uuid.UUID
    number: str
    template_version: int
    issue_time: dt.datetime
    pdf: bytes = field(repr=False)


class CertificateStore:
    """Editions and keys in PostgreSQL: both are only ever added."""

    def __init__(self, database: Database, messages: outbox.Outbox) -> None:
        """Use the service's own schema, and publish through its outbox."""
        self._database = database
        self._outbox = messages

    async def settle_keys(self, missing: Callable[[Sequence[StoredKey]], Sequence[StoredKey]]) -> list[StoredKey]:
        """Add the keys that `missing` makes when it is shown the stored ones; all of them, newest first."""
        async with self._database.transaction(first=_LOCK) as connection:
            held = [_key(row) for row in await connection.fetch(_KEYS)]
            made = missing(held)
            await connection.executemany(_NEW_KEYS, [_columns(key) for key in made])
            return [_key(row) for row in await connection.fetch(_KEYS)] if made else held

    async def newest(self, job_id: uuid.UUID, framework: str, team_id: uuid.UUID) -> Edition | None:
        """The newest edition of a team's certificate, or None before the first."""
        row = await self._database.fetchrow(_NEWEST, job_id, framework, team_id)
        return Edition(job_id=job_id, framework=framework, team_id=team_id, **row) if row else None

    async def keep(self, edition: Edition, told: Message) -> bool:
        """Keep an edition and tell of it, in one commit; False where another was quicker, and then nothing is told."""
        async with self._database.transaction() as connection:
            kept = await connection.fetchval(
                _KEEP,
                edition.job_id,
                edition.framework,
                edition.edition,
                edition.team_id,
                edition.number,
                edition.template_version,
                edition.issue_time,
                edition.pdf,
            )
            if kept is not None:
                await outbox.insert(connection, [told])
        if kept is not None:
            self._outbox.publish([told])
        return kept is not None

    async def tell(self, told: Message) -> None:
        """Tell of something that changed nothing here."""
        async with self._database.transaction() as connection:
            await outbox.insert(connection, [told])
        self._outbox.publish([told])


def _key(row: asyncpg.Record) -> StoredKey:
    return StoredKey(
        Purpose(row["purpose"]),
        Algorithm(row["algorithm"]),
        row["certificate"],
        row["sealed_key"],
        row["kid"],
        row["not_before"],
        row["expire_time"],
    )


def _columns(key: StoredKey) -> tuple[object, ...]:
    return (
        key.fingerprint,
        key.purpose,
        key.algorithm,
        key.certificate,
        key.sealed_key,
        key.kid,
        key.not_before,
        key.expire_time,
    )
