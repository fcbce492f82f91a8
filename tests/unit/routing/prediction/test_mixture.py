"""The fidelity of a distribution and of what errors make of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.prediction.circuit import parse
from services.routing.prediction.ideal import Ideal, ideal_of
from services.routing.prediction.mixture import fidelity, flipped
from services.routing.prediction.model import Weights
from services.routing.prediction.profile import Profile
from tests.unit.routing.prediction.circuits import encoded, ghz, rotations

AS_THEY_ARE = Weights(pair=1.0, single=1.0, readout=1.0, seen=1.0)
GHZ = ideal_of(*parse(ghz(4)).decoded(), with_errors=True)
LAYERS = ideal_of(*parse(rotations(3, 0.4)).decoded(), with_errors=True)


def profile(pair: float, single: float, *readout: float) -> Profile:
    return Profile(
        pair_loss=pair, single_loss=single, readout_errors=readout, depth=1, two_qubit_gate_count=1, seconds=0.0
    )


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20)
def test_flips_are_those_of_each_bit_alone(errors: list[float]):
    bits = len(errors)
    random = np.random.default_rng(bits).random(1 << bits).astype(np.float32)
    expected = np.zeros(1 << bits)
    for came in range(1 << bits):
        for read in range(1 << bits):
            turned = came ^ read
            chances = [each if turned >> bit & 1 else 1 - each for bit, each in enumerate(errors)]
            expected[read] += random[came] * np.prod(chances)
    assert flipped(random, errors) == pytest.approx(expected, rel=1e-4)


def test_flips_of_another_number_of_bits_are_refused():
    with pytest.raises(ValueError, match="8 probabilities of 2 bits"):
        flipped(np.ones(8, dtype=np.float32), [0.1, 0.1])


def test_without_errors_the_fidelity_is_one():
    for ideal, bits in ((GHZ, 4), (LAYERS, 3)):
        assert fidelity(ideal, profile(0.0, 0.0, *[0.0] * bits), AS_THEY_ARE) == pytest.approx(1.0, abs=1e-5)


def test_a_depolarised_ghz_state_has_the_fidelity_of_the_closed_form():
    flat = Ideal(GHZ.probabilities, None)
    kept = np.exp(-0.3)
    # Both outcomes have g / 2 + (1 - g) / 16.
    assert fidelity(flat, profile(0.2, 0.1, 0, 0, 0, 0), AS_THEY_ARE) == pytest.approx(kept + (1 - kept) / 8, abs=1e-5)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2), st.floats(1.0, 2.0))
@settings(deadline=None, max_examples=25)
def test_more_errors_never_make_it_better(pair: float, single: float, wrong: float, more: float):
    for ideal, bits in ((GHZ, 4), (LAYERS, 3), (Ideal(LAYERS.probabilities, None), 3)):
        less_noisy = fidelity(ideal, profile(pair, single, *[wrong] * bits), AS_THEY_ARE)
        noisier = fidelity(ideal, profile(more * pair, more * single, *[more * wrong] * bits), AS_THEY_ARE)
        assert noisier <= less_noisy + 1e-3


def test_the_distribution_is_that_of_the_state_vector():
    # x on the second, then a Toffoli and others by their matrices: |q2 q1 q0> = |111> with cos^2, sin^2 on q2.
    gates = [("x", (0,), (), ()), ("x", (1,), (), ()), ("ccx", (0, 1, 2), (), ()), ("u", (2,), (0.8, 0.1, 0.2), ())]
    found = ideal_of(*parse(encoded(3, gates)).decoded(), with_errors=True).probabilities
    assert found[7] == pytest.approx(np.cos(0.4) ** 2, abs=1e-6)
    assert found[3] == pytest.approx(np.sin(0.4) ** 2, abs=1e-6)


def test_errors_of_a_flat_distribution_are_never_seen_and_flips_of_a_basis_state_are():
    flat = ideal_of(
        *parse(encoded(2, [("h", (0,), (), ()), ("h", (1,), (), ()), ("cz", (0, 1), (), ())])).decoded(),
        with_errors=True,
    )
    assert flat.errors is not None
    assert flat.errors.pair.unseen == flat.errors.single.unseen == 1.0
    # Of the 15 pairs of Pauli matrices three have no X or Y, of the three single ones Z alone.
    basis = ideal_of(*parse(encoded(2, [("x", (0,), (), ()), ("cz", (0, 1), (), ())])).decoded(), with_errors=True)
    assert basis.errors is not None
    assert basis.errors.pair.unseen == pytest.approx(3 / 15, abs=0.11)
    assert basis.errors.single.unseen == pytest.approx(1 / 3, abs=0.13)
    assert basis.support == pytest.approx(1.0)
    assert GHZ.support == pytest.approx(2.0, rel=1e-3)
