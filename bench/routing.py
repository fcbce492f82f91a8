"""The scoreboard of routing's predictions and choices, on circuits, machines and days that the model never saw.

    python -m bench.routing               prints it, and writes services/routing/prediction/scoreboard.json
    python -m bench.routing --no-speed    the same without how long predictions take, which a busy machine stretches
    python -m bench.routing --validation  prints that of the validation side, by which choices are made
    python -m bench.routing --fit         fits the model, its bounds to both other sides, and writes model.json
    python -m bench.routing --weights     tells what fitted weights are worth on kinds of circuits that they never saw
    python -m bench.routing_truth SIDE    makes the truth anew (bench/routing_data)

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
from bench.routing_truth import FEW, MIXED, POOLS, SIDES, Truth, name_of, read
from bench.routing_worlds import SHOTS
from services.routing.decision import JobId
from services.routing.exposure import Exposure
from services.routing.learning.learner import Learner
from services.routing.learning.outcome import MEASURED, Outcome
from services.routing.prediction import model as model_module
from services.routing.prediction.model import MODEL_FILE, Model
from services.routing.prediction.sampling import SHOTS_PER_OUTCOME, of_counts
from services.routing.program import Forecast

SCOREBOARD_FILE = Path(model_module.__file__).with_name("scoreboard.json")
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PREDICTION, FEEDBACK, MIXTURE = "prediction", "prediction with feedback", "mixture"
MORE_FEEDBACK = "prediction with more feedback"
"""Of all benchmark jobs, not of the first FEW alone."""
COUNTED = "prediction of counts"
"""Of what is measured in SHOTS shots, and judged by that."""
ESP, DEPOLARISED, FOREST, SELECTOR = "ESP", "depolarising, ESP2", "random forest", "quantum-backend-selector"


class Accuracy(msgspec.Struct, frozen=True):
    """How right predicted fidelities are in a world."""

    mean_absolute_error: dict[str, Score]
    coverage: dict[str, Score]
    """Of the intervals of 90 %."""
    mean_width: dict[str, float]


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
    families: int
    machines: int
    """With their days: a machine with other hidden errors is another."""
    runs: int
    accuracy: dict[str, Accuracy]
    choices: dict[str, dict[str, Choices]]
    """By world and pool."""
    speed: Speed | None


def accuracy(
    judged: Sequence[Judged], true: Numbers, said: Mapping[str, Numbers], bounds: Mapping[str, Numbers]
) -> Accuracy:
    """The accuracy in a world; bounds are pairs, run by run."""
    families = [each.family for each in judged]
    errors = {name: np.abs(values - true) for name, values in said.items()}
    within = {name: (pairs[:, 0] <= true) & (true <= pairs[:, 1]) for name, pairs in bounds.items()}
    return Accuracy(
        {name: resampled(families, lambda rows, each=each: float(each[rows].mean())) for name, each in errors.items()},
        {name: resampled(families, lambda rows, each=each: float(each[rows].mean())) for name, each in within.items()},
        {name: round(float((pairs[:, 1] - pairs[:, 0]).mean()), 4) for name, pairs in bounds.items()},
    )


def accuracy_of_counts(jobs: Sequence[Judged], model: Model, *, stale: bool) -> Accuracy:
    """The same of what is measured, where a job compares its counts with anything; nothing of a side without counts."""
    compared = [
        each for each in jobs if each.run.measured is not None and SHOTS_PER_OUTCOME * each.ideal.support <= SHOTS
    ]
    if not compared:
        return Accuracy({}, {}, {})
    told = [_forecast(each, model, stale=stale, shots=SHOTS) for each in compared]
    said = np.array([(each.fidelity, each.fidelity_low, each.fidelity_high) for each in told])
    return accuracy(compared, array(compared, _measured), {COUNTED: said[:, 0]}, {COUNTED: said[:, 1:]})


def pools(judged: Sequence[Judged], said: Mapping[str, Numbers]) -> dict[str, Pool]:
    """The pools of a world, of the circuits that ran on all of their machines."""
    members = {name: tuple(f"ibm_{each}" for each in devices) for name, devices in POOLS.items()} | {"mixed": MIXED}
    place = {(each.run.case, each.run.seed, each.run.device): index for index, each in enumerate(judged)}
    family = {(each.run.case, each.run.seed): each.family for each in judged}
    true = array(judged, lambda each: each.run.fidelity)
    made = {}
    for name, devices in members.items():
        cases = [case for case in family if all((*case, device) in place for device in devices)]
        where = np.array([[place[*case, device] for device in devices] for case in cases])
        of = {chooser: values[where] for chooser, values in said.items()}
        seeds = tuple(seed for _, seed in cases)
        made[name] = Pool(name, devices, tuple(family[case] for case in cases), seeds, true[where], of)
    return made


def choices(pool: Pool) -> Choices:
    """The choices in a pool."""
    said = {**pool.said, "static best": pool.static_best()}
    return Choices(
        {name: pool.captured(values) for name, values in said.items()},
        {name: pool.rank_correlation(values) for name, values in pool.said.items()},
        pool.regrets(pool.said),
    )


def with_feedback(probes: Sequence[Judged], jobs: Sequence[Judged], model: Model, *, stale: bool) -> Numbers:
    """What is predicted of jobs once the counts of benchmark jobs are known, by routing's own learning.

    A row for each job: the fidelity, and its bounds.
    """
    found = np.zeros((len(jobs), 3))
    for seed in {each.run.seed for each in jobs}:
        learner = Learner()
        for count, each in enumerate(each for each in probes if each.run.seed == seed):
            learner.learn(
                Outcome(
                    job_id=JobId(str(count)),
                    decision_id=None,
                    backend_id=each.run.device,
                    engine="",
                    calibration_id="known",
                    fidelity=_measured(each),
                    fidelity_method=MEASURED,
                    queue_seconds=0.0,
                    run_seconds=0.0,
                    forecast=_forecast(each, model, stale=stale, shots=SHOTS),
                    exposure=_exposure(each, stale=stale),
                    end_time=START + dt.timedelta(minutes=count),
                )
            )
        beliefs = learner.beliefs(START + dt.timedelta(hours=1), "probes")
        for index, each in enumerate(jobs):
            if each.run.seed == seed:
                found[index] = beliefs.fidelity_of(
                    each.run.device, _forecast(each, model, stale=stale), _exposure(each, stale=stale)
                )
    return found


def _exposure(each: Judged, *, stale: bool) -> Exposure:
    return Exposure(each.profile.places, float(stale))


def _measured(each: Judged) -> float:
    """What a job would tell; of a side that was made before counts were drawn, the exact fidelity."""
    return each.run.fidelity if each.run.measured is None else each.run.measured


def _forecast(each: Judged, model: Model, *, stale: bool, shots: int | None = None) -> Forecast:
    """What routing says of a run, or of the counts of some shots of it."""
    value, method = each.predicted(model.weights)
    told = (value, *model.bounds(value, method, staleness=float(stale)))
    if shots is not None:
        told = of_counts(*told, shots=shots, outcomes=each.ideal.support)
    return Forecast(*told, duration_p50=dt.timedelta(), duration_p90=dt.timedelta())


def scoreboard(side: str, truth: Truth, judged: Sequence[Judged], train: Sequence[Judged], model: Model) -> Scoreboard:
    """Score everything on a side."""
    tested, probed = ([name_of(each) for each in wanted] for wanted in (SIDES[side].circuits, SIDES[side].probes))
    accuracies, chosen = {}, {}
    for world, stale in {world.name: world.known != world.run for world in SIDES[side].worlds}.items():
        jobs = [each for each in judged if each.run.world == world and each.run.case in tested]
        probes = [each for each in judged if each.run.world == world and each.run.case in probed]
        forecasts = [_forecast(each, model, stale=stale) for each in jobs]
        few = [each for each in probes if each.run.case in probed[:FEW]]
        learned, more = (with_feedback(of, jobs, model, stale=stale) for of in (few, probes))
        said = {
            PREDICTION: np.array([each.fidelity for each in forecasts]),
            FEEDBACK: learned[:, 0],
            MORE_FEEDBACK: more[:, 0],
            MIXTURE: array(jobs, lambda each: each.mixed(model.weights)),
            DEPOLARISED: array(jobs, lambda each: each.depolarised),
            ESP: array(jobs, lambda each: each.run.esp),
            FOREST: forest([each for each in train if each.run.world == "fresh"], jobs),
            SELECTOR: array(jobs, lambda each: each.run.selector),
        }
        bounds = {
            PREDICTION: np.array([(each.fidelity_low, each.fidelity_high) for each in forecasts]),
            FEEDBACK: learned[:, 1:],
            MORE_FEEDBACK: more[:, 1:],
        }
        exact = accuracy(jobs, array(jobs, lambda each: each.run.fidelity), said, bounds)
        counted = accuracy_of_counts(jobs, model, stale=stale)
        accuracies[world] = Accuracy(
            exact.mean_absolute_error | counted.mean_absolute_error,
            exact.coverage | counted.coverage,
            exact.mean_width | counted.mean_width,
        )
        chosen[world] = {name: choices(pool) for name, pool in pools(jobs, said).items()}
    return Scoreboard(
        generated=dt.datetime.now(dt.UTC).date().isoformat(),
        model_version=model.version,
        truth_generated=truth.generated,
        simulated=True,
        circuits=len(tested),
        families=len({each.family for each in judged if each.run.case in tested}),
        machines=len({(each.run.device, each.run.seed) for each in judged}),
        runs=sum(each.run.case in tested for each in judged),
        accuracy=accuracies,
        choices=chosen,
        speed=None,
    )


def show(board: Scoreboard) -> None:
    """Print it."""
    for world, of in board.accuracy.items():
        print(f"\n{world}")
        for name, score in of.mean_absolute_error.items():
            more = (
                f"coverage {_text(of.coverage[name])} mean width {of.mean_width[name]}" if name in of.coverage else ""
            )
            print(f"  {name:26} mean absolute error {_text(score)} {more}")
        for title in ("captured", "rank_correlation", "utility_regret"):
            print(f"  {title.replace('_', ' ')}")
            rows = {pool: getattr(each, title) for pool, each in board.choices[world].items()}
            for name in next(iter(rows.values())):
                cells = "  ".join(f"{pool} {_text(row[name])}" for pool, row in rows.items())
                print(f"    {name:32} {cells}")


def _text(score: Score) -> str:
    digits = 4 if abs(score.value) < 0.1 else 3
    return f"{score.value:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"


def main() -> None:
    """Score, or fit."""
    started = time.process_time()
    train = judge("train")
    if "--weights" in sys.argv:
        for kind, weights, fitted, plain in left_out(train):
            print(f"{kind:20} mean absolute error {fitted:.4f} with {weights}, {plain:.4f} with 1")
        return
    if "--fit" in sys.argv:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        before = msgspec.json.decode(MODEL_FILE.read_bytes())["version"]
        validation = judge("validation")
        probes = {name_of(each) for each in SIDES["validation"].probes}
        jobs = [each for each in validation if each.run.case not in probes]
        model = fit(train, jobs, f"{today}.{int(before.rpartition('.')[2]) + 1}")
        MODEL_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(model), indent=1) + b"\n")
        return
    side = "validation" if "--validation" in sys.argv else "test"
    model = msgspec.json.decode(MODEL_FILE.read_bytes(), type=Model)
    board = scoreboard(side, read(side), judge(side), train, model)
    show(board)
    if side == "test":
        if "--no-speed" not in sys.argv:
            board = msgspec.structs.replace(board, speed=asyncio.run(measured()))
        SCOREBOARD_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(board), indent=1) + b"\n")
    print(f"\nspeed: {board.speed}")
    print(f"{time.process_time() - started:.0f} s of CPU")


if __name__ == "__main__":
    main()
