"""The marketplace over HTTP: what can be run, with which parameters, on what, and for how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from google.protobuf.struct_pb2 import Struct, Value
from msgspec import UNSET, Meta
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2

from edge.dialects.qmumma.requests import ListAlgorithms
from edge.dialects.qmumma.scalars import Cost, Count, Name, Sentence
from edge.exchange import Answer, Request, json_answer
from edge.money import Usd
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub


_EVERY_BACKEND = "Every backend, whatever the algorithm: routing decides for each job which can run it."


class AlgorithmSummary(msgspec.Struct, kw_only=True):
    """An algorithm of the marketplace."""

    id: Annotated[Name, Meta(description="Its id, for `algorithm_id`.", examples=["vqe.molecular.v2"])]
    name: Annotated[Name, Meta(description="Its name.", examples=["VQE Molecular Simulation"])]
    category: Annotated[Name, Meta(description="Its field.", examples=["drug_discovery"])]
    version: Annotated[Name, Meta(description="Its version.", examples=["2.0.0"])]
    description: Annotated[Sentence, Meta(description="What it does.")]
    max_qubits: Annotated[Count, Meta(description="Qubits of its largest instance.", examples=[8])]
    cost_usd: Annotated[Cost, Meta(description="List price of one job.", examples=[50.0])]
    hardware: Annotated[list[Name], Meta(description=_EVERY_BACKEND, examples=[["sim.statevector"]], max_length=1000)]
    required_parameters: Annotated[
        list[Name], Meta(description="Parameters that must be given.", examples=[["molecule"]], max_length=1000)
    ]


class AlgorithmList(msgspec.Struct):
    """The algorithms, in the order of the catalogue."""

    algorithms: Annotated[list[AlgorithmSummary], Meta(description="The algorithms that match.", max_length=1000)]


class Availability(msgspec.Struct, kw_only=True):
    """How busy one backend is."""

    hardware: Annotated[Name, Meta(description="The backend.", examples=["sim.statevector"])]
    status: Annotated[Literal["online", "offline"], Meta(description="Whether it takes jobs.")]
    queue_depth: Annotated[Count, Meta(description="Jobs that wait for it.", examples=[0])]
    estimated_wait_ms: Annotated[Count, Meta(description="Predicted wait of a short job of your team.", examples=[120])]


class AlgorithmExample(msgspec.Struct):
    """A request to try, and what it gave."""

    request: Annotated[dict[str, Any], Meta(description="A body for `POST /v1/jobs/submit`, as it is.")]
    result: Annotated[dict[str, Any], Meta(description="The `result` it gave.")]


class AlgorithmDetail(AlgorithmSummary, kw_only=True):
    """An algorithm with its schemas and how busy it is."""

    parameters: Annotated[dict[str, Any], Meta(description="JSON Schema 2020-12 of `parameters` in a submission.")]
    result: Annotated[dict[str, Any], Meta(description="JSON Schema 2020-12 of `result` in a completed job.")]
    availability: Annotated[list[Availability], Meta(description=f"How busy it is. {_EVERY_BACKEND}", max_length=1000)]
    queue_depth: Annotated[Count, Meta(description="Jobs that wait on all backends together.", examples=[0])]
    example: Annotated[AlgorithmExample, Meta(description="A request to try, and what it gave.")]


class Algorithms:
    """The operations on algorithms."""

    def __init__(self, execution: ExecutionServiceAsyncStub) -> None:
        """Call `execution`, which owns the catalogue."""
        self._execution = execution

    async def list(self, request: Request[Nothing, ListAlgorithms]) -> Answer:
        """Answer `GET /v1/marketplace/algorithms`."""
        response = await self._execution.ListAlgorithms(pb.ListAlgorithmsRequest())
        hardware = [backend.backend_id for backend in response.backends]
        found = [
            AlgorithmSummary(**_members(algorithm, hardware))
            for algorithm in response.algorithms
            if _matches(algorithm, request.query)
        ]
        return json_answer(AlgorithmList(found))

    async def get(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/marketplace/algorithms/{algorithm_id}`."""
        algorithm_id = request.path["algorithm_id"][:_ID_LENGTH]
        message = pb.GetAlgorithmRequest(algorithm_id=algorithm_id, requester=request.requester)
        response = await self._execution.GetAlgorithm(message)
        algorithm = response.algorithm
        availability = [_availability(state) for state in response.availability]
        return json_answer(
            AlgorithmDetail(
                **_members(algorithm, [state.hardware for state in availability]),
                parameters=plain(algorithm.parameters_schema),
                result=plain(algorithm.result_schema),
                availability=availability,
                queue_depth=sum(state.queue_depth for state in availability),
                example=_example(algorithm),
            )
        )


_ID_LENGTH = 128


def plain(struct: Struct) -> dict[str, Any]:
    """A Struct as JSON values in the order of names, for it has none; whole numbers become ints, as schemas need."""
    return {name: _plain_value(value) for name, value in sorted(struct.fields.items())}


def _plain_value(value: Value) -> Any:  # noqa: ANN401 - any JSON value
    match value.WhichOneof("kind"):
        case "struct_value":
            return plain(value.struct_value)
        case "list_value":
            return [_plain_value(inner) for inner in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= 2**53 else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _members(algorithm: pb.Algorithm, hardware: list[str]) -> dict[str, Any]:
    return {
        "id": algorithm.algorithm_id,
        "name": algorithm.display_name,
        "category": algorithm.category,
        "version": algorithm.version,
        "description": algorithm.description,
        "max_qubits": algorithm.max_qubit_count,
        "cost_usd": Usd(algorithm.price.micros),
        "hardware": hardware,
        "required_parameters": list(algorithm.required_parameters),
    }


def _example(algorithm: pb.Algorithm) -> AlgorithmExample:
    """The example as a body to submit: the catalogue keeps the parameters alone."""
    request = {"algorithm_id": algorithm.algorithm_id, "parameters": plain(algorithm.example_request)}
    return AlgorithmExample(request, plain(algorithm.example_result))


def _matches(algorithm: pb.Algorithm, query: ListAlgorithms) -> bool:
    if query.category is not UNSET and query.category != algorithm.category:
        return False
    if query.q is UNSET:
        return True
    words = (algorithm.algorithm_id, algorithm.display_name, algorithm.category, algorithm.description)
    return query.q.casefold() in "\n".join(words).casefold()


def _availability(state: pb.BackendAvailability) -> Availability:
    online = state.backend.status == routing_pb2.BACKEND_STATUS_ONLINE
    return Availability(
        hardware=state.backend.backend_id,
        status="online" if online else "offline",
        queue_depth=state.queue_depth,
        estimated_wait_ms=state.estimated_wait_ms,
    )
