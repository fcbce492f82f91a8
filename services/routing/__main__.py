"""Routing: the catalogue of backends, and the choice among them."""

from __future__ import annotations

import datetime as dt
from functools import partial

from qm.routing.v1 import routing_pb2

from mesh.config import load
from mesh.events import Events
from mesh.process import Part, Process, run
from services.routing.catalogue import Catalogue
from services.routing.config import RoutingConfig
from services.routing.learning.hearing import hear
from services.routing.learning.memory import Memory
from services.routing.learning.outcome_store import OutcomeStore
from services.routing.recorder import Recorder
from services.routing.service import RoutingService
from services.routing.store import DecisionStore
from services.routing.twin import with_twins


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


async def wire(process: Process[RoutingConfig], config: RoutingConfig) -> None:
    """Put the service together."""
    catalogue = with_twins(load(config.catalogue_file, Catalogue), config.twins_file)
    database = await process.database()
    recorder = Recorder(DecisionStore(database))
    process.on_close(recorder.close)
    outcomes = OutcomeStore(database)
    memory = Memory(outcomes, clock=utc_now)
    process.background(memory.run(config.learn_seconds), "learning")
    if config.events is not None:
        # NATS may be away at the start: the choice waits for nobody.
        connect = partial(Events.connect, config.events.url, process.identity)
        process.background(hear(connect, outcomes), "outcomes")
    service = RoutingService(catalogue, recorder, clock=utc_now)
    process.server.add(routing_pb2.DESCRIPTOR.services_by_name["RoutingService"], service)


PART = Part("routing", RoutingConfig, wire)

if __name__ == "__main__":
    run(PART)
