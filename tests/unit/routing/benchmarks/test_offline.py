"""What bench/routing wrote, as it is told."""

from __future__ import annotations

import json
from pathlib import Path

from services.routing.benchmarks.offline import OFFLINE_FILE, load_offline

SCORE = {"value": 0.5, "low": 0.4, "high": 0.6}
COVERAGE = {"prediction": SCORE}
TOLD = {
    "generated": "2026-11-21",
    "model_version": "7",
    "circuits": 2,
    "machines": 3,
    "runs": 6,
    "accuracy": {
        "fresh": {"mean_absolute_error": {"prediction": SCORE, "ESP": SCORE}, "coverage": {"prediction": SCORE}}
    },
    "choices": {
        "stale": {
            "eagles": {"captured": {"prediction": SCORE}, "rank_correlation": {}, "utility_regret": {"ESP": SCORE}}
        }
    },
    "speed": {"left": "alone"},
}


def test_every_number_is_told_with_what_it_is_of(tmp_path: Path):
    file = tmp_path / "scoreboard.json"
    assert load_offline(file) is None
    file.write_text(json.dumps(TOLD))
    offline = load_offline(file)
    assert offline is not None
    assert {(each.world, each.pool, each.measure, each.method) for each in offline.scores} == {
        ("fresh", "", "coverage", "prediction"),
        ("fresh", "", "mean_absolute_error", "prediction"),
        ("fresh", "", "mean_absolute_error", "ESP"),
        ("stale", "eagles", "captured", "prediction"),
        ("stale", "eagles", "utility_regret", "ESP"),
    }
    assert (offline.model_version, offline.run_count) == ("7", 6)


def test_a_file_of_another_form_is_left_out(tmp_path: Path):
    file = tmp_path / "scoreboard.json"
    file.write_text(json.dumps({**TOLD, "circuits": "many"}))
    assert load_offline(file) is None


def test_the_file_that_is_shipped_is_told():
    if OFFLINE_FILE.exists():
        assert load_offline() is not None
