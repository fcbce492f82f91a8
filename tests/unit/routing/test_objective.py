"""The laws of a choice: limits are hard, weights do what they say, and a kept question gives the same answer again."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.config import load
from mesh.errors import InvalidArgument, MeshError, Unavailable
from services.routing import policy
from services.routing.catalogue import CATALOGUE_FILE, Catalogue, Kind
from services.routing.decision import Grounds, Kept
from services.routing.learning.effects import Effect
from services.routing.messages import choice_message
from services.routing.objective import Objective, Preference, Weights, worth
from services.routing.offer import offered
from services.routing.policy import Choice, Fit
from services.routing.program import Environment, Wish
from services.routing.question import Outlook, Prediction, Question
from services.routing.twin import with_twins
from tests.unit.routing.programs import POLICY, asked, choose, features, offer

CATALOGUE = with_twins(load(CATALOGUE_FILE, Catalogue)).here(("de",))
OFFERS = (offer("qulacs", "statevector", 2.0), offer("twin", "calibrated_noise", 40.0))
TWINS, LIVE = (Kind.TWIN,), (Kind.LIVE,)
ACCOUNTS = (("ibm", "operator"), ("aws", "operator"), ("ionq", "team"))


def wish(hardware: str = "auto", shots: int = 1024, **rest: Any) -> Wish:
    objective = Objective(**{name: rest.pop(name) for name in list(rest) if name in Objective.__slots__})
    return Wish(hardware, features(5), shots, OFFERS, objective=objective, **rest)


def refusal(question: Question) -> MeshError:
    with pytest.raises(MeshError) as caught:
        policy.choose(question)
    return caught.value


def looks(values: dict[str, float], wished: Wish, **changes: Any) -> Question:
    """Twins of those names and predicted fidelities."""
    backends = {each.backend_id: each for each in offered(CATALOGUE, wished)}
    outlooks = tuple(
        Outlook(backends[name], Prediction(value, value - 0.02, value + 0.02, "a model", "c@2026-01-01"), **changes)
        for name, value in values.items()
    )
    return Question(wished, outlooks, POLICY.weigh(wished.objective.prefer, priority=False), "1", "m1")


def fits(choice: Choice) -> list[tuple[str, float]]:
    able = [each.candidate for each in choice.alternatives if isinstance(each.candidate, Fit)]
    return [(each.backend.backend_id, each.estimate.worth.utility) for each in able]


def test_auto_chooses_among_twins_the_one_that_is_predicted_best_where_they_are_asked_for():
    choice = policy.choose(looks({"ibm_fez": 0.9, "ibm_boston": 0.95, "ibm_torino": 0.8}, wish(kinds=TWINS)))
    assert (choice.backend.backend_id, choice.backend.kind) == ("ibm_boston", Kind.TWIN)
    assert choice.estimate.fidelity_method == "a model"
    assert choice.reason.endswith(f"Of those that you allow it has the highest utility, {0.95:.4f}.")
    assert [name for name, _ in fits(choice)] == ["ibm_fez", "ibm_torino"]
    assert choice.alternatives[0].reason == (
        "Fidelity 0.900 instead of 0.950, 40 ms instead of 40 ms: a utility of 0.0500 less."
    )
    assert choose(CATALOGUE, wish()).backend.kind is Kind.SIMULATOR
    assert choose(CATALOGUE, wish(kinds=(Kind.SIMULATOR, Kind.TWIN))).backend.kind is Kind.SIMULATOR


def test_live_machines_are_for_who_asks_for_them_and_reaches_them():
    choice = choose(CATALOGUE, wish(kinds=LIVE, accounts=ACCOUNTS))
    assert choice.backend.kind is Kind.LIVE
    assert choice.backend.owner is not None
    without = refusal(asked(CATALOGUE, wish(kinds=LIVE)))
    assert isinstance(without, Unavailable)
    assert "has set credentials for" in without.message
    either = choose(CATALOGUE, wish(kinds=(Kind.LIVE, Kind.TWIN)))
    assert either.backend.kind is Kind.TWIN
    test_key = refusal(asked(CATALOGUE, wish(kinds=LIVE, accounts=ACCOUNTS, environment=Environment.TEST)))
    assert isinstance(test_key, Unavailable)


@pytest.mark.parametrize(
    ("limits", "field", "words"),
    [
        ({"min_fidelity": 0.99}, "routing.min_fidelity", "ibm_boston, but its fidelity is predicted to be 0.950"),
        ({"deadline": dt.timedelta(milliseconds=50)}, "routing.deadline_seconds", "50 ms is the deadline"),
        ({"residency": "mars"}, "routing.residency", "it runs in local and de, and the program may not leave mars"),
    ],
)
def test_a_limit_that_rules_out_all_names_the_nearest_and_why_the_others_are_out(
    limits: dict[str, Any], field: str, words: str
):
    error = refusal(looks({"ibm_fez": 0.9, "ibm_boston": 0.95}, wish(kinds=TWINS, **limits)))
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.field) == ("LIMITS_TOO_TIGHT", field)
    assert words in error.message
    assert "Ruled out as well: ibm_" in error.message


def test_a_limit_holds_for_a_backend_that_was_named_too():
    error = refusal(looks({"ibm_fez": 0.9}, wish("ibm_fez", min_fidelity=0.95)))
    assert (error.reason, error.field) == ("LIMITS_TOO_TIGHT", "routing.min_fidelity")


def test_a_price_limit_rules_out_what_adds_more():
    dear = wish("ibm_boston", accounts=(("ibm", "operator"),), max_price=100_000)
    error = refusal(asked(CATALOGUE, dear))
    assert (error.reason, error.field) == ("LIMITS_TOO_TIGHT", "routing.max_backend_cost_usd")
    assert "it adds $3.77 to the price, and $0.10 is the most" in error.message
    free = choose(CATALOGUE, wish(kinds=LIVE, accounts=ACCOUNTS, max_price=50_000))
    assert (free.backend.machine and free.backend.machine.provider, free.estimate.price) == ("ionq", 0)


numbers = st.floats(0, 1, allow_nan=False)
pools = st.dictionaries(st.sampled_from(["ibm_fez", "ibm_boston", "ibm_torino", "ibm_aachen"]), numbers, min_size=1)


@settings(deadline=None, max_examples=60)
@given(pools, numbers, st.sampled_from(Preference))
def test_limits_are_hard_and_the_best_of_the_rest_is_taken(pool: dict[str, float], least: float, prefer: Preference):
    question = looks(pool, wish(kinds=TWINS, min_fidelity=least, prefer=prefer))
    if max(pool.values()) < least:
        assert refusal(question).reason == "LIMITS_TOO_TIGHT"
        return
    choice = policy.choose(question)
    assert choice.estimate.fidelity == max(pool.values())
    assert all(choice.estimate.worth.utility >= utility for _, utility in fits(choice))
    assert all(each.reason for each in choice.alternatives)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(numbers, st.integers(1, 10**6), st.integers(0, 10**7)), min_size=2, max_size=6), numbers)
def test_more_weight_on_time_never_chooses_what_takes_longer(runs: list[tuple[float, int, int]], more: float):
    def best(weights: Weights) -> tuple[float, int, int]:
        return max(runs, key=lambda run: worth(weights, run[0], run[1], run[2]).utility)

    light = Weights(fidelity=1, time=0.03, price=0.02)
    for name, place, sign in (("time", 1, -1), ("price", 2, -1), ("fidelity", 0, 1)):
        heavy = msgspec.structs.replace(light, **{name: getattr(light, name) + 10 * more})
        assert sign * best(heavy)[place] >= sign * best(light)[place] - 1e-9


def test_the_terms_add_up_to_the_utility_of_the_published_formula():
    terms = worth(POLICY.weights[Preference.BALANCED], 0.9, 9 * 60, 2_500_000)
    assert terms.utility == pytest.approx(0.9 - 0.03 * math.log10(10) - 0.02 * 2.5)
    assert POLICY.weigh(Preference.BALANCED, priority=True).time == 3 * POLICY.weights[Preference.BALANCED].time


@settings(deadline=None, max_examples=40)
@given(pools, numbers, numbers, st.booleans())
def test_a_question_that_was_kept_gives_the_same_answer_byte_for_byte(
    pool: dict[str, float],
    wait: float,
    mean: float,
    explores: bool,  # noqa: FBT001 - drawn
):
    effect = Effect(mean - 0.5, 0.1, 1.1)
    question = looks(pool, wish(kinds=TWINS), queue_seconds=wait, queue_p90_seconds=3 * wait, fidelity_effect=effect)
    question = replace(question, explores=explores, draw=17)
    choice = policy.choose(question)
    answer = choice_message(choice, question).SerializeToString()
    grounds = Grounds(question, choice, answer).encoded()
    ids: Any = ("d", "j", "t")
    again = Kept(*ids, dt.datetime.now(dt.UTC), grounds.question, grounds.answer).asked()
    assert again == question
    assert choice_message(policy.choose(again), again).SerializeToString() == answer


def test_another_policy_decides_otherwise_from_the_same_question():
    question = looks({"ibm_fez": 0.90, "ibm_boston": 0.91}, wish(kinds=TWINS))
    slow, fast = question.outlooks[1], question.outlooks[0]
    question = replace(question, outlooks=(fast, replace(slow, queue_seconds=900.0, queue_p90_seconds=1800.0)))
    assert policy.choose(question).backend.backend_id == "ibm_fez"
    other = question.by(None, POLICY.weights[Preference.FIDELITY])
    assert policy.choose(other).backend.backend_id == "ibm_boston"
    strict = question.by(Objective(kinds=TWINS, min_fidelity=0.905), None)
    assert policy.choose(strict).backend.backend_id == "ibm_boston"


def test_exploring_takes_what_is_near_the_best_and_says_so():
    near = looks(
        {"ibm_boston": 0.95, "ibm_fez": 0.945, "ibm_torino": 0.5}, wish(kinds=TWINS),
        fidelity_effect=Effect(0.0, 0.5, 1.0),
    )  # fmt: skip
    taken = {policy.choose(replace(near, explores=True, draw=draw)).backend.backend_id for draw in range(40)}
    assert taken == {"ibm_boston", "ibm_fez"}
    explored = next(
        choice
        for draw in range(40)
        if (choice := policy.choose(replace(near, explores=True, draw=draw))).backend.backend_id == "ibm_fez"
    )
    assert explored.explored
    assert "you let it be explored" in explored.reason
    assert not policy.choose(near).explored
