"""Choices of a backend: what was known, and what the same or another policy makes of it again."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from qm.routing.v1 import routing_pb2 as pb
from qm.routing.v1.routing_pb2_grpc import RoutingServiceStub
from qm.type.v1.money_pb2 import Money

from deploy.admin.budgets import amount
from deploy.admin.command import Command, Failed, Shown, Thing, argument, identifier
from deploy.admin.output import dollars, time
from deploy.admin.session import Session

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub

_PREFERENCES = {
    "balanced": pb.PREFERENCE_BALANCED,
    "fidelity": pb.PREFERENCE_FIDELITY,
    "time": pb.PREFERENCE_TIME,
    "cost": pb.PREFERENCE_COST,
}
_KINDS = {
    pb.BACKEND_KIND_SIMULATOR: "simulator",
    pb.BACKEND_KIND_TWIN: "twin",
    pb.BACKEND_KIND_LIVE: "live",
}
_LONGEST_SECONDS = 1e9


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    kept = await _routing(session).GetDecision(pb.GetDecisionRequest(decision_id=given.decision))
    return {
        **_heading(kept),
        "reason": kept.decision.reason,
        "prefer": _preference(kept.decision.objective),
        "weights": _weights(kept.decision.weights),
        "policy": kept.decision.policy_version,
        "model": kept.decision.model_version,
        "explored": kept.decision.explored,
        "candidates": _candidates(kept.decision),
    }


async def _replay(session: Session, given: argparse.Namespace) -> Shown:
    """What would be decided. Fails where nothing would do, or where the same policy does not decide the same."""
    routing = _routing(session)
    kept = await routing.GetDecision(pb.GetDecisionRequest(decision_id=given.decision))
    request = pb.ReplayDecisionRequest(decision_id=given.decision)
    if changed := _changes(given):
        request.objective.CopyFrom(_objective(kept.decision.objective, given))
    if given.weights:
        fidelity, minutes, price = given.weights
        request.weights.CopyFrom(pb.Weights(fidelity=fidelity, time=minutes, price=price))
    again = await routing.ReplayDecision(request)
    shown: Thing = {**_heading(kept), "same_policy": not (changed or given.weights)}
    if again.refusal:
        raise Failed(shown, again.refusal)
    shown |= {
        "would_be": again.decision.backend.backend_id,
        "identical": again.identical,
        "reason": again.decision.reason,
        "prefer": _preference(again.decision.objective),
        "weights": _weights(again.decision.weights),
        "candidates": _candidates(again.decision),
    }
    if shown["same_policy"] and not again.identical:
        raise Failed(shown, "the decision does not come out as it was: the policy or its data have changed since")
    return shown


def _changes(given: argparse.Namespace) -> bool:
    wished = (given.prefer, given.min_fidelity, given.deadline, given.max_cost, given.residency)
    return given.without_limits or any(each is not None for each in wished)


def _objective(first: pb.Objective, given: argparse.Namespace) -> pb.Objective:
    """What was wanted, but for what the command says."""
    wanted = pb.Objective()
    wanted.CopyFrom(first)
    if given.without_limits:
        for name in ("min_fidelity", "deadline", "max_backend_price", "residency"):
            wanted.ClearField(name)
    if given.prefer is not None:
        wanted.prefer = _PREFERENCES[given.prefer]
    if given.min_fidelity is not None:
        wanted.min_fidelity = given.min_fidelity
    if given.deadline is not None:
        wanted.deadline.CopyFrom(given.deadline)
    if given.max_cost is not None:
        wanted.max_backend_price.CopyFrom(Money(currency_code="USD", micros=given.max_cost))
    if given.residency is not None:
        wanted.residency = given.residency
    return wanted


def _heading(kept: pb.GetDecisionResponse) -> Thing:
    return {
        "decision_id": kept.decision.decision_id,
        "job_id": kept.job_id,
        "team_id": kept.team_id,
        "decided_at": time(kept.decision.create_time),
        "backend": kept.decision.backend.backend_id,
    }


def _candidates(decision: pb.Decision) -> list[Thing]:
    chosen = _candidate(decision.backend.backend_id, decision.backend.kind, decision.estimate, decision.reason)
    return [
        chosen,
        *(
            _candidate(each.backend_id, each.kind, each.estimate if each.HasField("estimate") else None, each.reason)
            for each in decision.alternatives
        ),
    ]


def _candidate(name: str, kind: pb.BackendKind.ValueType, estimate: pb.Estimate | None, reason: str) -> Thing:
    told = {"backend": name, "kind": _KINDS.get(kind, ""), "utility": None, "fidelity": None}
    if estimate is None:
        return {**told, "seconds": None, "adds_usd": None, "reason": reason}
    return {
        **told,
        "utility": round(estimate.utility, 6),
        "fidelity": round(estimate.fidelity, 6),
        "seconds": estimate.duration_p50.ToTimedelta().total_seconds(),
        "adds_usd": dollars(estimate.price),
        "reason": reason,
    }


def _preference(objective: pb.Objective) -> str:
    return next((word for word, each in _PREFERENCES.items() if each == objective.prefer), "balanced")


def _weights(weights: pb.Weights) -> str:
    return f"{weights.fidelity:g} fidelity - {weights.time:g} log10(1 + minutes) - {weights.price:g} dollars"


def _routing(session: Session) -> RoutingServiceAsyncStub:
    return RoutingServiceStub(session.channel("routing"))


def seconds(text: str) -> Duration:
    """A time from the command line. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give seconds, such as 90 or 0.5")
    span = Duration()
    span.FromNanoseconds(round(value * 1e9))
    return span


def number(text: str) -> float:
    """A finite number from the command line. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


_DECISION = argument("decision", "its id, as `jobs show` and GET /v1/jobs/{id}/decision tell it", type=identifier)
COMMANDS = (
    Command(
        group="decisions",
        name="show",
        summary="a choice of a backend: what was predicted of every candidate, and why one was taken",
        run=_show,
        arguments=(_DECISION,),
    ),
    Command(
        group="decisions",
        name="replay",
        summary="decide again from what was known: the same, or as another policy would have",
        run=_replay,
        arguments=(
            _DECISION,
            argument("--prefer", "what counts most, instead of what the caller preferred", choices=tuple(_PREFERENCES)),
            argument("--min-fidelity", "rule out what is predicted to have less, 0 to 1", type=number),
            argument("--deadline", "rule out what takes longer, in seconds", type=seconds, metavar="SECONDS"),
            argument("--max-cost", "rule out what adds more dollars", type=amount, metavar="USD"),
            argument("--residency", "rule out what runs elsewhere"),
            argument("--without-limits", "drop the limits that the caller set", action="store_true"),
            argument(
                "--weights",
                "what fidelity, time and cost count, instead of the policy's",
                nargs=3,
                type=number,
                metavar=("FIDELITY", "TIME", "COST"),
            ),
        ),
        examples=(
            "decisions replay 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e60",
            "decisions replay 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e60 --prefer time --max-cost 2.50",
            "decisions replay 0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e60 --weights 1 0 0",
        ),
    ),
)
