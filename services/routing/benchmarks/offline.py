"""The offline scoreboard: what bench/routing measured on circuits that the model never saw, as it wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from mesh.telemetry import log

OFFLINE_FILE = Path(__file__).parent.parent / "prediction" / "scoreboard.json"


class Score(msgspec.Struct, frozen=True):
    """A number, and the interval in which 95 % of resamplings lie."""

    value: float
    low: float
    high: float


class _Accuracy(msgspec.Struct, frozen=True):
    mean_absolute_error: dict[str, Score]
    coverage: dict[str, Score]


class _Choices(msgspec.Struct, frozen=True):
    captured: dict[str, Score]
    rank_correlation: dict[str, Score]
    utility_regret: dict[str, Score]


class _File(msgspec.Struct, frozen=True):
    generated: str
    model_version: str
    circuits: int
    machines: int
    runs: int
    accuracy: dict[str, _Accuracy]
    choices: dict[str, dict[str, _Choices]]


@dataclass(frozen=True, slots=True)
class OfflineScore:
    """One number of it."""

    world: str
    """Whether the calibrations were fresh or stale."""
    pool: str
    """The machines that were chosen among; empty where all were predicted."""
    measure: str
    method: str
    """What predicted or chose; ours is "prediction"."""
    score: Score


@dataclass(frozen=True, slots=True)
class Offline:
    """All of it. The truth is simulated."""

    date: str
    model_version: str
    circuit_count: int
    machine_count: int
    run_count: int
    scores: tuple[OfflineScore, ...]


def load_offline(path: Path = OFFLINE_FILE) -> Offline | None:
    """What the file says; None where there is none, or one of another form: no choice depends on it."""
    if not path.exists():
        return None
    try:
        told = msgspec.json.decode(path.read_bytes(), type=_File)
    except msgspec.DecodeError as error:
        log.warning("offline_scoreboard_unreadable", file=str(path), reason=str(error))
        return None
    scores: list[OfflineScore] = []
    for world, accuracy in told.accuracy.items():
        for measure in ("coverage", "mean_absolute_error"):
            found: dict[str, Score] = getattr(accuracy, measure)
            scores += [OfflineScore(world, "", measure, method, score) for method, score in found.items()]
    for world, pools in told.choices.items():
        for pool, choices in pools.items():
            for measure in ("captured", "rank_correlation", "utility_regret"):
                found = getattr(choices, measure)
                scores += [OfflineScore(world, pool, measure, method, score) for method, score in found.items()]
    return Offline(told.generated, told.model_version, told.circuits, told.machines, told.runs, tuple(scores))
