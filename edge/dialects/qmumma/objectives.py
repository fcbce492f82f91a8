"""What a client wants of the choice of its backend: the type that validates it, and its message."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from qm.routing.v1 import routing_pb2
from qm.type.v1.money_pb2 import Money

from edge.errors import Refusal
from edge.money import Usd

Prefer = Literal["balanced", "fidelity", "time", "cost"]
BackendKind = Literal["simulator", "twin", "live"]
_PREFERENCES = {
    "balanced": routing_pb2.PREFERENCE_BALANCED,
    "fidelity": routing_pb2.PREFERENCE_FIDELITY,
    "time": routing_pb2.PREFERENCE_TIME,
    "cost": routing_pb2.PREFERENCE_COST,
}
PREFERENCE_WORDS: dict[int, Prefer] = {
    routing_pb2.PREFERENCE_BALANCED: "balanced",
    routing_pb2.PREFERENCE_FIDELITY: "fidelity",
    routing_pb2.PREFERENCE_TIME: "time",
    routing_pb2.PREFERENCE_COST: "cost",
}
_KINDS = {
    "simulator": routing_pb2.BACKEND_KIND_SIMULATOR,
    "twin": routing_pb2.BACKEND_KIND_TWIN,
    "live": routing_pb2.BACKEND_KIND_LIVE,
}
KIND_WORDS: dict[int, BackendKind] = {
    routing_pb2.BACKEND_KIND_SIMULATOR: "simulator",
    routing_pb2.BACKEND_KIND_TWIN: "twin",
    routing_pb2.BACKEND_KIND_LIVE: "live",
}


class Routing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What counts in the choice of the backend, and limits that rule backends out."""

    prefer: Annotated[
        Prefer,
        Meta(
            description="What counts most. The choice falls on the highest utility: a weight times the predicted "
            "fidelity, less a weight times log10(1 + minutes until the result), less a weight times the dollars that "
            "the backend adds. Time counts more for `priority` jobs."
        ),
    ] = "balanced"
    min_fidelity: (
        Annotated[float, Meta(description="Rules out what is predicted to do worse.", ge=0, le=1, examples=[0.9])]
        | UnsetType
    ) = UNSET
    deadline_seconds: (
        Annotated[
            float,
            Meta(
                description="Rules out what one job in ten is predicted to take longer for, its queue included.",
                gt=0,
                le=31_536_000,
                examples=[600],
            ),
        ]
        | UnsetType
    ) = UNSET
    max_backend_cost_usd: (
        Annotated[
            Usd,
            Meta(
                description="Rules out backends that add more to the algorithm's price; at most 6 decimals. "
                "`max_cost_usd` bounds the whole price, and the backend's with it.",
                examples=[2.5],
                extra_json_schema={"minimum": 0, "maximum": 10**9},
            ),
        ]
        | UnsetType
    ) = UNSET
    residency: (
        Annotated[
            str,
            Meta(
                description="Rules out backends outside a region: `local` is this installation, `eu` and `us` say what "
                "they mean. A machine whose region is not known is ruled out too.",
                pattern="^[a-z][a-z0-9-]{0,31}$",
                examples=["eu"],
            ),
        ]
        | UnsetType
    ) = UNSET
    kinds: (
        Annotated[
            list[BackendKind],
            Meta(
                description='Among what `"auto"` chooses; `["simulator"]` if left out, since a simulation without '
                'noise is better than one with it. `["twin"]` asks which machine would be best for this circuit, as '
                'its twin simulates it; `["live"]` runs it on one that you or your operator have an account for.',
                min_length=1,
                max_length=3,
                examples=[["twin"]],
                extra_json_schema={"uniqueItems": True},
            ),
        ]
        | UnsetType
    ) = UNSET
    explore: (
        Annotated[
            bool,
            Meta(
                description="Lets the choice fall on a backend of which little is known, if its utility is predicted "
                "to be within 0.01 of the best. Left out: for test keys alone."
            ),
        ]
        | UnsetType
    ) = UNSET


def objective_of(routing: Routing, max_cost: Usd | UnsetType) -> routing_pb2.Objective:
    """The message of what a client wants. Raises Refusal for a kind that is named twice."""
    objective = routing_pb2.Objective(prefer=_PREFERENCES[routing.prefer])
    if routing.min_fidelity is not UNSET:
        objective.min_fidelity = routing.min_fidelity
    if routing.deadline_seconds is not UNSET:
        objective.deadline.FromTimedelta(timedelta(seconds=routing.deadline_seconds))
    limits = [each.micros for each in (routing.max_backend_cost_usd, max_cost) if each is not UNSET]
    if limits:
        objective.max_backend_price.CopyFrom(Money(currency_code="USD", micros=min(limits)))
    if routing.residency is not UNSET:
        objective.residency = routing.residency
    if routing.kinds is not UNSET:
        if len(set(routing.kinds)) < len(routing.kinds):
            raise Refusal(400, "routing.kinds: names a kind twice", param="routing.kinds", reason="INVALID_FIELD")
        objective.kinds.extend(_KINDS[kind] for kind in routing.kinds)
    if routing.explore is not UNSET:
        objective.explore = routing.explore
    return objective
