"""Benchmarks and the scoreboard of routing over HTTP: what backends did, and how right the predictions were."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import UNSET, Meta, UnsetType
from qm.routing.v1 import routing_pb2 as pb

from edge.dialects.qmumma.benchmark_pictures import draw_benchmarks, draw_predictions
from edge.dialects.qmumma.rendering import milliseconds
from edge.dialects.qmumma.scalars import Count, Extent, Moment, Name, Positive, Real
from edge.exchange import Answer, Request, json_answer
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import BenchmarkServiceAsyncStub

SVG = b"image/svg+xml"
_A_MINUTE = (b"cache-control", b"public, max-age=60")
_NO_SCRIPTS = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox")
_PICTURED = 1000
_NAME = "^[a-z0-9_.-]{1,64}$"


class DrawBenchmarks(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which measurements to draw."""

    hardware: (
        Annotated[str, Meta(description="Only those of this backend.", pattern=_NAME, examples=["sim.statevector"])]
        | UnsetType
    ) = UNSET
    family: (
        Annotated[str, Meta(description="Only those of this family.", pattern=_NAME, examples=["ghz"])] | UnsetType
    ) = UNSET


class ListBenchmarks(DrawBenchmarks, forbid_unknown_fields=True, kw_only=True):
    """Which measurements to list."""

    limit: Annotated[int, Meta(description="Measurements at most.", ge=1, le=1000, examples=[200])] = 200


class ReadScoreboard(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How far to look back."""

    last: Annotated[int, Meta(description="Jobs that count, the last that ended.", ge=1, le=10000, examples=[1000])] = (
        1000
    )


class PredictedPart(msgspec.Struct):
    """A fidelity as it was predicted when the job was sent, with its interval of 90 %."""

    value: Annotated[float, Meta(description="What was expected.", ge=0, le=1)]
    low: Annotated[float, Meta(description="The lower bound.", ge=0, le=1)]
    high: Annotated[float, Meta(description="The upper bound.", ge=0, le=1)]


class PredictedTime(msgspec.Struct):
    """A time as it was predicted when the job was sent, queue and run."""

    p50: Annotated[Count, Meta(description="The median.")]
    p90: Annotated[Count, Meta(description="The 90th percentile.")]


class Measurement(msgspec.Struct, kw_only=True):
    """What one circuit did on one backend."""

    hardware: Annotated[Name, Meta(description="The backend.", examples=["sim.statevector"])]
    simulated: Annotated[
        bool, Meta(description="Whether a simulation ran it: of the machine's calibration, or without noise.")
    ]
    family: Annotated[Name, Meta(description="The circuit's family.", examples=["ghz"])]
    qubits: Annotated[Positive, Meta(description="The circuit's width.")]
    depth: Annotated[Positive, Meta(description="Of the circuit before it was fitted to the device.")]
    two_qubit_gates: Annotated[Count, Meta(description="Likewise.")]
    shots: Annotated[Positive, Meta(description="How often it was measured.")]
    fidelity: Annotated[float, Meta(description="Hellinger fidelity against the ideal distribution.", ge=0, le=1)]
    predicted_fidelity: Annotated[PredictedPart | None, Meta(description="Null where nothing was predicted.")]
    run_ms: Annotated[Extent, Meta(description="What its engine took.")]
    predicted_ms: Annotated[PredictedTime | None, Meta(description="Null where nothing was predicted.")]
    calibration_id: Annotated[Name | None, Meta(description="The calibration that was simulated, or that it had.")]
    measured_at: Annotated[Moment, Meta(description="When its job ended.")]


class MeasurementList(msgspec.Struct):
    """The newest measurement of each backend, family and width."""

    benchmarks: Annotated[list[Measurement], Meta(description="Newest first.", max_length=1000)]


class Accuracy(msgspec.Struct, kw_only=True):
    """How right predictions were; every number is 0 where `count` is."""

    count: Annotated[Count, Meta(description="Predictions whose outcome was measured.")]
    mean_absolute_error: Annotated[Extent, Meta(description="Of times, of the natural logarithm.")]
    bias: Annotated[Real, Meta(description="Mean of measured minus predicted, likewise.")]
    coverage: Annotated[
        float, Meta(description="The part that kept to the predicted 90 %: 0.9 would be exact.", ge=0, le=1)
    ]
    rank_correlation: Annotated[float, Meta(description="Spearman's, of predicted and measured.", ge=-1, le=1)]


class Regret(msgspec.Struct, kw_only=True):
    """What choices lost against the best of their candidates. A model's word: nobody ran the others."""

    choices: Annotated[Count, Meta(description="Choices among two backends or more.")]
    mean: Annotated[Extent, Meta(description="Of utility; 1 is worth as much as a fidelity of 1.")]
    worst: Annotated[Extent, Meta(description="The greatest of them.")]


class Drift(msgspec.Struct):
    """A backend that no longer does what its calibration says."""

    hardware: Annotated[Name, Meta(description="The backend.")]
    found_at: Annotated[Moment, Meta(description="When it was found.")]


class OfflineScore(msgspec.Struct, kw_only=True):
    """A number, with the interval in which 95 % of resamplings lie."""

    world: Annotated[Name, Meta(description="Whether calibrations were fresh or stale.", examples=["fresh"])]
    pool: Annotated[Name | None, Meta(description="The machines chosen among; null where all were predicted.")]
    measure: Annotated[Name, Meta(description="What was measured.", examples=["mean_absolute_error", "captured"])]
    method: Annotated[Name, Meta(description="What predicted or chose; ours is `prediction`.", examples=["prediction"])]
    value: Annotated[Real, Meta(description="The number.")]
    low: Annotated[Real, Meta(description="The interval's lower end.")]
    high: Annotated[Real, Meta(description="The interval's upper end.")]


class OfflineScoreboard(msgspec.Struct, kw_only=True):
    """What predictions and choices were worth on circuits that the model never saw, before anything ran here."""

    date: Annotated[Name, Meta(description="When it was made.", examples=["2026-11-21"])]
    simulated: Annotated[bool, Meta(description="Always true: its truth is simulated.")] = True
    model_version: Annotated[Name, Meta(description="Of the model of fidelity.")]
    circuits: Annotated[Count, Meta(description="Circuits that were run.")]
    machines: Annotated[Count, Meta(description="Machines that were simulated.")]
    runs: Annotated[Count, Meta(description="Runs that were simulated.")]
    scores: Annotated[list[OfflineScore], Meta(description="Ours and its rivals.", max_length=10_000)]


class Scoreboard(msgspec.Struct, kw_only=True):
    """How right routing was, by what became of the last jobs of everybody here."""

    jobs: Annotated[Count, Meta(description="The jobs that count.")]
    failed: Annotated[Count, Meta(description="Of them, those that failed for a fault of their hardware or ours.")]
    since: Annotated[Moment | None, Meta(description="When the first of them ended.")]
    until: Annotated[Moment | None, Meta(description="When the last of them ended.")]
    fidelity: Annotated[Accuracy, Meta(description="Of fidelities measured against the ideal distribution.")]
    time: Annotated[Accuracy, Meta(description="Of the time from acceptance to end; 90 % are to take at most `p90`.")]
    regret: Annotated[Regret, Meta(description="Of the choices.")]
    drifts: Annotated[
        list[Drift], Meta(description="Machines that have drifted from their calibrations.", max_length=1000)
    ]
    beliefs_version: Annotated[Name, Meta(description="Names what was learned so far.")]
    offline: Annotated[
        OfflineScoreboard | None, Meta(description="Not of jobs here: measured offline. Null where it was not.")
    ]


class Benchmarks:
    """The operations on benchmarks."""

    def __init__(self, routing: BenchmarkServiceAsyncStub) -> None:
        """Call `routing`, which owns them."""
        self._routing = routing

    async def measurements(self, request: Request[Nothing, ListBenchmarks]) -> Answer:
        """Answer `GET /v1/benchmarks`."""
        found = await self._listed(request.query, request.query.limit)
        return json_answer(MeasurementList([_measurement(each) for each in found]))

    async def draw(self, request: Request[Nothing, DrawBenchmarks]) -> Answer:
        """Answer `GET /v1/benchmarks/plot.svg`."""
        found = await self._listed(request.query, _PICTURED)
        return _picture(draw_benchmarks(found))

    async def scoreboard(self, request: Request[Nothing, ReadScoreboard]) -> Answer:
        """Answer `GET /v1/benchmarks/routing`."""
        return json_answer(_scoreboard(await self._board(request.query.last)))

    async def draw_scoreboard(self, request: Request[Nothing, ReadScoreboard]) -> Answer:
        """Answer `GET /v1/benchmarks/routing/plot.svg`."""
        return _picture(draw_predictions(await self._board(request.query.last)))

    async def _listed(self, query: DrawBenchmarks, limit: int) -> list[pb.Benchmark]:
        ask = pb.ListBenchmarksRequest(backend_id=query.hardware or "", family=query.family or "", page_size=limit)
        return list((await self._routing.ListBenchmarks(ask)).benchmarks)

    async def _board(self, count: int) -> pb.Scoreboard:
        return (await self._routing.GetScoreboard(pb.GetScoreboardRequest(job_count=count))).scoreboard


def _picture(svg: str) -> Answer:
    return Answer(200, svg.encode(), SVG, [_A_MINUTE, _NO_SCRIPTS])


def _measurement(each: pb.Benchmark) -> Measurement:
    told = each.estimate if each.HasField("estimate") else None
    return Measurement(
        hardware=each.backend_id,
        simulated=each.kind != pb.BACKEND_KIND_LIVE,
        family=each.family,
        qubits=each.qubit_count,
        depth=each.depth,
        two_qubit_gates=each.two_qubit_gate_count,
        shots=each.shot_count,
        fidelity=each.fidelity,
        predicted_fidelity=PredictedPart(told.fidelity, told.fidelity_low, told.fidelity_high) if told else None,
        run_ms=each.run_duration.ToTimedelta() / dt.timedelta(milliseconds=1),
        predicted_ms=PredictedTime(milliseconds(told.duration_p50), milliseconds(told.duration_p90)) if told else None,
        calibration_id=each.calibration_id or None,
        measured_at=_moment(each.end_time),
    )


def _scoreboard(board: pb.Scoreboard) -> Scoreboard:
    return Scoreboard(
        jobs=board.job_count,
        failed=board.failed_count,
        since=_moment(board.start_time) if board.HasField("start_time") else None,
        until=_moment(board.end_time) if board.HasField("end_time") else None,
        fidelity=_accuracy(board.fidelity),
        time=_accuracy(board.time),
        regret=Regret(choices=board.regret.choice_count, mean=board.regret.mean, worst=board.regret.worst),
        drifts=[Drift(drift.backend_id, _moment(drift.create_time)) for drift in board.drifts],
        beliefs_version=board.beliefs_version,
        offline=_offline(board.offline) if board.HasField("offline") else None,
    )


def _offline(told: pb.OfflineScoreboard) -> OfflineScoreboard:
    return OfflineScoreboard(
        date=told.date,
        model_version=told.model_version,
        circuits=told.circuit_count,
        machines=told.machine_count,
        runs=told.run_count,
        scores=[
            OfflineScore(
                world=each.world,
                pool=each.pool or None,
                measure=each.measure,
                method=each.method,
                value=each.value,
                low=each.low,
                high=each.high,
            )
            for each in told.scores
        ],
    )


def _accuracy(told: pb.Accuracy) -> Accuracy:
    return Accuracy(
        count=told.count,
        mean_absolute_error=told.mean_absolute_error,
        bias=told.bias,
        coverage=told.coverage,
        rank_correlation=told.rank_correlation,
    )


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(dt.UTC)
