"""The product formula against the eigenvectors of small models, and against its own order."""

import math

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp, Statevector

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.trotter.circuit import trotter_circuit
from services.execution.algorithms.trotter.evolution import exact_states, hamiltonian, trotter_states
from services.execution.algorithms.trotter.model import Model, model_of
from tests.unit.execution.marketplace import Job, Noisy


@pytest.fixture(scope="module")
def job() -> Job:
    return Job("trotter.ising.v1")


def model(job: Job, **parameters: object) -> Model:
    given = {"lattice": {"columns": 4}, "longitudinal_field": 0.3, "initial_state": "domain_wall"} | parameters
    return model_of(job.algorithm.checked(given))


def test_example_is_what_the_code_gives(job: Job):
    job.check_example()


def test_hamiltonian_is_the_sum_of_its_paulis(job: Job):
    found = hamiltonian(model(job, lattice={"columns": 3}, coupling=0.5, transverse_field=0.7)).toarray()
    paulis = ["IZZ", "ZZI", "IIX", "IXI", "XII", "IIZ", "IZI", "ZII"]
    expected = SparsePauliOp(paulis, [-0.5] * 2 + [-0.7] * 3 + [-0.3] * 3).to_matrix()
    assert np.abs(found - expected).max() < 1e-12


def test_exact_evolution_is_that_of_the_eigenvectors(job: Job):
    chain = model(job, time=3.0, points=3)
    energies, vectors = np.linalg.eigh(hamiltonian(chain).toarray())
    start = np.eye(16)[chain.start]
    for time, state in zip(chain.times, exact_states(chain), strict=True):
        expected = vectors @ (np.exp(-1j * energies * time) * (vectors.T @ start))
        assert np.abs(state - expected).max() < 1e-10


@pytest.mark.parametrize("order", [1, 2])
def test_circuits_prepare_the_states_of_the_formula(job: Job, order: int):
    chain = model(job, order=order, points=3, steps_per_point=2)
    for point, expected in enumerate(trotter_states(chain), start=1):
        circuit = trotter_circuit(chain, point)
        circuit.remove_final_measurements()
        assert abs(np.vdot(Statevector(circuit).data, expected)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("order", [1, 2])
def test_error_falls_with_the_order_of_the_formula(job: Job, order: int):
    def error(steps: int) -> float:
        chain = model(job, order=order, points=1, time=1.0, steps_per_point=steps)
        return float(np.linalg.norm(next(trotter_states(chain)) - next(exact_states(chain))))

    assert math.log2(error(8) / error(16)) == pytest.approx(order, abs=0.15)


def test_measured_means_are_those_of_the_formula_within_their_errors(job: Job):
    result = job.run({"lattice": {"columns": 3, "rows": 2}, "longitudinal_field": 0.2, "points": 6})
    for name in ("magnetization", "correlation"):
        scores = [(point[name] - point[f"trotter_{name}"]) / point[f"{name}_error"] for point in result["points"]]
        assert np.abs(scores).max() < 5
        assert result["trotter_error"][name] == pytest.approx(
            max(abs(point[f"trotter_{name}"] - point[f"exact_{name}"]) for point in result["points"])
        )
    assert result["trotter_error"]["magnetization"] < 0.03


def test_free_spins_turn_as_one_does(job: Job):
    """Without coupling each spin has <Z> = cos(2 h t), and the formula is exact."""
    result = job.run({"lattice": {"columns": 2}, "coupling": 0, "transverse_field": 0.4, "points": 4})
    for point in result["points"]:
        assert point["exact_magnetization"] == pytest.approx(math.cos(0.8 * point["time"]), abs=1e-9)
    assert result["trotter_error"]["magnetization"] < 1e-9


def test_energy_is_kept_by_the_exact_evolution(job: Job):
    chain = model(job, lattice={"columns": 6})
    matrix = hamiltonian(chain)
    energies = [float(np.vdot(state, matrix @ state).real) for state in exact_states(chain)]
    assert energies == pytest.approx([energies[0]] * len(energies), abs=1e-9)


def test_lattices_have_the_neighbours_they_should(job: Job):
    shapes = {(4, 1, False): 3, (4, 1, True): 4, (3, 3, False): 12, (3, 3, True): 18, (2, 1, True): 1}
    for (columns, rows, periodic), edges in shapes.items():
        assert len(model(job, lattice={"columns": columns, "rows": rows, "periodic": periodic}).edges) == edges
    ring = [{"source": 0, "target": 1}, {"source": 2, "target": 1}, {"source": 0, "target": 2}]
    assert set(model_of(job.algorithm.checked({"edges": ring})).edges) == {(0, 1), (1, 2), (0, 2)}


def test_wide_models_are_measured_and_claim_no_exact_value(job: Job):
    result = job.run({"lattice": {"columns": 13}, "points": 1}, shots=256)
    assert result["reference"]["best_classical"] is None
    assert result["points"][0]["exact_magnetization"] is None


def test_noise_takes_magnetisation_away(job: Job):
    done = job.done({"lattice": {"columns": 4}, "points": 2}, device=Noisy(0.5))
    for point in done.result["points"]:
        assert point["magnetization"] == pytest.approx(point["trotter_magnetization"] / 2, abs=0.05)
    assert done.fidelity_method == "calibration_estimate"


def test_features_are_those_of_the_longest_circuit(job: Job):
    features, result = job.features({"lattice": {"columns": 5}}), job.run({"lattice": {"columns": 5}})
    assert (features.gate_count, features.depth) == (result["circuit"]["gates"], result["circuit"]["depth"])
    assert features.circuit_count == len(result["points"]) == 10


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({}, "parameters"),
        ({"lattice": {"columns": 5}, "edges": [{"source": 0, "target": 1}]}, "parameters"),
        ({"lattice": {"columns": 1}}, "parameters.lattice"),
        ({"lattice": {"columns": 5, "rows": 5}}, "parameters.lattice"),
        ({"lattice": {"rows": 5}}, "parameters.lattice.columns"),
        ({"edges": [{"source": 1, "target": 1}]}, "parameters.edges[0].target"),
        ({"edges": [{"source": 1, "target": 0}, {"source": 0, "target": 1}]}, "parameters.edges[1]"),
        ({"edges": [{"source": 1, "target": 2}]}, "parameters.edges"),
        ({"lattice": {"columns": 5}, "order": 3}, "parameters.order"),
        ({"lattice": {"columns": 5}, "time": 0}, "parameters.time"),
        ({"lattice": {"columns": 5}, "coupling": math.nan}, "parameters.coupling"),
        ({"lattice": {"columns": 5}, "points": 21}, "parameters.points"),
    ],
)
def test_bad_parameters_name_the_path(job: Job, parameters: dict, path: str):
    with pytest.raises(ParameterError) as caught:
        job.features(parameters)
    assert caught.value.path == path
