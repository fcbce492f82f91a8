"""What this process has learned so far: beliefs that follow the table of outcomes, behind the answers."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from mesh.errors import MeshError
from mesh.telemetry import log
from services.routing.learning.beliefs import Beliefs
from services.routing.learning.learner import Learner
from services.routing.learning.outcome import Outcome
from services.routing.learning.outcome_store import OutcomeStore

MOST_REMEMBERED = 20_000
"""Outcomes that are learned from at a start, the last ones: what is older has faded."""
_PAGE = 200
"""Outcomes that are read and learned from without a pause; a few milliseconds."""


class Memory:
    """Reads what was kept, by this process or another, and learns from it."""

    def __init__(
        self,
        store: OutcomeStore,
        *,
        clock: Callable[[], dt.datetime],
        tell: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        """Learn from `store`, and `tell` of every outcome; until that has begun nothing is believed."""
        self._store = store
        self._clock = clock
        self._tell = tell
        self._learner = Learner()
        self._first: int | None = None
        self._last = 0
        self.beliefs = Beliefs()
        """Those of the moment. They change at most once a round, and their version with them."""

    async def run(self, every_seconds: float) -> None:
        """Learn until cancelled; while the database is down what is believed stays as it is."""
        while True:
            try:
                await self.catch_up()
            except MeshError as error:
                log.warning("learning_postponed", reason=error.reason)
            except Exception:  # noqa: BLE001 - a bug in learning must not end the choices
                log.exception("learning_failed")
            await asyncio.sleep(every_seconds)

    async def catch_up(self) -> None:
        """Learn from what came since the last round."""
        if self._first is None:
            self._first = self._last = await self._store.start_of_last(MOST_REMEMBERED)
        before = self._last
        while page := await self._store.after(self._last, _PAGE):
            for number, outcome in page:
                self._learner.learn(outcome)
                self._tell(outcome)
                self._last = number
            await asyncio.sleep(0)
        if self._last != before:
            now = self._clock()
            found = f"{self._first + 1}-{self._last}@{now:%Y-%m-%dT%H:%M:%SZ}"
            self.beliefs = self._learner.beliefs(now.replace(microsecond=0), found)
