"""A device whose gates depolarise, simulated with the density matrix: what error mitigation is for."""

import dataclasses

from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error

from services.execution.engines.device import Simulator
from services.execution.engines.engine import Outcome
from services.execution.engines.seeds import spread_seed
from services.execution.programs.program import Program
from tests.unit.execution.devices import simulator

ONE_QUBIT_GATES = ["x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "t", "tdg", "rx", "ry", "rz", "p", "u"]
TWO_QUBIT_GATES = ["cx", "cz", "rzz", "rxx", "ryy", "cp"]


class Depolarised(Simulator):
    """Every gate depolarises its qubits with a probability that grows tenfold from one qubit to two."""

    ideal = False

    def __init__(self, two_qubit_error: float) -> None:
        inner = simulator("statevector")
        super().__init__(inner._engine, inner._method)
        model = NoiseModel()
        model.add_all_qubit_quantum_error(depolarizing_error(two_qubit_error / 10, 1), ONE_QUBIT_GATES)
        model.add_all_qubit_quantum_error(depolarizing_error(two_qubit_error, 2), TWO_QUBIT_GATES)
        self._noisy = AerSimulator(method="density_matrix", noise_model=model, max_parallel_threads=1)

    def run(self, program: Program, *, shots: int, seed: int, **how: bool) -> Outcome:
        clean = super().run(program, shots=shots, seed=seed, **how)
        done = self._noisy.run(program.circuit, shots=shots, seed_simulator=spread_seed(seed, "test")).result()
        return dataclasses.replace(
            clean, counts=dict(done.get_counts()), fidelity=0.9, fidelity_method="calibration_estimate"
        )
