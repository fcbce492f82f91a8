"""The choice of a backend: who could run the program, who runs it best, and why. Pure.

Among those that can and do take it, and break no limit: the highest utility (objective.py), then the order of the
catalogue. "auto" finds a backend as long as there is any; a backend asked for by name is taken or refused, never
replaced. The choice is made from a `Question` alone, so that who has kept that can make it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from mesh.errors import InvalidArgument, MeshError, Unavailable
from services.routing.catalogue import Backend, Kind
from services.routing.learning.beliefs import leverage
from services.routing.learning.exploration import Prospect, pick
from services.routing.objective import Weights
from services.routing.obstacle import NO_ENGINE, Obstacle, absence, broken_limit, incapacity, refusal
from services.routing.predict import of_engine, of_machine
from services.routing.program import Estimate, Wish
from services.routing.question import Outlook, Question
from services.routing.reason import UNSEEN, comparison, praise, ruled_out

RULES_VERSION = "3"


@dataclass(frozen=True, slots=True)
class Fit:
    """A backend that can take the program."""

    backend: Backend
    estimate: Estimate
    deviation: float = 0.0
    """How uncertain what was learned leaves its utility, as a standard deviation."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A backend that cannot."""

    backend: Backend
    obstacle: Obstacle
    estimate: Estimate | None
    """None where the program is beyond it, so that there is nothing to predict."""


Candidate: TypeAlias = Fit | Misfit


@dataclass(frozen=True, slots=True)
class Alternative:
    """A candidate that was not chosen."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend, and its grounds."""

    backend: Backend
    estimate: Estimate
    reason: str
    alternatives: tuple[Alternative, ...]
    """Best first, those that could not take it last."""
    weights: Weights
    policy_version: str
    model_version: str
    explored: bool
    """Whether it was chosen to learn of it, and another is better by the predictions."""


def choose(question: Question) -> Choice:
    """The backend for a program.

    Raises InvalidArgument for a backend that cannot run the program (PROGRAM_DOES_NOT_FIT) and where none can
    (NO_BACKEND_FITS), or where the caller's limits rule out those that could (LIMITS_TOO_TIGHT), and Unavailable
    (HARDWARE_UNAVAILABLE) where those that could do not take jobs.
    """
    wish = question.wish
    ranked = sorted((judge(each, wish, question.weights) for each in question.outlooks), key=_rank)
    fits = [each for each in ranked if isinstance(each, Fit)]
    if wish.named:
        best = next(each for each in ranked if each.backend.backend_id == wish.hardware)
    elif fits:
        best = _drawn(fits, question) if question.explores else fits[0]
    else:
        best = _nearest(ranked)
    if isinstance(best, Misfit):
        raise _refusal(best, ranked, wish)
    others = (candidate for candidate in ranked if candidate is not best)
    explored = not wish.named and best is not fits[0]
    return Choice(
        backend=best.backend,
        estimate=best.estimate,
        reason=praise(best.backend, best.estimate, wish, explored=explored) + (UNSEEN if question.unseen else ""),
        alternatives=tuple(Alternative(other, _reason(other, best, wish)) for other in others),
        weights=question.weights,
        policy_version=f"{RULES_VERSION}/{question.policy_version}",
        model_version=question.model_version,
        explored=explored,
    )


def judge(outlook: Outlook, wish: Wish, weights: Weights) -> Candidate:
    """A backend's prospects with a program. A lasting obstacle goes before a passing one."""
    backend = outlook.backend
    if (beyond := incapacity(backend, wish.features)) is not None:
        return Misfit(backend, beyond, None)
    if backend.kind is Kind.LIVE and backend.machine is not None:
        estimate = of_machine(outlook, backend.machine, wish, weights)
    else:
        offer = wish.offer(backend.method)
        if offer is None:
            return Misfit(backend, NO_ENGINE, None)
        if offer.refusal:
            return Misfit(backend, refusal(offer), None)
        estimate = of_engine(outlook, offer, wish, weights)
    obstacle = broken_limit(backend, estimate, wish) or absence(backend, wish)
    if obstacle is not None:
        return Misfit(backend, obstacle, estimate)
    unsure = leverage(estimate.fidelity) * outlook.fidelity_effect.deviation
    return Fit(backend, estimate, weights.fidelity * unsure)


def _rank(candidate: Candidate) -> tuple[float, float]:
    match candidate:
        case Fit(backend, estimate):
            return (0.5 if backend.last_resort else 0.0, -estimate.worth.utility)
        case Misfit(_, obstacle):
            return (2.0 if obstacle.lasting else 1.0, obstacle.excess_bits)


def _drawn(fits: list[Fit], question: Question) -> Fit:
    """One of the best, by what could be learned of it: bounded, and the same for the same question."""
    first = [each for each in fits if not each.backend.last_resort] or fits
    prospects = [Prospect(each.backend.backend_id, each.estimate.worth.utility, each.deviation) for each in first]
    return first[pick(prospects, Random(question.draw), explore=True)]  # noqa: S311 - a lot, not a secret


def _nearest(ranked: list[Candidate]) -> Candidate:
    """Of those that cannot: who takes no jobs now, who breaks a limit that the caller could move, who is too small."""
    movable = [each for each in ranked if isinstance(each, Misfit) and each.obstacle.field]
    passing = isinstance(ranked[0], Misfit) and not ranked[0].obstacle.lasting
    return ranked[0] if passing or not movable else movable[0]


def _refusal(best: Misfit, ranked: list[Candidate], wish: Wish) -> MeshError:
    """Why the best candidate, or the one asked for, cannot be taken."""
    name, reason, field = best.backend.backend_id, best.obstacle.reason, best.obstacle.field
    others = ruled_out(
        (each.backend.backend_id, each.obstacle.reason)
        for each in ranked
        if isinstance(each, Misfit) and each is not best
    )
    if not best.obstacle.lasting:
        message = f"{name} could run the program, but {reason}.{'' if wish.named else others}"
        return Unavailable(message, reason="HARDWARE_UNAVAILABLE", field="hardware", metadata={"backend": name})
    if not wish.named:
        nearest = {"nearest": name}
        if field:
            message = f"{field}: no backend does what is asked. The nearest is {name}, but {reason}.{others}"
            return InvalidArgument(message, reason="LIMITS_TOO_TIGHT", field=field, metadata=nearest)
        message = f"No backend can run this program. The nearest is {name}, but {reason}.{others}"
        return InvalidArgument(message, reason="NO_BACKEND_FITS", metadata=nearest)
    fitting = [each.backend.backend_id for each in ranked if isinstance(each, Fit)]
    advice = f"These can run it: {', '.join(fitting)}." if fitting else "No other backend can run it either."
    metadata = {"fitting": ",".join(fitting)}
    if field:
        message = f"{field}: {name} does not do what is asked: {reason}. {advice}"
        return InvalidArgument(message, reason="LIMITS_TOO_TIGHT", field=field, metadata=metadata)
    message = f"hardware: {name} cannot run this program: {reason}. {advice}"
    return InvalidArgument(message, reason="PROGRAM_DOES_NOT_FIT", field="hardware", metadata=metadata)


def _reason(other: Candidate, best: Fit, wish: Wish) -> str:
    if isinstance(other, Misfit):
        return f"{other.obstacle.reason[0].upper()}{other.obstacle.reason[1:]}."
    return comparison(other.backend, other.estimate, best.estimate, named=wish.named)
