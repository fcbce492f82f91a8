"""A twin's counts are those of the whole machine's noise model, and say what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import fake_provider

from noise.density import Plan
from noise.fusion import Channels
from services.execution.engines.engine import EngineError
from services.execution.engines.readout import labels, readout_of
from services.execution.programs.program import Program
from services.execution.programs.tape import tape_of
from services.execution.twins.device import CalibratedDevice
from services.execution.twins.fitting import Fitter
from services.execution.twins.shelf import snapshot
from services.execution.twins.trajectories import Trajectories
from tests.unit.execution.twins.programs import bricks, fourier, ghz, parsed, program, twin

FALSE_ALARMS = 1e-9
"""How often an agreement test may fail where both sides have one distribution (its seeds are fixed besides)."""


def farthest(outcomes: int, shots: int, other_shots: float = math.inf) -> float:
    """The total variation that counts of one distribution stay within, but for FALSE_ALARMS.

    The mean is at most sqrt(K/N)/2 for K outcomes and N shots, and by McDiarmid's inequality it is passed by t with a
    probability of at most exp(-2 N t^2); two sides add up.
    """
    both = [number for number in (shots, other_shots) if number < math.inf]
    return sum(math.sqrt(outcomes / n) / 2 + math.sqrt(math.log(len(both) / FALSE_ALARMS) / (2 * n)) for n in both)


def total_variation(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    keys = first.keys() | second.keys()
    ours, theirs = sum(first.values()), sum(second.values())
    return sum(abs(first.get(key, 0) / ours - second.get(key, 0) / theirs) for key in keys) / 2


@pytest.mark.parametrize(
    ("device", "maker", "circuit"),
    [
        ("ibm_guadalupe", "FakeGuadalupeV2", fourier(5)),
        ("ibm_guadalupe", "FakeGuadalupeV2", ghz(7)),
        ("ibm_burlington", "FakeBurlingtonV2", bricks(5, 4)),
        ("ibm_peekskill", "FakePeekskill", ghz(4)),
    ],
)
def test_counts_are_those_of_the_whole_machines_noise_model(device: str, maker: str, circuit: Program):
    shots = 40_000
    outcome = twin(device).run(circuit, shots=shots, seed=5)
    assert outcome.transpiled is not None
    whole = NoiseModel.from_backend(getattr(fake_provider, maker)())
    simulator = AerSimulator(noise_model=whole, max_parallel_threads=1)
    expected = simulator.run(outcome.transpiled.circuit, shots=shots, seed_simulator=11).result().get_counts()
    distance = total_variation(outcome.counts, expected)
    assert distance < farthest(2**circuit.features.num_clbits, shots, shots)


@pytest.mark.parametrize("circuit", [ghz(5), bricks(4, 3)])
def test_draws_and_trajectories_agree_with_the_exact_distribution(circuit: Program):
    shots = 20_000
    device = CalibratedDevice(snapshot("ibm_fez"))
    fitted = Fitter(device).fit(circuit)
    measured = readout_of(tape_of(fitted.circuit, with_idle=True)).qubits
    plan = Plan(fitted.circuit, measured, device, Channels(device))
    exact = dict(enumerate(plan.distribution()))
    drawn = plan.sample(shots, np.random.default_rng(3)) @ (1 << np.arange(len(plan.measured)))
    counts = {place: float(count) for place, count in enumerate(np.bincount(drawn))}
    assert total_variation(named(counts), named(exact)) < farthest(len(exact), shots)
    trajectories = Trajectories(device, threads=1, memory_limit=2**30)
    rows, found = trajectories.run(fitted, shots=1_000, seed=7, method="statevector")
    other = dict(zip(labels(circuit, rows), found.tolist(), strict=True))
    twin_counts = twin("ibm_fez").run(circuit, shots=200_000, seed=1).counts
    assert total_variation(other, twin_counts) < farthest(len(exact), 1_000, 200_000)


def named(values: Mapping[int, float]) -> dict[str, float]:
    return {str(key): float(value) for key, value in values.items()}


@pytest.mark.parametrize(
    "device", ["ibm_lima", "ibm_cambridge", "ibm_miami", "google_willow", "ionq_aria_1", "rigetti_ankaa_3"]
)
def test_a_bell_pair_is_mostly_right_on_any_machine(device: str):
    outcome = twin(device).run(ghz(2), shots=4096, seed=1, with_probabilities=True)
    assert sum(outcome.counts.values()) == 4096
    assert 0.5 < outcome.fidelity < 1
    assert outcome.fidelity_method == "ideal_comparison"
    assert outcome.probabilities is not None
    assert sum(outcome.probabilities.values()) == pytest.approx(1)
    assert outcome.probabilities["00"] + outcome.probabilities["11"] == pytest.approx(outcome.fidelity, abs=0.05)


def test_a_seed_repeats_the_counts_and_another_does_not():
    runs = [twin("ibm_fez").run(fourier(4), shots=2048, seed=seed, with_memory=True) for seed in (1, 1, 2)]
    assert runs[0].counts == runs[1].counts
    assert runs[0].memory == runs[1].memory
    assert runs[0].counts != runs[2].counts


def test_the_outcome_shows_the_circuit_that_ran_on_the_machines_qubits():
    outcome = twin("ibm_marrakesh").run(ghz(3), shots=100, seed=1)
    ran = outcome.transpiled
    assert ran is not None
    assert ran.circuit.num_qubits == 156
    assert ran.two_qubit_gate_count == 2
    assert {item.name for item in ran.circuit.data} <= {"rz", "sx", "x", "cz", "measure", "barrier"}
    coupled = {gate.name: gate for gate in snapshot("ibm_marrakesh").gates}["cz"].places
    pairs = [tuple(ran.circuit.find_bit(bit).index for bit in item.qubits) for item in ran.circuit.data]
    assert all(pair in coupled for pair, item in zip(pairs, ran.circuit.data, strict=True) if item.name == "cz")
    assert len(set(ran.layout)) == 3
    assert ran.openqasm().startswith("OPENQASM 3.0;")


def test_many_qubits_of_little_entanglement_are_drawn_at_once():
    outcome = twin("ibm_marrakesh").run(ghz(60), shots=2048, seed=1)
    assert outcome.method == "density_matrix"
    assert outcome.fidelity_method == "calibration_estimate"
    assert 0 < outcome.fidelity < 0.5
    assert sum(outcome.counts.values()) == 2048
    ones = sum(bits.count("1") * count for bits, count in outcome.counts.items())
    assert 0.4 < ones / (60 * 2048) < 0.6


def test_a_measurement_on_the_way_is_read_with_its_own_error():
    source = """OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c;
    x q[0]; c[0] = measure q[0]; if (c[0] == 1) { x q[1]; } c[1] = measure q[1];"""
    outcome = twin("ibm_fez").run(parsed(source), shots=4000, seed=1)
    assert outcome.method == "statevector"
    assert outcome.fidelity_method == "calibration_estimate"
    assert outcome.counts["11"] > 3600
    assert sum(outcome.counts.values()) == 4000


def test_a_gate_that_aer_does_not_know_keeps_its_noise():
    source = """OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[3] c;
    c[0] = measure q[0]; h q[0]; cx q[0], q[1]; c[1] = measure q[0]; c[2] = measure q[1];"""
    outcome = twin("rigetti_ankaa_3").run(parsed(source), shots=4000, seed=1)
    assert outcome.transpiled is not None
    assert outcome.transpiled.circuit.count_ops()["iswap"] == 2
    equal = sum(count for bits, count in outcome.counts.items() if bits[0] == bits[1])
    assert 0.7 < equal / 4000 < 0.88, "two gates that err one time in 20, and two readouts one in 15"


def test_a_qubit_that_is_read_twice_is_misread_each_time_by_itself():
    source = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; bit[2] c; x q; c[0] = measure q; c[1] = measure q;'
    outcome = twin("ibm_melbourne").run(parsed(source), shots=4000, seed=1)
    assert outcome.fidelity_method == "calibration_estimate"
    assert outcome.counts["01"] > 20
    assert outcome.counts["10"] > 20
    assert outcome.counts["01"] + outcome.counts["10"] == pytest.approx(4000 * (1 - outcome.fidelity), rel=0.3)


def test_a_qubit_that_waits_decays():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.delay(200, 0, unit="us")
    circuit.measure(0, 0)
    outcome = twin("ibm_marrakesh").run(program(circuit), shots=100, seed=1, with_probabilities=True)
    assert outcome.transpiled is not None
    assert outcome.transpiled.layout[0] is not None
    t1 = snapshot("ibm_marrakesh").qubits[outcome.transpiled.layout[0]].t1_us
    assert t1 is not None
    assert outcome.probabilities is not None
    assert outcome.probabilities["1"] == pytest.approx(math.exp(-200 / t1), abs=0.03)


@pytest.mark.parametrize(
    ("device", "circuit", "words"),
    [
        ("ibm_lima", ghz(6), "6 qubits; ibm_lima has 5 that work together"),
        ("ibm_lima", parsed("OPENQASM 3.0; qubit q; bit c; c = measure q; if (c) { reset q; }"), "cannot do if_else"),
        ("ionq_forte_1", parsed("OPENQASM 3.0; qubit q; bit c; delay[1us] q; c = measure q;"), "cannot do delay"),
        ("ibm_berlin", parsed("OPENQASM 3.0; qubit q; bit c; reset q; c = measure q;"), "cannot do reset"),
    ],
)
def test_what_the_machine_has_no_means_for_is_refused(device: str, circuit: Program, words: str):
    with pytest.raises(EngineError, match=words) as refused:
        twin(device).run(circuit, shots=10, seed=1)
    assert refused.value.reason == "UNSUPPORTED"


def test_what_would_take_too_long_is_refused_with_its_time():
    with pytest.raises(EngineError, match=r"noisy shots would take about .* s are allowed"):
        twin("ibm_fez").run(fourier(14), shots=100_000, seed=1)


def test_a_twin_shows_no_amplitudes():
    with pytest.raises(EngineError, match="ibm_fez shows no amplitudes"):
        twin("ibm_fez").statevector(QuantumCircuit(1))
    assert not twin("ibm_fez").ideal
    assert twin("ibm_fez").calibration_id == "ibm_fez@2025-02-26"
