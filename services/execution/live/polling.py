"""Asks the providers how their machines are, and tells routing: whether they take jobs, and how long their queues are.

Through the operator's accounts alone: a team's credentials are used for its own jobs. Every machine is asked by itself,
at its own pace, so that a provider that is down holds up no other: at most a few at a time, each within a deadline, at
times that are not the same for all. One that does not answer is asked more and more seldom, and after some silence in a
row told to be offline; what was last said of it routing believes for a quarter of an hour.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qm.routing.v1 import routing_pb2

from mesh.errors import MeshError
from mesh.telemetry import log
from services.execution.live.errors import Busy, NotAdmitted, ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from random import Random

    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub

    from services.execution.live.accounts import ProviderAccounts
    from services.execution.live.provider import Condition

MOST_AT_ONCE = 4
DEADLINE_SECONDS = 15.0
SILENT = 3
"""Calls in a row without an answer after which a machine is told to be offline."""
LONGEST_SECONDS = 1800.0
_JITTER = 0.2
_LISTED_AGAIN_SECONDS = 5.0
_LONGEST_REASON = 300
_LONGEST_WAIT = 86_400.0 * 365


@dataclass(frozen=True, slots=True)
class Pace:
    """When a machine is asked again."""

    every: float
    failures: int = 0

    def failed(self) -> Pace:
        """After a call without an answer."""
        return Pace(self.every, self.failures + 1)

    def pause(self, random: Random, asked_for: float = 0.0) -> float:
        """Seconds until the next call: twice as many after each failure, and as the provider asks at least."""
        doubled = self.every * 2.0 ** min(self.failures, 16)
        usual = min(max(LONGEST_SECONDS, self.every), doubled) * random.uniform(1 - _JITTER, 1 + _JITTER)
        return max(usual, asked_for)


class Poller:
    """Polls the machines that the operator's accounts reach."""

    def __init__(
        self,
        accounts: ProviderAccounts,
        routing: RoutingServiceAsyncStub,
        *,
        every: float,
        random: Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Ask each machine once in `every` seconds; `random` keeps them apart."""
        self._accounts = accounts
        self._routing = routing
        self._every = every
        self._random = random
        self._sleep = sleep
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self.told: set[str] = set()
        """The machines whose providers tell their queues now."""

    async def run(self) -> None:
        """Poll until cancelled; without an account of the operator there is nothing to do."""
        if not self._accounts.operator_providers:
            return
        machines = await self._machines()
        async with asyncio.TaskGroup() as group:
            for machine in machines:
                group.create_task(self._follow(machine), name=f"poll {machine.backend_id}")

    async def look(self, machine: routing_pb2.Backend, pace: Pace) -> tuple[Pace, float]:
        """Ask about a machine and tell routing; the pace from then on, and what the provider asks to wait."""
        asked_for = 0.0
        try:
            report, pace = _report(await self._ask(machine)), Pace(self._every)
            if report.HasField("queue_depth") or report.HasField("queue_duration"):
                self.told.add(machine.backend_id)
        except (ProviderError, MeshError, TimeoutError) as error:
            asked_for = error.after if isinstance(error, Busy) else 0.0
            pace = pace.failed()
            said = str(error) or f"{machine.provider} did not answer in {DEADLINE_SECONDS:.0f} s"
            log.info("machine_silent", backend=machine.backend_id, failures=pace.failures, reason=said)
            if pace.failures < SILENT and not isinstance(error, NotAdmitted):
                return pace, asked_for
            self.told.discard(machine.backend_id)
            report = routing_pb2.BackendReport(status=routing_pb2.BACKEND_STATUS_OFFLINE, reason=said[:_LONGEST_REASON])
        except Exception:  # noqa: BLE001 - an answer of a form that is not known, or no number; the others go on
            log.exception("machine_answer_unknown", backend=machine.backend_id)
            return pace.failed(), 0.0
        report.backend_id = machine.backend_id
        try:
            await self._routing.ReportBackends(routing_pb2.ReportBackendsRequest(reports=[report]))
        except MeshError as error:
            log.warning("machine_not_reported", backend=machine.backend_id, reason=error.reason)
        return pace, asked_for

    async def _follow(self, machine: routing_pb2.Backend) -> None:
        pace, asked_for = Pace(self._every), 0.0
        await self._sleep(self._random.uniform(0, self._every))
        while True:
            pace, asked_for = await self.look(machine, pace)
            await self._sleep(pace.pause(self._random, asked_for))

    async def _ask(self, machine: routing_pb2.Backend) -> Condition:
        async with self._places, asyncio.timeout(DEADLINE_SECONDS):
            provider = await self._accounts.provider(machine, "", "status")
            try:
                return await provider.condition()
            except NotAdmitted:
                self._accounts.forget(provider)
                raise

    async def _machines(self) -> Sequence[routing_pb2.Backend]:
        """The machines behind the catalogue's backends, as the operator reaches them."""
        while True:
            try:
                listed = (await self._routing.ListBackends(routing_pb2.ListBackendsRequest())).backends
                break
            except MeshError as error:
                log.info("machines_not_listed", reason=error.reason)
                await self._sleep(_LISTED_AGAIN_SECONDS)
        reached = [each for each in listed if each.provider in self._accounts.operator_providers]
        for each in reached:
            each.account_owner = routing_pb2.ACCOUNT_OWNER_OPERATOR
        return reached


def _report(condition: Condition) -> routing_pb2.BackendReport:
    """What a provider says, for routing. Raises ValueError for what is no time."""
    report = routing_pb2.BackendReport(
        status=routing_pb2.BACKEND_STATUS_ONLINE if condition.online else routing_pb2.BACKEND_STATUS_OFFLINE,
        reason=condition.reason[:_LONGEST_REASON],
        queue_depth=condition.queue_depth,
    )
    if condition.queue_seconds is not None:
        if not 0 <= condition.queue_seconds <= _LONGEST_WAIT:
            raise ValueError(f"a wait of {condition.queue_seconds} s")
        report.queue_duration.FromMilliseconds(round(1000 * condition.queue_seconds))
    return report
