"""Routing's nouns as protobuf messages, and requests as nouns."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import msgspec
from google.protobuf.duration_pb2 import Duration
from qm.routing.v1 import routing_pb2 as pb
from qm.type.v1 import requester_pb2
from qm.type.v1.money_pb2 import Money

from services.routing.catalogue import Backend, Kind, Owner
from services.routing.objective import PLAIN, Objective, Preference, Weights
from services.routing.policy import Alternative, Choice, Fit
from services.routing.program import EngineOffer, Environment, Estimate, Features, Forecast, Wish
from services.routing.question import Question

KINDS = {
    Kind.SIMULATOR: pb.BACKEND_KIND_SIMULATOR,
    Kind.TWIN: pb.BACKEND_KIND_TWIN,
    Kind.LIVE: pb.BACKEND_KIND_LIVE,
}
_OWNERS = {Owner.TEAM: pb.ACCOUNT_OWNER_TEAM, Owner.OPERATOR: pb.ACCOUNT_OWNER_OPERATOR}
_OWNER_OF = {number: owner for owner, number in _OWNERS.items()}
_KIND_OF = {number: kind for kind, number in KINDS.items()}
_PREFERENCES = {
    Preference.BALANCED: pb.PREFERENCE_BALANCED,
    Preference.FIDELITY: pb.PREFERENCE_FIDELITY,
    Preference.TIME: pb.PREFERENCE_TIME,
    Preference.COST: pb.PREFERENCE_COST,
}
_PREFERENCE_OF = {number: preference for preference, number in _PREFERENCES.items()}
_KNOWN_OFFERS = 4096
_ENVIRONMENTS = {
    requester_pb2.ENVIRONMENT_LIVE: Environment.LIVE,
    requester_pb2.ENVIRONMENT_TEST: Environment.TEST,
    requester_pb2.ENVIRONMENT_ENTERPRISE: Environment.ENTERPRISE,
}


def wish_of(request: pb.ChooseBackendRequest) -> Wish:
    """What a ChooseBackend request asks for."""
    features = request.features
    return Wish(
        hardware=request.hardware,
        features=Features(
            qubit_count=features.qubit_count,
            clbit_count=features.clbit_count,
            depth=features.depth,
            gate_count=features.gate_count,
            two_qubit_gate_count=features.two_qubit_gate_count,
            clifford=features.clifford,
            dynamic=features.dynamic,
            entanglement_bound=features.entanglement_bound,
            circuit_count=max(1, features.circuit_count),
            classical_seconds=features.classical_duration.ToNanoseconds() / 1e9,
        ),
        shot_count=request.shot_count,
        offers=tuple([_offer_of(offer.SerializeToString()) for offer in request.offers]),
        environment=_ENVIRONMENTS[request.requester.environment],
        excluded=frozenset(request.excluded_backend_ids),
        accounts=tuple((account.provider, _OWNER_OF[account.owner]) for account in request.accounts),
        objective=objective_of(request.objective) if request.HasField("objective") else PLAIN,
        priority=request.priority,
    )


def objective_of(message: pb.Objective) -> Objective:
    """What a caller wants of a choice."""
    limits = message.HasField
    return Objective(
        prefer=_PREFERENCE_OF.get(message.prefer, Preference.BALANCED),
        min_fidelity=message.min_fidelity if limits("min_fidelity") else None,
        deadline=message.deadline.ToTimedelta() if limits("deadline") else None,
        max_price=message.max_backend_price.micros if limits("max_backend_price") else None,
        residency=message.residency,
        kinds=tuple(sorted(_KIND_OF[kind] for kind in message.kinds)),
        explore=message.explore if limits("explore") else None,
    )


def weights_of(message: pb.Weights) -> Weights:
    """What each part of a prediction counts. Raises msgspec.ValidationError for a weight out of range."""
    told = {"fidelity": message.fidelity, "time": message.time, "price": message.price}
    return msgspec.convert(told, Weights)


@lru_cache(_KNOWN_OFFERS)
def _offer_of(serialized: bytes) -> EngineOffer:
    """The same offers come again and again; what they mean takes ten times as long to find out as their bytes."""
    message = pb.EngineOffer.FromString(serialized)
    return EngineOffer(
        engine=message.engine,
        method=message.method,
        duration_p50=message.duration_p50.ToTimedelta(),
        duration_p90=message.duration_p90.ToTimedelta(),
        memory_bytes=message.memory_bytes,
        comparison=message.comparison,
        refusal=message.refusal,
        excess_bits=message.excess_bits,
        line=message.line,
    )


def backend_message(backend: Backend, estimate: Estimate | None = None, queue_depth: int | None = None) -> pb.Backend:
    """A backend on the wire; with an `estimate` it has the engine and the price for one program."""
    machine, live = backend.machine, backend.kind is Kind.LIVE
    reachable = backend.online and not (live and backend.owner is None)
    return pb.Backend(
        backend_id=backend.backend_id,
        display_name=backend.display_name,
        kind=KINDS[backend.kind],
        status=pb.BACKEND_STATUS_ONLINE if reachable else pb.BACKEND_STATUS_OFFLINE,
        qubit_count=backend.qubit_count,
        engine=estimate.engine if estimate else "",
        method="" if live else backend.method,
        price=_money(estimate.price if estimate else backend.price_micros),
        description=backend.description,
        pool=backend.pool,
        provider=machine.provider if machine else "",
        provider_device=machine.device if machine else "",
        account_owner=_OWNERS[backend.owner] if backend.owner else pb.ACCOUNT_OWNER_UNSPECIFIED,
        calibration_id=backend.calibration.calibration_id if backend.calibration else "",
        residency=backend.residency,
        offline_reason=backend.offline_reason,
        queue_depth=queue_depth,
    )


def choice_message(choice: Choice, question: Question) -> pb.Decision:
    """A choice on the wire, which becomes a decision with an id and a time."""
    wish, weights = question.wish, choice.weights
    depth = next(each.queue_depth for each in question.outlooks if each.backend == choice.backend)
    return pb.Decision(
        backend=backend_message(choice.backend, choice.estimate, depth),
        reason=choice.reason,
        estimate=_estimate_message(choice.estimate),
        alternatives=map(_alternative_message, choice.alternatives),
        policy_version=choice.policy_version,
        objective=_objective_message(wish.objective),
        weights=pb.Weights(fidelity=weights.fidelity, time=weights.time, price=weights.price),
        model_version=choice.model_version,
        explored=choice.explored,
        features=_features_message(wish.features),
        shot_count=wish.shot_count,
    )


def _objective_message(objective: Objective) -> pb.Objective:
    deadline, most = objective.deadline, objective.max_price
    return pb.Objective(
        prefer=_PREFERENCES[objective.prefer],
        min_fidelity=objective.min_fidelity,
        deadline=None if deadline is None else _duration(deadline),
        max_backend_price=None if most is None else _money(most),
        residency=objective.residency,
        kinds=[KINDS[kind] for kind in objective.kinds],
        explore=objective.explore,
    )


def _features_message(features: Features) -> pb.Features:
    classical = Duration()
    classical.FromNanoseconds(round(features.classical_seconds * 1e9))
    return pb.Features(
        qubit_count=features.qubit_count,
        clbit_count=features.clbit_count,
        depth=features.depth,
        gate_count=features.gate_count,
        two_qubit_gate_count=features.two_qubit_gate_count,
        clifford=features.clifford,
        dynamic=features.dynamic,
        entanglement_bound=features.entanglement_bound,
        circuit_count=features.circuit_count,
        classical_duration=classical,
    )


def _alternative_message(alternative: Alternative) -> pb.Alternative:
    candidate = alternative.candidate
    return pb.Alternative(
        backend_id=candidate.backend.backend_id,
        eligible=isinstance(candidate, Fit),
        reason=alternative.reason,
        estimate=_estimate_message(candidate.estimate) if candidate.estimate else None,
        kind=KINDS[candidate.backend.kind],
    )


def _estimate_message(estimate: Estimate) -> pb.Estimate:
    return pb.Estimate(
        duration_p50=_duration(estimate.duration_p50),
        duration_p90=_duration(estimate.duration_p90),
        fidelity=estimate.fidelity,
        fidelity_low=estimate.fidelity_low,
        fidelity_high=estimate.fidelity_high,
        price=_money(estimate.price),
        memory_bytes=estimate.memory_bytes,
        queue_p50=_duration(estimate.queue_p50),
        queue_p90=_duration(estimate.queue_p90),
        fidelity_method=estimate.fidelity_method,
        calibration_id=estimate.calibration_id,
        fidelity_term=estimate.worth.fidelity,
        time_term=estimate.worth.time,
        price_term=estimate.worth.price,
        utility=estimate.worth.utility,
        forecast=_forecast_message(estimate.forecast) if estimate.forecast else None,
    )


def _forecast_message(forecast: Forecast) -> pb.Forecast:
    return pb.Forecast(
        fidelity=forecast.fidelity,
        fidelity_low=forecast.fidelity_low,
        fidelity_high=forecast.fidelity_high,
        duration_p50=_duration(forecast.duration_p50),
        duration_p90=_duration(forecast.duration_p90),
    )


def _duration(span: dt.timedelta) -> Duration:
    return Duration(seconds=span.days * 86_400 + span.seconds, nanos=span.microseconds * 1000)


def _money(micros: int) -> Money:
    return Money(currency_code="USD", micros=micros)
