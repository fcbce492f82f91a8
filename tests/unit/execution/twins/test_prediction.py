"""What a twin is predicted to take, before a program is fitted to its machine."""

from __future__ import annotations

import dataclasses

import pytest
from qm.routing.v1 import routing_pb2

from services.execution.engines.cost import CostModel, Costs, Limits
from services.execution.offers import Offers
from services.execution.programs.features import Features
from services.execution.twins import prediction
from tests.unit.execution.twins.programs import bricks, fourier, ghz

NO_ENGINES = Offers(CostModel(Costs(measured="", costs=())), Limits(2**30, 100.0))


def offer(features: Features, shots: int) -> routing_pb2.EngineOffer:
    (made,) = NO_ENGINES.of(features, shots)
    return made


def test_a_twin_is_offered_with_its_time_and_memory():
    made = offer(ghz(8).features, 4096)
    assert (made.engine, made.method, made.refusal) == ("twin", "calibrated_noise", "")
    assert 0 < made.duration_p50.ToNanoseconds() < made.duration_p90.ToNanoseconds()
    assert 0 < made.memory_bytes <= prediction.MOST_MEMORY


def test_a_noisy_simulation_that_takes_too_long_is_refused_with_its_time():
    made = offer(fourier(30).features, 4096)
    assert "the noisy simulation would take about" in made.refusal
    assert made.excess_bits > 0


def test_no_twin_is_offered_to_who_names_an_engine_or_saw_it_fail():
    assert NO_ENGINES.of(ghz(2).features, 100, without={"twin"}) == []


def test_many_shots_of_a_narrow_circuit_cost_little_and_of_a_dynamic_one_much():
    narrow = fourier(6).features
    assert prediction.seconds(narrow, 100_000) < 2 * prediction.seconds(narrow, 1_000)
    dynamic = dataclasses.replace(narrow, dynamic=True)
    assert prediction.seconds(dynamic, 100_000) > 20 * prediction.seconds(dynamic, 1_000)


def test_wide_circuits_of_little_entanglement_are_within_reach():
    assert prediction.seconds(ghz(60).features, 4096) < 10
    assert prediction.seconds(bricks(60, 40).features, 4096) > 1_000


def test_every_circuit_of_a_job_and_its_classical_part_count():
    one = ghz(4).features
    many = dataclasses.replace(one, circuit_count=10, classical_ms=2_000.0)
    assert prediction.seconds(many, 1_000) == pytest.approx(10 * prediction.seconds(one, 1_000) + 2.0)
