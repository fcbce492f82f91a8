import datetime as dt
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.config import load
from mesh.errors import InvalidArgument, MeshError, Unavailable
from services.routing.catalogue import CATALOGUE_FILE, Backend, Catalogue
from services.routing.policy import Choice, Fit, Misfit, choose, judge
from services.routing.predict import predict
from services.routing.program import Features, Wish
from tests.unit.routing.programs import features

CATALOGUE = load(CATALOGUE_FILE, Catalogue)
STATEVECTOR, STABILIZER, MPS = CATALOGUE.backends[:3]


def wish(program: Features, hardware: str = "auto", **rest: Any) -> Wish:
    return Wish(hardware, program, 1024, **rest)


def with_backend(changed: Backend, **changes: object) -> Catalogue:
    """The catalogue with one backend changed."""
    fresh = msgspec.structs.replace(changed, **changes)
    backends = tuple(fresh if each is changed else each for each in CATALOGUE.backends)
    return msgspec.structs.replace(CATALOGUE, backends=backends)


def refusal(catalogue: Catalogue, asked: Wish) -> MeshError:
    with pytest.raises(MeshError) as caught:
        choose(catalogue, asked)
    return caught.value


def test_a_bell_pair_runs_on_the_state_vector():
    choice = choose(CATALOGUE, wish(features(2, gate_count=2, two_qubit_gate_count=1, clifford=True)))
    assert choice.backend is STATEVECTOR
    assert choice.reason.startswith("Circuit of 2 qubits: its state vector of 4 amplitudes is exact and needs ")
    assert [type(each.candidate) for each in choice.alternatives] == [Fit, Fit]


def test_a_wide_clifford_circuit_runs_on_the_stabilizer_tableau():
    choice = choose(CATALOGUE, wish(features(100, clifford=True)))
    assert choice.backend is STABILIZER
    assert choice.reason.startswith("Clifford circuit of 100 qubits: the stabilizer method is exact and needs ")
    assert choice.reason.endswith("; a state vector would need 2^100 amplitudes.")


def test_a_wide_circuit_of_little_entanglement_runs_on_a_matrix_product_state():
    choice = choose(CATALOGUE, wish(features(60, entanglement_bound=3)))
    assert choice.backend is MPS
    assert choice.reason.startswith("Circuit of 60 qubits with a bond dimension of at most 8: a matrix product state ")
    assert {each.candidate.backend.backend_id: each.reason for each in choice.alternatives} == {
        "sim.statevector": ("The program has 60 qubits and it takes 27: the state would have 2^60 amplitudes."),
        "sim.stabilizer": "The program has gates outside the Clifford group.",
    }


def test_an_ideal_simulation_is_exact():
    estimate = choose(CATALOGUE, wish(features(5))).estimate
    assert (estimate.fidelity, estimate.fidelity_low, estimate.fidelity_high) == (1.0, 1.0, 1.0)
    assert estimate.duration_p50 < estimate.duration_p90 < dt.timedelta(seconds=1)


def test_the_alternatives_are_best_first_and_say_how_they_compare():
    choice = choose(CATALOGUE, wish(features(24, clifford=True, gate_count=200, entanglement_bound=2)))
    assert choice.backend is STABILIZER
    able = [each for each in choice.alternatives if isinstance(each.candidate, Fit)]
    times = [choice.estimate.duration_p50, *(each.candidate.estimate.duration_p50 for each in able)]
    assert times == sorted(times)
    assert len(able) == 2
    assert all(each.reason.startswith("Just as exact, but needs ") for each in able)


def test_a_policy_is_named_with_its_catalogue():
    assert choose(CATALOGUE, wish(features(2))).policy_version == f"1/{CATALOGUE.version}"


def test_a_backend_asked_for_is_taken_though_another_is_faster():
    choice = choose(CATALOGUE, wish(features(24, clifford=True, gate_count=200), "sim.statevector"))
    assert choice.backend is STATEVECTOR
    assert choice.reason.endswith(". You asked for this backend.")
    best = choice.alternatives[0]
    assert best.candidate.backend is STABILIZER
    assert best.reason.endswith(", but was not asked for.")


def test_an_unknown_backend_is_refused_with_the_known_ones():
    error = refusal(CATALOGUE, wish(features(2), "ibm_marrakesh"))
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.field) == ("UNKNOWN_BACKEND", "hardware")
    assert error.message == (
        "hardware: there is no backend 'ibm_marrakesh'; there are sim.mps, sim.stabilizer, sim.statevector, and auto."
    )


def test_a_named_backend_that_cannot_run_the_program_is_refused_with_those_that_can():
    error = refusal(CATALOGUE, wish(features(60, clifford=True, entanglement_bound=2), "sim.statevector"))
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.field) == ("PROGRAM_DOES_NOT_FIT", "hardware")
    assert set(error.metadata["fitting"].split(",")) == {"sim.stabilizer", "sim.mps"}


def test_a_program_that_nothing_fits_is_told_the_nearest():
    error = refusal(CATALOGUE, wish(features(30)))
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.metadata) == ("NO_BACKEND_FITS", {"nearest": "sim.statevector"})
    assert "The nearest is sim.statevector, but the program has 30 qubits and it takes 27" in error.message
    assert refusal(CATALOGUE, wish(features(60, entanglement_bound=9))).metadata == {"nearest": "sim.mps"}


def test_a_named_backend_that_is_offline_is_unavailable():
    error = refusal(with_backend(STATEVECTOR, online=False), wish(features(2), "sim.statevector"))
    assert isinstance(error, Unavailable)
    assert (error.reason, error.message) == (
        "HARDWARE_UNAVAILABLE",
        "sim.statevector could run the program, but it is offline.",
    )


def test_a_program_that_could_never_fit_is_told_so_even_while_the_backend_is_offline():
    error = refusal(with_backend(STATEVECTOR, online=False), wish(features(60), "sim.statevector"))
    assert error.reason == "PROGRAM_DOES_NOT_FIT"


def test_auto_goes_around_a_backend_that_is_offline_or_failed_this_job():
    program = features(5)
    assert choose(with_backend(STATEVECTOR, online=False), wish(program)).backend is MPS
    choice = choose(CATALOGUE, wish(program, excluded=frozenset({"sim.statevector"})))
    assert choice.backend is MPS
    assert "It failed this job already." in [each.reason for each in choice.alternatives]


def test_auto_is_unavailable_where_those_that_could_do_not_take_jobs():
    error = refusal(CATALOGUE, wish(features(24), excluded=frozenset({"sim.statevector"})))
    assert isinstance(error, Unavailable)
    assert error.reason == "HARDWARE_UNAVAILABLE"


def test_a_run_that_would_take_too_long_or_too_much_memory_is_refused_by_number():
    slow = judge(CATALOGUE, STATEVECTOR, wish(features(27, gate_count=100_000)))
    assert isinstance(slow, Misfit)
    assert slow.obstacle.reason.startswith("the run would take about ")
    assert slow.obstacle.reason.endswith(" and may take 3 min")
    tight = judge(with_backend(STATEVECTOR, memory_bytes=2**20), STATEVECTOR, wish(features(10)))
    assert isinstance(tight, Fit)
    small = msgspec.structs.replace(STATEVECTOR, memory_bytes=2**14)
    large = judge(CATALOGUE, small, wish(features(10)))
    assert isinstance(large, Misfit)
    assert large.obstacle.reason == "the run needs 32 KiB of memory and may take 16 KiB"


def test_a_price_decides_between_equals():
    dear = msgspec.structs.replace(STATEVECTOR, backend_id="a.dear", price_micros=5)
    cheap = msgspec.structs.replace(STATEVECTOR, backend_id="b.cheap", price_micros=4)
    catalogue = msgspec.structs.replace(CATALOGUE, backends=(dear, cheap, STATEVECTOR))
    assert choose(catalogue, wish(features(5))).backend is STATEVECTOR
    both = msgspec.structs.replace(CATALOGUE, backends=(dear, cheap))
    choice = choose(both, wish(features(5)))
    assert (choice.backend, choice.estimate.price) == (cheap, 4)


def test_many_circuits_take_as_many_times_as_long():
    one, many = (predict(CATALOGUE, STATEVECTOR, features(5, circuit_count=count), 1024) for count in (1, 100))
    assert many.duration_p50 / one.duration_p50 == pytest.approx(100, rel=0.01)


programs = st.builds(
    Features,
    qubit_count=st.integers(1, 300),
    clbit_count=st.integers(0, 300),
    depth=st.integers(0, 10**6),
    gate_count=st.integers(0, 10**6),
    two_qubit_gate_count=st.integers(0, 10**6),
    clifford=st.booleans(),
    dynamic=st.booleans(),
    entanglement_bound=st.integers(0, 300),
    circuit_count=st.integers(1, 10**6),
)
excluded = st.frozensets(st.sampled_from([each.backend_id for each in CATALOGUE.backends]))


@settings(deadline=None)
@given(programs, st.integers(1, 131_072), excluded)
def test_auto_never_fails_while_anything_can_run_the_program(program: Features, shots: int, failed: frozenset[str]):
    asked = replace(wish(program, excluded=failed), shot_count=shots)
    judged = [judge(CATALOGUE, backend, asked) for backend in CATALOGUE.backends]
    able = [each for each in judged if isinstance(each, Fit)]
    if not able:
        could = [each for each in judged if isinstance(each, Misfit) and not each.obstacle.lasting]
        expected = "HARDWARE_UNAVAILABLE" if could else "NO_BACKEND_FITS"
        assert refusal(CATALOGUE, asked).reason == expected
        return
    choice = choose(CATALOGUE, asked)
    assert isinstance(choice, Choice)
    assert choice.backend.backend_id not in failed
    assert choice.estimate.duration_p50 == min(each.estimate.duration_p50 for each in able)
    assert len(choice.alternatives) == len(CATALOGUE.backends) - 1
    assert all(each.reason for each in choice.alternatives)
