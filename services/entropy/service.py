"""The RPCs of entropy: check, call, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec
from qm.entropy.v1 import entropy_pb2 as pb

from mesh.call import Call
from mesh.errors import NotFound
from services.entropy.archive import Archive
from services.entropy.generate import Generator
from services.entropy.lift import Lifter
from services.entropy.plot import draw_plot
from services.entropy.store import Lift


class EntropyService:
    """Answers qm.entropy.v1.EntropyService."""

    def __init__(
        self,
        generator: Generator,
        archive: Archive,
        sources: Callable[[], Awaitable[Sequence[pb.Source]]],
        lifter: Lifter,
    ) -> None:
        """Hand out through `generator`; `sources` lists what there is; `lifter` lifts quarantines."""
        self._generator = generator
        self._archive = archive
        self._sources = sources
        self._lifter = lifter

    async def GenerateEntropy(self, request: pb.GenerateEntropyRequest, _call: Call) -> pb.GenerateEntropyResponse:
        """Hand out bits. Raises what `Generator.generate` raises."""
        return await self._generator.generate(request)

    async def GetCertification(self, request: pb.GetCertificationRequest, _call: Call) -> pb.GetCertificationResponse:
        """Return a record, its seal and its picture. Raises NotFound (ENTROPY_NOT_FOUND), also for another team's."""
        found = await self._archive.record(UUID(request.entropy_id), request.requester.team_id)
        if found is None:
            message = "There is no certified answer with this id, or it belongs to another team."
            raise NotFound(message, reason="ENTROPY_NOT_FOUND", field="entropy_id")
        record, seal = found
        picture = draw_plot(msgspec.json.decode(record))
        return pb.GetCertificationResponse(record=record, seal=seal, plot_svg=picture)

    async def ListSources(self, _request: pb.ListSourcesRequest, _call: Call) -> pb.ListSourcesResponse:
        """List the sources."""
        return pb.ListSourcesResponse(sources=await self._sources())

    async def GetBeacon(self, request: pb.GetBeaconRequest, _call: Call) -> pb.GetBeaconResponse:
        """Return a value of the beacon. Raises NotFound (BEACON_NOT_FOUND)."""
        index = request.beacon_index if request.HasField("beacon_index") else None
        beacon = await self._archive.sealed_beacon(index)
        if beacon is None or beacon.seal is None:
            message = "The beacon has no value yet." if index is None else f"The beacon has no value {index}."
            raise NotFound(message, reason="BEACON_NOT_FOUND", field="beacon_index")
        return pb.GetBeaconResponse(record=beacon.record, seal=beacon.seal)

    async def LiftQuarantine(self, request: pb.LiftQuarantineRequest, _call: Call) -> pb.LiftQuarantineResponse:
        """Let a source be tested again. Raises what `Lifter.lift` raises."""
        return pb.LiftQuarantineResponse(lift=_lift(await self._lifter.lift(request)))

    async def ListLifts(self, _request: pb.ListLiftsRequest, _call: Call) -> pb.ListLiftsResponse:
        """List the newest lifts."""
        return pb.ListLiftsResponse(lifts=[_lift(lift) for lift in await self._lifter.lifts()])


def _lift(lift: Lift) -> pb.Lift:
    return pb.Lift(record=lift.record, seal=lift.seal)
