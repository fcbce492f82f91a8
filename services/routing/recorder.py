"""Keeps decisions behind the answer: in groups, one insert at a time, while the choice has long been told.

A decision is a note for learning, not part of a job's story: what still waits when the process crashes is lost, and so
is what a database outage leaves no room for. Nothing else depends on it; the choice itself is pure and can be repeated.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mesh.errors import MeshError
from mesh.telemetry import log
from services.routing.decision import Decision
from services.routing.store import DecisionStore

_GROUP_SIZE = 256
_GATHER_SECONDS = 0.1
_MOST_WAITING = 10_000


class Recorder:
    """Hands decisions to the store."""

    def __init__(self, store: DecisionStore) -> None:
        """Keep decisions in `store`."""
        self._store = store
        self._waiting: list[Decision] = []
        self._worker: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def keep(self, decision: Decision) -> None:
        """Take a decision; returns at once."""
        if len(self._waiting) >= _MOST_WAITING:
            log.warning("decision_dropped", decision=decision.decision_id)
            return
        self._waiting.append(decision)
        if self._worker is None:
            self._worker = asyncio.create_task(self._run(), name="recorder")

    async def close(self) -> None:
        """Wait until what was taken is kept."""
        self._closing.set()
        if self._worker is not None:
            await self._worker

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                group, self._waiting = self._waiting[:_GROUP_SIZE], self._waiting[_GROUP_SIZE:]
                await self._write(group)
        finally:
            self._worker = None

    async def _gather(self) -> None:
        """Nobody waits for a decision to be kept: a group may grow for a while."""
        if not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_SECONDS):
                    await self._closing.wait()

    async def _write(self, group: list[Decision]) -> None:
        try:
            for decision in group:
                decision.grounds.encoded()
                await asyncio.sleep(0)
            await self._store.add(group)
        except MeshError as error:
            log.warning("decisions_lost", count=len(group), reason=error.reason)
        except Exception:  # noqa: BLE001 - one bad group must not end the recorder
            log.exception("decisions_lost", count=len(group))
