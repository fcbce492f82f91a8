"""The reasons of a choice, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from mesh.wording import count_text, duration_text
from services.routing.catalogue import Backend, Kind, Method
from services.routing.objective import MICROS
from services.routing.program import Estimate, Features, Wish

_TOLD = 8
"""Backends whose obstacles are told in one message; the rest are counted."""
_ALIKE = 1e-9
UNSEEN = (
    " Fidelities are by the medians of calibrations: the algorithm makes its circuit only as it runs, or has none that "
    "can be fitted to a machine beforehand."
)
"""What is added where nobody could show the circuit."""


def praise(backend: Backend, estimate: Estimate, wish: Wish, *, explored: bool) -> str:
    """Why a backend was taken."""
    if backend.kind is not Kind.SIMULATOR:
        what = _of_noise(backend, estimate, wish.features)
        if wish.named:
            return f"{what} You asked for this backend." if backend.kind is Kind.TWIN else what
        if explored:
            return f"{what} Another looks better, but less is known of this one, and you let it be explored."
        return f"{what} Of those that you allow it has the highest utility, {estimate.worth.utility:.4f}."
    features = wish.features
    amplitudes, time = count_text(features.qubit_count), duration_text(estimate.run_seconds)
    match backend.method:
        case Method.STABILIZER:
            what = f"Clifford {_circuit(features, start='circuit')}"
            why = f"the stabilizer tableau is exact and takes {estimate.engine} {time}"
        case Method.MATRIX_PRODUCT_STATE:
            what = f"{_circuit(features)} with a bond dimension of at most {count_text(features.entanglement_bound)}"
            why = f"a matrix product state is exact and takes {estimate.engine} {time}"
        case Method.DECISION_DIAGRAM:
            what = _circuit(features)
            why = f"a decision diagram is exact and takes {estimate.engine} {time}"
        case _:
            what = _circuit(features)
            why = f"the state vector of {amplitudes} amplitudes is exact and takes {estimate.engine} {time}"
    if backend.method is not Method.STATEVECTOR:
        why += f"; a state vector would have {amplitudes} amplitudes"
    offer = wish.offer(backend.method)
    if offer is not None and offer.comparison:
        why += f"; {offer.comparison}"
    return f"{what}: {why}.{' You asked for this backend.' if wish.named else ''}"


def comparison(other: Backend, estimate: Estimate, best: Estimate, *, named: bool) -> str:
    """Why a backend that could run the program was not taken."""
    own, chosen = estimate.duration_p50.total_seconds(), best.duration_p50.total_seconds()
    if abs(estimate.fidelity - best.fidelity) > _ALIKE or estimate.price != best.price:
        return _trade(estimate, best, named=named)
    if other.last_resort:
        return "Just as exact, but how long it takes is hard to predict: it runs what names it, or fits nowhere else."
    if own < chosen:
        return f"Could run it in {duration_text(own)} instead of {duration_text(chosen)}, but was not asked for."
    alike = "Just as exact" if estimate.fidelity == 1 else "Just as good"
    if duration_text(own) == duration_text(chosen):
        return f"{alike} and as fast; the order of the catalogue decides."
    return f"{alike}, but needs {duration_text(own)} instead of {duration_text(chosen)}."


def ruled_out(obstacles: Iterable[tuple[str, str]]) -> str:
    """What is in the way of the others, as a sentence to append; empty where there are none."""
    told = [f"{name} ({reason})" for name, reason in obstacles]
    if not told:
        return ""
    rest = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f" Ruled out as well: {'; '.join(told[:_TOLD])}{rest}."


def _trade(estimate: Estimate, best: Estimate, *, named: bool) -> str:
    """How a candidate differs in fidelity, time and price, and what that makes of its utility."""
    own, chosen = (duration_text(each.duration_p50.total_seconds()) for each in (estimate, best))
    parts = [
        f"fidelity {estimate.fidelity:.3f} instead of {best.fidelity:.3f}",
        f"{own} instead of {chosen}",
    ]
    if estimate.price != best.price:
        parts.append(f"${estimate.price / MICROS:,.2f} instead of ${best.price / MICROS:,.2f}")
    differs = ", ".join(parts)
    ahead = estimate.worth.utility - best.worth.utility
    word = "more" if ahead > 0 else "less"
    asked = ", but was not asked for" if ahead > 0 and named else ""
    return f"{differs[0].upper()}{differs[1:]}: a utility of {abs(ahead):.4f} {word}{asked}."


def _of_noise(backend: Backend, estimate: Estimate, features: Features) -> str:
    low, high = 100 * estimate.fidelity_low, 100 * estimate.fidelity_high
    time = duration_text(estimate.run_seconds)
    if backend.kind is Kind.LIVE:
        account = f"the account of the {backend.owner} at {estimate.engine}"
        return f"{_circuit(features)}: the machine itself runs it for about {time} after its queue, through {account}."
    calibration = f" of {estimate.calibration_id}" if estimate.calibration_id else ""
    return (
        f"{_circuit(features)}: the calibration{calibration} is simulated with its noise, not run on the machine; that "
        f"takes {time}, and a fidelity of {low:.0f} to {high:.0f} % is expected."
    )


def _circuit(features: Features, start: str = "Circuit") -> str:
    qubits = f"{features.qubit_count} qubit{'s' if features.qubit_count > 1 else ''}"
    return (
        f"{start} of {qubits}"
        if features.circuit_count == 1
        else (f"{start} of {qubits}, run {features.circuit_count:,} times")
    )
