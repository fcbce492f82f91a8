import math
import random

import numpy as np
import pytest
from hypothesis import given
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Statevector

from services.execution import compute, task
from services.execution.engines import registry
from services.execution.engines.attempt import AttemptingSimulator
from services.execution.engines.clusters import ClusterEngine, clusters_of
from services.execution.engines.engine import EngineError, Method
from services.execution.engines.slices import SliceEngine
from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits
from services.execution.programs.program import Program
from tests.unit.execution.circuits import circuits, distance, farthest
from tests.unit.execution.test_engines import SOME

PLENTY = 10**6


def fourier(width: int, *, entangled: bool = False) -> Program:
    """A Fourier transform of a basis state, or of a GHZ state, whose rank is 2 where gates allow 2^(width / 2)."""
    circuit = QuantumCircuit(width)
    circuit.h(0) if entangled else circuit.x(range(0, width, 2))
    if entangled:
        circuit.cx(range(width - 1), range(1, width))
    circuit.append(QFTGate(width), range(width))
    circuit = circuit.decompose(reps=1)
    circuit.measure_all()
    return program_of(circuit, Limits())


def dense(width: int, layers: int) -> Program:
    chance = random.Random(3)
    circuit = QuantumCircuit(width)
    for _ in range(layers):
        for qubit in range(width):
            circuit.u(*(chance.uniform(-3, 3) for _ in range(3)), qubit)
        for qubit in range(width):
            circuit.cz(qubit, (qubit + 7) % width)
    circuit.measure_all()
    return program_of(circuit, Limits())


def attempting(engine: str, method: Method) -> AttemptingSimulator:
    return AttemptingSimulator(registry.engine(engine), engine, method, 1)


@SOME
@given(circuits(most=3))
def test_clusters_have_the_distribution_of_the_circuit(circuit: QuantumCircuit):
    program = program_of(circuit, Limits())
    found = clusters_of(program.tape, PLENTY)
    assert found is not None
    state = np.ones(1 << program.tape.width)
    for index in range(len(state)):
        for cluster in found:
            place = sum((index >> qubit & 1) << bit for bit, qubit in enumerate(cluster.qubits))
            state[index] *= abs(cluster.amplitudes[place]) ** 2
    bare = QuantumCircuit(program.tape.width)
    place = {qubit: new for new, qubit in enumerate(program.tape.active)}
    for item in circuit.remove_final_measurements(inplace=False).data:
        bare.append(item.operation, [place[circuit.find_bit(qubit).index] for qubit in item.qubits])
    assert state == pytest.approx(Statevector(bare).probabilities(), abs=1e-10)


@pytest.mark.parametrize("engine", [ClusterEngine(PLENTY), SliceEngine(threads=1, most_slices=99)])
@pytest.mark.parametrize("entangled", [False, True])
def test_short_cuts_sample_what_the_plan_samples(engine: ClusterEngine | SliceEngine, *, entangled: bool):
    program = fourier(3 if isinstance(engine, ClusterEngine) else 9, entangled=entangled)
    found = engine.run(program, shots=20_000, seed=1, method="matrix_product_state")
    planned = registry.engine("qulacs").run(program, shots=20_000, seed=2, method="statevector")
    assert distance(found.counts, planned.counts) < farthest(2**program.tape.width, 20_000)


def test_a_transform_of_a_basis_state_never_becomes_a_state_vector():
    device = attempting("qsim", "statevector")
    found = device.run(fourier(20), shots=100, seed=1)
    assert (found.engine, device.engine) == ("qmumma-cloud", "qmumma-cloud")
    assert found.counts == attempting("qsim", "statevector").run(fourier(20), shots=100, seed=1).counts


def test_a_transform_of_a_ghz_state_is_cut_into_slices_and_a_seed_repeats():
    program = fourier(22, entangled=True)
    found, again = (attempting("qsim", "statevector").run(program, shots=500, seed=4) for _ in range(2))
    assert (found.engine, found.method) == ("qiskit-aer", "matrix_product_state")
    assert found.counts == again.counts


def test_a_dense_circuit_falls_back_and_counts_as_the_plan_does():
    program = dense(18, 6)
    device = attempting("qsim", "statevector")
    assert clusters_of(program.tape, PLENTY) is None
    planned = registry.engine("qsim").run(program, shots=500, seed=4, method="statevector")
    assert device.run(program, shots=500, seed=4).counts == planned.counts
    assert device.engine == planned.engine


def test_slices_refuse_what_has_rank():
    with pytest.raises(EngineError, match="too much for slices"):
        SliceEngine(threads=1, most_slices=99).run(dense(16, 4), shots=1, seed=1, method="matrix_product_state")


def test_clusters_stop_at_their_budget():
    tape = fourier(12).tape
    assert clusters_of(tape, PLENTY) is not None
    assert clusters_of(tape, 10) is None


def test_a_short_plan_is_run_as_it_is():
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure_all()
    assert attempting("qulacs", "statevector").run(program_of(bell, Limits()), shots=10, seed=1).engine == "qulacs"


@pytest.mark.parametrize(
    ("attempts", "named", "engine"),
    [
        (True, "", "qmumma-cloud"),
        (False, "", "qsimcirq"),
        (True, ', "engine": "qsim"', "qsimcirq"),
    ],
)
def test_an_engine_that_was_asked_for_runs(*, attempts: bool, named: str, engine: str):
    turns = "".join(f"h q[{q}]; " + "".join(f"cp({math.pi / 2**d}) q[{q + d}],q[{q}]; " for d in range(1, 18 - q))
                    for q in range(18))  # fmt: skip
    qasm = f"OPENQASM 3.0; include 'stdgates.inc'; qubit[18] q; bit[18] c; {turns} c = measure q;".replace("'", '\\"')
    request = task.Run(
        "circuit.openqasm.v1", f'{{"qasm": "{qasm}"{named}}}'.encode(), 16, 1, "qsim", "statevector", attempts=attempts
    )
    outcome = compute.answer(request, lambda _fraction, _message: None)
    assert isinstance(outcome, task.Outcome)
    assert outcome.engine == engine
