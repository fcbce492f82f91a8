"""A machine is offered live or as its twin, and the answer says which."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from qm.routing.v1 import routing_pb2 as pb

from mesh.config import load
from mesh.errors import InvalidArgument, Unavailable
from services.routing.catalogue import CATALOGUE_FILE, Catalogue, Kind, Machine, Owner, Provider
from services.routing.messages import backend_message, choice_message
from services.routing.program import Environment, Features, Wish
from services.routing.twin import with_twins
from tests.unit.routing.programs import asked, choose, features, offer, simulators

MACHINE = Machine(
    provider=Provider.IBM,
    device="ibm_brisbane",
    task_price_micros=300_000,
    shot_price_micros=1_450,
    task_seconds=2.0,
    shot_seconds=0.001,
    source="a test",
)
SIMULATORS = simulators()
WHOLE = with_twins(load(CATALOGUE_FILE, Catalogue))
TWIN = msgspec.structs.replace(SIMULATORS.backends[0], backend_id="ibm.brisbane", kind=Kind.TWIN, machine=MACHINE)
CATALOGUE = msgspec.structs.replace(SIMULATORS, backends=(*SIMULATORS.backends, TWIN))
LIVE_ONLY = msgspec.structs.replace(CATALOGUE, backends=(msgspec.structs.replace(TWIN, kind=Kind.LIVE),))
TEAM, OPERATOR = ("ibm", "team"), ("ibm", "operator")
BELL = features(2)


def wish(program: Features = BELL, hardware: str = "ibm.brisbane", **rest: Any) -> Wish:
    return Wish(hardware, program, 1000, (offer("qsim", "statevector"),), **rest)


def test_a_machine_without_an_account_is_offered_as_its_twin():
    assert choose(CATALOGUE, wish()).backend is TWIN
    assert choose(CATALOGUE, wish(accounts=(("ionq", "team"),))).backend is TWIN


@pytest.mark.parametrize(
    ("accounts", "owner", "price"),
    [((TEAM,), Owner.TEAM, 0), ((OPERATOR,), Owner.OPERATOR, 1_750_000), ((TEAM, OPERATOR), Owner.TEAM, 0)],
)
def test_a_machine_with_an_account_is_live_and_says_whose(accounts: Any, owner: Owner, price: int):
    choice = choose(CATALOGUE, wish(accounts=accounts))
    assert (choice.backend.kind, choice.backend.owner, choice.backend.pool) == (Kind.LIVE, owner, "live")
    assert choice.reason.endswith(f"through the account of the {owner} at ibm.")
    assert choice.estimate.price == price
    message = choice_message(choice, asked(CATALOGUE, wish(accounts=accounts))).backend
    assert (message.provider, message.provider_device, message.price.micros) == ("ibm", "ibm_brisbane", price)
    assert (message.engine, message.method) == ("ibm", "")


def test_every_circuit_is_paid_for():
    choice = choose(CATALOGUE, wish(features(2, circuit_count=3), accounts=(OPERATOR,)))
    assert choice.estimate.price == 3 * (300_000 + 1_000 * 1_450)
    assert choice.estimate.duration_p50.total_seconds() == 9.0


def test_test_keys_never_reach_a_machine():
    assert choose(CATALOGUE, wish(accounts=(TEAM,), environment=Environment.TEST)).backend is TWIN
    with pytest.raises(Unavailable, match="test keys run on simulators"):
        choose(LIVE_ONLY, wish(accounts=(TEAM,), environment=Environment.TEST))


def test_auto_never_spends_money_on_a_machine():
    choice = choose(CATALOGUE, wish(hardware="auto", accounts=(TEAM,)))
    assert choice.backend.kind is Kind.SIMULATOR


def test_a_machine_without_a_twin_needs_credentials():
    with pytest.raises(Unavailable, match="neither the team nor the operator has set credentials for ibm"):
        choose(LIVE_ONLY, wish())
    assert choose(LIVE_ONLY, wish(accounts=(TEAM,))).backend.kind is Kind.LIVE


def test_a_machine_takes_no_mid_circuit_measurement():
    with pytest.raises(InvalidArgument, match="measure once, at the end"):
        choose(CATALOGUE, wish(features(2, dynamic=True), accounts=(TEAM,)))


def test_a_machine_takes_no_job_of_very_many_circuits():
    with pytest.raises(InvalidArgument, match="runs 301 circuits, and 300 are the most"):
        choose(CATALOGUE, wish(features(2, circuit_count=301), accounts=(TEAM,)))


def test_a_machine_takes_no_more_qubits_than_it_has():
    with pytest.raises(InvalidArgument, match="has 30 qubits and it takes 28"):
        choose(CATALOGUE, wish(features(30), accounts=(TEAM,)))


def test_a_machine_without_a_price_is_for_teams_own_accounts():
    unpriced = msgspec.structs.replace(MACHINE, task_price_micros=None)
    catalogue = msgspec.structs.replace(
        SIMULATORS, backends=(*SIMULATORS.backends, msgspec.structs.replace(TWIN, machine=unpriced))
    )
    assert choose(catalogue, wish(accounts=(OPERATOR,))).backend.kind is Kind.TWIN
    assert choose(catalogue, wish(accounts=(OPERATOR, TEAM))).backend.owner is Owner.TEAM


def test_every_machine_of_the_catalogue_is_live_with_an_account_and_else_its_twin_or_offline():
    machines = [backend for backend in WHOLE.backends if backend.machine is not None]
    assert {each.machine.provider for each in machines if each.machine} == set(Provider)
    for each in machines:
        assert each.machine
        named = wish(hardware=each.backend_id, accounts=((each.machine.provider, "team"),))
        message = choice_message(choose(WHOLE, named), asked(WHOLE, named)).backend
        assert (message.kind, message.status) == (pb.BACKEND_KIND_LIVE, pb.BACKEND_STATUS_ONLINE)
        assert "imulat" not in message.description + message.display_name or each.backend_id == "aws_sv1"
        listed = backend_message(each)
        assert (listed.status == pb.BACKEND_STATUS_ONLINE) == (each.kind is Kind.TWIN)


def test_a_live_machine_is_predicted_by_the_calibration_of_its_twin():
    estimate = choose(WHOLE, wish(hardware="ibm_marrakesh", accounts=(TEAM,))).estimate
    assert 0.7 < estimate.fidelity_low < estimate.fidelity < estimate.fidelity_high < 1
