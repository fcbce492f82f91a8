"""Histograms and bits to counts, and what is no answer at all."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.execution.live.counts import checked, from_bits, from_probabilities
from services.execution.live.errors import Refused
from services.execution.live.target import Compiled

CIRCUIT = Compiled(
    text="",
    qubit_count=3,
    readout=((2, 0), (0, 3)),
    clbit_count=4,
    digest="",
    shots=1000,
    fidelity=None,
    depth=1,
    two_qubit_gates=0,
)
PLAIN = msgspec.structs.replace(CIRCUIT, readout=((0, 0), (1, 1), (2, 2)), clbit_count=3)


def test_bits_go_where_they_are_measured_into_and_the_others_stay_zero() -> None:
    assert from_bits(CIRCUIT, [(lambda qubit: int(qubit == 2), 7), (lambda _: 1, 5)]) == {"0001": 7, "1001": 5}


@given(st.dictionaries(st.integers(0, 7), st.integers(1, 10**6), min_size=1))
def test_shares_become_counts_that_add_up_to_the_shots_and_are_off_by_less_than_one(weights: dict[int, int]) -> None:
    total = sum(weights.values())
    shares = {str(outcome): weight / total for outcome, weight in weights.items()}
    counts = from_probabilities(PLAIN, shares)
    assert sum(counts.values()) == PLAIN.shots
    for outcome, share in shares.items():
        assert abs(counts.get(f"{int(outcome):03b}", 0) - share * PLAIN.shots) < 1


@pytest.mark.parametrize("shares", [{}, {"0": 0.5}, {"0": 1.5, "1": -0.5}])
def test_what_is_no_distribution_is_refused(shares: dict[str, float]) -> None:
    with pytest.raises(Refused):
        from_probabilities(PLAIN, shares)


@pytest.mark.parametrize("counts", [{}, {"00": 1000}, {"0x1": 1000}, {"000": 1001}, {"000": -1, "001": 5}])
def test_counts_of_another_circuit_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(Refused):
        checked(PLAIN, counts)


def test_fewer_shots_than_asked_for_are_taken_as_they_are() -> None:
    assert checked(PLAIN, {"000": 990}) == {"000": 990}
