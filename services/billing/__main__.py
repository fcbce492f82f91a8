"""Billing: plans, quotas, holds and the double-entry ledger."""

from __future__ import annotations

import datetime as dt

from qm.billing.v1 import billing_pb2

from mesh.config import load
from mesh.process import Part, Process, run
from services.billing.config import BillingConfig
from services.billing.plan import Plans
from services.billing.service import BillingService
from services.billing.store import BillingStore
from services.billing.writer import LedgerWriter


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


async def wire(process: Process[BillingConfig], config: BillingConfig) -> None:
    """Put the service together."""
    plans = load(config.plans_file, Plans)
    store = BillingStore(await process.database())
    writer = LedgerWriter(store, plans, clock=utc_now)
    process.on_close(writer.close)
    service = BillingService(store, writer, plans=plans, clock=utc_now)
    process.server.add(billing_pb2.DESCRIPTOR.services_by_name["BillingService"], service)


PART = Part("billing", BillingConfig, wire)

if __name__ == "__main__":
    run(PART)
