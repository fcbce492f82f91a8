"""Billing: plans, quotas, holds and the double-entry ledger."""

from __future__ import annotations

import datetime as dt

from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.billing.v1 import billing_pb2

from mesh.config import load
from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from services.billing.asking import Members
from services.billing.config import BillingConfig
from services.billing.plan import Plans
from services.billing.service import BillingService
from services.billing.store import LedgerStore
from services.billing.team_store import TeamStore
from services.billing.writer import LedgerWriter


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


async def wire(process: Process[BillingConfig], config: BillingConfig) -> None:
    """Put the service together."""
    plans = load(config.plans_file, Plans)
    database, events = await process.database(), await process.events()
    outbox = Outbox(database, events)
    outbox.start()
    process.on_close(outbox.close)
    store = LedgerStore(await process.database(plan_once=True))
    writer = LedgerWriter(store, plans, clock=utc_now)
    process.on_close(writer.close)
    members = Members(AccountsServiceStub(process.channel("accounts")))
    service = BillingService(store, TeamStore(database, outbox), writer, members=members, plans=plans, clock=utc_now)
    process.server.add(billing_pb2.DESCRIPTOR.services_by_name["BillingService"], service)


PART = Part("billing", BillingConfig, wire)

if __name__ == "__main__":
    run(PART)
