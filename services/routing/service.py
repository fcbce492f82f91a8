"""The RPCs of routing: check, decide, answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache

from qm.routing.v1 import routing_pb2 as pb
from uuid_utils import uuid7

from mesh.call import Call
from services.routing.catalogue import Catalogue
from services.routing.decision import Decision, DecisionId, JobId, TeamId
from services.routing.messages import backend_message, choice_message, wish_of
from services.routing.policy import Choice, choose
from services.routing.program import Wish
from services.routing.recorder import Recorder

KNOWN_WISHES = 4096
"""Programs whose choice is remembered."""


class RoutingService:
    """Answers qm.routing.v1.RoutingService."""

    def __init__(self, catalogue: Catalogue, recorder: Recorder, *, clock: Callable[[], dt.datetime]) -> None:
        """Choose from `catalogue` and keep the decisions with `recorder`; `clock` tells the time in UTC."""
        self._catalogue = catalogue
        self._recorder = recorder
        self._clock = clock
        # The choice is pure, and the same program is often sent again.
        self._chosen = lru_cache(KNOWN_WISHES)(self._choose)

    async def ListBackends(self, _request: pb.ListBackendsRequest, _call: Call) -> pb.ListBackendsResponse:
        """List the backends in the order of the catalogue."""
        return pb.ListBackendsResponse(backends=map(backend_message, self._catalogue.backends))

    async def ChooseBackend(self, request: pb.ChooseBackendRequest, _call: Call) -> pb.ChooseBackendResponse:
        """Pick a backend and say why. Raises what `policy.choose` raises."""
        wish = wish_of(request)
        choice, message = self._chosen(wish)
        decision = Decision(
            decision_id=DecisionId(str(uuid7())),
            job_id=JobId(request.job_id),
            team_id=TeamId(request.requester.team_id),
            wish=wish,
            choice=choice,
            create_time=self._clock(),
        )
        self._recorder.keep(decision)
        response = pb.ChooseBackendResponse(decision=pb.Decision.FromString(message))
        response.decision.decision_id = decision.decision_id
        response.decision.create_time.FromDatetime(decision.create_time)
        return response

    def _choose(self, wish: Wish) -> tuple[Choice, bytes]:
        """The choice, and its message without what is new each time."""
        choice = choose(self._catalogue, wish)
        return choice, choice_message(choice).SerializeToString()
