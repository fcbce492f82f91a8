"""The Ising model of a job: who is coupled, how strongly, in which fields, and from which state it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.execution.algorithms.algorithm import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Edge = tuple[int, int]

MOST_SPINS = 24


@dataclass(frozen=True, slots=True)
class Model:
    """H = - `coupling` sum over edges of Z Z - `transverse` sum X - `longitudinal` sum Z, hbar = 1.

    `start` is a basis state, bit q for spin q, 0 up. It evolves for `time` in `points` equal parts of `steps` steps
    each, by the product formula of `order` 1 (Lie, Trotter) or 2 (Strang, Suzuki).
    """

    spins: int
    edges: tuple[Edge, ...]
    coupling: float
    transverse: float
    longitudinal: float
    start: int
    time: float
    points: int
    steps: int
    order: int

    @property
    def step(self) -> float:
        """Return the time of one step."""
        return self.time / (self.points * self.steps)

    @property
    def weighted_edges(self) -> list[tuple[int, int, float]]:
        """Return the edges with the coupling of each."""
        return [(first, second, self.coupling) for first, second in self.edges]

    @property
    def times(self) -> list[float]:
        """Return the times at which the state is measured."""
        return [self.time * (point + 1) / self.points for point in range(self.points)]


def model_of(parameters: Mapping[str, Any]) -> Model:
    """Return the model that validated parameters describe.

    Raises ParameterError for a lattice of one spin or more than 24, and for edges that are no graph.
    """
    edges = _lattice(parameters["lattice"]) if "lattice" in parameters else _edges(parameters["edges"])
    spins = 1 + max(max(edge) for edge in edges)
    return Model(
        spins=spins,
        edges=edges,
        coupling=float(parameters["coupling"]),
        transverse=float(parameters["transverse_field"]),
        longitudinal=float(parameters["longitudinal_field"]),
        start=_start(parameters["initial_state"], spins),
        time=float(parameters["time"]),
        points=int(parameters["points"]),
        steps=int(parameters["steps_per_point"]),
        order=int(parameters["order"]),
    )


def _start(name: str, spins: int) -> int:
    """Return the basis state of a name that the schema knows."""
    down = {"all_up": range(0), "alternating": range(1, spins, 2), "domain_wall": range(spins // 2, spins)}[name]
    return sum(1 << spin for spin in down)


def _lattice(lattice: Mapping[str, Any]) -> tuple[Edge, ...]:
    """Return the edges between neighbours, in layers whose edges share no spin; spins are numbered row by row."""
    rows, columns = int(lattice.get("rows", 1)), int(lattice["columns"])
    if not 1 < rows * columns <= MOST_SPINS:
        message = f"rows times columns must be 2 to {MOST_SPINS}, and are {rows * columns}"
        raise ParameterError("parameters.lattice", message)
    found: set[Edge] = set()
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            for down, right in ((0, 1), (1, 0)):
                far_row, far_column = row + down, column + right
                if lattice.get("periodic", False):
                    far_row, far_column = far_row % rows, far_column % columns
                there = far_row * columns + far_column
                if far_row < rows and far_column < columns and there != here:
                    found.add((min(here, there), max(here, there)))
    return _layered(sorted(found))


def _edges(given: list[Mapping[str, Any]]) -> tuple[Edge, ...]:
    found: list[Edge] = []
    for index, edge in enumerate(given):
        first, second = sorted((int(edge["source"]), int(edge["target"])))
        if first == second:
            raise ParameterError(f"parameters.edges[{index}].target", f"spin {first} cannot be coupled to itself")
        if (first, second) in found:
            raise ParameterError(f"parameters.edges[{index}]", f"spins {first} and {second} are coupled already")
        found.append((first, second))
    coupled = {spin for edge in found for spin in edge}
    for spin in range(max(coupled)):
        if spin not in coupled:
            message = f"spin {spin} is coupled to none; number the spins from 0 without gaps"
            raise ParameterError("parameters.edges", message)
    return _layered(found)


def _layered(edges: list[Edge]) -> tuple[Edge, ...]:
    """Order the edges so that those that share no spin follow one another: the circuit is less deep."""
    layers: list[list[Edge]] = []
    for edge in edges:
        free = (layer for layer in layers if not any(set(edge) & set(other) for other in layer))
        home = next(free, None)
        if home is None:
            home = []
            layers.append(home)
        home.append(edge)
    return tuple(edge for layer in layers for edge in layer)
