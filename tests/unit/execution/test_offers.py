"""What the engines offer for a program, on the wire."""

import math
from dataclasses import replace

import msgspec
import pytest

from mesh.errors import InvalidArgument
from services.execution.engines.cost import Cost, CostModel, Costs, Limits
from services.execution.offers import Offers
from services.execution.programs.features import Features

GIB = 2**30
FEW = Features(
    5, 5, 5, 6, 20, 10, 5, 2, clifford=False, dynamic=False, unbounded=False, gates={}, measured_qubit_count=5
)


def cost(engine: str, method: str, seconds: float, **changes: object) -> Cost:
    fields: dict[str, object] = {
        "engine": engine,
        "method": method,
        "dynamic": engine == "aer",
        "branching": engine == "aer",
        "double": True,
        "bytes_per_amplitude": 16,
        "max_qubits": 100,
        "measured": "in a test",
        "spread_p90": 2.0,
        "seconds": {"run": seconds},
    }
    return msgspec.convert(fields | changes, Cost)


COSTS = Costs(
    measured="in a test",
    costs=(
        cost("aer", "statevector", 0.004),
        cost("qulacs", "statevector", 0.001),
        cost("aer", "matrix_product_state", 0.01),
        cost("stim", "stabilizer", 0.0005),
    ),
)
OFFERS = Offers(CostModel(COSTS), Limits(GIB, 300))
LAST = "calibrated_noise"
"""The method of the offer that every twin makes, beside those of the engines."""


def test_the_best_of_each_method_is_offered_and_compared_with_the_next():
    first, second, third, last = OFFERS.of(FEW, 1024)
    assert last.method == LAST
    assert (first.engine, first.method, first.comparison) == (
        "qulacs",
        "statevector",
        "aer would need 4.0 times as long",
    )
    assert (first.duration_p50.ToTimedelta().total_seconds(), first.duration_p90.ToTimedelta().total_seconds()) == (
        0.001,
        0.002,
    )
    assert first.memory_bytes == 16 * 2**5
    assert (second.engine, second.method, second.comparison, second.refusal) == ("aer", "matrix_product_state", "", "")
    assert (third.method, third.refusal) == ("stabilizer", "the program has gates outside the Clifford group")
    assert third.excess_bits == math.inf


def test_what_does_not_fit_the_time_of_a_plan_is_refused_with_what_would():
    _, tensors, *_, twin = OFFERS.of(FEW, 10_000_000, seconds=0.015)
    assert tensors.refusal == "the run could take 20 ms and may take 15 ms: fewer gates, qubits or shots would fit"
    assert "and may take 15 ms" in twin.refusal
    assert not any(offer.refusal for offer in OFFERS.of(FEW, 1024, seconds=1e9) if offer.method != "stabilizer")
    with pytest.raises(InvalidArgument, match=r"may take 1 ms.*No other engine can run it either"):
        OFFERS.of(FEW, 1024, engine="qulacs", seconds=0.001)


def test_a_method_has_a_refusal_only_where_no_engine_of_it_can():
    wide = OFFERS.of(replace(FEW, active_qubits=40), 1024)
    assert {offer.method: bool(offer.refusal) for offer in wide if offer.method != LAST} == {
        "statevector": True,
        "matrix_product_state": False,
        "stabilizer": True,
    }


def test_a_named_engine_is_the_only_one_that_is_offered():
    assert {offer.engine for offer in OFFERS.of(FEW, 1024, engine="aer")} == {"aer"}


def test_what_is_hard_to_tell_may_take_all_the_time_there_is_and_says_so():
    model = CostModel(Costs(measured="in a test", costs=(cost("ddsim", "decision_diagram", 0.001, predictable=False),)))
    [offer, _] = Offers(model, Limits(GIB, 300.0)).of(FEW, 100, seconds=60.0)
    assert (offer.duration_p50.ToMilliseconds(), offer.duration_p90.ToMilliseconds()) == (1, 60_000)
    assert offer.comparison == "only running shows how long that takes, at most 60 s"


def test_an_engine_that_failed_is_left_out():
    offers = OFFERS.of(FEW, 1024, without={"qulacs"})
    assert {offer.engine for offer in offers if not offer.refusal and offer.method != LAST} == {"aer"}


def test_a_named_engine_that_cannot_run_the_program_is_refused_with_those_that_can():
    with pytest.raises(InvalidArgument) as caught:
        OFFERS.of(FEW, 1024, engine="stim")
    assert (caught.value.reason, caught.value.field) == ("ENGINE_DOES_NOT_FIT", "parameters.engine")
    assert caught.value.message == (
        "parameters.engine: stim cannot run this program: the program has gates outside the Clifford group. "
        "These can run it: qulacs, aer."
    )
    with pytest.raises(InvalidArgument, match="No other engine can run it either"):
        OFFERS.of(replace(FEW, active_qubits=200), 1024, engine="qulacs")


def test_a_run_of_years_fits_on_the_wire():
    slow = Offers(CostModel(Costs(measured="", costs=(cost("aer", "statevector", 1e30),))), Limits(GIB, math.inf))
    offer, _ = slow.of(FEW, 1)
    assert offer.duration_p50.ToTimedelta().days > 30_000
