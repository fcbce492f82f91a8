"""A weighted graph from parameters, its cuts, and the best of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.spins import couplings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes 0 to `nodes` - 1 and edges (node, node, weight > 0), each pair at most once."""

    nodes: int
    edges: tuple[tuple[int, int, float], ...]

    @property
    def weight(self) -> float:
        """Return the weight of all edges."""
        return math.fsum(weight for _, _, weight in self.edges)

    @property
    def angle_scale(self) -> float:
        """Return what the known gammas are multiplied by: arctan(1/sqrt(D - 1)) / root mean square of the weights.

        D is the mean degree. The arctangent is exact for one layer on regular graphs without triangles and tends to
        1/sqrt(D) (Wang, Hadfield, Jiang, Rieffel, Phys. Rev. A 97, 022304 (2018)); the division carries the angles over
        to weighted graphs (Sureshbabu et al., Quantum 8, 1231 (2024)).
        """
        degree = 2 * len(self.edges) / self.nodes
        turn = math.atan(1 / math.sqrt(degree - 1)) if degree > 1 else math.pi / 2
        return turn / math.sqrt(math.fsum(weight**2 for _, _, weight in self.edges) / len(self.edges))

    def cuts(self) -> NDArray[np.float64]:
        """Return the weight of the cut for every division; bit q of its number is the side of node q."""
        return (self.weight - couplings(self.nodes, self.edges)) / 2


def graph_of(parameters: Mapping[str, Any]) -> Graph:
    """Return the graph in `parameters.edges`.

    Raises ParameterError for a loop, a pair that comes twice, and a node without an edge.
    """
    edges: dict[tuple[int, int], float] = {}
    for index, edge in enumerate(parameters["edges"]):
        first, second = sorted((int(edge["source"]), int(edge["target"])))
        if first == second:
            raise ParameterError(f"parameters.edges[{index}].target", f"node {first} cannot have an edge to itself")
        if (first, second) in edges:
            raise ParameterError(f"parameters.edges[{index}]", f"nodes {first} and {second} have an edge already")
        edges[first, second] = float(edge.get("weight", 1.0))
    joined = {node for pair in edges for node in pair}
    for node in range(max(joined)):
        if node not in joined:
            message = f"node {node} has no edge; number the nodes from 0 without gaps"
            raise ParameterError("parameters.edges", message)
    return Graph(max(joined) + 1, tuple((first, second, weight) for (first, second), weight in edges.items()))
