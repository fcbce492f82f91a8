"""The teams' buckets in PostgreSQL: served by several processes of accounts, and kept for as long as it matters."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from qm.accounts.v1 import limits_pb2 as pb

from mesh.database import Database
from mesh.identity import Authority
from services.accounts.bucket_store import BucketStore
from services.accounts.limits_service import LimitsService
from services.accounts.team import TeamId
from tests.conftest import RunningPostgres
from tests.mesh.serving import Home


async def unheard(_team_id: TeamId) -> bool:
    return False


@pytest_asyncio.fixture(scope="module")
async def home(postgres: RunningPostgres, authority: Authority) -> Home:
    return await Home.make("accounts", postgres, authority)


@pytest.fixture
async def services(home: Home) -> AsyncIterator[list[LimitsService]]:
    databases = [await Database.connect(home.database, schema="accounts") for _ in range(2)]
    yield [LimitsService(BucketStore(database), unheard) for database in databases]
    for database in databases:
        await database.close()


def asking(team_id: str, edge: int, sequence: int, waiting: int = 1) -> pb.LeaseRequestsRequest:
    request = pb.LeaseRequestsRequest(edge_id=str(uuid.UUID(int=edge)), sequence=sequence, hears_recalls=False)
    request.buckets.add(
        team_id=team_id,
        requests_per_minute=10,
        burst_count=20,
        heard_sequence=sequence - 1,
        waiting_count=waiting,
        wants_lease=True,
    )
    return request


async def test_two_processes_of_accounts_give_no_token_twice(services: list[LimitsService]) -> None:
    team_id = str(uuid.uuid4())

    async def edge(number: int) -> int:
        given = 0
        for sequence in range(1, 9):
            answer = await services[number % 2].LeaseRequests(asking(team_id, number, sequence), None)  # type: ignore[arg-type]
            assert answer.buckets[0].leased_count == 0  # it hears no recalls
            given += answer.buckets[0].granted_count
        return given

    assert sum(await asyncio.gather(*map(edge, range(4)))) == 20


async def test_a_repeated_call_answers_the_same_and_takes_nothing(services: list[LimitsService]) -> None:
    team_id = str(uuid.uuid4())
    first, again, other = [
        (await services[number].LeaseRequests(asking(team_id, 1, 1, waiting=15), None)).buckets[0]  # type: ignore[arg-type]
        for number in (0, 1, 0)
    ]
    assert (first.granted_count, again.granted_count, other.granted_count) == (15, 15, 15)
    fresh = (await services[1].LeaseRequests(asking(team_id, 1, 2, waiting=15), None)).buckets[0]  # type: ignore[arg-type]
    assert fresh.granted_count == 5
    assert 5_000_000 < fresh.retry_in_micros <= 6_000_000
    assert 115_000_000 < fresh.full_in_micros <= 120_000_000


async def test_a_bucket_is_forgotten_an_hour_after_it_is_full(services: list[LimitsService], home: Home) -> None:
    team_id = str(uuid.uuid4())
    await services[0].LeaseRequests(asking(team_id, 1, 1), None)  # type: ignore[arg-type]
    rows = "SELECT extract(epoch FROM idle_time - now())::float8 AS left FROM request_buckets WHERE team_id = $1"
    (row,) = await home.rows(rows, uuid.UUID(team_id))
    assert 3_595 < row["left"] <= 3_606
    store = services[0]._store
    await store.forget_idle()
    assert len(await home.rows(rows, uuid.UUID(team_id))) == 1
    await home.rows(
        "UPDATE request_buckets SET idle_time = now() - interval '1 s' WHERE team_id = $1", uuid.UUID(team_id)
    )
    await store.forget_idle()
    assert await home.rows(rows, uuid.UUID(team_id)) == []
