"""Teams' buckets of requests, shared by all edges: accounts has them, and leases this edge some tokens at a time.

A request takes a token that is held here; where none is, it waits for one from accounts, together with whatever waits
at that moment. A busy team is leased some besides. What another edge wants is given back at once, what is not used
within seconds by itself, so nothing lies idle here while a request is refused elsewhere.

While accounts does not answer, which is tried every two seconds, this edge counts alone: each request as many times as
there may be edges, in the bucket as it last heard of it. So nobody is refused for nothing; all edges together let pass
one burst more than the bucket gives at most, and accounts counts it once it answers.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING

import structlog
from qm.accounts.v1 import limits_pb2 as pb

from edge.limits import NO_LIMIT, Rate, Verdict
from mesh.batch import Batcher
from mesh.errors import MeshError

if TYPE_CHECKING:
    from qm.accounts.v1.limits_pb2_grpc import LimitsServiceAsyncStub

ROUND_SECONDS = 2.0
"""Between two reports of what was used; what was not used meanwhile is given back."""
ANSWER_SECONDS = 1.5
"""How long a request waits for accounts at most."""
REFUSED_SECONDS = 1.0
"""How long accounts is not asked again after it had no token, at most."""
DEAF_SECONDS = 1.0
"""After as long without a sign that recalls would be heard, nothing is held here."""
_RECALL_PAUSES = (0.01, 0.03, 0.06)
_LEASE_MARGIN = 0.1
"""The part of a lease that is not used, lest it end here later than at accounts."""
_MICROS = 1_000_000
_ROUNDING = 1e-6
log = structlog.get_logger()


class _Bucket:
    """One team's bucket as this edge sees it; times are of the monotonic clock."""

    def __init__(self, team_id: str, rate: Rate, sequence: int) -> None:
        self.team_id = team_id
        self.rate = rate
        self.full_at = 0.0
        """By all uses that are known here."""
        self.own_full_at = 0.0
        """By the uses of this edge alone."""
        self.used = 0
        """Uses of this edge since `heard`."""
        self.heard = sequence
        self.held = 0
        self.until = 0.0
        self.refused_until = 0.0
        self.retry_at = 0.0
        self.taken_at = -math.inf
        self.asking = 0
        """Requests that wait for a token."""
        self.is_returning = False

    def follow(self, rate: Rate) -> None:
        """Have another plan."""
        if rate != self.rate:
            self.rate, self.refused_until = rate, 0.0

    def use(self, now: float, cost: int = 1) -> None:
        """Count a request on this edge's own account; the whole bucket loses `cost` tokens."""
        self.full_at = max(self.full_at, now) + cost * self.rate.interval
        self.own_full_at = max(self.own_full_at, now) + self.rate.interval
        self.used += 1

    def report(self, waiting: int, now: float) -> pb.BucketReport:
        """What accounts is told; what is given back, or was held too long, is held no more."""
        if self.is_returning or now >= self.until:
            self.held = 0
        self.is_returning = False
        return pb.BucketReport(
            team_id=self.team_id,
            requests_per_minute=self.rate.per_minute,
            burst_count=self.rate.burst,
            heard_sequence=self.heard,
            used_count=self.used,
            full_in_micros=round((max(self.own_full_at, now) - now) * _MICROS),
            held_count=self.held,
            waiting_count=waiting,
            wants_lease=waiting > 1 or (waiting > 0 and now - self.taken_at < ROUND_SECONDS),
        )

    def hear(self, grant: pb.BucketGrant, reported: int, sequence: int, *, after: float, until: float) -> None:
        """Take what accounts answered to a report of so many uses."""
        self.heard, self.used = sequence, self.used - reported
        self.full_at = after + grant.full_in_micros / _MICROS + self.used * self.rate.interval
        self.retry_at = after + grant.retry_in_micros / _MICROS
        self.held, self.until = self.held + grant.leased_count, until

    def refuse(self, now: float) -> None:
        """Let no request pass until there is a token, and ask again after a while even so."""
        self.refused_until = min(self.retry_at, now + REFUSED_SECONDS)

    def remaining(self, now: float) -> int:
        """Tokens that are left at all edges together."""
        return max(0, int(self.rate.burst - (self.full_at - now) / self.rate.interval + _ROUNDING))

    def is_idle(self, now: float) -> bool:
        """Whether nothing is lost with it."""
        return not (self.held or self.used or self.asking) and max(self.full_at, self.refused_until) <= now


@dataclass(frozen=True, slots=True)
class _Turn:
    """A request that waits for a token, or a bucket that has something to report."""

    bucket: _Bucket
    waits: bool


class Leases:
    """Takes tokens for the requests that this edge serves."""

    def __init__(
        self,
        limits: LimitsServiceAsyncStub,
        *,
        most_edges: int = 4,
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        """Lease from `limits`; at most `most_edges` processes do at a time."""
        self._limits = limits
        self._most_edges = most_edges
        self._clock = clock
        self._unix_clock = unix_clock
        self._edge_id = str(uuid.uuid4())
        self._sequence = 0
        self._buckets: dict[str, _Bucket] = {}
        self._turns: Batcher[_Turn, Verdict | None] = Batcher(self._serve)
        self._is_alone = False
        self._heard = -math.inf

    async def take(self, team_id: str, rate: Rate) -> Verdict:
        """Take a token of a team."""
        if rate.per_minute == 0:
            return Verdict(True, NO_LIMIT, NO_LIMIT, math.ceil(self._unix_clock()), 0)  # noqa: FBT003 - the struct's first member
        now = self._clock()
        bucket = self._buckets.get(team_id)
        if bucket is None:
            bucket = self._buckets[team_id] = _Bucket(team_id, rate, self._sequence)
        bucket.follow(rate)
        verdict = self._here(bucket, now) or await self._asked(bucket)
        bucket.taken_at = self._clock()
        return verdict

    def heard(self) -> None:
        """At this moment recalls would be heard."""
        self._heard = self._clock()

    async def recall(self, team_id: str) -> None:
        """Give back what is held of a team's tokens."""
        bucket = self._buckets.get(team_id)
        if bucket is not None and (bucket.held or bucket.used):
            bucket.is_returning = True
            await self._turns.add(_Turn(bucket, waits=False))

    async def keep_reporting(self) -> None:
        """Report what was used and give back what was not, again and again, until cancelled."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await self.report()

    async def report(self) -> None:
        """Report every bucket, and forget those that nobody takes from."""
        now = self._clock()
        for bucket in [each for each in self._buckets.values() if each.is_idle(now)]:
            if now - bucket.taken_at > ROUND_SECONDS:
                del self._buckets[bucket.team_id]
        told = [each for each in self._buckets.values() if each.held or each.used]
        for bucket in told:
            bucket.is_returning = self._is_deaf(now) or now - bucket.taken_at >= ROUND_SECONDS
        self._is_alone = self._is_alone and bool(told)
        await asyncio.gather(*(self._turns.add(_Turn(bucket, waits=False)) for bucket in told))

    async def close(self) -> None:
        """Give everything back."""
        held = [bucket.team_id for bucket in self._buckets.values() if bucket.held or bucket.used]
        await asyncio.gather(*map(self.recall, held))
        await self._turns.close()

    async def _asked(self, bucket: _Bucket) -> Verdict:
        """What accounts says of a request, once other edges have given back what they hold."""
        bucket.asking += 1
        try:
            for pause in (*_RECALL_PAUSES, 0.0):
                if (verdict := await self._turns.add(_Turn(bucket, waits=True))) is not None:
                    return verdict
                await asyncio.sleep(pause)
            bucket.refuse(self._clock())
            return self._refused(bucket)
        finally:
            bucket.asking -= 1

    def _is_deaf(self, now: float) -> bool:
        return now - self._heard > DEAF_SECONDS

    def _here(self, bucket: _Bucket, now: float) -> Verdict | None:
        """What can be said of a request without asking accounts."""
        if bucket.held and now < bucket.until:
            bucket.held -= 1
            bucket.use(now)
            return self._allowed(bucket, now, bucket.remaining(now))
        if now < bucket.refused_until:
            return self._refused(bucket)
        return self._alone(bucket, now) if self._is_alone else None

    def _alone(self, bucket: _Bucket, now: float) -> Verdict:
        """What this edge's share of the bucket says."""
        interval, edges = bucket.rate.interval, self._most_edges
        wait = max(bucket.full_at, now) + edges * interval - now - bucket.rate.burst * interval
        if wait > _ROUNDING:
            bucket.retry_at = now + wait
            return self._refused(bucket)
        bucket.use(now, cost=edges)
        return self._allowed(bucket, now, bucket.remaining(now) // edges)

    def _allowed(self, bucket: _Bucket, now: float, remaining: int) -> Verdict:
        reset = math.ceil(self._unix_clock() + max(bucket.full_at - now, 0.0))
        return Verdict(True, bucket.rate.burst, remaining, reset, 0)  # noqa: FBT003 - the struct's first member

    def _refused(self, bucket: _Bucket) -> Verdict:
        now = self._clock()
        reset = math.ceil(self._unix_clock() + max(bucket.full_at - now, 0.0))
        retry_after = max(1, math.ceil(bucket.retry_at - now))
        return Verdict(False, bucket.rate.burst, 0, reset, retry_after)  # noqa: FBT003 - the struct's first member

    async def _serve(self, turns: list[_Turn]) -> list[Verdict | Exception | None]:
        """Answer turns in their order: from what is here by now, else by one call to accounts."""
        now = self._clock()
        verdicts: list[Verdict | Exception | None] = [
            self._here(turn.bucket, now) if turn.waits else None for turn in turns
        ]
        unserved = [turn for turn, verdict in zip(turns, verdicts, strict=True) if verdict is None]
        if not unserved:
            return verdicts
        waiting = Counter(turn.bucket.team_id for turn in unserved if turn.waits)
        buckets = list({turn.bucket.team_id: turn.bucket for turn in unserved}.values())
        given = await self._lease(buckets, waiting, now)
        for place, turn in enumerate(turns):
            if verdicts[place] is None and turn.waits:
                verdicts[place] = next(given[turn.bucket.team_id])
        return verdicts

    async def _lease(
        self, buckets: list[_Bucket], waiting: Counter[str], now: float
    ) -> dict[str, Iterator[Verdict | None]]:
        """Report `buckets`, and a verdict for each request that waits; None where it is to ask again."""
        self._sequence += 1
        request = pb.LeaseRequestsRequest(
            edge_id=self._edge_id, sequence=self._sequence, hears_recalls=not self._is_deaf(now)
        )
        for bucket in buckets:
            request.buckets.append(bucket.report(waiting[bucket.team_id], now))
        try:
            response = await self._limits.LeaseRequests(request, timeout=ANSWER_SECONDS)
        except MeshError as error:
            log.warning("tokens_not_leased", reason=error.reason, message=error.message)
            self._is_alone = True
            return {each.team_id: iter(partial(self._alone, each, self._clock()), None) for each in buckets}
        self._is_alone = False
        after = self._clock()
        until = now + response.lease_micros / _MICROS * (1 - _LEASE_MARGIN)
        given: dict[str, Iterator[Verdict | None]] = {}
        for bucket, asked, grant in zip(buckets, request.buckets, response.buckets, strict=True):
            bucket.hear(grant, asked.used_count, self._sequence, after=after, until=until)
            refused = 0 if grant.recalled else asked.waiting_count - grant.granted_count
            given[bucket.team_id] = chain(
                (
                    self._allowed(bucket, after, bucket.remaining(after) + left)
                    for left in reversed(range(grant.granted_count))
                ),
                (self._refused(bucket) for _ in range(refused)),
                repeat(None),
            )
            if refused:
                bucket.refuse(after)
        return given
