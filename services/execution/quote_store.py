"""The SQL of quotes."""

from __future__ import annotations

import asyncpg
from qm.routing.v1 import routing_pb2
from qm.signing.v1 import signing_pb2

from mesh.database import Database
from services.execution.quote import Quote, QuoteId

# Quotes that nobody can use any more go with the next that comes, a few at a time.
_KEEP = """
WITH old AS (
DELETE FROM quotes WHERE quote_id IN (
  SELECT quote_id FROM quotes WHERE expire_time < $11::timestamptz - interval '2 days' LIMIT 10)
)
INSERT INTO quotes (quote_id, team_id, request_id, fingerprint, terms, decision, price, cost, record, seal, create_time,
                    expire_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (team_id, request_id) DO NOTHING
RETURNING quote_id
"""


class QuoteStore:
    """Where quotes are kept, two days beyond their end."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def keep(self, quote: Quote) -> bool:
        """Keep a quote; False where the team's request has one already."""
        kept = await self._database.fetchval(
            _KEEP,
            quote.quote_id,
            quote.team_id,
            quote.request_id,
            quote.fingerprint,
            quote.terms,
            quote.decision.SerializeToString(),
            quote.price,
            quote.cost,
            quote.record,
            quote.seal.SerializeToString(),
            quote.create_time,
            quote.expire_time,
        )
        return kept is not None

    async def find(self, quote_id: QuoteId, team_id: str) -> Quote | None:
        """A quote of a team."""
        query = "SELECT * FROM quotes WHERE quote_id = $1 AND team_id = $2"
        return _quote(await self._database.fetchrow(query, quote_id, team_id))

    async def by_request(self, team_id: str, request_id: str) -> Quote | None:
        """The quote that a request made."""
        query = "SELECT * FROM quotes WHERE team_id = $1 AND request_id = $2"
        return _quote(await self._database.fetchrow(query, team_id, request_id))


def _quote(row: asyncpg.Record | None) -> Quote | None:
    if row is None:
        return None
    return Quote(
        quote_id=QuoteId(row["quote_id"]),
        team_id=str(row["team_id"]),
        request_id=row["request_id"],
        fingerprint=row["fingerprint"],
        terms=row["terms"],
        decision=routing_pb2.Decision.FromString(row["decision"]),
        price=row["price"],
        cost=row["cost"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
        record=row["record"],
        seal=signing_pb2.Seal.FromString(row["seal"]),
    )
