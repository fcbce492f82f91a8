"""Lines: how many jobs come before the next one of a team, in each queue and priority of a pool. Pure.

What a worker does (turns.py) is foretold as if there were one: teams get the same time, so that while a team's own jobs
take W seconds, and before the next one, another team has as many jobs done as begin in W; and priority gets
PRIORITY_WEIGHT times the time of standard. So one job behind 10,000 of another team comes second, and is told so.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.execution.job import Priority, Queue

PRIORITY_WEIGHT: Final = 4.0
MOST_TOLD: Final = 64
"""Teams of a line, those with the most jobs, that are told apart; the others count as teams that have none there."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The jobs of a team that wait in a line."""

    pool: str
    queue: Queue
    priority: Priority
    team_id: str
    count: int
    """1 at least."""
    seconds: float
    """What they are predicted to take together, over 0."""


@dataclass(frozen=True, slots=True)
class Depths:
    """The jobs before a new one."""

    newcomer: int
    """Of a team that has none here."""
    teams: Mapping[str, int] = field(default_factory=dict)


def line_of(queue: Queue, priority: Priority) -> str:
    """The name of a line ("short", "enterprise-long/priority")."""
    return queue.word if priority is Priority.STANDARD else f"{queue.word}/{priority.word}"


def pool_depths(waiting: Iterable[Waiting]) -> dict[str, Depths]:
    """Of every pool ("pool:sim") all jobs, and of its lines ("pool:sim/short") those before a new one."""
    lines: defaultdict[tuple[str, Queue], dict[Priority, list[Waiting]]] = defaultdict(
        lambda: {priority: [] for priority in Priority}
    )
    totals: defaultdict[str, int] = defaultdict(int)
    for each in waiting:
        lines[each.pool, each.queue][each.priority].append(each)
        totals[f"pool:{each.pool}"] += each.count
    told = {name: Depths(count) for name, count in totals.items()}
    for (pool, queue), jobs in lines.items():
        for priority, other, times in (
            (Priority.PRIORITY, Priority.STANDARD, 1 / PRIORITY_WEIGHT),
            (Priority.STANDARD, Priority.PRIORITY, PRIORITY_WEIGHT),
        ):
            name = f"pool:{pool}/{line_of(queue, priority)}"
            told[name] = _depths(jobs[priority], sum(each.count for each in jobs[other]), times)
    return told


def _depths(teams: Collection[Waiting], others: int, times: float) -> Depths:
    """Those of one priority; of the `others`, jobs of the other one, `times` as many get their turn."""

    def among_all(before: int) -> int:
        return before + min(others, int((before + 1) * times))

    told = heapq.nlargest(MOST_TOLD, teams, key=lambda each: each.count)
    return Depths(among_all(len(teams)), {each.team_id: among_all(_before(each, teams)) for each in told})


def _before(own: Waiting, teams: Iterable[Waiting]) -> int:
    """A team's own jobs, and those of the others that begin while these run, or in the turn that each has then."""
    others = (each for each in teams if each is not own)
    return own.count + sum(min(each.count, 1 + int(own.seconds * each.count / each.seconds)) for each in others)
