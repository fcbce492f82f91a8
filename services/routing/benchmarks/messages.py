"""Benchmarks and the scoreboard as protobuf messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from google.protobuf.duration_pb2 import Duration
from qm.routing.v1 import routing_pb2 as pb

from mesh.timestamps import timestamp
from services.routing.benchmarks.benchmark import Benchmark, Measurement
from services.routing.benchmarks.offline import Offline
from services.routing.benchmarks.scoreboard import Accuracy, Option, Scoreboard
from services.routing.catalogue import Kind
from services.routing.learning.beliefs import Beliefs
from services.routing.learning.hearing import forecast_of
from services.routing.learning.outcome import Outcome, Promise

MOST_POINTS = 500
_KINDS = {Kind.SIMULATOR: pb.BACKEND_KIND_SIMULATOR, Kind.TWIN: pb.BACKEND_KIND_TWIN, Kind.LIVE: pb.BACKEND_KIND_LIVE}


def plan_message(benchmark: Benchmark) -> pb.BenchmarkPlan:
    """A benchmark that is to be run."""
    return pb.BenchmarkPlan(
        benchmark_id=benchmark.benchmark_id,
        backend_id=benchmark.cell.backend_id,
        family=benchmark.cell.family,
        openqasm=benchmark.openqasm,
        shot_count=benchmark.shot_count,
    )


def measurement_message(measurement: Measurement, kind: Kind | None) -> pb.Benchmark:
    """A benchmark that was run; `kind` None for a backend that is not in the catalogue any more."""
    benchmark, outcome = measurement.benchmark, measurement.outcome
    return pb.Benchmark(
        benchmark_id=benchmark.benchmark_id,
        job_id=outcome.job_id,
        backend_id=outcome.backend_id,
        kind=_KINDS[kind] if kind else pb.BACKEND_KIND_UNSPECIFIED,
        family=benchmark.cell.family,
        qubit_count=benchmark.cell.qubit_count,
        depth=benchmark.depth,
        two_qubit_gate_count=benchmark.two_qubit_gate_count,
        shot_count=benchmark.shot_count,
        fidelity=outcome.fidelity or 0.0,
        estimate=None if outcome.promise is None else _estimate(outcome.promise),
        run_duration=_duration(outcome.engine_seconds or 0.0),
        calibration_id=outcome.calibration_id or "",
        end_time=timestamp(outcome.end_time),
    )


def scoreboard_message(
    board: Scoreboard, beliefs: Beliefs, outcomes: Sequence[Outcome], families: Mapping[str, str]
) -> pb.Scoreboard:
    """The scoreboard; `families` are those of the jobs that are benchmarks."""
    drifts = [(name, effect.drift_time) for name, effect in beliefs.fidelity.items()]
    return pb.Scoreboard(
        job_count=board.job_count,
        failed_count=board.failed_count,
        start_time=timestamp(board.start_time) if board.start_time else None,
        end_time=timestamp(board.end_time) if board.end_time else None,
        fidelity=_accuracy(board.fidelity),
        time=_accuracy(board.time),
        regret=pb.Regret(
            choice_count=board.regret.choice_count,
            mean=board.regret.mean,
            worst=board.regret.worst,
        ),
        drifts=[pb.Drift(backend_id=str(name), create_time=timestamp(time)) for name, time in drifts if time],
        beliefs_version=beliefs.version,
        points=_points(outcomes, families),
    )


def offline_message(offline: Offline) -> pb.OfflineScoreboard:
    """The offline scoreboard."""
    return pb.OfflineScoreboard(
        date=offline.date,
        model_version=offline.model_version,
        circuit_count=offline.circuit_count,
        machine_count=offline.machine_count,
        run_count=offline.run_count,
        scores=[
            pb.OfflineScore(
                world=each.world,
                pool=each.pool,
                measure=each.measure,
                method=each.method,
                value=each.score.value,
                low=each.score.low,
                high=each.score.high,
            )
            for each in offline.scores
        ],
    )


def options_of(decision: pb.Decision) -> list[Option]:
    """The candidates that could have run a program, the chosen one first."""
    weight = decision.weights.fidelity
    found = [(decision.backend.backend_id, decision.estimate)]
    found += [(each.backend_id, each.estimate) for each in decision.alternatives if each.eligible]
    return [
        Option(name, estimate.fidelity, forecast_of(estimate), estimate.utility, weight) for name, estimate in found
    ]


def _points(outcomes: Sequence[Outcome], families: Mapping[str, str]) -> list[pb.Point]:
    """Benchmarks alone: of a user's program nothing is told but its part in the sums."""
    found = [
        pb.Point(
            backend_id=outcome.backend_id,
            family=families[outcome.job_id],
            predicted=promise.fidelity,
            low=promise.fidelity_low,
            high=promise.fidelity_high,
            measured=measured,
        )
        for outcome in outcomes
        if outcome.job_id in families
        and (promise := outcome.promise) is not None
        and (measured := outcome.measured_fidelity) is not None
    ]
    return found[:MOST_POINTS]


def _accuracy(accuracy: Accuracy) -> pb.Accuracy:
    return pb.Accuracy(
        count=accuracy.count,
        mean_absolute_error=accuracy.mean_absolute_error,
        bias=accuracy.bias,
        coverage=accuracy.coverage,
        rank_correlation=accuracy.rank_correlation,
    )


def _estimate(promise: Promise) -> pb.Estimate:
    return pb.Estimate(
        fidelity=promise.fidelity,
        fidelity_low=promise.fidelity_low,
        fidelity_high=promise.fidelity_high,
        duration_p50=_duration(promise.seconds_p50),
        duration_p90=_duration(promise.seconds_p90),
    )


def _duration(seconds: float) -> Duration:
    span = Duration()
    span.FromTimedelta(dt.timedelta(seconds=seconds))
    return span
