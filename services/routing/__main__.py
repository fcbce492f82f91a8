"""Routing: the catalogue of backends, and the choice among them."""

from __future__ import annotations

import datetime as dt
from functools import partial

from qm.routing.v1 import routing_pb2

from mesh.config import load
from mesh.events import Events
from mesh.process import Part, Process, run
from services.routing.benchmarks.benchmark_store import BenchmarkStore
from services.routing.benchmarks.service import BenchmarkService
from services.routing.catalogue import Catalogue
from services.routing.config import RoutingConfig
from services.routing.fitted import FittedFidelity
from services.routing.history import newest, shipped
from services.routing.learning.hearing import hear
from services.routing.learning.memory import Memory
from services.routing.learning.outcome_store import OutcomeStore
from services.routing.objective import Policy
from services.routing.prediction.predictor import MODEL_VERSION, Predictor
from services.routing.recorder import Recorder
from services.routing.service import Kits, RoutingService
from services.routing.situation import Situation
from services.routing.standing import Standings
from services.routing.store import CalibrationStore, DecisionStore
from services.routing.supplier import Suppliers
from services.routing.twin import with_twins


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


async def wire(process: Process[RoutingConfig], config: RoutingConfig) -> None:
    """Put the service together."""
    catalogue = with_twins(load(config.catalogue_file, Catalogue), config.twins_file).here(config.residency)
    suppliers, policy = load(config.suppliers_file, Suppliers), load(config.policy_file, Policy)
    suppliers.check(catalogue)
    database = await process.database()
    decisions, calibrations = DecisionStore(database), CalibrationStore(database)
    recorder = Recorder(decisions)
    process.on_close(recorder.close)
    standings = Standings(live_queue_seconds=policy.live_queue_seconds, clock=utc_now)
    outcomes = OutcomeStore(database)
    memory = Memory(outcomes, clock=utc_now, tell=standings.learn)
    process.background(memory.run(config.learn_seconds), "learning")
    if config.events is not None:
        # NATS may be away at the start: the choice waits for nobody.
        connect = partial(Events.connect, config.events.url, process.identity)
        process.background(hear(connect, outcomes), "outcomes")
    predictor = Predictor(children=config.prediction_children)
    process.on_close(predictor.close)
    fitted = FittedFidelity(predictor, clock=utc_now)
    if config.warm_seconds is not None:
        noisy = [each for each in catalogue.backends if each.calibration is not None]
        process.background(fitted.warm(noisy, after=config.warm_seconds), "warming")
    await calibrations.add(shipped(catalogue), utc_now())
    situation = Situation(
        catalogue,
        policy,
        standings,
        beliefs=lambda: memory.beliefs,
        predict=fitted,
        model_version=MODEL_VERSION,
        calibrations=newest(await calibrations.newest(), catalogue),
    )
    service = RoutingService(situation, Kits(recorder, decisions, calibrations), suppliers, clock=utc_now)
    process.server.add(routing_pb2.DESCRIPTOR.services_by_name["RoutingService"], service)
    benchmarks = BenchmarkService(catalogue, BenchmarkStore(database), outcomes, memory, clock=utc_now)
    process.server.add(routing_pb2.DESCRIPTOR.services_by_name["BenchmarkService"], benchmarks)


PART = Part("routing", RoutingConfig, wire)

if __name__ == "__main__":
    run(PART)
