"""Machines are asked how they are: at a bounded pace, apart, and none holds up another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qm.routing.v1 import routing_pb2 as pb

from mesh.errors import Unavailable
from services.execution.live.accounts import ProviderAccounts
from services.execution.live.credentials import Credentials, Ionq
from services.execution.live.errors import Busy, NotAdmitted
from services.execution.live.ionq import IonqProvider
from services.execution.live.polling import LONGEST_SECONDS, MOST_AT_ONCE, SILENT, Pace, Poller
from services.execution.live.provider import Condition, Provider
from tests.unit.execution.live.fakes import FakeIonq
from tests.unit.execution.live.harness import clock
from tests.unit.execution.live.serving import serving

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub

MACHINES = [
    pb.Backend(backend_id=f"ionq_{number}", provider="ionq", provider_device=str(number)) for number in range(9)
]


class Routing:
    """Routing, as far as a poller sees it."""

    def __init__(self, machines: list[pb.Backend]) -> None:
        self.machines = machines
        self.reports: list[pb.BackendReport] = []
        self.down = False
        self.asked = 0

    async def ListBackends(self, _: pb.ListBackendsRequest) -> pb.ListBackendsResponse:  # noqa: N802 - an RPC
        self.asked += 1
        if self.down:
            self.down = False
            raise Unavailable("routing is away", reason="DOWN")
        return pb.ListBackendsResponse(backends=[*self.machines, pb.Backend(backend_id="sim.mps")])

    async def ReportBackends(  # noqa: N802 - an RPC
        self, request: pb.ReportBackendsRequest
    ) -> pb.ReportBackendsResponse:
        self.reports += request.reports
        return pb.ReportBackendsResponse()


class Machine:
    """A provider that answers what the test says."""

    def __init__(self) -> None:
        self.answers: list[Condition | Exception] = []
        self.asked = 0
        self.at_once = self.most_at_once = 0

    async def condition(self) -> Condition:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        answer = self.answers.pop(0) if self.answers else Condition(online=True, queue_depth=3, queue_seconds=1.5)
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    """A poller among fakes."""

    def __init__(self) -> None:
        self.machine, self.routing = Machine(), Routing(MACHINES)
        self.slept: list[float] = []
        self.rounds = 40
        operator: dict[str, Credentials] = {"ionq": Ionq("key")}
        self.poller = self.polling(operator)

    def polling(self, operator: dict[str, Credentials]) -> Poller:
        accounts = ProviderAccounts(cast("AccountsServiceAsyncStub", None), operator, clock, self._connect)
        routing = cast("RoutingServiceAsyncStub", self.routing)
        return Poller(accounts, routing, every=60, random=Random(1), sleep=self._sleep)

    def _connect(self, *_: Any) -> Provider:
        return cast("Provider", self.machine)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self.rounds:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


@pytest.fixture
def world() -> World:
    return World()


async def test_every_machine_is_asked_a_few_at_a_time_and_routing_hears_of_it(world: World):
    world.routing.down = True
    await world.poller.run()
    assert world.routing.asked == 2
    assert {report.backend_id for report in world.routing.reports} == {each.backend_id for each in MACHINES}
    [first, *_] = world.routing.reports
    assert (first.status, first.queue_depth) == (pb.BACKEND_STATUS_ONLINE, 3)
    assert first.queue_duration.ToMilliseconds() == 1500
    assert 1 < world.machine.most_at_once <= MOST_AT_ONCE
    assert len({round(pause, 6) for pause in world.slept}) > len(MACHINES), "they are kept apart"


async def test_without_an_account_nobody_is_asked(world: World):
    await world.polling({}).run()
    assert (world.machine.asked, world.routing.asked) == (0, 0)


async def test_a_machine_that_is_silent_is_offline_after_a_while_and_back_with_its_first_answer(world: World):
    world.machine.answers = [Busy("IonQ cannot be reached", after=90.0)] * SILENT
    pace = Pace(60)
    for number in range(SILENT):
        assert [report.status for report in world.routing.reports] == []
        pace, asked_for = await world.poller.look(MACHINES[0], pace)
        assert (pace.failures, asked_for) == (number + 1, 90.0)
    [report] = world.routing.reports
    assert (report.status, report.reason) == (pb.BACKEND_STATUS_OFFLINE, "IonQ cannot be reached")
    assert world.poller.told == set(), "what we know of our own jobs is told instead"
    pace, _ = await world.poller.look(MACHINES[0], pace)
    assert pace.failures == 0
    assert world.routing.reports[-1].status == pb.BACKEND_STATUS_ONLINE
    assert world.poller.told == {MACHINES[0].backend_id}


async def test_credentials_that_are_refused_close_the_machine_at_once(world: World):
    world.machine.answers = [NotAdmitted("IonQ answered 401")]
    await world.poller.look(MACHINES[0], Pace(60))
    assert [report.status for report in world.routing.reports] == [pb.BACKEND_STATUS_OFFLINE]


@pytest.mark.parametrize(
    "answer",
    [
        KeyError("status"),
        Condition(online=True, queue_seconds=float("nan")),
        Condition(online=True, queue_seconds=-1.0),
        Condition(online=True, queue_seconds=1e300),
        Condition(online=True, queue_depth=2**70),
    ],
)
async def test_an_answer_that_is_none_tells_nothing_and_ends_nothing(world: World, answer: Condition | Exception):
    world.machine.answers = [answer]
    pace, _ = await world.poller.look(MACHINES[0], Pace(60))
    assert (pace.failures, world.routing.reports) == (1, [])


@given(st.integers(0, 60), st.floats(0, 100_000), st.integers())
def test_pauses_grow_to_a_bound_and_are_never_shorter_than_asked(failures: int, asked_for: float, seed: int):
    pause = Pace(60, failures).pause(Random(seed), asked_for)
    assert asked_for <= pause <= max(asked_for, 1.2 * LONGEST_SECONDS)
    assert pause >= 48


@pytest.fixture
def ionq() -> Iterator[FakeIonq]:
    with serving(fake := FakeIonq()):
        yield fake


async def test_a_real_client_is_asked_and_what_it_says_arrives(ionq: FakeIonq):
    def connect(*_: Any) -> Provider:
        return IonqProvider(Ionq(FakeIonq.KEY), "qpu.aria-1", 11, clock, url=ionq.url)

    routing = Routing(MACHINES[:1])
    accounts = ProviderAccounts(cast("AccountsServiceAsyncStub", None), {"ionq": Ionq(FakeIonq.KEY)}, clock, connect)
    poller = Poller(accounts, cast("RoutingServiceAsyncStub", routing), every=60, random=Random(1))
    await poller.look(MACHINES[0], Pace(60))
    [report] = routing.reports
    assert (report.status, report.queue_duration.seconds) == (pb.BACKEND_STATUS_ONLINE, 125)
    assert not report.HasField("queue_depth")
