"""Twins are backends under their machines' names; who names one gets it, and is told what it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mesh.config import ConfigError
from mesh.errors import InvalidArgument
from services.routing.catalogue import Backend, Calibration, Kind, Machine, Method, Provider
from services.routing.policy import Choice
from services.routing.predict import fidelity
from services.routing.program import AUTO, Environment, Features, Wish
from services.routing.twin import with_twins
from tests.unit.routing.programs import choose, features, offer, simulators

PLAIN = simulators()
CATALOGUE = with_twins(PLAIN)
TWINS = [backend for backend in CATALOGUE.backends if backend.kind is Kind.TWIN]


def chosen(hardware: str, program: Features, **rest: Any) -> Choice:
    offers = (offer("qulacs", "statevector", 1.0), offer("twin", "calibrated_noise", 40.0))
    return choose(CATALOGUE, Wish(hardware, program, 4096, offers, **rest))


def calibration(**changes: Any) -> Calibration:
    known: dict[str, Any] = {
        "calibration_id": "machine@2026-01-01",
        "working_qubit_count": 20,
        "single_qubit_error": 0.0,
        "two_qubit_error": 0.01,
        "readout_error": 0.0,
        "operations": frozenset(),
    }
    return Calibration(**known | changes)


def test_every_twin_has_its_calibration_and_says_that_it_simulates():
    assert len(TWINS) >= 72
    for twin in TWINS:
        assert twin.calibration is not None
        assert twin.calibration.calibration_id.startswith(f"{twin.backend_id}@")
        assert twin.description.startswith("Simulates ")
        assert twin.calibration.working_qubit_count <= twin.qubit_count


def test_a_twin_is_chosen_by_its_machines_name_and_told_as_a_simulation():
    choice = chosen("ibm_marrakesh", features(3))
    assert choice.backend.kind is Kind.TWIN
    assert choice.backend.qubit_count == 156
    assert "ibm_marrakesh@2025-02-26 is simulated with its noise, not run on the machine" in choice.reason
    assert choice.estimate.fidelity_low < choice.estimate.fidelity < choice.estimate.fidelity_high < 1
    assert choice.estimate.engine == "twin"


def test_auto_chooses_no_twin_and_lists_none():
    choice = chosen(AUTO, features(3))
    assert choice.backend.kind is Kind.SIMULATOR
    assert not any(each.candidate.backend.kind is Kind.TWIN for each in choice.alternatives)


def test_a_test_key_may_use_twins():
    assert chosen("ibm_fez", features(3), environment=Environment.TEST).backend.backend_id == "ibm_fez"


def test_a_program_wider_than_what_works_is_refused_though_the_machine_is_wider():
    with pytest.raises(InvalidArgument, match="155 qubits and 153 of the machine's worked when calibrated"):
        chosen("ibm_marrakesh", features(155))


def test_an_unknown_machine_is_refused_with_those_that_there_are():
    with pytest.raises(InvalidArgument, match=r"there are .*ibm_marrakesh.*sim.statevector"):
        chosen("ibm_atlantis", features(2))


def test_a_machine_of_the_catalogue_is_its_twin_until_an_account_reaches_it():
    machine = Machine(
        provider=Provider.IBM,
        device="ibm_fez",
        task_price_micros=0,
        shot_price_micros=0,
        task_seconds=1.0,
        shot_seconds=0.0,
        source="a test",
    )
    live = msgspec.structs.replace(PLAIN.backends[0], backend_id="ibm_fez", kind=Kind.LIVE, machine=machine)
    merged = with_twins(msgspec.structs.replace(PLAIN, backends=(live, *PLAIN.backends)))
    assert [backend.backend_id for backend in merged.backends].count("ibm_fez") == 1
    first = merged.backends[0]
    assert (first.backend_id, first.kind, first.machine) == ("ibm_fez", Kind.TWIN, machine)


def test_a_twin_without_a_calibration_refuses_to_start():
    nowhere = msgspec.structs.replace(PLAIN.backends[0], backend_id="ibm_nowhere", kind=Kind.TWIN)
    with pytest.raises(ConfigError, match="ibm_nowhere: there is no calibration"):
        with_twins(msgspec.structs.replace(PLAIN, backends=(nowhere,)))


def test_fidelity_falls_with_every_gate():
    few, many = features(4, two_qubit_gate_count=5), features(4, two_qubit_gate_count=50)
    for each in range(3):
        assert fidelity(calibration(), few)[each] > fidelity(calibration(), many)[each]


def test_a_machine_without_errors_is_expected_to_be_exact():
    assert fidelity(calibration(two_qubit_error=0.0), features(4)) == (1.0, 1.0, 1.0)


def test_no_backend_but_a_twin_simulates_noise():
    backends: tuple[Backend, ...] = CATALOGUE.backends
    assert all((each.method is Method.CALIBRATED_NOISE) == (each.kind is Kind.TWIN) for each in backends)
