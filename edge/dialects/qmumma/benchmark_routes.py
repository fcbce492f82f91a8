"""The declarations of the operations on benchmarks. All are open: what is published here names no team."""

from __future__ import annotations

from edge.dialects.qmumma.benchmarks import (
    Benchmarks,
    DrawBenchmarks,
    ListBenchmarks,
    MeasurementList,
    ReadScoreboard,
    Scoreboard,
)
from edge.dialects.qmumma.examples import one
from edge.operations import Operation, Outcome

_FAMILIES = (
    "Families: `ghz`, `mirror` (random Clifford layers and their inverse), `volume` (like quantum volume), `fourier` "
    "(inverse Fourier transform), `wstate`, `deutsch_jozsa`, `qaoa` (maximum cut of a ring), `real_amplitudes`. "
)
_MEASURED = (
    "Every twin and the state vector simulator are measured in turn with real jobs that nobody pays, while nobody "
    "waits. A machine itself is not: that would cost its owner money. "
)
_MEASUREMENT = {
    "hardware": "iqm_garnet",
    "simulated": True,
    "family": "ghz",
    "qubits": 8,
    "depth": 9,
    "two_qubit_gates": 7,
    "shots": 4096,
    "fidelity": 0.9312,
    "predicted_fidelity": {"value": 0.927, "low": 0.895, "high": 0.952},
    "run_ms": 148.2,
    "predicted_ms": {"p50": 160, "p90": 410},
    "calibration_id": "iqm_garnet@2026-09-01",
    "measured_at": "2026-11-21T04:00:00.125000Z",
}
_ACCURACY = {
    "count": 412,
    "mean_absolute_error": 0.011,
    "bias": -0.002,
    "coverage": 0.903,
    "rank_correlation": 0.98,
}
_SCOREBOARD = {
    "jobs": 1000,
    "failed": 2,
    "since": "2026-11-20T04:00:00.125000Z",
    "until": "2026-11-21T04:00:00.125000Z",
    "fidelity": _ACCURACY,
    "time": {**_ACCURACY, "mean_absolute_error": 0.31, "bias": 0.04, "rank_correlation": 0.93},
    "regret": {"choices": 640, "mean": 0.0004, "worst": 0.021},
    "drifts": [{"hardware": "iqm_garnet", "found_at": "2026-11-21T03:10:00.000000Z"}],
    "beliefs_version": "1:1-1000@2026-11-21T04:00:05Z",
    "offline": {
        "date": "2026-11-21",
        "simulated": True,
        "model_version": "2026-11-21.2",
        "circuits": 29,
        "machines": 24,
        "runs": 2085,
        "scores": [
            {
                "world": "fresh",
                "pool": "all",
                "measure": "mean_absolute_error",
                "method": "prediction",
                "value": 0.014,
                "low": 0.008,
                "high": 0.019,
            }
        ],
    },
}
_MINUTE = {"Cache-Control": "`public, max-age=60`."}
_WRONG = {400: "A query parameter is wrong; `param` names it."}


def benchmark_operations(benchmarks: Benchmarks) -> list[Operation]:
    """Everything under `/v1/benchmarks`."""
    return [_list(benchmarks), _draw(benchmarks), _scoreboard(benchmarks), _draw_scoreboard(benchmarks)]


def _list(benchmarks: Benchmarks) -> Operation:
    return Operation(
        id="listBenchmarks",
        method="GET",
        path="/v1/benchmarks",
        handler=benchmarks.measurements,
        tag="Benchmarks",
        summary="What backends achieved",
        description=f"{_MEASURED}{_FAMILIES}The newest measurement of each backend, family and width.",
        query=ListBenchmarks,
        outcomes=(
            Outcome(
                status=200,
                description="The measurements that match; none for a backend or family without any.",
                kind=MeasurementList,
                examples=one("One measurement", {"benchmarks": [_MEASUREMENT]}),
            ),
        ),
        errors=_WRONG,
        authenticated=False,
    )


def _draw(benchmarks: Benchmarks) -> Operation:
    return Operation(
        id="drawBenchmarks",
        method="GET",
        path="/v1/benchmarks/plot.svg",
        handler=benchmarks.draw,
        tag="Benchmarks",
        summary="What backends achieved, as a picture",
        description="The mean measured fidelity of each backend and family, the best backend first.",
        query=DrawBenchmarks,
        outcomes=(
            Outcome(
                status=200,
                description="The picture.",
                media_type="image/svg+xml",
                headers=_MINUTE,
                examples=one("A picture", "<svg>…</svg>"),
            ),
        ),
        errors=_WRONG,
        authenticated=False,
    )


def _scoreboard(benchmarks: Benchmarks) -> Operation:
    return Operation(
        id="getRoutingScoreboard",
        method="GET",
        path="/v1/benchmarks/routing",
        handler=benchmarks.scoreboard,
        tag="Benchmarks",
        summary="How right routing was",
        description="Over the last jobs of everybody here, benchmarks included: predicted beside measured, and what "
        "the choices lost by what is known now. Sums only; no job is told of. `offline` is another thing: what the "
        "predictions were worth on simulated truth, beside rivals (`bench/routing.py`).",
        query=ReadScoreboard,
        outcomes=(
            Outcome(
                status=200,
                description="The scoreboard.",
                kind=Scoreboard,
                examples=one("A day", _SCOREBOARD),
            ),
        ),
        errors=_WRONG,
        authenticated=False,
    )


def _draw_scoreboard(benchmarks: Benchmarks) -> Operation:
    return Operation(
        id="drawRoutingScoreboard",
        method="GET",
        path="/v1/benchmarks/routing/plot.svg",
        handler=benchmarks.draw_scoreboard,
        tag="Benchmarks",
        summary="How right routing was, as a picture",
        description="Predicted fidelity with its interval beside measured fidelity, for each of the newest benchmarks.",
        query=ReadScoreboard,
        outcomes=(
            Outcome(
                status=200,
                description="The picture.",
                media_type="image/svg+xml",
                headers=_MINUTE,
                examples=one("A picture", "<svg>…</svg>"),
            ),
        ),
        errors=_WRONG,
        authenticated=False,
    )
