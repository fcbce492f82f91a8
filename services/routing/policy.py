"""The choice of a backend: who could run the program, who runs it best, and why. Pure.

Among those that can and do take it: the highest predicted fidelity, then the shortest predicted time, then the lowest
price, then the order of the catalogue. "auto" finds a backend as long as there is any; a backend asked for by name is
taken or refused, never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from mesh.errors import InvalidArgument, MeshError, Unavailable
from mesh.wording import count_text, duration_text
from services.routing.catalogue import Backend, Catalogue, Kind, Method
from services.routing.obstacle import NO_ENGINE, Obstacle, absence, incapacity, refusal
from services.routing.offer import offered
from services.routing.predict import of_engine, of_machine
from services.routing.program import AUTO, Estimate, Features, Wish

RULES_VERSION = "2"


@dataclass(frozen=True, slots=True)
class Fit:
    """A backend that can take the program."""

    backend: Backend
    estimate: Estimate


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
    policy_version: str


def choose(catalogue: Catalogue, wish: Wish) -> Choice:
    """The backend for a program.

    Raises InvalidArgument for an unknown backend (UNKNOWN_BACKEND), one that cannot run the program
    (PROGRAM_DOES_NOT_FIT), and where no backend can (NO_BACKEND_FITS), and Unavailable (HARDWARE_UNAVAILABLE) where
    those that could do not take jobs.
    """
    ranked = sorted((judge(backend, wish) for backend in offered(catalogue, wish)), key=_rank)
    named = wish.hardware != AUTO
    best = _named(ranked, wish.hardware, _names(catalogue)) if named else ranked[0]
    if isinstance(best, Misfit):
        raise _refusal(best, ranked, named=named)
    others = (candidate for candidate in ranked if candidate is not best)
    return Choice(
        backend=best.backend,
        estimate=best.estimate,
        reason=_praise(best, wish, named=named),
        alternatives=tuple(Alternative(other, _comparison(other, best.estimate)) for other in others),
        policy_version=f"{RULES_VERSION}/{catalogue.version}",
    )


def judge(backend: Backend, wish: Wish) -> Candidate:
    """A backend's prospects with a program. A lasting obstacle goes before a passing one."""
    if (beyond := incapacity(backend, wish.features)) is not None:
        return Misfit(backend, beyond, None)
    if backend.kind is Kind.LIVE and backend.machine is not None:
        estimate = of_machine(backend, backend.machine, wish)
    else:
        offer = wish.offer(backend.method)
        if offer is None:
            return Misfit(backend, NO_ENGINE, None)
        if offer.refusal:
            return Misfit(backend, refusal(offer), None)
        estimate = of_engine(backend, offer, wish)
    obstacle = absence(backend, wish)
    return Misfit(backend, obstacle, estimate) if obstacle else Fit(backend, estimate)


def _rank(candidate: Candidate) -> tuple[float, ...]:
    match candidate:
        case Fit(backend, estimate):
            last = 0.5 if backend.last_resort else 0.0
            return (last, -estimate.fidelity, estimate.duration_p50.total_seconds(), float(estimate.price))
        case Misfit(_, obstacle):
            return (2.0 if obstacle.lasting else 1.0, obstacle.excess_bits)


def _named(ranked: list[Candidate], name: str, known: Iterable[str]) -> Candidate:
    for candidate in ranked:
        if candidate.backend.backend_id == name:
            return candidate
    known = ", ".join(sorted(known))
    raise InvalidArgument(
        f"hardware: there is no backend {name!r}; there are {known}, and auto.",
        reason="UNKNOWN_BACKEND",
        field="hardware",
    )


def _names(catalogue: Catalogue) -> list[str]:
    return [backend.backend_id for backend in catalogue.backends]


def _refusal(best: Misfit, ranked: list[Candidate], *, named: bool) -> MeshError:
    """Why the best candidate, or the one asked for, cannot be taken."""
    name, reason = best.backend.backend_id, best.obstacle.reason
    if not best.obstacle.lasting:
        message = f"{name} could run the program, but {reason}."
        return Unavailable(message, reason="HARDWARE_UNAVAILABLE", field="hardware", metadata={"backend": name})
    if not named:
        message = f"No backend can run this program. The nearest is {name}, but {reason}."
        return InvalidArgument(message, reason="NO_BACKEND_FITS", metadata={"nearest": name})
    fitting = [each.backend.backend_id for each in ranked if isinstance(each, Fit)]
    advice = f"These can run it: {', '.join(fitting)}." if fitting else "No other backend can run it either."
    message = f"hardware: {name} cannot run this program: {reason}. {advice}"
    metadata = {"fitting": ",".join(fitting)}
    return InvalidArgument(message, reason="PROGRAM_DOES_NOT_FIT", field="hardware", metadata=metadata)


def _praise(best: Fit, wish: Wish, *, named: bool) -> str:
    features, estimate = wish.features, best.estimate
    time = duration_text(estimate.duration_p50.total_seconds())
    backend = best.backend
    if backend.kind is Kind.LIVE and backend.machine is not None:
        account = f"the account of the {backend.owner} at {backend.machine.provider}"
        return f"{_circuit(features)}: the machine itself runs it for about {time} after its queue, through {account}."
    amplitudes = count_text(features.qubit_count)
    match backend.method:
        case Method.STATEVECTOR:
            what = _circuit(features)
            why = f"the state vector of {amplitudes} amplitudes is exact and takes {estimate.engine} {time}"
        case Method.STABILIZER:
            what = f"Clifford {_circuit(features, start='circuit')}"
            why = f"the stabilizer tableau is exact and takes {estimate.engine} {time}"
        case Method.MATRIX_PRODUCT_STATE:
            what = f"{_circuit(features)} with a bond dimension of at most {count_text(features.entanglement_bound)}"
            why = f"a matrix product state is exact and takes {estimate.engine} {time}"
        case Method.DECISION_DIAGRAM:
            what = _circuit(features)
            why = f"a decision diagram is exact and takes {estimate.engine} {time}"
        case Method.CALIBRATED_NOISE:
            return _twin_praise(backend, estimate, features)
    if backend.method is not Method.STATEVECTOR:
        why += f"; a state vector would have {amplitudes} amplitudes"
    offer = wish.offer(backend.method)
    if offer is not None and offer.comparison:
        why += f"; {offer.comparison}"
    return f"{what}: {why}.{' You asked for this backend.' if named else ''}"


def _twin_praise(backend: Backend, estimate: Estimate, features: Features) -> str:
    calibration = "" if backend.calibration is None else f" of {backend.calibration.calibration_id}"
    low, high = 100 * estimate.fidelity_low, 100 * estimate.fidelity_high
    time = duration_text(estimate.duration_p50.total_seconds())
    return (
        f"{_circuit(features)}: the calibration{calibration} is simulated with its noise, not run on the machine; that "
        f"takes {time}, and a fidelity of {low:.0f} to {high:.0f} % is expected. You asked for this backend."
    )


def _circuit(features: Features, start: str = "Circuit") -> str:
    qubits = f"{features.qubit_count} qubit{'s' if features.qubit_count > 1 else ''}"
    return (
        f"{start} of {qubits}"
        if features.circuit_count == 1
        else (f"{start} of {qubits}, run {features.circuit_count:,} times")
    )


def _comparison(other: Candidate, best: Estimate) -> str:
    if isinstance(other, Misfit):
        return _capitalised(other.obstacle.reason)
    if other.backend.last_resort:
        return "Just as exact, but how long it takes is hard to predict: it runs what names it, or fits nowhere else."
    own, chosen = (each.duration_p50.total_seconds() for each in (other.estimate, best))
    if own < chosen:
        return f"Could run it in {duration_text(own)} instead of {duration_text(chosen)}, but was not asked for."
    if duration_text(own) == duration_text(chosen):
        return "Just as exact and as fast; the order of the catalogue decides."
    return f"Just as exact, but needs {duration_text(own)} instead of {duration_text(chosen)}."


def _capitalised(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:]}."
