"""Runs of next to no length: those that wait together go to one child in one message, and it runs them in a row.

Each is run by the lines that run it alone, with its own seed, shots and memory, and so its counts are the same. A lane
is all or nothing but for that: one that breaks, or takes longer than such runs should, is dissolved, and each of its
runs that has no answer is asked for again by itself, so that the guilty one fails alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mesh.errors import ResourceExhausted
from mesh.telemetry import log
from services.execution import task
from services.execution.children import Children, EngineFault, OnProgress, refusal

MOST_RUNS: Final = 16
LANE_SECONDS: Final = 0.8
"""For a whole lane, whose runs are predicted to take 20 ms each at most; a run that is cancelled in it ends by then."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: task.Run
    timeout: float
    on_progress: OnProgress
    outcome: asyncio.Future[task.Outcome]


class Lanes:
    """Runs in children, one by one while they come one by one."""

    def __init__(self, children: Children) -> None:
        """Run in these children."""
        self._children = children
        self._waiting: deque[_Waiting] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._open = 0

    async def run(self, request: task.Run, *, timeout: float, on_progress: OnProgress) -> task.Outcome:
        """The outcome of a run that is predicted to be very short; otherwise as `Children.call`.

        Cancelling it leaves the lane to the others: the child is done with it in LANE_SECONDS.
        """
        waiting = _Waiting(request, timeout, on_progress, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._open < self._children.count:
            self._open += 1
            lane = asyncio.create_task(self._serve())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return await waiting.outcome

    async def _serve(self) -> None:
        """Take what waits, a share of it for every child, until nothing does."""
        try:
            while self._waiting:
                share = min(MOST_RUNS, -(-len(self._waiting) // self._open))
                taken = [self._waiting.popleft() for _ in range(share)]
                await self._answer([each for each in taken if not each.outcome.done()])
        finally:
            self._open -= 1

    async def _answer(self, wanted: Sequence[_Waiting]) -> None:
        try:
            if len(wanted) > 1:
                wanted = await self._together(wanted)
            await asyncio.gather(*map(self._alone, wanted))
        finally:
            for each in wanted:  # none is left, unless this was ended
                each.outcome.cancel()

    async def _together(self, wanted: Sequence[_Waiting]) -> list[_Waiting]:
        """Run them in one lane; returns those that still have no answer."""
        lane = task.Lane(tuple(each.request for each in wanted))
        try:
            answers = (await self._children.call(lane, timeout=LANE_SECONDS)).answers
        except (EngineFault, ResourceExhausted):
            answers = ()
        except Exception:  # noqa: BLE001 - a bug, here or in the child: none of the runs may wait for ever
            log.exception("lane_broken")
            answers = ()
        for each, answer in zip(wanted, answers, strict=False):
            if answer is not None and not each.outcome.done():
                if isinstance(answer, task.Outcome):
                    each.outcome.set_result(answer)
                else:
                    each.outcome.set_exception(refusal(answer))
        return [each for each in wanted if not each.outcome.done()]

    async def _alone(self, each: _Waiting) -> None:
        """Run one as if there were no others; once its team does not wait any more, its child is killed."""
        call = asyncio.ensure_future(
            self._children.call(each.request, timeout=each.timeout, on_progress=each.on_progress)
        )
        each.outcome.add_done_callback(lambda outcome: outcome.cancelled() and call.cancel())
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            call.cancel()
            raise
        if each.outcome.done():
            return
        if call.cancelled():
            each.outcome.cancel()
        elif (error := call.exception()) is not None:
            each.outcome.set_exception(error)
        else:
            each.outcome.set_result(call.result())
