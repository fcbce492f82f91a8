"""Results in a JetStream object store, as ADR-20 lays it out, so that other NATS clients read it too."""

from __future__ import annotations

from collections.abc import AsyncIterator

from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore

from mesh.events import Events, queue_errors_as_unavailable
from mesh.streams import RESULTS, RESULTS_BUCKET
from services.execution.results.result_store import ResultKey, result_gone


class NatsResults:
    """Results on the disks of NATS, for as long as the bucket keeps them.

    What a killed put leaves half written nobody finds, and the bucket drops it with its age. JetStream writes to its
    file at once but has it on the platter within its sync interval: a power cut may lose the newest results.
    """

    def __init__(self, events: Events) -> None:
        """Use the connection of this process; its identity keeps the bucket's stream (mesh/streams)."""
        self._jetstream = events.jetstream

    async def put(self, key: ResultKey, data: bytes) -> None:
        """Store a result; see `ResultStore.put`."""
        with queue_errors_as_unavailable():
            bucket = await self._bucket()
            try:
                await bucket.get_info(str(key))
            except NotFoundError:
                await bucket.put(str(key), data)

    async def get(self, key: ResultKey) -> AsyncIterator[bytes]:
        """The chunks of a result; see `ResultStore.get`."""
        with queue_errors_as_unavailable():
            try:
                info = await (await self._bucket()).get_info(str(key))
                subject, sequence = f"$O.{RESULTS_BUCKET}.C.{info.nuid}", 0
                for _ in range(info.chunks or 0):
                    message = await self._jetstream.get_msg(RESULTS.name, seq=sequence + 1, subject=subject, next=True)
                    sequence = message.seq or 0
                    yield message.data or b""
            except NotFoundError:
                raise result_gone() from None

    async def _bucket(self) -> ObjectStore:
        return await self._jetstream.object_store(RESULTS_BUCKET)
