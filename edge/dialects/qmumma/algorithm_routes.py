"""The declarations of the operations on algorithms."""

from __future__ import annotations

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.algorithms import AlgorithmDetail, AlgorithmList, Algorithms
from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.links import of_algorithm, of_example
from edge.dialects.qmumma.requests import ListAlgorithms
from edge.operations import Operation, Outcome, PathField

_ALGORITHM_ID = PathField(
    name="algorithm_id",
    description="The algorithm's id.",
    schema={"type": "string", "minLength": 1, "maxLength": 128},
    example="vqe.molecular.v2",
)


def algorithm_operations(algorithms: Algorithms) -> list[Operation]:
    """Everything under `/v1/marketplace`."""
    return [_list(algorithms), _get(algorithms)]


def _list(algorithms: Algorithms) -> Operation:
    return Operation(
        id="listAlgorithms",
        method="GET",
        path="/v1/marketplace/algorithms",
        aliases=("/v1/algorithms",),
        handler=algorithms.list,
        tag="Marketplace",
        summary="List all available algorithms",
        description="With price, specification and required parameters.",
        query=ListAlgorithms,
        outcomes=(
            Outcome(
                status=200,
                description="The algorithms that match.",
                kind=AlgorithmList,
                examples=one("One algorithm", examples.ALGORITHMS),
                links=of_algorithm("/algorithms/0/id"),
            ),
        ),
        errors={400: "A query parameter is wrong; `param` names it."},
    )


def _get(algorithms: Algorithms) -> Operation:
    return Operation(
        id="getAlgorithm",
        method="GET",
        path="/v1/marketplace/algorithms/{algorithm_id}",
        aliases=("/v1/algorithms/{algorithm_id}",),
        handler=algorithms.get,
        tag="Marketplace",
        summary="Algorithm detail and parameter schema",
        description="The JSON Schemas of `parameters` and `result`, how busy each backend is, and a request to try.",
        path_fields=(_ALGORITHM_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The algorithm.",
                kind=AlgorithmDetail,
                examples=one("VQE", examples.ALGORITHM),
                links=of_example("/example/request"),
            ),
        ),
        errors={404: "There is no such algorithm."},
    )
