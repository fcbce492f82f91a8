"""The sources as they are told: every backend that can be drawn from, and how it stands."""

from __future__ import annotations

from qm.entropy.v1 import entropy_pb2 as pb
from qm.routing.v1 import routing_pb2

from mesh.timestamps import timestamp
from services.entropy.collect import Collector
from services.entropy.config import EntropyConfig
from services.entropy.source import Source, SourceKey, State
from services.entropy.store import PoolStore


async def list_sources(store: PoolStore, collector: Collector, config: EntropyConfig) -> list[pb.Source]:
    """Live sources first, then the default one, then the other simulators and twins."""
    known = {source.key: source for source in await store.sources()}
    stock = await store.stock()
    found = []
    for backend in (await collector.backends()).values():
        live = backend.backend_id in config.live_sources
        if backend.kind == routing_pb2.BACKEND_KIND_LIVE and not live:
            continue
        key = SourceKey(backend.backend_id, live)
        source = known.get(key) or Source(key, State.IDLE, simulated=not live)
        bits = sum(blocks.tested_bits for (each, _), blocks in stock.items() if each == key)
        found.append(_message(source, backend.display_name, bits, config))
    return sorted(found, key=lambda each: (each.simulated, each.source_id != config.default_source, each.source_id))


def _message(source: Source, display_name: str, ready_bits: int, config: EntropyConfig) -> pb.Source:
    well = source.state is State.HEALTHY
    return pb.Source(
        source_id=source.key.source_id,
        display_name=display_name,
        simulated=source.simulated,
        state=pb.SourceState.ValueType(source.state),
        reason=source.reason,
        claimed_min_entropy=config.simulated_min_entropy if source.simulated else config.live_min_entropy,
        assessed_min_entropy=source.assessed_min_entropy,
        ready_bit_count=ready_bits if well else 0,
        grades=[pb.GRADE_DRBG] if source.simulated else [pb.GRADE_DRBG, pb.GRADE_FULL_ENTROPY],
        chunk_time=timestamp(source.chunk_time) if source.chunk_time else None,
    )
