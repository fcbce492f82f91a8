"""How many requests a team, or an address without a key, may send: a token bucket each, as one number (GCRA).

A bucket holds `burst` tokens and is refilled at `per_minute`. GCRA keeps only the theoretical arrival time: the moment
at which the bucket would be full again. One decision costs about a microsecond.

Teams' buckets are shared by all edges (edge/leases.py); an address's is this process's own.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from edge.errors import Refusal
from edge.exchange import Header

NO_LIMIT = 2**31 - 1
"""What the headers say where there is no limit."""
MAX_BUCKETS = 200_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit: `per_minute` requests for good, `burst` at once. 0 a minute is no limit."""

    per_minute: int
    burst: int

    @property
    def interval(self) -> float:
        """Seconds from token to token, where there is a limit."""
        return 60.0 / self.per_minute


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a request got."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    """Unix time at which the bucket is full again, if nothing more comes."""
    retry_after: int
    """Seconds until a token is there; 0 where one was."""

    def refused(self) -> Verdict:
        """What the same request would have got had it found no token."""
        return Verdict(False, self.limit, 0, self.reset, 1)  # noqa: FBT003 - the struct's first member

    def headers(self) -> list[Header]:
        """The three headers that every answer to a key carries."""
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset),
        ]


class RateLimiter:
    """Token buckets by name, in this process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start with full buckets; `clock` tells Unix time in seconds."""
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def take(self, name: str, rate: Rate) -> Verdict:
        """Take a token from the bucket `name`."""
        now = self._clock()
        if rate.per_minute == 0:
            return Verdict(True, NO_LIMIT, NO_LIMIT, math.ceil(now), 0)  # noqa: FBT003 - the struct's first member
        interval = rate.interval
        full_at = max(self._full_at.get(name, now), now) + interval
        wait = full_at - now - interval * max(rate.burst, 1)
        if wait > 1e-6:  # noqa: PLR2004 - rounding of sums of intervals
            reset = math.ceil(full_at - interval)
            return Verdict(False, rate.burst, 0, reset, math.ceil(wait))  # noqa: FBT003
        if len(self._full_at) >= MAX_BUCKETS and name not in self._full_at:
            self._forget_full(now)
        self._full_at[name] = full_at
        remaining = int((interval * rate.burst - (full_at - now)) / interval + 1e-6)
        return Verdict(True, rate.burst, remaining, math.ceil(full_at), 0)  # noqa: FBT003

    def give_back(self, name: str, rate: Rate) -> None:
        """Return a token that was taken from the bucket `name`."""
        if rate.per_minute and name in self._full_at:
            self._full_at[name] -= rate.interval

    def _forget_full(self, now: float) -> None:
        """Drop the buckets that are full anyway; where none is, the oldest half."""
        kept = {name: at for name, at in self._full_at.items() if at > now}
        excess = len(kept) - MAX_BUCKETS // 2
        for name in list(kept)[: max(0, excess)]:
            del kept[name]
        self._full_at = kept


class OpenStreams:
    """How many answers each team holds open: streams of events and reads that wait."""

    def __init__(self, most: int) -> None:
        """Allow `most` at a time for a team."""
        self._most = most
        self._open: Counter[str] = Counter()

    def full(self, team_id: str) -> bool:
        """Whether the team holds all that it may."""
        return self._open[team_id] >= self._most

    def check(self, team_id: str) -> None:
        """Raise Refusal 429 where the team holds all that it may."""
        if self.full(team_id):
            message = f"This team already holds {self._most} streams and waiting reads open; end one first."
            raise Refusal(429, message, reason="TOO_MANY_STREAMS", headers=((b"retry-after", b"1"),))

    @contextmanager
    def hold(self, team_id: str) -> Iterator[None]:
        """Count one within the block."""
        self._open[team_id] += 1
        try:
            yield
        finally:
            self._open[team_id] -= 1
            if not self._open[team_id]:
                del self._open[team_id]


def too_many(verdict: Verdict) -> Refusal:
    """The refusal of a request that found no token."""
    message = f"Too many requests: wait {verdict.retry_after} s, then go on more slowly."
    headers = (*verdict.headers(), (b"retry-after", b"%d" % verdict.retry_after))
    return Refusal(429, message, reason="RATE_LIMITED", headers=headers)
