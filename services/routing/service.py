"""The RPCs of routing: check, decide, answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

from qm.routing.v1 import routing_pb2 as pb
from uuid_utils import uuid7

from mesh.call import Call
from services.routing.catalogue import Catalogue
from services.routing.decision import Decision, DecisionId, JobId, TeamId
from services.routing.messages import backend_message, decision_message, wish_of
from services.routing.policy import choose
from services.routing.recorder import Recorder


class RoutingService:
    """Answers qm.routing.v1.RoutingService."""

    def __init__(self, catalogue: Catalogue, recorder: Recorder, *, clock: Callable[[], dt.datetime]) -> None:
        """Choose from `catalogue` and keep the decisions with `recorder`; `clock` tells the time in UTC."""
        self._catalogue = catalogue
        self._recorder = recorder
        self._clock = clock

    async def ListBackends(self, _request: pb.ListBackendsRequest, _call: Call) -> pb.ListBackendsResponse:
        """List the backends in the order of the catalogue."""
        return pb.ListBackendsResponse(backends=map(backend_message, self._catalogue.backends))

    async def ChooseBackend(self, request: pb.ChooseBackendRequest, _call: Call) -> pb.ChooseBackendResponse:
        """Pick a backend and say why. Raises what `policy.choose` raises."""
        wish = wish_of(request)
        decision = Decision(
            decision_id=DecisionId(str(uuid7())),
            job_id=JobId(str(UUID(request.job_id))),
            team_id=TeamId(str(UUID(request.requester.team_id))),
            wish=wish,
            choice=choose(self._catalogue, wish),
            create_time=self._clock(),
        )
        self._recorder.keep(decision)
        return pb.ChooseBackendResponse(decision=decision_message(decision))
