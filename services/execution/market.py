"""The marketplace as it is told: what algorithms there are, what they cost, and where they can run now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2

from mesh.errors import NotFound
from services.execution.algorithms.facts import AlgorithmId
from services.execution.algorithms.listing import Algorithm, Catalogue
from services.execution.job import Priority, Queue
from services.execution.lines import line_of
from services.execution.messages import money
from services.execution.store import Store

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub


class Market:
    """The catalogue beside the backends of routing and the queues of this service."""

    def __init__(self, catalogue: Catalogue, store: Store, routing: RoutingServiceAsyncStub) -> None:
        """Tell of `catalogue`."""
        self._catalogue = catalogue
        self._store = store
        self._routing = routing

    async def summary(self) -> pb.ListAlgorithmsResponse:
        """Every algorithm, without schemas."""
        return pb.ListAlgorithmsResponse(
            algorithms=[_summary(algorithm) for algorithm in self._catalogue.values()],
            backends=await self._backends(),
        )

    async def get(self, algorithm_id: str, requester: requester_pb2.Requester) -> pb.GetAlgorithmResponse:
        """One algorithm with its schemas, and how long a short job of the requester would wait; raises NotFound."""
        algorithm = find(self._catalogue, algorithm_id)
        message = _summary(algorithm)
        message.parameters_schema.CopyFrom(_struct(algorithm.parameters.document))
        message.result_schema.CopyFrom(_struct(algorithm.result.document))
        message.example_request.CopyFrom(_struct(algorithm.example["request"]))
        message.example_result.CopyFrom(_struct(algorithm.example["result"]))
        depths = await self._store.queue_depths()
        line = line_of(Queue.of(requester, 0.0), Priority.STANDARD)
        availability = [
            pb.BackendAvailability(
                backend=backend,
                queue_depth=depths.get(backend.backend_id, 0),
                estimated_wait_ms=backend.queue_p50.ToMilliseconds(),
            )
            for backend in await self._backends(requester.team_id, line)
        ]
        return pb.GetAlgorithmResponse(algorithm=message, availability=availability)

    async def _backends(self, team_id: str = "", line: str = "") -> list[routing_pb2.Backend]:
        request = routing_pb2.ListBackendsRequest(team_id=team_id, line=line)
        return list((await self._routing.ListBackends(request)).backends)


def find(catalogue: Catalogue, algorithm_id: str) -> Algorithm:
    """An algorithm of the catalogue; raises NotFound, naming the others."""
    algorithm = catalogue.get(AlgorithmId(algorithm_id))
    if algorithm is None:
        message = f"algorithm_id: there is no {algorithm_id!r}; choose one of {', '.join(catalogue)}"
        raise NotFound(message, reason="UNKNOWN_ALGORITHM", field="algorithm_id")
    return algorithm


def _summary(algorithm: Algorithm) -> pb.Algorithm:
    facts = algorithm.facts
    return pb.Algorithm(
        algorithm_id=facts.id,
        display_name=facts.name,
        category=facts.category,
        version=facts.version,
        description=facts.description,
        max_qubit_count=facts.max_qubits,
        price=money(facts.price_micros),
        required_parameters=algorithm.required_parameters,
    )


def _struct(document: Mapping[str, Any]) -> Struct:
    return ParseDict(dict(document), Struct())
