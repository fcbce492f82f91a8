"""qaoa.maxcut.v1 from parameters to result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from services.execution.algorithms.experiment import Experiment, described, program_from
from services.execution.algorithms.picture import graph as draw_graph
from services.execution.algorithms.qaoa.angles import evaluations_for, known
from services.execution.algorithms.qaoa.graph import Graph, graph_of
from services.execution.algorithms.qaoa.layers import Layers
from services.execution.algorithms.qaoa.maxcut_circuit import maxcut_circuit
from services.execution.algorithms.qaoa.refinement import OPTIMIZER, Found, search
from services.execution.algorithms.spins import flipped, turned
from services.execution.algorithms.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from services.execution.algorithms.algorithm import AlgorithmResult, Progress
    from services.execution.algorithms.qaoa.layers import Amplitudes
    from services.execution.engines.device import Device

MOST_OUTCOMES = 10
_SAME = 1e-9
"""Of the weight of all edges: cuts that differ by less are equally good."""


class Flips:
    """The mixer exp(-i beta sum X) of unconstrained bits; see `Mixer`."""

    def forward(self, state: Amplitudes, angle: float) -> Amplitudes:
        """Return the state after the mixer."""
        return turned(state, angle)

    def backward(self, state: Amplitudes, adjoint: Amplitudes, angle: float) -> tuple[Amplitudes, Amplitudes, float]:
        """Undo the mixer on both; see `Mixer.backward`."""
        slope = 2 * float(np.vdot(adjoint, flipped(state)).imag)
        return turned(state, -angle), turned(adjoint, -angle), slope


@dataclass(frozen=True, slots=True)
class _Solved:
    graph: Graph
    cuts: NDArray[np.float64]
    found: Found
    tally: Tally

    @property
    def optimum(self) -> float:
        """Return the weight of the largest cut, of all."""
        return float(self.cuts.max())

    @property
    def best(self) -> int:
        """Return the best division that was measured; of equals the most frequent, then the first."""
        values = np.round(self.cuts[self.tally.outcomes] / self.graph.weight, 12)
        return int(self.tally.outcomes[np.lexsort((self.tally.outcomes, -self.tally.shots, -values))[0]])


class MaxcutRunner:
    """Chooses the angles, runs the circuit, and judges its cuts."""

    def run(  # a worker's whole order, each part one thing
        self,
        parameters: Mapping[str, Any],
        *,
        device: Device,
        shots: int,
        seed: int,
        progress: Progress,
    ) -> AlgorithmResult:
        """Find a large cut; see `Runner.run`."""
        progress(0.0, "enumerating the cuts")
        graph = graph_of(parameters)
        cuts = graph.cuts()
        progress(0.1, "choosing the angles")
        found = angles_for(graph, cuts, int(parameters["layers"]), progress)
        progress(0.8, "running the circuit")
        circuit = maxcut_circuit(graph, found.angles)
        experiment = Experiment(device, shots=shots, seed=seed, purpose="qaoa.maxcut")
        (counts,) = experiment.counts([circuit])
        progress(1.0, "done")
        solved = _Solved(graph, cuts, found, _folded(Tally.of(counts), graph.nodes))
        return experiment.result({**_result(solved), "circuit": described(program_from(circuit).features)})


def angles_for(graph: Graph, cuts: NDArray[np.float64], layers: int, progress: Progress) -> Found:
    """Carry the known angles over to the graph and refine them by exact simulation, as far as the work allows."""
    amplitudes = len(cuts)
    start = np.full(amplitudes, amplitudes**-0.5, dtype=complex)
    evaluations = evaluations_for(amplitudes, layers)
    return search(
        Layers(cuts, Flips(), start).expectation,
        known(layers, graph.angle_scale),
        evaluations,
        lambda spent: progress(0.1 + 0.7 * spent / evaluations, f"evaluation {spent}"),
    )


def _result(solved: _Solved) -> dict[str, Any]:
    graph, cuts, found, tally = solved.graph, solved.cuts, solved.found, solved.tally
    mean, error = tally.mean(cuts[tally.outcomes])
    optimal = cuts[tally.outcomes] >= solved.optimum - _SAME * graph.weight
    best = float(cuts[solved.best])
    return {
        "nodes": graph.nodes,
        "edges": len(graph.edges),
        "total_weight": graph.weight,
        "best_cut": _cut(solved, solved.best),
        "expectation": mean,
        "standard_error": error,
        "noiseless_expectation": found.expectation,
        "approximation_ratio": mean / solved.optimum,
        "optimum_probability": float(tally.shots[optimal].sum() / tally.total),
        "top_cuts": [
            _cut(solved, int(tally.outcomes[place]))
            for place in np.lexsort((tally.outcomes, -tally.shots))[:MOST_OUTCOMES]
        ],
        "distinct_cuts": len(tally.outcomes),
        "reference": {
            "best_classical": {"method": "enumeration of all cuts", "cut_weight": solved.optimum},
            "best_cut_gap": max(0.0, solved.optimum - best),
            "random_cut_weight": graph.weight / 2,
        },
        "angles": {
            "gammas": found.gammas,
            "betas": found.betas,
            "source": "refined_by_exact_simulation" if found.evaluations > 1 else "transferred",
            "optimizer": OPTIMIZER,
            "evaluations": found.evaluations,
            "transferred_expectation": found.start_expectation,
        },
        "layers": len(found.betas),
        "shots": tally.total,
        "picture": _picture(graph, solved.best, best, solved.optimum),
    }


def _cut(solved: _Solved, division: int) -> dict[str, Any]:
    place = int(np.searchsorted(solved.tally.outcomes, division))
    return {
        "sides": sides(division, solved.graph.nodes),
        "cut_weight": float(solved.cuts[division]),
        "shots": int(solved.tally.shots[place]),
    }


def sides(division: int, nodes: int) -> str:
    """Write the side of each node, node 0 leftmost."""
    return "".join(str(division >> node & 1) for node in range(nodes))


def _folded(tally: Tally, nodes: int) -> Tally:
    """Count a division and its mirror image as one: with node 0 on side 0."""
    mirrored = np.where(tally.outcomes & 1, tally.outcomes ^ ((1 << nodes) - 1), tally.outcomes)
    outcomes, place = np.unique(mirrored, return_inverse=True)
    return Tally(outcomes, np.bincount(place, weights=tally.shots).astype(np.int64))


def _picture(graph: Graph, division: int, weight: float, optimum: float) -> str:
    description = (
        f"{graph.nodes} nodes on a circle in two groups; dashed edges cross between the groups."
        f" They weigh {weight:g}, the largest cut weighs {optimum:g}."
    )
    places = [int(side) for side in sides(division, graph.nodes)]
    return draw_graph(f"Best cut found: {weight:g} of at most {optimum:g}", description, graph.edges, places)
