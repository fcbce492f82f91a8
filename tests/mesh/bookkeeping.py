"""Billing behind its real servers: two processes on one ledger, as execution, the edge and the operator see it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from qm.billing.v1 import billing_pb2 as pb
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qm.type.v1.money_pb2 import Money
from qm.type.v1.requester_pb2 import ENVIRONMENT_LIVE, Environment, Requester

from mesh.channel import MeshChannel
from mesh.config import EventsConfig
from mesh.identity import Authority
from services.billing.__main__ import wire
from services.billing.config import BillingConfig
from tests.conftest import RunningNats, RunningPostgres
from tests.mesh.serving import Home

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub

DOLLAR = 1_000_000


def new_id() -> str:
    return str(uuid.uuid4())


def stub(channel: MeshChannel) -> BillingServiceAsyncStub:
    made: BillingServiceAsyncStub = BillingServiceStub(channel)  # type: ignore[assignment]
    return made


def ask(
    team: str, micros: int = DOLLAR, *, plan: str = "enterprise", environment: Environment.ValueType = ENVIRONMENT_LIVE
) -> pb.HoldFundsRequest:
    requester = Requester(team_id=team, user_id=new_id(), key_id=new_id(), plan=plan, environment=environment)
    return pb.HoldFundsRequest(job_id=new_id(), requester=requester, price=Money(currency_code="USD", micros=micros))


class Billing:
    """Two processes on one ledger, as seen by execution and by the operator."""

    def __init__(self, home: Home, first: BillingServiceAsyncStub, second: BillingServiceAsyncStub) -> None:
        self.home = home
        self.first = first
        self.second = second
        self.operator: BillingServiceAsyncStub
        self.edge: BillingServiceAsyncStub
        self.address: str

    async def give_budget(self, team: str, micros: int) -> None:
        await self.operator.SetBudget(
            pb.SetBudgetRequest(team_id=team, budget=Money(currency_code="USD", micros=micros))
        )

    async def usage(self, team: str, plan: str = "enterprise") -> pb.GetUsageResponse:
        return await self.operator.GetUsage(pb.GetUsageRequest(team_id=team, plan=plan))

    async def settle(self, hold: pb.HoldFundsRequest) -> pb.Hold:
        return (await self.first.SettleHold(pb.SettleHoldRequest(job_id=hold.job_id))).hold

    async def release(self, hold: pb.HoldFundsRequest) -> pb.ReleaseHoldResponse:
        return await self.first.ReleaseHold(pb.ReleaseHoldRequest(job_id=hold.job_id))

    async def look(self, team: str, job: str) -> pb.GetHoldResponse:
        return await self.operator.GetHold(pb.GetHoldRequest(team_id=team, job_id=job))

    async def violations(self) -> list[str]:
        checked = await self.operator.CheckLedger(pb.CheckLedgerRequest())
        assert checked.sum == Money(currency_code="USD", micros=0)
        return list(checked.violations)


def config(home: Home, nats: RunningNats) -> BillingConfig:
    """Nobody here asks who is of a team: that is tried over the whole mesh."""
    return home.config(BillingConfig, events=EventsConfig(url=nats.url), peers={"accounts": "127.0.0.1:1"})


@asynccontextmanager
async def serving_billing(postgres: RunningPostgres, nats: RunningNats, authority: Authority) -> AsyncIterator[Billing]:
    home = await Home.make("billing", postgres, authority)
    async with AsyncExitStack() as stack:
        ways = [await stack.enter_async_context(home.serve(config(home, nats), wire)) for _process in range(2)]
        both = Billing(home, stub(ways[0]("execution")), stub(ways[1]("execution")))
        both.operator, both.edge = stub(ways[0]("operator")), stub(ways[1]("edge"))
        both.address = ways[0]("operator")._target
        yield both
