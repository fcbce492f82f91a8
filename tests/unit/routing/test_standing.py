"""How backends are now: what was observed of their queues, what is reported of them, and what their faults say."""

from __future__ import annotations

import datetime as dt
import math
from random import Random
from typing import Any

import pytest

from mesh.config import load
from services.routing.catalogue import CATALOGUE_FILE, Backend, Catalogue, Owner
from services.routing.decision import JobId
from services.routing.learning.outcome import Outcome
from services.routing.standing import FAULTS, FIRST_PAUSE, FRESH, Report, Standings, queue_of
from services.routing.twin import with_twins
from services.routing.waiting import Quantiles, Wait, Waits, rung

CATALOGUE = with_twins(load(CATALOGUE_FILE, Catalogue))
SIMULATOR = CATALOGUE.backends[0]
START = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def machine(backend_id: str = "ibm_boston") -> Backend:
    found = CATALOGUE.find(backend_id)
    assert found is not None
    return found.live(Owner.OPERATOR)


class World:
    """Standings, and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = START
        self.standings = Standings(live_queue_seconds=600, clock=lambda: self.now)
        self.count = 0

    def run(self, backend: Backend, waited: float = 1.0, **changes: Any) -> None:
        self.count += 1
        self.standings.took(backend)
        told: dict[str, Any] = {"queue_seconds": waited, "run_seconds": 2.0, "engine_seconds": 2.0}
        job_id, name = JobId(str(self.count)), backend.backend_id
        told |= {"queue": queue_of(backend), "queue_depth": self.standings.depth(backend) or 0}
        outcome = Outcome(
            job_id=job_id, decision_id=None, backend_id=name, engine="x", end_time=self.now, **told | changes
        )
        self.standings.learn(outcome)

    def fail(self, backend: Backend) -> None:
        self.run(backend, engine_seconds=None, error_type="server_error", backend_fault=True)


@pytest.fixture
def world() -> World:
    return World()


def test_quantiles_cover_what_comes_whatever_its_distribution():
    random = Random(1)
    for draw in (
        lambda: random.expovariate(1 / 30),
        lambda: random.lognormvariate(2, 1.5),
        lambda: random.uniform(1, 3),
    ):
        known = Quantiles(0.0, 0.0)
        below = [0, 0]
        for number in range(6000):
            x = draw()
            if number >= 1000:
                below[0] += x <= math.exp(known.middle)
                below[1] += x <= math.exp(known.high)
            known = known.after(x)
        assert below[0] / 5000 == pytest.approx(0.5, abs=0.02)
        assert below[1] / 5000 == pytest.approx(0.9, abs=0.02)


def test_a_wait_is_known_by_the_jobs_before_and_else_in_proportion():
    waits = Waits()
    assert waits.expected("q", 0) is None
    waits.observe("q", 0, 0.1)
    for _ in range(50):
        waits.observe("q", 8, 20.0)
    assert [rung(depth) for depth in (0, 1, 3, 4, 15, 16, 64)] == [0, 1, 1, 2, 2, 3, 4]
    near, far = waits.expected("q", 5), waits.expected("q", 80)
    assert near is not None
    assert far is not None
    assert near.p50 == pytest.approx(20 * 6 / 9, rel=0.05)
    assert far.p50 == pytest.approx(20 * 81 / 9, rel=0.05)
    assert waits.expected("other", 0) is None


def test_a_team_hears_its_own_place_in_a_line_and_another_that_of_a_newcomer(world: World):
    standings, line = world.standings, queue_of(SIMULATOR, "short")
    world.run(SIMULATOR, waited=0.5)
    assert standings.wait(SIMULATOR, "short").p50 == pytest.approx(0.5, rel=0.06), "a new line is as its pool was"
    version = standings.version
    standings.report("pool:sim", Report(START, queue_depth=1000))
    standings.report(line, Report(START, queue_depth=1, team_depths={"many": 1000}))
    assert standings.version > version
    assert standings.depth(SIMULATOR) == 1000
    assert [standings.depth(SIMULATOR, "short", team) for team in ("many", "one")] == [1000, 1]
    assert standings.wait(SIMULATOR, "short", "one").p50 == pytest.approx(1.0, rel=0.06)
    assert standings.wait(SIMULATOR, "short", "many").p50 == pytest.approx(500, rel=0.06)
    assert (standings.places("many"), standings.places("one")) == (((line, 1000),), ())
    version = standings.version
    standings.report(line, Report(START, queue_depth=1, team_depths={"few": 3}))
    assert standings.version == version, "it changes no choice of other teams"
    assert (standings.places("many"), standings.places("few")) == ((), ((line, 3),))
    assert standings.depth(SIMULATOR, "short", "many") == 1
    standings.report(line, Report(START, queue_depth=0))
    assert standings.places("few") == ()


def test_each_line_is_known_by_its_own_waits(world: World):
    for _ in range(30):
        world.run(SIMULATOR, waited=60.0, queue=queue_of(SIMULATOR, "long"))
        world.run(SIMULATOR, waited=0.1, queue=queue_of(SIMULATOR, "short"))
    assert world.standings.wait(SIMULATOR, "long").p50 == pytest.approx(60, rel=0.06)
    assert world.standings.wait(SIMULATOR, "short").p50 == pytest.approx(0.1, rel=0.06)


def test_a_simulator_waits_as_its_pool_has_and_a_machine_as_the_policy_guesses_until_one_has_told(world: World):
    standings = world.standings
    assert standings.wait(SIMULATOR) == Wait(0.0, 0.0)
    assert standings.wait(machine()) == Wait(600.0, 3600.0)
    world.run(SIMULATOR, waited=0.5)
    world.run(machine(), waited=40.0)
    assert standings.wait(CATALOGUE.backends[1]).p50 == pytest.approx(0.5, rel=0.06)
    assert standings.wait(machine()).p50 == pytest.approx(40, rel=0.06)
    assert standings.wait(machine("ibm_fez")).p50 == 600
    standings.report("ibm_fez", Report(START, queue_seconds=7.0))
    assert standings.wait(machine("ibm_fez")) == Wait(7.0, 21.0)


def test_a_machine_that_fails_three_in_a_row_is_offline_then_on_trial_then_back(world: World):
    backend, standings = machine(), world.standings
    for _ in range(FAULTS - 1):
        world.fail(backend)
    assert standings.now(backend).online
    world.fail(backend)
    assert "it failed 3 jobs in a row, and is tried again at 12:01:00 UTC" in standings.now(backend).offline_reason
    assert standings.now(machine("ibm_fez")).online
    world.now += FIRST_PAUSE
    assert standings.now(backend).online
    standings.took(backend)
    assert "a job is out to try it" in standings.now(backend).offline_reason
    world.fail(backend)
    world.now += FIRST_PAUSE
    assert not standings.now(backend).online
    world.now += FIRST_PAUSE
    world.run(backend)
    assert standings.now(backend).online
    world.fail(backend)
    assert standings.now(backend).online


def test_a_simulator_is_not_closed_to_all_by_programs_that_break_it(world: World):
    for _ in range(5):
        world.fail(SIMULATOR)
    assert world.standings.now(SIMULATOR).online


def test_a_report_is_believed_for_a_while_and_adds_to_what_was_said_before(world: World):
    backend, standings = machine(), world.standings
    standings.report("ibm_boston", Report(START, online=False, reason="maintenance", queue_depth=4))
    standings.report("ibm_boston", Report(START, shot_price=1000, task_price=0))
    now = standings.now(backend)
    assert (now.online, now.offline_reason, standings.depth(backend)) == (False, "its provider says so", 4)
    assert now.price(1, 100) == 100_000
    world.now += FRESH
    assert standings.now(backend) == backend
    assert standings.depth(backend) is None


def test_only_what_may_change_a_choice_changes_the_version(world: World):
    standings = world.standings
    standings.report("pool:sim", Report(START, queue_depth=5))
    version = standings.version
    standings.report("pool:sim", Report(START, queue_depth=6))
    assert standings.version == version
    standings.report("pool:sim", Report(START, queue_depth=60))
    assert standings.version > version


def test_our_own_jobs_make_a_machines_queue_longer_until_its_next_report(world: World):
    backend, standings = machine(), world.standings
    standings.took(backend)
    assert standings.depth(backend) is None
    standings.report("ibm_boston", Report(START, queue_depth=4))
    for _ in range(3):
        standings.took(backend)
    assert standings.depth(backend) == 7
    world.run(backend)
    assert standings.depth(backend) == 7, "one came and one ended"
    standings.report("ibm_boston", Report(START, shot_price=1000))
    assert standings.depth(backend) == 7, "what tells nothing of the queue changes nothing of it"
    standings.report("ibm_boston", Report(START, queue_depth=5))
    assert standings.depth(backend) == 5
    standings.took(SIMULATOR)
    assert standings.depth(SIMULATOR) is None
