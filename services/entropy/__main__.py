"""Entropy: random bits with their provenance, tested and handed out once, and the hourly beacon."""

from __future__ import annotations

import asyncio
import datetime as dt

import structlog
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qm.entropy.v1 import entropy_pb2
from qm.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from qm.signing.v1.signing_pb2_grpc import SigningServiceStub

from mesh.errors import MeshError
from mesh.identity import now
from mesh.process import Part, Process, run
from mesh.vault import Vault
from services.entropy.archive import Archive
from services.entropy.beacon import BeaconKeeper
from services.entropy.collect import Collector
from services.entropy.config import EntropyConfig
from services.entropy.generate import Generator, Peers
from services.entropy.laboratory import Laboratory
from services.entropy.lift import Lifter
from services.entropy.listing import list_sources
from services.entropy.pool import Pool
from services.entropy.refill import Refiller
from services.entropy.service import EntropyService
from services.entropy.store import PoolStore

log = structlog.get_logger()
EXPIRE_SECONDS = 3600.0
NICENESS = 5
"""Of the tests that nobody waits for."""


async def wire(process: Process[EntropyConfig], config: EntropyConfig) -> None:
    """Put the service together."""
    vault = Vault.read(config.key_encryption_key_file)
    database = await process.database()
    store, archive = PoolStore(database, vault), Archive(database, vault)
    collector = Collector(
        ExecutionServiceStub(process.channel("execution")),
        team_id=config.team_id,
        chunk_bits=config.chunk_bits,
        seconds=config.draw_seconds,
    )
    peers = Peers(BillingServiceStub(process.channel("billing")), SigningServiceStub(process.channel("signing")))
    background = Laboratory(idle_seconds=config.examiner_idle_seconds, niceness=NICENESS)
    laboratory = Laboratory(idle_seconds=config.examiner_idle_seconds)
    process.on_close(background.close)
    process.on_close(laboratory.close)
    refiller = Refiller(store, collector, background, config=config, clock=now)
    pool = Pool(store, refiller, collector, config=config, clock=now)
    generator = Generator(pool, archive, laboratory, peers, clock=now)
    lifter = Lifter(store, refiller, peers.signing, now)
    beacon = BeaconKeeper(pool, archive, peers.signing, period=dt.timedelta(seconds=config.beacon_seconds), clock=now)
    process.background(refiller.run(), "refiller")
    process.background(beacon.run(config.first_refill_seconds), "beacon")
    process.background(_expire(generator), "expiry")
    process.server.add(
        entropy_pb2.DESCRIPTOR.services_by_name["EntropyService"],
        EntropyService(generator, archive, lambda: list_sources(store, collector, config), lifter),
    )


async def _expire(generator: Generator) -> None:
    while True:
        await asyncio.sleep(EXPIRE_SECONDS)
        try:
            await generator.expire()
        except MeshError as error:
            log.warning("expiry_postponed", reason=error.reason)


PART = Part("entropy", EntropyConfig, wire)

if __name__ == "__main__":
    run(PART)
