"""The execution service: accepts jobs, tells of them, sweeps up after crashes. Workers are processes of their own."""

from __future__ import annotations

import asyncio
import datetime as dt
from random import Random

from qm.execution.v1 import execution_pb2
from qm.routing.v1.routing_pb2_grpc import BenchmarkServiceStub

from mesh.identity import now
from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from mesh.streams import JOBS_EVENTS
from services.execution.algorithms.listing import Catalogue, load_catalogue
from services.execution.assessing import Assessor
from services.execution.benchmarking import Benchmarking
from services.execution.cancel import Cancellations
from services.execution.children import Children
from services.execution.config import ExecutionConfig
from services.execution.download import Downloads
from services.execution.engines.cost import CostModel, Limits
from services.execution.faults import release_held
from services.execution.intake import Intake
from services.execution.live.accounts import ProviderAccounts
from services.execution.live.polling import Poller
from services.execution.market import Market
from services.execution.measuring import Measurer
from services.execution.offers import Offers
from services.execution.peers import Peers
from services.execution.quote_store import QuoteStore
from services.execution.quoting import Quotes
from services.execution.reporting import report_queues
from services.execution.results.opening import open_results
from services.execution.service import ExecutionService
from services.execution.store import Store
from services.execution.sweep import Sweeper
from services.execution.watch import Watchers


async def wire(process: Process[ExecutionConfig], config: ExecutionConfig) -> None:
    """Connect the parts."""
    database = await process.database()
    events = await process.events()
    outbox = Outbox(database, events)
    outbox.start()
    process.on_close(outbox.close)
    store = Store(database, outbox)
    children = Children(config.parser_count, memory_bytes=config.parser_memory_bytes, engines=False)
    await children.start()
    process.on_close(children.close)
    peers = Peers.of(process)
    catalogue = load_catalogue()
    process.background(_check(catalogue), "catalogue")
    limits = Limits(config.run_memory_bytes, config.run_seconds)
    accounts = ProviderAccounts.of(peers.accounts, config.provider_credentials_file, now)
    assessor = Assessor(catalogue, Measurer(children), peers, Offers(CostModel.load(), limits), accounts)
    lifetime = dt.timedelta(seconds=config.quote_seconds)
    quotes = Quotes(QuoteStore(database), assessor, peers, lifetime=lifetime, clock=now)
    watchers = Watchers()
    intake = Intake(
        store,
        assessor,
        quotes,
        peers,
        clock=now,
        webhooks=config.webhook_destinations,
        bulletin=events.bulletin,
        watchers=watchers,
    )
    process.on_close(intake.close)
    poller = Poller(accounts, peers.routing, every=config.machine_poll_seconds, random=Random())  # noqa: S311 - apart
    if config.machine_poll_seconds:
        process.background(poller.run(), "machine polls")
    process.background(report_queues(store, peers.routing, poller.told), "queue reports")
    process.background(release_held(store, now), "release held jobs")
    process.background(watchers.look(store), "watchers")
    await events.subscribe(JOBS_EVENTS.subjects[0], watchers.hear)
    events.bulletin.listen(JOBS_EVENTS.subjects[0], watchers.overhear)
    sweeper = Sweeper(
        store,
        peers.billing,
        stalled_after=dt.timedelta(seconds=config.stalled_seconds),
        hold_age=dt.timedelta(seconds=config.hold_seconds),
        clock=now,
    )
    process.background(sweeper.run(config.sweep_seconds), "sweeper")
    if config.benchmark_seconds:
        benchmarking = Benchmarking(intake, store, BenchmarkServiceStub(process.channel("routing")))
        process.background(benchmarking.run(config.benchmark_seconds), "benchmarking")
    process.server.add(
        execution_pb2.DESCRIPTOR.services_by_name["ExecutionService"],
        ExecutionService(
            store,
            intake,
            Market(catalogue, store, peers.routing),
            watchers,
            Cancellations(store, peers.billing, events, now),
            Downloads(store, open_results(config.results, events)),
            quotes=quotes,
            accounts=accounts,
        ),
    )


async def _check(catalogue: Catalogue) -> None:
    """Check the algorithms one by one, so that no call waits for long; a wrong one ends the process."""
    for algorithm in catalogue.values():
        algorithm.check()
        await asyncio.sleep(0)


PART = Part("execution", ExecutionConfig, wire)

if __name__ == "__main__":
    run(PART)
