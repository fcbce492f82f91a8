import datetime as dt
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import InvalidArgument, MeshError, Unavailable
from services.routing.catalogue import Backend, Catalogue
from services.routing.policy import Choice, Fit, Misfit, judge
from services.routing.program import EngineOffer, Features, Wish
from services.routing.question import Outlook
from tests.unit.routing.programs import POLICY, choose, features, offer, refused, simulators

WHOLE = simulators()
STATEVECTOR, STABILIZER, MPS, DIAGRAM = WHOLE.backends
CATALOGUE = msgspec.structs.replace(WHOLE, backends=(STATEVECTOR, STABILIZER, MPS))
NOT_CLIFFORD = refused("stim", "stabilizer", "the program has gates outside the Clifford group", math.inf)
TOO_WIDE = refused("qsim", "statevector", "a state of 2^40 amplitudes needs too much", 11)
SMALL = (
    offer("qulacs", "statevector", 0.2, comparison="aer would need 15.0 times as long"),
    offer("stim", "stabilizer", 0.5),
    offer("aer", "matrix_product_state", 5.0),
)


def wish(program: Features, hardware: str = "auto", offers: tuple[EngineOffer, ...] = SMALL, **rest: Any) -> Wish:
    return Wish(hardware, program, 1024, offers, **rest)


def with_backend(changed: Backend, **changes: object) -> Catalogue:
    """The catalogue with one backend changed."""
    fresh = msgspec.structs.replace(changed, **changes)
    backends = tuple(fresh if each is changed else each for each in CATALOGUE.backends)
    return msgspec.structs.replace(CATALOGUE, backends=backends)


def refusal(catalogue: Catalogue, asked: Wish) -> MeshError:
    with pytest.raises(MeshError) as caught:
        choose(catalogue, asked)
    return caught.value


def test_the_fastest_offer_is_taken_with_its_engine_and_the_reason_says_its_numbers():
    choice = choose(CATALOGUE, wish(features(2, gate_count=2, two_qubit_gate_count=1, clifford=True)))
    assert choice.backend is STATEVECTOR
    assert choice.estimate.engine == "qulacs"
    assert choice.reason == (
        "Circuit of 2 qubits: the state vector of 4 amplitudes is exact and takes qulacs 0.2 ms; "
        "aer would need 15.0 times as long."
    )
    assert [type(each.candidate) for each in choice.alternatives] == [Fit, Fit]


def test_a_wide_clifford_circuit_runs_on_the_stabilizer_tableau():
    choice = choose(CATALOGUE, wish(features(100, clifford=True), offers=(TOO_WIDE, offer("stim", "stabilizer", 2))))
    assert choice.backend is STABILIZER
    assert choice.reason == (
        "Clifford circuit of 100 qubits: the stabilizer tableau is exact and takes stim 2 ms; "
        "a state vector would have 2^100 amplitudes."
    )


def test_a_wide_circuit_of_little_entanglement_runs_on_a_matrix_product_state():
    mps = offer("aer", "matrix_product_state", 40)
    choice = choose(CATALOGUE, wish(features(60, entanglement_bound=3), offers=(TOO_WIDE, NOT_CLIFFORD, mps)))
    assert choice.backend is MPS
    assert choice.reason.startswith("Circuit of 60 qubits with a bond dimension of at most 8: a matrix product state ")
    assert {each.candidate.backend.backend_id: each.reason for each in choice.alternatives} == {
        "sim.statevector": "The program has 60 qubits and it takes 28: the state would have 2^60 amplitudes.",
        "sim.stabilizer": "The program has gates outside the Clifford group.",
    }


def test_a_backend_for_whose_method_nothing_is_offered_is_out():
    choice = choose(CATALOGUE, wish(features(5), offers=(offer("aer", "matrix_product_state"),)))
    assert choice.backend is MPS
    assert {each.reason for each in choice.alternatives} == {"No engine that may be used has its method."}
    error = refusal(CATALOGUE, wish(features(5), "sim.stabilizer", (offer("qsim", "statevector"),)))
    assert error.reason == "PROGRAM_DOES_NOT_FIT"
    assert error.message == (
        "hardware: sim.stabilizer cannot run this program: no engine that may be used has its method. "
        "These can run it: sim.statevector."
    )


def test_a_last_resort_is_taken_by_name_and_where_nothing_else_can_and_never_for_being_faster():
    diagram = offer("ddsim", "decision_diagram", 0.01)
    choice = choose(WHOLE, wish(features(5), offers=(*SMALL, diagram)))
    assert choice.backend is STATEVECTOR
    assert [each.reason for each in choice.alternatives if each.candidate.backend is DIAGRAM] == [
        "Just as exact, but how long it takes is hard to predict: it runs what names it, or fits nowhere else."
    ]
    assert choose(WHOLE, wish(features(5), "sim.decision_diagram", (*SMALL, diagram))).backend is DIAGRAM
    alone = choose(WHOLE, wish(features(60), offers=(TOO_WIDE, NOT_CLIFFORD, diagram)))
    assert (alone.backend, alone.estimate.engine) == (DIAGRAM, "ddsim")
    assert "a decision diagram is exact and takes ddsim 0" in alone.reason


def test_an_ideal_simulation_is_exact():
    estimate = choose(CATALOGUE, wish(features(5))).estimate
    assert (estimate.fidelity, estimate.fidelity_low, estimate.fidelity_high) == (1.0, 1.0, 1.0)
    assert estimate.duration_p50 < estimate.duration_p90 < dt.timedelta(seconds=1)


def test_the_alternatives_are_best_first_and_say_how_they_compare():
    slow = offer("qsim", "statevector", 1600)
    choice = choose(CATALOGUE, wish(features(24, clifford=True), offers=(slow, *SMALL[1:])))
    assert choice.backend is STABILIZER
    able = [each for each in choice.alternatives if isinstance(each.candidate, Fit)]
    times = [choice.estimate.duration_p50, *(each.candidate.estimate.duration_p50 for each in able)]
    assert times == sorted(times)
    assert len(able) == 2
    assert all(each.reason.startswith("Just as exact, but needs ") for each in able)


def test_a_policy_is_named_with_its_catalogue():
    assert choose(CATALOGUE, wish(features(2))).policy_version == f"3/1/{CATALOGUE.version}"


def test_a_backend_asked_for_is_taken_though_another_is_faster():
    choice = choose(CATALOGUE, wish(features(5, clifford=True), "sim.stabilizer"))
    assert choice.backend is STABILIZER
    assert choice.reason.endswith(". You asked for this backend.")
    best = choice.alternatives[0]
    assert best.candidate.backend is STATEVECTOR
    assert best.reason.endswith(", but was not asked for.")


def test_an_unknown_backend_is_refused_with_the_known_ones():
    error = refusal(CATALOGUE, wish(features(2), "ibm_marrakesh"))
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.field) == ("UNKNOWN_BACKEND", "hardware")
    assert error.message == (
        "hardware: there is no backend 'ibm_marrakesh'; there are sim.mps, sim.stabilizer, sim.statevector, and auto."
    )


def test_a_named_backend_that_cannot_run_the_program_is_refused_with_those_that_can():
    error = refusal(CATALOGUE, wish(features(60, clifford=True), "sim.statevector", SMALL[1:]))
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.field) == ("PROGRAM_DOES_NOT_FIT", "hardware")
    assert set(error.metadata["fitting"].split(",")) == {"sim.stabilizer", "sim.mps"}


def test_a_program_that_nothing_fits_is_told_the_nearest():
    state = refused("qsim", "statevector", "a state of 2^29 amplitudes needs too much", 1)
    chain = refused("aer", "matrix_product_state", "a bond dimension of up to 2^14 needs too much", 9)
    error = refusal(CATALOGUE, wish(features(28), offers=(state, NOT_CLIFFORD, chain)))
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.metadata) == ("NO_BACKEND_FITS", {"nearest": "sim.statevector"})
    assert "The nearest is sim.statevector, but a state of 2^29 amplitudes needs too much." in error.message
    assert refusal(CATALOGUE, wish(features(60), offers=(state, chain))).metadata == {"nearest": "sim.mps"}


def test_a_named_backend_that_is_offline_is_unavailable():
    error = refusal(with_backend(STATEVECTOR, online=False), wish(features(2), "sim.statevector"))
    assert isinstance(error, Unavailable)
    assert (error.reason, error.message) == (
        "HARDWARE_UNAVAILABLE",
        "sim.statevector could run the program, but it is offline.",
    )


def test_a_program_that_could_never_fit_is_told_so_even_while_the_backend_is_offline():
    error = refusal(with_backend(STATEVECTOR, online=False), wish(features(60), "sim.statevector", (TOO_WIDE,)))
    assert error.reason == "PROGRAM_DOES_NOT_FIT"


def test_auto_goes_around_a_backend_that_is_offline_or_failed_this_job():
    program = features(5)
    assert choose(with_backend(STATEVECTOR, online=False), wish(program)).backend is STABILIZER
    choice = choose(CATALOGUE, wish(program, excluded=frozenset({"sim.statevector"})))
    assert choice.backend is STABILIZER
    assert "It failed this job already." in [each.reason for each in choice.alternatives]


def test_auto_is_unavailable_where_those_that_could_do_not_take_jobs():
    error = refusal(CATALOGUE, wish(features(24), offers=SMALL[:1], excluded=frozenset({"sim.statevector"})))
    assert isinstance(error, Unavailable)
    assert error.reason == "HARDWARE_UNAVAILABLE"


def test_a_price_decides_between_equals():
    dear = msgspec.structs.replace(STATEVECTOR, backend_id="a.dear", price_micros=5)
    cheap = msgspec.structs.replace(STATEVECTOR, backend_id="b.cheap", price_micros=4)
    catalogue = msgspec.structs.replace(CATALOGUE, backends=(dear, cheap, STATEVECTOR))
    assert choose(catalogue, wish(features(5))).backend is STATEVECTOR
    both = msgspec.structs.replace(CATALOGUE, backends=(dear, cheap))
    choice = choose(both, wish(features(5)))
    assert (choice.backend, choice.estimate.price) == (cheap, 4)


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
offered = st.builds(
    lambda way, milliseconds, refusal: offer(*way, milliseconds, refusal=refusal),
    st.sampled_from([("qsim", "statevector"), ("stim", "stabilizer"), ("aer", "matrix_product_state")]),
    st.integers(1, 10**6),
    st.sampled_from(["", "", "it is too much"]),
)
some_offers = st.lists(offered, unique_by=lambda each: each.method).map(tuple)
excluded = st.frozensets(st.sampled_from([each.backend_id for each in CATALOGUE.backends]))


@settings(deadline=None)
@given(programs, some_offers, excluded)
def test_auto_never_fails_while_anything_can_run_the_program(
    program: Features, offers: tuple[EngineOffer, ...], failed: frozenset[str]
):
    asked = wish(program, offers=offers, excluded=failed)
    weights = POLICY.weigh(asked.objective.prefer, priority=False)
    judged = [judge(Outlook(backend), asked, weights) for backend in CATALOGUE.backends]
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
