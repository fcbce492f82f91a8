"""The RPCs of routing: check, decide, answer."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from qm.routing.v1 import routing_pb2 as pb
from uuid_utils import uuid7

from mesh.call import Call
from mesh.errors import Conflict, InvalidArgument, MeshError, NotFound
from mesh.timestamps import timestamp
from services.routing.catalogue import Backend, Kind
from services.routing.decision import Decision, DecisionId, Grounds, JobId, Kept, TeamId
from services.routing.history import newest
from services.routing.messages import backend_message, choice_message, objective_of, weights_of, wish_of
from services.routing.policy import choose
from services.routing.program import AUTO
from services.routing.question import Outlook, Question
from services.routing.recorder import Recorder
from services.routing.situation import Situation
from services.routing.standing_messages import calibration_message, report_of, snapshot_of, supplier_message
from services.routing.store import CalibrationStore, DecisionStore
from services.routing.supplier import Suppliers

KNOWN_WISHES = 4096
"""Programs whose choice among simulators is remembered, as long as nothing changes."""
KNOWN_FITS = 512
"""Likewise where machines were chosen among: what is kept of 71 candidates has some 60 kB."""
PAGE_SIZE = 100
CLOCKS_APART = dt.timedelta(minutes=5)
"""How far ahead the clock may be that a calibration was measured by."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A choice, and what is kept of it."""

    backend: Backend
    outlook: Outlook
    policy_version: str
    grounds: Grounds


@dataclass(frozen=True, slots=True)
class Kits:
    """Where routing keeps things."""

    recorder: Recorder
    decisions: DecisionStore
    calibrations: CalibrationStore


class RoutingService:
    """Answers qm.routing.v1.RoutingService."""

    def __init__(
        self, situation: Situation, kits: Kits, suppliers: Suppliers, *, clock: Callable[[], dt.datetime]
    ) -> None:
        """Choose by `situation` and keep the decisions; `clock` tells the time in UTC."""
        self._situation = situation
        self._kits = kits
        self._suppliers = suppliers
        self._clock = clock
        # A choice is pure, and the same program is often sent again.
        self._known: OrderedDict[tuple[object, ...], _Answer] = OrderedDict()
        self._fits: OrderedDict[tuple[object, ...], _Answer] = OrderedDict()
        self._simulators = {each.backend_id for each in situation.catalogue.backends if each.kind is Kind.SIMULATOR}
        self._known_by: tuple[object, ...] = ()

    async def ListBackends(self, request: pb.ListBackendsRequest, _call: Call) -> pb.ListBackendsResponse:
        """List the backends in the order of the catalogue, as they are now."""
        standings, response = self._situation.standings, pb.ListBackendsResponse()
        for backend in self._situation.catalogue.backends:
            message = backend_message(standings.now(backend), queue_depth=standings.depth(backend))
            if request.line:
                wait = standings.wait(backend, request.line, request.team_id)
                message.queue_p50.FromMicroseconds(round(wait.p50 * 1e6))
            response.backends.append(message)
        return response

    async def ChooseBackend(self, request: pb.ChooseBackendRequest, _call: Call) -> pb.ChooseBackendResponse:
        """Pick a backend and say why. Raises what `offered` and `policy.choose` raise."""
        now = self._clock()
        answer = self._simulated(request, now) if self._is_plain(request) else await self._fitted(request, now)
        standings = self._situation.standings
        decision = Decision(
            decision_id=DecisionId(str(uuid7())),
            job_id=JobId(request.job_id),
            team_id=TeamId(request.requester.team_id),
            hardware=request.hardware,
            backend_id=answer.backend.backend_id,
            shot_count=request.shot_count,
            policy_version=answer.policy_version,
            queue=answer.outlook.queue,
            queue_depth=answer.outlook.queue_depth or 0,
            exposure=answer.outlook.exposure,
            grounds=answer.grounds,
            create_time=now,
        )
        self._kits.recorder.keep(decision)
        standings.took(answer.backend)
        return pb.ChooseBackendResponse(decision=_told(answer.grounds.answer, decision.decision_id, now))

    async def GetDecision(self, request: pb.GetDecisionRequest, _call: Call) -> pb.GetDecisionResponse:
        """Return a decision that is kept."""
        kept = await self._find(request.decision_id, request.team_id)
        decision = _told(kept.answer, kept.decision_id, kept.create_time)
        return pb.GetDecisionResponse(decision=decision, job_id=kept.job_id, team_id=kept.team_id)

    async def ReplayDecision(self, request: pb.ReplayDecisionRequest, _call: Call) -> pb.ReplayDecisionResponse:
        """Decide again from what was kept, as it was or by another objective."""
        kept = await self._find(request.decision_id, request.team_id)
        try:
            question = self._changed(kept.asked(), request)
        except msgspec.ValidationError as error:
            message = f"weights: {error}"
            raise InvalidArgument(message, reason="INVALID_FIELD", field="weights") from error
        try:
            answer = choice_message(choose(question), question).SerializeToString()
        except MeshError as refusal:
            return pb.ReplayDecisionResponse(refusal=refusal.message)
        return pb.ReplayDecisionResponse(
            decision=_told(answer, kept.decision_id, kept.create_time), identical=answer == kept.answer
        )

    async def ReportBackends(self, request: pb.ReportBackendsRequest, _call: Call) -> pb.ReportBackendsResponse:
        """Note how backends are. Raises NotFound (UNKNOWN_BACKEND)."""
        backends = self._situation.catalogue.backends
        known, pools = {each.backend_id for each in backends}, {f"pool:{each.pool}" for each in backends}
        # "pool:sim/short" is a line of "pool:sim"; which there are, execution knows.
        names = [each.backend_id for each in request.reports]
        if unknown := [name for name in names if name not in known and name.partition("/")[0] not in pools]:
            message = f"there is no backend {unknown[0]!r}"
            raise NotFound(message, reason="UNKNOWN_BACKEND", field="reports.backend_id")
        now = self._clock()
        for report in request.reports:
            self._situation.standings.report(report.backend_id, report_of(report, now))
        return pb.ReportBackendsResponse()

    async def ListSuppliers(self, _request: pb.ListSuppliersRequest, _call: Call) -> pb.ListSuppliersResponse:
        """List who sells access to machines, and what of it runs here now."""
        catalogue, standings = self._situation.catalogue, self._situation.standings
        modes = {each.backend_id: each.kind for each in catalogue.backends if standings.now(each).online}
        return pb.ListSuppliersResponse(suppliers=[supplier_message(each, modes) for each in self._suppliers.suppliers])

    async def AddCalibration(self, request: pb.AddCalibrationRequest, _call: Call) -> pb.AddCalibrationResponse:
        """Keep a snapshot. Raises NotFound (UNKNOWN_BACKEND), InvalidArgument and Conflict (CALIBRATION_ID_TAKEN)."""
        snapshot, situation = snapshot_of(request.calibration), self._situation
        if snapshot.measure_time > self._clock() + CLOCKS_APART:  # it would be the newest for as long
            message = "measure_time: a calibration was measured in the past"
            raise InvalidArgument(message, reason="INVALID_FIELD", field="calibration.measure_time")
        if situation.catalogue.find(snapshot.backend_id) is None:
            message = f"there is no backend {snapshot.backend_id!r}"
            raise NotFound(message, reason="UNKNOWN_BACKEND", field="calibration.backend_id")
        await self._kits.calibrations.add([snapshot], self._clock())
        kept = await self._kits.calibrations.find(snapshot.calibration_id)
        if kept is None or not kept.says(snapshot):
            message = f"calibration_id: {snapshot.calibration_id} names another snapshot; give it its own id"
            raise Conflict(message, reason="CALIBRATION_ID_TAKEN", field="calibration.calibration_id")
        situation.calibrations = newest(await self._kits.calibrations.newest(), situation.catalogue)
        self._forget()
        return pb.AddCalibrationResponse(calibration=calibration_message(kept))

    async def ListCalibrations(self, request: pb.ListCalibrationsRequest, _call: Call) -> pb.ListCalibrationsResponse:
        """List snapshots, the last measured first."""
        if request.calibration_id:
            one = await self._kits.calibrations.find(request.calibration_id)
            found = [one] if one is not None and request.backend_id in ("", one.backend_id) else []
        else:
            found = await self._kits.calibrations.page(request.backend_id, request.page_size or PAGE_SIZE)
        return pb.ListCalibrationsResponse(calibrations=[calibration_message(each) for each in found])

    def _is_plain(self, request: pb.ChooseBackendRequest) -> bool:
        """Whether a choice concerns simulators alone, so that nothing has to be predicted for it."""
        if request.hardware != AUTO:
            return request.hardware in self._simulators
        return not request.objective.kinds or list(request.objective.kinds) == [pb.BACKEND_KIND_SIMULATOR]

    def _simulated(self, request: pb.ChooseBackendRequest, now: dt.datetime) -> _Answer:
        key = self._look_up(request, now)
        answer = self._known.get(key)
        if answer is None:
            answer = self._answer(self._situation.plain(wish_of(request), request.requester.team_id))
            _remember(self._known, key, answer, KNOWN_WISHES)
        return answer

    async def _fitted(self, request: pb.ChooseBackendRequest, now: dt.datetime) -> _Answer:
        key = self._look_up(request, now)
        if (known := self._fits.get(key)) is not None:
            return known
        by, wish = self._known_by, wish_of(request)
        expected = await self._situation.expected(wish, request.circuit)
        # A choice sees of the circuit only what is predicted, which is the same for other angles of a known structure.
        alike = (*key[1:], expected.unseen, *expected.predictions.items())
        answer = self._fits.get(alike) if by == self._known_by else None
        if answer is None:
            question = self._situation.question(wish, expected, request.requester.team_id)
            answer = self._answer(question)
            if question.explores or by != self._known_by:
                return answer
            _remember(self._fits, alike, answer, KNOWN_FITS)
        if expected.settled:
            _remember(self._fits, key, answer, KNOWN_FITS)
        return answer

    def _look_up(self, request: pb.ChooseBackendRequest, now: dt.datetime) -> tuple[object, ...]:
        """What a request is remembered by; forgets everything where something has changed."""
        version = self._situation.version(now)
        if version != self._known_by:
            self._forget()
            self._known_by = version
        return (*_key(request), self._situation.standings.places(request.requester.team_id))

    def _forget(self) -> None:
        self._known.clear()
        self._fits.clear()

    def _answer(self, question: Question) -> _Answer:
        choice = choose(question)
        message = choice_message(choice, question).SerializeToString()
        outlook = next(each for each in question.outlooks if each.backend == choice.backend)
        return _Answer(choice.backend, outlook, choice.policy_version, Grounds(question, choice, message))

    def _changed(self, question: Question, request: pb.ReplayDecisionRequest) -> Question:
        """A question as another policy would have asked it. Raises msgspec.ValidationError."""
        objective = objective_of(request.objective) if request.HasField("objective") else None
        weights = weights_of(request.weights) if request.HasField("weights") else None
        if objective is not None and weights is None:
            weights = self._situation.policy.weigh(objective.prefer, priority=question.wish.priority)
        return question.by(objective, weights)

    async def _find(self, decision_id: str, team_id: str) -> Kept:
        kept = await self._kits.decisions.find(decision_id, team_id)
        if kept is None:
            message = f"there is no decision {decision_id}"
            raise NotFound(message, reason="DECISION_NOT_FOUND", field="decision_id")
        return kept


def _remember(
    known: OrderedDict[tuple[object, ...], _Answer], key: tuple[object, ...], answer: _Answer, most: int
) -> None:
    known[key] = answer
    if len(known) > most:
        known.popitem(last=False)


def _key(request: pb.ChooseBackendRequest) -> tuple[object, ...]:
    """All of a request that a choice depends on, the circuit first; quicker than a wish could be made of it."""
    return (
        hashlib.sha256(request.circuit).digest() if request.circuit else b"",
        request.hardware,
        request.shot_count,
        request.requester.environment,
        request.priority,
        request.features.SerializeToString(),
        request.objective.SerializeToString(),
        *[account.SerializeToString() for account in request.accounts],
        *request.excluded_backend_ids,
        *[offer.SerializeToString() for offer in request.offers],
    )


def _told(message: bytes, decision_id: DecisionId, time: dt.datetime) -> pb.Decision:
    decision = pb.Decision.FromString(message)
    decision.decision_id = decision_id
    decision.create_time.CopyFrom(timestamp(time))
    return decision
