"""Cuts against enumeration, the amplitudes against the circuit, the angles against the formula for one layer."""

import itertools
import math

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.qaoa.angles import evaluations_for, known
from services.execution.algorithms.qaoa.graph import graph_of
from services.execution.algorithms.qaoa.layers import Layers
from services.execution.algorithms.qaoa.maxcut import Flips
from services.execution.algorithms.qaoa.maxcut_circuit import maxcut_circuit
from tests.unit.execution.marketplace import Job, Noisy

RING = [{"source": node, "target": (node + 1) % 6} for node in range(6)]
PETERSEN = [
    *({"source": node, "target": (node + 1) % 5} for node in range(5)),
    *({"source": node, "target": node + 5} for node in range(5)),
    *({"source": 5 + node, "target": 5 + (node + 2) % 5} for node in range(5)),
]
WEIGHTED = [
    {"source": a, "target": b, "weight": 0.5 + (3 * a + 5 * b) % 7} for a, b in itertools.combinations(range(5), 2)
]


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("qaoa.maxcut.v1")


def weight_of(edges: list[dict], sides: str) -> float:
    return sum(edge.get("weight", 1) for edge in edges if sides[edge["source"]] != sides[edge["target"]])


def layers_of(edges: list[dict]) -> Layers:
    graph = graph_of({"edges": edges})
    size = 1 << graph.nodes
    return Layers(graph.cuts(), Flips(), np.full(size, size**-0.5, dtype=complex))


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


@pytest.mark.parametrize(("edges", "largest"), [(RING, 6), (PETERSEN, 12), (RING[:1], 1)])
def test_largest_cut_is_that_of_the_textbook_and_is_found(job: Job, edges: list[dict], largest: float):
    result = job.run({"edges": edges, "layers": 3})
    assert result["reference"]["best_classical"]["cut_weight"] == largest
    assert result["best_cut"]["cut_weight"] == largest
    assert weight_of(edges, result["best_cut"]["sides"]) == largest


def test_every_cut_is_weighed_and_measured_as_it_is_told(job: Job):
    result = job.run({"edges": WEIGHTED})
    for cut in result["top_cuts"]:
        assert cut["cut_weight"] == pytest.approx(weight_of(WEIGHTED, cut["sides"]))
    best = max(weight_of(WEIGHTED, "0" + "".join(rest)) for rest in itertools.product("01", repeat=4))
    assert result["reference"]["best_classical"]["cut_weight"] == pytest.approx(best)
    assert abs(result["expectation"] - result["noiseless_expectation"]) < 5 * result["standard_error"]
    assert result["expectation"] > result["reference"]["random_cut_weight"]


@pytest.mark.parametrize("edges", [RING, WEIGHTED])
def test_circuit_prepares_the_amplitudes_of_the_layers(edges: list[dict]):
    angles = np.array([0.3, 0.7, 0.5, 0.2])
    circuit = maxcut_circuit(graph_of({"edges": edges}), angles)
    circuit.remove_final_measurements()
    expected = layers_of(edges).state(*np.split(angles, 2))
    assert abs(np.vdot(Statevector(circuit).data, expected)) == pytest.approx(1, abs=1e-10)


def test_gradient_is_that_of_finite_differences():
    layers = layers_of(WEIGHTED)
    angles = np.array([0.1, 0.2, 0.15, 0.5, 0.4, 0.3])
    _, slopes = layers.expectation(angles)
    for place, slope in enumerate(slopes):
        step = np.eye(6)[place] * 1e-6
        ahead, behind = (layers.expectation(angles + sign * step)[0] for sign in (1, -1))
        assert slope == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)


def test_one_layer_on_a_ring_gives_three_quarters(job: Job):
    """Farhi, Goldstone, Gutmann (2014): p layers cut (2p + 1)/(2p + 2) of a long even ring."""
    for layers, share in ((1, 3 / 4), (2, 5 / 6)):
        found = job.run({"edges": RING, "layers": layers})
        assert found["noiseless_expectation"] == pytest.approx(6 * share, abs=1e-6)


def test_one_layer_without_triangles_starts_at_its_best():
    """Wang et al. (2018): on 3-regular graphs without triangles each edge is cut with 1/2 + 1/(3 sqrt 3)."""
    layers = layers_of(PETERSEN)
    value, slopes = layers.expectation(known(1, graph_of({"edges": PETERSEN}).angle_scale))
    assert value == pytest.approx(15 * (0.5 + 1 / (3 * math.sqrt(3))), abs=1e-4)
    assert np.abs(slopes).max() < 1e-2


def test_more_layers_cut_more_and_refining_never_loses(job: Job):
    found = [job.run({"edges": WEIGHTED, "layers": layers}) for layers in (1, 2, 4)]
    values = [one["noiseless_expectation"] for one in found]
    assert values == sorted(values)
    for one in found:
        assert one["noiseless_expectation"] >= one["angles"]["transferred_expectation"]


def test_angles_are_rounded_so_that_a_circuit_is_the_same_on_every_machine(job: Job):
    angles = job.run({"edges": WEIGHTED})["angles"]
    assert all(angle == round(angle, 5) for angle in angles["gammas"] + angles["betas"])


def test_wide_graphs_keep_the_transferred_angles():
    assert evaluations_for(1 << 20, 8) == 1
    assert evaluations_for(1 << 10, 8) > 10


def test_noise_lowers_the_expectation_and_is_told(job: Job):
    done = job.done({"edges": PETERSEN}, device=Noisy(0.4))
    assert done.result["expectation"] < done.result["noiseless_expectation"] - 5 * done.result["standard_error"]
    assert done.fidelity_method == "calibration_estimate"


def test_features_are_those_of_the_circuit(job: Job):
    features, result = job.features({"edges": PETERSEN}), job.run({"edges": PETERSEN})
    assert (features.active_qubits, features.two_qubit_gate_count) == (10, 45)
    assert (features.depth, features.gate_count) == (result["circuit"]["depth"], result["circuit"]["gates"])
    assert job.features({"edges": PETERSEN, "layers": 8}).classical_ms > features.classical_ms


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({}, "parameters.edges"),
        ({"edges": []}, "parameters.edges"),
        ({"edges": [{"source": 0, "target": 0}]}, "parameters.edges[0].target"),
        ({"edges": [*RING, {"source": 0, "target": 5}]}, "parameters.edges[6]"),
        ({"edges": [{"source": 0, "target": 2}]}, "parameters.edges"),
        ({"edges": [{"source": 0, "target": 20}]}, "parameters.edges[0].target"),
        ({"edges": [{"source": 0, "target": 1, "weight": -1}]}, "parameters.edges[0].weight"),
        ({"edges": [{"source": 0, "target": 1, "weight": math.inf}]}, "parameters.edges[0].weight"),
        ({"edges": [{"source": 0}]}, "parameters.edges[0].target"),
        ({"edges": RING, "layers": 9}, "parameters.layers"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
