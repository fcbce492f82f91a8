"""The laws of the ledger over random lives of it in PostgreSQL: two writers, repeats, broken-off commits."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from mesh.database import Database
from mesh.errors import MeshError
from mesh.events import Message
from mesh.identity import Authority
from mesh.outbox import Outbox
from services.billing.audit import violations
from services.billing.hold import Hold, JobId, Operation, TeamId
from services.billing.store import LedgerStore
from services.billing.team_store import TeamStore
from services.billing.writer import LedgerWriter
from tests.conftest import RunningPostgres
from tests.mesh.serving import Home
from tests.unit.billing.bookkeeping import PLANS
from tests.unit.billing.machine import JOBS, TEAMS, LedgerMachine, batches

T = TypeVar("T")


class Silence(Outbox):
    """Nobody hears of what these ledgers are told."""

    def __init__(self) -> None:
        """Have no connection."""

    def publish(self, messages: Any) -> None:
        """Leave them rows."""


class Kept:
    """One ledger in PostgreSQL, for all lives."""

    def __init__(self, home: Home) -> None:
        self.runner = asyncio.Runner()
        self.database = self.run(Database.connect(home.database, schema="billing"))
        self.store = LedgerStore(self.database)
        self.stores = (self.store, LedgerStore(self.database))
        """As two processes have them."""
        self.teams = TeamStore(self.database, Silence())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def close(self) -> None:
        self.run(self.database.close())
        self.runner.close()


@pytest.fixture(scope="module")
def kept(postgres: RunningPostgres, authority: Authority) -> Iterator[Kept]:
    with asyncio.Runner() as runner:
        home = runner.run(Home.make("billing", postgres, authority))
    kept = Kept(home)
    yield kept
    kept.close()


class StoreMachine(LedgerMachine):
    """The book over PostgreSQL, each batch through a writer of its own."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        super().__init__()

    def names(self) -> tuple[list[Any], list[Any]]:
        return [TeamId(str(uuid.uuid4())) for _ in range(TEAMS)], [JobId(str(uuid.uuid4())) for _ in range(JOBS)]

    def new_job(self) -> Any:
        return JobId(str(uuid.uuid4()))

    def apply(self, operations: list[Operation], now: dt.datetime) -> list[Hold | MeshError | None]:
        return self.kept.run(self._applied([operations], now))

    async def _applied(self, parts: list[list[Operation]], now: dt.datetime) -> list[Any]:
        """The answers of batches that go at once, each through a writer of its own; a lone one to the first process."""
        writers = [
            LedgerWriter(store, PLANS, clock=lambda: now) for store, _ in zip(self.kept.stores, parts, strict=False)
        ]
        asked = [writer.apply(each) for writer, part in zip(writers, parts, strict=True) for each in part]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for writer in writers:
            await writer.close()
        return list(answers)

    def limit(self, team: Any, *, budget: int | None, agreed: int | None) -> None:
        def note(_before: int | None) -> Message:
            return Message(str(uuid.uuid4()), "audit.event.nobody", b"")

        self.kept.run(self.kept.teams.set_budget(team, budget, self.now, note))
        self.kept.run(self.kept.teams.set_agreed(team, agreed, self.now, note))

    def check(self) -> None:
        assert violations(self.kept.run(self.kept.store.add_up())) == []
        for team in self.teams:
            usage = self.kept.run(self.kept.teams.usage(team, self.now))
            assert usage.spending.spent + usage.spending.held == self.plain.level(team, self.now)

    @rule(batch=batches, cut=st.integers(0, 8))
    def race(self, batch: list[Any], cut: int) -> None:
        """Two processes at once: in whatever order it went, no law is broken and no budget passed."""
        batch = self.named(batch)
        answers = self.kept.run(self._applied([batch[:cut], batch[cut:]], self.now))
        assert all(isinstance(each, MeshError | Hold | None) for each in answers), answers
        self._read_again(batch)

    @rule(batch=batches, after=st.floats(0, 0.004))
    def break_off(self, batch: list[Any], after: float) -> None:
        """A commit whose answer nobody gets, and the same again in another order."""
        batch = self.named(batch)

        async def broken() -> None:
            task = asyncio.ensure_future(self._applied([batch], self.now))
            await asyncio.wait([task], timeout=after)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.kept.run(broken())
        self.apply(list(reversed(batch)), self.now)
        self._read_again(batch)

    def _read_again(self, batch: list[Operation]) -> None:
        """Take over what became of jobs where more than one order was right."""
        for job in {each.job_id for each in batch}:
            for team in self.teams:
                if (found := self.kept.run(self.kept.store.find_hold(team, job))) is not None:
                    self.plain.holds[job] = found[0]


def test_every_life_of_a_ledger_in_postgresql_obeys_its_laws(kept: Kept) -> None:
    run_state_machine_as_test(
        lambda: StoreMachine(kept), settings=settings(max_examples=12, stateful_step_count=8, deadline=None)
    )
