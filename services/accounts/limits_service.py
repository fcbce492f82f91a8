"""The RPC about limits: gathers what the edges report, and answers from the buckets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable

from qm.accounts.v1 import limits_pb2 as pb

from mesh.batch import Batcher
from mesh.call import Call
from mesh.errors import Unavailable
from services.accounts.bucket import LEASE_SECONDS, Grant, Report
from services.accounts.bucket_store import BucketStore
from services.accounts.team import TeamId

MOST_TRIES = 10
FIRST_PAUSE_SECONDS = 0.002
_MICROS = 1_000_000
_Answer = tuple[Grant, float]
"""What is given, and when that was."""


class LimitsService:
    """Answers qm.accounts.v1.LimitsService."""

    def __init__(self, store: BucketStore, recall: Callable[[TeamId], Awaitable[bool]]) -> None:
        """Keep buckets in `store`; `recall` asks every edge for a team's tokens, and says whether it could."""
        self._store = store
        self._recall = recall
        self._batcher: Batcher[pb.LeaseRequestsRequest, list[_Answer]] = Batcher(self._serve)

    async def LeaseRequests(self, request: pb.LeaseRequestsRequest, _call: Call) -> pb.LeaseRequestsResponse:
        """Give tokens. Raises Unavailable (BUCKETS_BUSY)."""
        answers = await self._batcher.add(request)
        response = pb.LeaseRequestsResponse(lease_micros=round(LEASE_SECONDS * _MICROS))
        for asked, (grant, now) in zip(request.buckets, answers, strict=True):
            starved = grant.granted < asked.waiting_count and grant.held_elsewhere > 0
            response.buckets.add(
                granted_count=grant.granted,
                leased_count=grant.leased,
                full_in_micros=round((grant.full_at - now) * _MICROS),
                retry_in_micros=round((grant.retry_at - now) * _MICROS),
                recalled=starved and await self._recall(TeamId(asked.team_id)),
            )
        return response

    async def close(self) -> None:
        """Answer what waits."""
        await self._batcher.close()

    async def _serve(self, requests: list[pb.LeaseRequestsRequest]) -> list[list[_Answer] | Exception]:
        """Serve reports in their order; what another process of accounts has changed meanwhile is served again."""
        answers: dict[tuple[int, TeamId], _Answer] = {}
        left = {TeamId(asked.team_id) for request in requests for asked in request.buckets}
        for tries in range(MOST_TRIES):
            now, kept = await self._store.read(list(left))
            for place, request, asked in _each(requests, left):
                team_id = TeamId(asked.team_id)
                interval = 60 / asked.requests_per_minute
                report = _report(request, asked, now)
                grant = kept[team_id].bucket.serve(report, interval=interval, burst=asked.burst_count, now=now)
                answers[place, team_id] = grant, now
            left -= await self._store.write(kept, now)
            if not left:
                break
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE_SECONDS * 2**tries))  # noqa: S311 - jitter, not a secret
        busy = Unavailable("A bucket is changed by many at once; try again.", reason="BUCKETS_BUSY")
        return [
            busy
            if any(TeamId(asked.team_id) in left for asked in request.buckets)
            else [answers[place, TeamId(asked.team_id)] for asked in request.buckets]
            for place, request in enumerate(requests)
        ]


def _each(
    requests: list[pb.LeaseRequestsRequest], team_ids: set[TeamId]
) -> Iterable[tuple[int, pb.LeaseRequestsRequest, pb.BucketReport]]:
    """The reports about some teams, each with the request that it is of and that request's place."""
    for place, request in enumerate(requests):
        for asked in request.buckets:
            if asked.team_id in team_ids:
                yield place, request, asked


def _report(request: pb.LeaseRequestsRequest, asked: pb.BucketReport, now: float) -> Report:
    return Report(
        edge_id=request.edge_id,
        sequence=request.sequence,
        heard_sequence=asked.heard_sequence,
        used=asked.used_count,
        full_at=now + asked.full_in_micros / _MICROS,
        held=asked.held_count,
        waiting=asked.waiting_count,
        wants_lease=asked.wants_lease and request.hears_recalls,
    )
