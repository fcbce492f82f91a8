"""The SQL of what is kept of answers: for repeats (sealed), of certified ones the record, and the beacon."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from qm.entropy.v1 import entropy_pb2 as pb
from qm.signing.v1 import signing_pb2

from mesh.database import Database
from mesh.vault import Vault

_PLACE = "answers|sealed"
_RESERVE = """
INSERT INTO answers (team_id, request_id, fingerprint, hold_id, create_time) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (team_id, request_id) DO NOTHING RETURNING hold_id
"""
_RESERVED = "SELECT fingerprint, hold_id, sealed, kid FROM answers WHERE team_id = $1 AND request_id = $2"
_KEEP = (
    "UPDATE answers SET sealed = $3, kid = $4 WHERE team_id = $1 AND request_id = $2 AND sealed IS NULL RETURNING kid"
)
_RENEW = "UPDATE answers SET hold_id = $3 WHERE team_id = $1 AND request_id = $2"
_FORGET = "DELETE FROM answers WHERE team_id = $1 AND request_id = $2 AND sealed IS NULL"
_EXPIRE = "DELETE FROM answers WHERE create_time < $1"
_KEEP_RECORD = "INSERT INTO certifications (entropy_id, team_id, record, seal) VALUES ($1, $2, $3, $4)"
_RECORD = "SELECT record, seal FROM certifications WHERE entropy_id = $1 AND team_id = $2"
_BEACON = "SELECT beacon_index, record, seal, create_time FROM beacons"
_NEWEST_BEACON = f"{_BEACON} ORDER BY beacon_index DESC LIMIT 1"
_SEALED_BEACON = f"""
{_BEACON} WHERE seal IS NOT NULL AND ($1::bigint IS NULL OR beacon_index = $1) ORDER BY beacon_index DESC LIMIT 1
"""
_BEGIN_BEACON = """
INSERT INTO beacons (beacon_index, record, create_time) VALUES ($1, $2, $3) ON CONFLICT (beacon_index) DO NOTHING
"""
_SEAL_BEACON = "UPDATE beacons SET seal = coalesce(seal, $2) WHERE beacon_index = $1"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request that may be repeated."""

    hold_id: UUID
    answer: pb.GenerateEntropyResponse | None = None
    """What it was answered; None where it is not yet, or the one who worked on it is gone."""
    fingerprint: bytes = b""
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Beacon:
    """A value of the beacon; its seal is None until it is signed."""

    index: int
    record: bytes
    seal: signing_pb2.Seal | None
    create_time: dt.datetime


class Archive:
    """What is kept of answers."""

    def __init__(self, database: Database, vault: Vault) -> None:
        """Keep it in `database`, random bits sealed by `vault`."""
        self._database = database
        self._vault = vault

    async def reserve(
        self, team_id: str, request_id: str, *, fingerprint: bytes, hold_id: UUID, now: dt.datetime
    ) -> Reservation:
        """The request's place, made now unless it has one."""
        async with self._database.acquire() as connection:
            made = await connection.fetchval(_RESERVE, team_id, request_id, fingerprint, hold_id, now)
            if made is not None:
                return Reservation(made)
            row = await connection.fetchrow(_RESERVED, team_id, request_id)
        if row is None:  # it expired in between
            return await self.reserve(team_id, request_id, fingerprint=fingerprint, hold_id=hold_id, now=now)
        answer = None if row["sealed"] is None else self._opened(team_id, request_id, row)
        return Reservation(row["hold_id"], answer, row["fingerprint"], is_new=False)

    async def keep(
        self, team_id: str, request_id: str, answer: pb.GenerateEntropyResponse
    ) -> pb.GenerateEntropyResponse:
        """Keep an answer for repeats, and return what is kept: where another process was quicker, that of its own."""
        sealed = self._vault.seal(answer.SerializeToString(), _owner(team_id, request_id), _PLACE)
        async with self._database.acquire() as connection:
            if await connection.fetchval(_KEEP, team_id, request_id, sealed, self._vault.kid) is not None:
                return answer
            row = await connection.fetchrow(_RESERVED, team_id, request_id)
        return answer if row is None or row["sealed"] is None else self._opened(team_id, request_id, row)

    def _opened(self, team_id: str, request_id: str, row: asyncpg.Record) -> pb.GenerateEntropyResponse:
        opened = self._vault.open(row["sealed"], _owner(team_id, request_id), _PLACE, row["kid"])
        return pb.GenerateEntropyResponse.FromString(opened)

    async def renew(self, team_id: str, request_id: str, hold_id: UUID) -> None:
        """Give a request another hold, where its first was given back."""
        await self._database.execute(_RENEW, team_id, request_id, hold_id)

    async def forget(self, team_id: str, request_id: str) -> None:
        """Let go of a request that was refused, so that it can be repeated."""
        await self._database.execute(_FORGET, team_id, request_id)

    async def expire(self, older_than: dt.datetime) -> None:
        """Forget answers that nobody may ask for any more."""
        await self._database.execute(_EXPIRE, older_than)

    async def keep_record(self, entropy_id: UUID, team_id: str, record: bytes, seal: signing_pb2.Seal) -> None:
        """Keep the record of a certified answer."""
        await self._database.execute(_KEEP_RECORD, entropy_id, team_id, record, seal.SerializeToString())

    async def record(self, entropy_id: UUID, team_id: str) -> tuple[bytes, signing_pb2.Seal] | None:
        """The record of a team's certified answer, and its seal."""
        row = await self._database.fetchrow(_RECORD, entropy_id, team_id)
        return (row["record"], signing_pb2.Seal.FromString(row["seal"])) if row else None

    async def newest_beacon(self) -> Beacon | None:
        """The newest value, signed or not."""
        return _beacon(await self._database.fetchrow(_NEWEST_BEACON))

    async def sealed_beacon(self, index: int | None) -> Beacon | None:
        """A signed value; the newest of them unless one is named."""
        return _beacon(await self._database.fetchrow(_SEALED_BEACON, index))

    async def begin_beacon(self, index: int, record: bytes, now: dt.datetime) -> None:
        """Keep a value before it is signed; another process may have been first, and then this one is nothing."""
        await self._database.execute(_BEGIN_BEACON, index, record, now)

    async def seal_beacon(self, index: int, seal: signing_pb2.Seal) -> None:
        """Keep a value's seal."""
        await self._database.execute(_SEAL_BEACON, index, seal.SerializeToString())


def _beacon(row: asyncpg.Record | None) -> Beacon | None:
    if row is None:
        return None
    seal = signing_pb2.Seal.FromString(row["seal"]) if row["seal"] else None
    return Beacon(row["beacon_index"], row["record"], seal, row["create_time"])


def _owner(team_id: str, request_id: str) -> str:
    return f"{team_id}|{request_id}"
