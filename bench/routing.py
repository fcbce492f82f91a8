"""The scoreboard of routing's predictions and choices, on circuits, machines and days that the model never saw.

    python -m bench.routing            prints it, and writes services/routing/prediction/scoreboard.json
    python -m bench.routing --fit      fits the model first, to the training side, and writes model.json
    python -m bench.routing --weights  tells what fitted weights are worth on kinds of circuits that they have not seen
    python -m bench.routing_truth      makes the truth anew (bench/routing_data)

The truth is simulated: see bench/routing_worlds.py. `fresh` is judged by the calibration of the day of the run, `stale`
by that of another day, `harsh` is fresh with twice the coherent errors and more crosstalk.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.routing_predictions import Judged, Numbers, array, fit, forest, judge, left_out
from bench.routing_scores import Pool, Score, resampled
from bench.routing_speed import Speed, measured
from bench.routing_truth import MIXED, POOLS, PROBES, TEST, TEST_WORLDS, TRAIN_WORLDS, TRUTH_FILE, Truth
from services.routing.decision import JobId
from services.routing.learning.learner import Learner
from services.routing.learning.outcome import MEASURED, Outcome
from services.routing.prediction import model as model_module
from services.routing.prediction.model import MODEL_FILE, Method, Model
from services.routing.program import Forecast

SCOREBOARD_FILE = Path(model_module.__file__).with_name("scoreboard.json")
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PREDICTION, FEEDBACK = "prediction", "prediction with feedback"
ESP, DEPOLARISED, FOREST, SELECTOR = "ESP", "depolarising, ESP2", "random forest", "quantum-backend-selector"


class Accuracy(msgspec.Struct, frozen=True):
    """How right predicted fidelities are in a world."""

    mean_absolute_error: dict[str, Score]
    coverage: Score
    """Of the intervals of 90 %."""
    mean_width: float


class Choices(msgspec.Struct, frozen=True):
    """How right choices among the machines of a pool are, by chooser."""

    captured: dict[str, Score]
    rank_correlation: dict[str, Score]
    utility_regret: dict[str, Score]


class Scoreboard(msgspec.Struct, frozen=True):
    """All of it, as GET /v1/benchmarks/routing may show it."""

    generated: str
    model_version: str
    truth_generated: str
    simulated: bool
    circuits: int
    machines: int
    runs: int
    accuracy: dict[str, Accuracy]
    choices: dict[str, dict[str, Choices]]
    """By world and pool."""
    speed: Speed


def accuracy(judged: Sequence[Judged], said: Mapping[str, Numbers], model: Model, *, stale: bool) -> Accuracy:
    """The accuracy in a world."""
    true = array(judged, lambda each: each.run.fidelity)
    families = [each.family for each in judged]
    errors = {name: np.abs(values - true) for name, values in said.items()}
    bounds = np.array([model.bounds(value, Method.IDEAL_MIXTURE, stale=stale) for value in said[PREDICTION]])
    within = (bounds[:, 0] <= true) & (true <= bounds[:, 1])
    return Accuracy(
        {name: resampled(families, lambda rows, each=each: float(each[rows].mean())) for name, each in errors.items()},
        resampled(families, lambda rows: float(within[rows].mean())),
        round(float((bounds[:, 1] - bounds[:, 0]).mean()), 4),
    )


def pools(judged: Sequence[Judged], said: Mapping[str, Numbers]) -> dict[str, Pool]:
    """The pools of a world, of the circuits that ran on all of their machines."""
    members = {name: tuple(f"ibm_{each}" for each in devices) for name, devices in POOLS.items()} | {"mixed": MIXED}
    place = {(each.run.case, each.run.device): index for index, each in enumerate(judged)}
    family = {each.run.case: each.family for each in judged}
    true = array(judged, lambda each: each.run.fidelity)
    made = {}
    for name, devices in members.items():
        cases = [case for case in family if all((case, device) in place for device in devices)]
        where = np.array([[place[case, device] for device in devices] for case in cases])
        of = {chooser: values[where] for chooser, values in said.items()}
        made[name] = Pool(name, devices, tuple(family[case] for case in cases), true[where], of)
    return made


def choices(pool: Pool) -> Choices:
    """The choices in a pool."""
    said = {**pool.said, "static best": pool.static_best()}
    return Choices(
        {name: pool.captured(values) for name, values in said.items()},
        {name: pool.rank_correlation(values) for name, values in pool.said.items()},
        pool.regrets(pool.said),
    )


def with_feedback(probes: Sequence[Judged], jobs: Sequence[Judged], model: Model) -> Numbers:
    """What is predicted of jobs once the outcomes of benchmark jobs are known, by routing's own learning."""
    learner = Learner()
    for count, each in enumerate(probes):
        learner.learn(
            Outcome(
                job_id=JobId(str(count)),
                decision_id=None,
                backend_id=each.run.device,
                engine="",
                calibration_id="known",
                fidelity=each.run.fidelity,
                fidelity_method=MEASURED,
                queue_seconds=0.0,
                run_seconds=0.0,
                forecast=_forecast(each, model),
                end_time=START + dt.timedelta(minutes=count),
            )
        )
    beliefs = learner.beliefs(START + dt.timedelta(hours=1), "probes")
    return array(jobs, lambda each: beliefs.fidelity_of(each.run.device, _forecast(each, model))[0])


def _forecast(each: Judged, model: Model) -> Forecast:
    value = each.fidelity(model.weights)
    low, high = model.bounds(value, Method.IDEAL_MIXTURE, stale=True)
    return Forecast(
        fidelity=value, fidelity_low=low, fidelity_high=high, duration_p50=dt.timedelta(), duration_p90=dt.timedelta()
    )


def scoreboard(truth: Truth, judged: Sequence[Judged], model: Model) -> Scoreboard:
    """Score everything on the test side."""
    train = [each for each in judged if each.run.world == TRAIN_WORLDS[0].name]
    tested = {f"{family}_{size}" for family, size in TEST}
    probed = {f"{family}_{size}" for family, size in PROBES}
    accuracies, chosen = {}, {}
    for world in TEST_WORLDS:
        jobs = [each for each in judged if each.run.world == world.name and each.run.case in tested]
        said = {
            PREDICTION: array(jobs, lambda each: each.fidelity(model.weights)),
            DEPOLARISED: array(jobs, lambda each: each.depolarised),
            ESP: array(jobs, lambda each: each.run.esp),
            FOREST: forest(train, jobs),
            SELECTOR: array(jobs, lambda each: each.run.selector),
        }
        stale = world.known != world.run
        if stale:
            probes = [each for each in judged if each.run.world == world.name and each.run.case in probed]
            said[FEEDBACK] = with_feedback(probes, jobs, model)
        accuracies[world.name] = accuracy(jobs, said, model, stale=stale)
        chosen[world.name] = {name: choices(pool) for name, pool in pools(jobs, said).items()}
    return Scoreboard(
        generated=dt.datetime.now(dt.UTC).date().isoformat(),
        model_version=model.version,
        truth_generated=truth.generated,
        simulated=True,
        circuits=len(tested),
        machines=len({each.run.device for each in judged if each.run.case in tested}),
        runs=sum(each.run.case in tested for each in judged),
        accuracy=accuracies,
        choices=chosen,
        speed=asyncio.run(measured()),
    )


def show(board: Scoreboard) -> None:
    """Print it."""
    for world, of in board.accuracy.items():
        print(f"\n{world}: coverage of 90 % {_text(of.coverage)}, mean width {of.mean_width:.3f}; mean absolute error")
        print("  " + ", ".join(f"{name} {_text(score)}" for name, score in of.mean_absolute_error.items()))
        names = list(next(iter(board.choices[world].values())).captured)
        for title in ("captured", "rank_correlation", "utility_regret"):
            print(f"  {title.replace('_', ' ')}")
            rows = {pool: getattr(each, title) for pool, each in board.choices[world].items()}
            names = list(next(iter(rows.values())))
            for name in names:
                cells = "  ".join(f"{pool} {_text(row[name])}" for pool, row in rows.items())
                print(f"    {name:32} {cells}")
    print(f"\nspeed: {board.speed}")


def _text(score: Score) -> str:
    digits = 4 if abs(score.value) < 0.1 else 3
    return f"{score.value:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"


def main() -> None:
    """Score, after a fit where that is asked for."""
    started = time.process_time()
    truth = msgspec.json.decode(TRUTH_FILE.read_bytes(), type=Truth)
    judged = judge(truth)
    if "--weights" in sys.argv:
        for kind, weights, fitted, plain in left_out(judged):
            print(f"{kind:20} mean absolute error {fitted:.4f} with {weights}, {plain:.4f} with 1")
        return
    model = msgspec.json.decode(MODEL_FILE.read_bytes(), type=Model)
    if "--fit" in sys.argv:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        model = fit(judged, f"{today}.{int(model.version.rpartition('.')[2]) + 1}")
        MODEL_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(model), indent=1) + b"\n")
    board = scoreboard(truth, judged, model)
    SCOREBOARD_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(board), indent=1) + b"\n")
    show(board)
    print(f"{time.process_time() - started:.0f} s of CPU")


if __name__ == "__main__":
    main()
