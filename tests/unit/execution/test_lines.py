"""What comes before a team's next job, foretold as the turns of a worker would have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.execution.job import Priority, Queue
from services.execution.lines import MOST_TOLD, PRIORITY_WEIGHT, Depths, Waiting, line_of, pool_depths
from services.execution.shares import Shares

STANDARD, PRIORITY = Priority.STANDARD, Priority.PRIORITY
LINE = "pool:sim/short"


def some(team: str, number: int, each: float = 1.0, priority: Priority = STANDARD) -> Waiting:
    return Waiting("sim", Queue.SHORT, priority, team, number, number * each)


def test_one_job_behind_ten_thousand_of_another_team_is_second_and_their_next_one_is_last():
    told = pool_depths([some("many", 10_000)])
    assert told["pool:sim"] == Depths(10_000)
    assert told[LINE] == Depths(1, {"many": 10_000})
    assert told[f"{LINE}/priority"] == Depths(0)


def test_a_team_waits_for_its_own_jobs_and_a_turn_of_each_other_between_them():
    told = pool_depths([some("many", 1000), some("few", 10), some("one", 1)])[LINE]
    assert told.newcomer == 3
    assert told.teams == {"many": 1011, "few": 10 + 11 + 1, "one": 1 + 2 + 2}


def test_turns_are_of_time_so_that_long_jobs_of_others_are_few():
    told = pool_depths([some("slow", 100, each=4.0), some("quick", 40, each=0.1)])[LINE]
    assert told.teams == {"quick": 40 + 2, "slow": 100 + 40}


def test_priority_has_its_share_before_and_leaves_one_to_the_others():
    told = pool_depths([some("a", 100), some("b", 40, priority=PRIORITY)])
    assert told[LINE].newcomer == 1 + 8
    assert told[f"{LINE}/priority"] == Depths(1, {"b": 40 + 10})
    assert line_of(Queue.ENTERPRISE_LONG, PRIORITY) == "enterprise-long/priority"


def test_lines_do_not_count_each_others_jobs_and_pools_neither():
    long = Waiting("sim", Queue.LONG, STANDARD, "a", 7, 700.0)
    other = Waiting("gpu", Queue.SHORT, STANDARD, "b", 5, 5.0)
    told = pool_depths([some("a", 3), long, other])
    assert (told[LINE].newcomer, told["pool:sim/long"].newcomer, told["pool:gpu/short"].newcomer) == (1, 1, 1)
    assert (told["pool:sim"].newcomer, told["pool:gpu"].newcomer) == (10, 5)


def test_of_very_many_teams_those_with_the_most_jobs_are_told_apart():
    told = pool_depths([some(str(number), number + 1) for number in range(200)])[LINE]
    assert told.newcomer == 200
    assert sorted(map(int, told.teams)) == list(range(200 - MOST_TOLD, 200))


def served_before(jobs: Mapping[tuple[Priority, str], Sequence[float]], priority: Priority, team: str) -> int:
    """How many a worker with one engine takes before the last job of a team, by the shares that turns.py keeps."""
    left = {key: list(seconds) for key, seconds in jobs.items()}
    priorities: Shares[Priority] = Shares()
    teams: Shares[str] = Shares()
    for before in count():
        waiting = {each for (each, _), seconds in left.items() if seconds}
        urgent = min(waiting, key=lambda each: (priorities.ahead.get(each, 0.0), -each))
        names = [name for (each, name), seconds in left.items() if each is urgent and seconds]
        name = min(names, key=lambda name: (teams.ahead.get(name, 0.0), name == team))
        seconds = left[urgent, name].pop()
        if (urgent, name) == (priority, team) and not left[urgent, name]:
            return before
        priorities.begin(urgent, seconds, weight=PRIORITY_WEIGHT if urgent is PRIORITY else 1.0)
        teams.begin(name, seconds)
    raise AssertionError


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.tuples(st.integers(1, 60), st.sampled_from([0.01, 0.2, 1.0, 3.0])),
        min_size=1,
    ),
    st.integers(0, 30),
)
def test_the_fair_worker_does_as_was_foretold(others: dict[str, tuple[int, float]], own: int):
    waiting = [some(team, number, each) for team, (number, each) in others.items()]
    waiting += [some("own", own, 0.2)] if own else []
    depths = pool_depths(waiting)[LINE]
    jobs = {(STANDARD, team): [each] * number for team, (number, each) in others.items()}
    jobs[STANDARD, "own"] = [0.2] * (own + 1)
    before = served_before(jobs, STANDARD, "own")
    assert depths.teams.get("own", depths.newcomer) == pytest.approx(before, abs=2 * len(others) + 0.05 * before)


def test_the_fair_worker_leaves_standard_its_share_as_was_foretold():
    waiting = [some("a", 50), some("b", 400, priority=PRIORITY)]
    jobs = {(STANDARD, "a"): [1.0] * 51, (PRIORITY, "b"): [1.0] * 400}
    foretold = pool_depths(waiting)[LINE].teams["a"]
    assert foretold == pytest.approx(served_before(jobs, STANDARD, "a"), rel=0.05)
