"""What the engines offer for a program, as routing takes it: the best of each method, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from qm.routing.v1 import routing_pb2

from mesh.errors import InvalidArgument
from mesh.wording import duration_text
from services.execution.engines.cost import CostModel, Limits, Plan, Refusal
from services.execution.programs.features import Features
from services.execution.twins import prediction

_LONGEST_SECONDS = 3_000_000_000.0

W = TypeVar("W", Plan, Refusal)


class Offers:
    """Makes offers from a model of costs."""

    def __init__(self, model: CostModel, limits: Limits) -> None:
        """Offer what `limits` allow."""
        self._model = model
        self.limits = limits

    def of(
        self,
        features: Features,
        shots: int,
        *,
        engine: str | None = None,
        without: Collection[str] = (),
        seconds: float = math.inf,
    ) -> list[routing_pb2.EngineOffer]:
        """At most one offer for each method.

        A run may take `seconds`, or less where the limits say so. `engine` is the caller's own choice, and leaves the
        others out; `without` are those that failed. Raises
        InvalidArgument where the caller chose an engine that cannot run the program.
        """
        limits = replace(self.limits, seconds=min(seconds, self.limits.seconds))
        plans, refusals = self._model.plans(features, shots, limits, engine=engine, without=without)
        if engine is not None and not plans:
            raise self._unfit(engine, features, shots, limits, refusals)
        made = [_offer(plan, plans) for plan in _first_of_each_method(plans)]
        offered = {offer.method for offer in made}
        made += [
            routing_pb2.EngineOffer(
                engine=refusal.engine, method=refusal.method, refusal=refusal.reason, excess_bits=refusal.excess_bits
            )
            for refusal in _first_of_each_method(refusals)
            if refusal.method not in offered
        ]
        if engine is None and prediction.ENGINE not in without:
            made.append(_twin(features, shots, limits))
        return made

    def _unfit(
        self, engine: str, features: Features, shots: int, limits: Limits, refusals: Sequence[Refusal]
    ) -> InvalidArgument:
        others, _ = self._model.plans(features, shots, limits, without=(engine,))
        fitting = list(dict.fromkeys(plan.engine for plan in others))
        reason = refusals[0].reason if refusals else "there is no such engine here"
        advice = f"These can run it: {', '.join(fitting)}." if fitting else "No other engine can run it either."
        return InvalidArgument(
            f"parameters.engine: {engine} cannot run this program: {reason}. {advice}",
            reason="ENGINE_DOES_NOT_FIT",
            field="parameters.engine",
            metadata={"fitting": ",".join(fitting)},
        )


def _twin(features: Features, shots: int, limits: Limits) -> routing_pb2.EngineOffer:
    """What any twin offers; which machine's is asked for, routing knows."""
    seconds = prediction.seconds(features, shots)
    offer = routing_pb2.EngineOffer(engine=prediction.ENGINE, method=prediction.METHOD)
    if seconds > limits.seconds:
        needed, most = duration_text(seconds), duration_text(limits.seconds)
        offer.refusal = f"the noisy simulation would take about {needed} and may take {most}"
        offer.excess_bits = math.log2(seconds / limits.seconds)
        return offer
    offer.duration_p50.CopyFrom(_duration(seconds))
    offer.duration_p90.CopyFrom(_duration(seconds * prediction.SPREAD_P90))
    offer.memory_bytes = prediction.memory_bytes(features)
    return offer


def _first_of_each_method(ways: Sequence[W]) -> list[W]:
    first: dict[str, W] = {}
    for way in ways:
        first.setdefault(way.method, way)
    return list(first.values())


def _offer(plan: Plan, plans: Sequence[Plan]) -> routing_pb2.EngineOffer:
    others = [other for other in plans if other.method == plan.method and other is not plan]
    # A ratio: routing tells the time of the one that runs as it has learned it, which no other's was corrected by.
    comparison = (
        f"{others[0].engine} would need {others[0].seconds_p50 / plan.seconds_p50:.1f} times as long" if others else ""
    )
    if not plan.predictable:
        comparison = f"only running shows how long that takes, at most {duration_text(plan.seconds_p90)}"
    return routing_pb2.EngineOffer(
        engine=plan.engine,
        method=plan.method,
        duration_p50=_duration(plan.seconds_p50),
        duration_p90=_duration(plan.seconds_p90),
        memory_bytes=plan.memory_bytes,
        comparison=comparison,
    )


def _duration(seconds: float) -> Duration:
    whole, part = divmod(min(seconds, _LONGEST_SECONDS), 1.0)
    return Duration(seconds=int(whole), nanos=int(part * 1e9))
