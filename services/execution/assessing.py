"""What a job would come to, before any money: its program measured, its backend chosen. Nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import rfc8785
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2

from mesh.errors import InvalidArgument
from services.execution import faults
from services.execution.algorithms.listing import Algorithm, Catalogue
from services.execution.job import Priority, Queue
from services.execution.lines import line_of
from services.execution.live.accounts import ProviderAccounts
from services.execution.market import find
from services.execution.measuring import Measured, Measurer
from services.execution.offers import Offers
from services.execution.peers import Peers
from services.execution.plan_times import PlanTimes

AUTO = "auto"
_KNOWN_TERMS = 8
"""On which the offers for one program are remembered."""
_SIMULATORS = "sim."
"""What the names of simulators begin with; one of another name would be chosen all the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is ordered."""

    algorithm: Algorithm
    given: dict[str, Any]
    """The parameters as they were sent."""

    @property
    def parameters(self) -> bytes:
        """Canonical JSON (RFC 8785), with the defaults of what was left out. Raises InvalidArgument."""
        return canonical({**self.algorithm.parameters.defaults, **self.given})

    @property
    def engine(self) -> str | None:
        """The engine that the caller named; only an algorithm whose schema has one gets so far with it."""
        return self.given.get("engine")

    def price(self, decision: routing_pb2.Decision) -> int:
        """The list price on a backend, in micro-dollars."""
        return self.algorithm.facts.price_micros + decision.backend.price.micros


class Assessor:
    """Reads orders, measures programs, and asks routing."""

    def __init__(
        self, catalogue: Catalogue, measurer: Measurer, peers: Peers, offers: Offers, accounts: ProviderAccounts
    ) -> None:
        """Sell the algorithms of `catalogue`."""
        self._catalogue = catalogue
        self._measurer = measurer
        self._peers = peers
        self._offers = offers
        self._accounts = accounts
        self._times = PlanTimes(peers.billing, offers.limits.seconds)

    def order(self, request: pb.SubmitJobRequest) -> Order:
        """What a request orders. Raises NotFound for an unknown algorithm, and InvalidArgument."""
        return Order(find(self._catalogue, request.algorithm_id), _given(request.parameters))

    async def choose(self, request: pb.SubmitJobRequest, order: Order, subject: str) -> routing_pb2.Decision:
        """The backend for an order; `subject` is the id of the job, or of the quote. Raises MeshError."""
        team_id, reaches = request.requester.team_id, _may_reach_machines(request)
        parameters = canonical(order.given)
        measured = await self._measurer.measure(team_id, order.algorithm, parameters, with_circuit=reaches)
        wish = await self._wish(request, measured, order.engine)
        wish.job_id = subject
        response = await self._peers.routing.ChooseBackend(wish)
        if request.test_faults.hardware_offline:
            first = response.decision.backend.backend_id
            if request.hardware != AUTO:
                raise faults.offline(first)
            wish.excluded_backend_ids.append(first)
            response = await self._peers.routing.ChooseBackend(wish)
        response.decision.twin_allowed = request.allow_twin
        backend = response.decision.backend
        if order.engine not in (None, backend.engine):
            message = f"parameters.engine: {backend.backend_id} does not run on {order.engine}; leave one of them out"
            raise InvalidArgument(message, reason="ENGINE_DOES_NOT_FIT", field="parameters.engine")
        return response.decision

    async def _wish(
        self, request: pb.SubmitJobRequest, measured: Measured, engine: str | None
    ) -> routing_pb2.ChooseBackendRequest:
        shots, seconds = request.shot_count, await self._times.of(request.requester.plan)
        priority = Priority(request.priority)
        terms = (shots, seconds, request.requester.plan, request.requester.environment, priority)
        if (offers := measured.offers.get(terms)) is None:
            offers = self._offers.of(measured.features, shots, engine=engine, seconds=seconds)
            for offer in offers:
                middle = offer.duration_p50.ToTimedelta().total_seconds()
                offer.line = line_of(Queue.of(request.requester, middle, offer.method), priority)
            if len(measured.offers) >= _KNOWN_TERMS:
                measured.offers.clear()
            measured.offers[terms] = offers
        # "auto" spends a provider's money only where the caller says so, so that else nobody is asked for accounts.
        live = request.hardware != AUTO or routing_pb2.BACKEND_KIND_LIVE in request.objective.kinds
        wish = routing_pb2.ChooseBackendRequest(
            requester=request.requester,
            hardware=request.hardware,
            features=measured.message,
            shot_count=shots,
            offers=offers,
            accounts=await self._accounts.reach(request.requester) if live else (),
            priority=priority is Priority.PRIORITY,
        )
        if request.HasField("objective"):
            wish.objective.CopyFrom(request.objective)
        if _may_reach_machines(request):
            wish.circuit = measured.circuit or b""
        return wish


def _may_reach_machines(request: pb.SubmitJobRequest) -> bool:
    """Whether a twin or a machine may run it, so that routing has to see the circuit itself."""
    if request.hardware != AUTO:
        return not request.hardware.startswith(_SIMULATORS)
    return any(kind != routing_pb2.BACKEND_KIND_SIMULATOR for kind in request.objective.kinds)


def _given(parameters: Struct) -> dict[str, Any]:
    """The parameters as they were sent."""
    try:
        return json_format.MessageToDict(parameters)
    except (ValueError, RecursionError) as error:  # a number that JSON does not have
        message = f"parameters: {error}"
        raise InvalidArgument(message, reason="INVALID_PARAMETERS", field="parameters") from error


def canonical(parameters: dict[str, Any]) -> bytes:
    """Parameters as canonical JSON. Raises InvalidArgument."""
    try:
        return rfc8785.dumps(parameters)
    except (ValueError, RecursionError) as error:  # a number that JSON does not carry exactly
        message = f"parameters: {error}"
        raise InvalidArgument(message, reason="INVALID_PARAMETERS", field="parameters") from error
