"""A team's bucket of tokens, shared by all edges: what is used up, and who holds what of the rest.

The bucket is a number, the time at which it is full again (GCRA); each use moves it by one `interval`. An edge takes
tokens for requests that wait, and may be leased some for those to come. Leased tokens count as if they were still to be
used at the worst moment, and when a lease ends unheard, as used. So over any time t the edges together never let pass
more than burst + rate * t, whatever is lost on the way; what a dead edge held is refilled at the plan's rate.

An edge tells its uses as a count and one time: where its uses alone would leave the bucket. max(full + n * interval,
that time) is then exactly where they leave the whole bucket.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

LEASE_SECONDS = 10.0
"""How long an edge may use what it was leased, unless it reports again."""
MOST_LEASED = 64
LEASED_PART = 4
"""An edge is leased at most one in so many of the tokens that are left: near the end none, so nothing lies idle."""
_REMEMBERED_SECONDS = 3600.0
_ROUNDING = 1e-6
"""Of a token; sums of intervals are not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a bucket stands at one edge; times are Unix seconds."""

    edge_id: str
    sequence: int
    heard_sequence: int = 0
    used: int = 0
    """Uses since the answer to `heard_sequence`."""
    full_at: float = 0.0
    """Where those uses, and all before them at this edge, would alone have left the bucket."""
    held: int = 0
    waiting: int = 0
    wants_lease: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What an edge may do."""

    granted: int
    leased: int
    full_at: float
    retry_at: float
    """When there is a token again, if one of the waiting requests got none."""
    held_elsewhere: int
    """Tokens that other edges hold."""


class Lease(msgspec.Struct):
    """What is known of one edge."""

    sequence: int
    held: int
    until: float
    since: int = 0
    """The `heard_sequence` of its last report, or the report itself where its lease ended unheard."""
    counted: int = 0
    """Uses since then that are counted already."""
    granted: int = 0
    leased: int = 0


class Bucket(msgspec.Struct):
    """One team's bucket."""

    full_at: float = 0.0
    interval: float = 0.0
    """Seconds from token to token."""
    leases: dict[str, Lease] = msgspec.field(default_factory=dict)

    def serve(self, report: Report, *, interval: float, burst: int, now: float) -> Grant:
        """Count what an edge used, and give what it asks for and what is there."""
        self._follow_plan(interval, burst, now)
        self._end_leases(now)
        lease = self.leases.setdefault(report.edge_id, Lease(0, 0, 0.0))
        if report.sequence > lease.sequence:
            self._count(report, lease, now)
            self._give(report, lease, self._unleased(burst, now), now)
        held = sum(each.held for each in self.leases.values())
        retry_at = max(self.full_at, now) + interval * (1 + held - burst)
        return Grant(lease.granted, lease.leased, self.full_at, max(retry_at, now), held - lease.held)

    def _follow_plan(self, interval: float, burst: int, now: float) -> None:
        """Keep what is used where the plan has changed, as far as the new bucket can owe it."""
        if self.interval not in (0.0, interval):
            owed = min((self.full_at - now) / self.interval, burst)
            self.full_at = now + max(owed, 0.0) * interval
        self.interval = interval

    def _end_leases(self, now: float) -> None:
        """Count as used what is held by edges that are not heard any more."""
        for edge_id, lease in list(self.leases.items()):
            if lease.held and lease.until <= now:
                self.full_at = max(self.full_at, now) + lease.held * self.interval
                lease.since, lease.counted, lease.held = lease.sequence, lease.held, 0
            if lease.until + _REMEMBERED_SECONDS <= now:
                del self.leases[edge_id]

    def _count(self, report: Report, lease: Lease, now: float) -> None:
        """Count the uses that are not counted yet: the answer to an earlier report may not have arrived."""
        known = lease.counted if report.heard_sequence == lease.since else 0
        if (used := report.used - known) > 0:
            self.full_at = max(self.full_at + used * self.interval, min(report.full_at, now + used * self.interval))
        lease.since, lease.counted = report.heard_sequence, max(report.used, known)
        lease.sequence, lease.held, lease.until = report.sequence, report.held, now + LEASE_SECONDS

    def _unleased(self, burst: int, now: float) -> int:
        level = burst - max(self.full_at - now, 0.0) / self.interval + _ROUNDING
        return max(0, int(level) - sum(lease.held for lease in self.leases.values()))

    def _give(self, report: Report, lease: Lease, unleased: int, now: float) -> None:
        lease.granted = min(report.waiting, unleased)
        if lease.granted:
            self.full_at = max(self.full_at, now) + lease.granted * self.interval
        lease.leased = min((unleased - lease.granted) // LEASED_PART, MOST_LEASED) if report.wants_lease else 0
        lease.held += lease.leased
