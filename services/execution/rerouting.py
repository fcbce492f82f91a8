"""Another backend for a job whose own has failed it, by the limits and the wishes that it came with."""

from __future__ import annotations

import json

from qm.routing.v1 import routing_pb2

from mesh.errors import InvalidArgument, ResourceExhausted, Unavailable
from services.execution import task
from services.execution.children import Children, EngineFault
from services.execution.job import Job, Priority
from services.execution.lines import line_of
from services.execution.live.story import LiveStory
from services.execution.messages import features_message
from services.execution.offers import Offers
from services.execution.peers import Peers

_SIMULATOR, _TWIN, _LIVE = (
    routing_pb2.BACKEND_KIND_SIMULATOR,
    routing_pb2.BACKEND_KIND_TWIN,
    routing_pb2.BACKEND_KIND_LIVE,
)


class Rerouter:
    """Asks routing again."""

    def __init__(self, children: Children, peers: Peers, offers: Offers, live: LiveStory | None) -> None:
        """Measure programs in `children`; `live` knows the accounts that reach machines."""
        self._children = children
        self._peers = peers
        self._offers = offers
        self._live = live

    async def another(self, job: Job, *, seconds: float) -> routing_pb2.Backend | None:
        """Where the job may go on at the same price; None for nowhere. `seconds` bounds the measuring, and the run.

        Raises Unavailable where routing is down.
        """
        objective = _wanted(job)
        machines = any(kind != _SIMULATOR for kind in objective.kinds)
        try:
            describe = task.Describe(job.algorithm_id, job.parameters, machines)
            description = await self._children.call(describe, timeout=seconds)
            engine = json.loads(job.parameters).get("engine")
            failed = {job.backend.engine} if job.backend.kind == _SIMULATOR else ()
            offers = self._offers.of(
                description.features, job.shot_count, engine=engine, without=failed, seconds=seconds
            )
            for offer in offers:
                offer.line = line_of(job.queue, job.priority)
        except (EngineFault, InvalidArgument, ResourceExhausted):
            return None
        named = job.requested_hardware != "auto"
        live = self._live is not None and not named and _LIVE in objective.kinds
        # An engine that failed is not offered; a twin or a machine that failed is left out.
        excluded = [] if named or job.backend.kind == _SIMULATOR else [job.backend.backend_id]
        request = routing_pb2.ChooseBackendRequest(
            job_id=str(job.job_id),
            requester=job.requester,
            hardware=job.requested_hardware if job.backend.kind == _LIVE else "auto",  # without an account: its twin
            features=features_message(description.features),
            shot_count=job.shot_count,
            excluded_backend_ids=excluded,
            offers=offers,
            accounts=await self._live.reach(job.requester) if live and self._live is not None else (),
            objective=objective,
            priority=job.priority is Priority.PRIORITY,
            circuit=description.circuit,
        )
        try:
            backend = (await self._peers.routing.ChooseBackend(request)).decision.backend
        except InvalidArgument:
            return None
        except Unavailable as error:
            if error.reason == "HARDWARE_UNAVAILABLE":
                return None
            raise
        # The money that is held stays what it is.
        return backend if backend.price.micros == job.backend.price.micros else None


def _wanted(job: Job) -> routing_pb2.Objective:
    """What the caller wanted; a machine's twin besides, where the caller allows it to take the machine's place."""
    objective = routing_pb2.Objective()
    objective.CopyFrom(job.decision.objective)
    if job.decision.twin_allowed and _LIVE in objective.kinds and _TWIN not in objective.kinds:
        objective.kinds.append(_TWIN)
    return objective
