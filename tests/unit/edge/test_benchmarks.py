"""Benchmarks over HTTP: open to all, strict, and drawn as pictures that stand alone."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from qm.routing.v1 import routing_pb2 as pb

from edge.dialects.qmumma.benchmark_pictures import draw_benchmarks, draw_predictions

SVG = "{http://www.w3.org/2000/svg}"


async def test_measurements_are_listed_without_a_key_beside_what_was_predicted(client: httpx.AsyncClient):
    del client.headers["authorization"]
    answer = await client.get("/v1/benchmarks?hardware=ibm_fez&family=ghz&limit=5")
    assert answer.status_code == 200
    [found] = answer.json()["benchmarks"]
    assert found == {
        "hardware": "ibm_fez",
        "simulated": True,
        "family": "ghz",
        "qubits": 4,
        "depth": 5,
        "two_qubit_gates": 3,
        "shots": 4096,
        "fidelity": 0.91,
        "predicted_fidelity": {"value": 0.9, "low": 0.85, "high": 0.95},
        "run_ms": 0.0,
        "predicted_ms": {"p50": 0, "p90": 0},
        "calibration_id": "ibm_fez@2026-01-01",
        "measured_at": "2026-09-21T14:13:20Z",
    }


async def test_the_scoreboard_tells_sums(client: httpx.AsyncClient):
    board = (await client.get("/v1/benchmarks/routing?last=7")).json()
    assert (board["jobs"], board["fidelity"]["count"], board["fidelity"]["coverage"]) == (7, 2, 0.5)
    assert board["drifts"] == [{"hardware": "ibm_fez", "found_at": "2026-09-21T14:13:20Z"}]
    assert (board["since"], board["beliefs_version"]) == (None, "1:1-7@now")
    assert "points" not in board
    assert board["offline"]["simulated"] is True
    [score] = board["offline"]["scores"]
    assert (score["measure"], score["pool"], score["value"]) == ("coverage", None, 0.9)


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/benchmarks?limit=0", "limit"),
        ("/v1/benchmarks?limit=1001", "limit"),
        ("/v1/benchmarks?hardwere=x", "hardwere"),
        (f"/v1/benchmarks?family={'x' * 65}", "family"),
        ("/v1/benchmarks?hardware=%00", "hardware"),
        ("/v1/benchmarks/plot.svg?limit=1", "limit"),
        ("/v1/benchmarks/routing?last=0", "last"),
        ("/v1/benchmarks/routing/plot.svg?last=many", "last"),
    ],
)
async def test_a_wrong_question_is_refused_by_name(client: httpx.AsyncClient, path: str, param: str):
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", ["/v1/benchmarks/plot.svg", "/v1/benchmarks/routing/plot.svg"])
async def test_pictures_stand_alone_and_are_read_aloud(client: httpx.AsyncClient, path: str):
    answer = await client.get(path)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    picture = ET.fromstring(answer.text)  # noqa: S314 - our own text
    assert picture.get("role") == "img"
    for name in ("title", "desc"):
        told: Any = picture.find(f"{SVG}{name}")
        assert told is not None
        assert told.text


def test_pictures_of_nothing_say_so():
    for svg in (draw_benchmarks([]), draw_predictions(pb.Scoreboard())):
        assert "Nothing was measured yet." in svg
        ET.fromstring(svg)  # noqa: S314 - our own text


def test_a_table_of_one_column_has_room_for_what_stands_below_it():
    drawn = ET.fromstring(draw_benchmarks([pb.Benchmark(backend_id="ibm_x", family="ghz", fidelity=0.9)]))  # noqa: S314 - our own text
    width = float(drawn.get("viewBox", "").split()[2])
    [note] = [text for text in drawn.iter(f"{SVG}text") if text.get("class") == "soft"]
    assert float(note.get("x", 0)) + 5.4 * len(note.text or "") < width


def test_a_point_beyond_the_axes_is_drawn_at_their_end():
    board = pb.Scoreboard()
    board.points.add(family="ghz", predicted=1.2, low=-1, high=2, measured=0.0)
    assert "NaN" not in draw_predictions(board)
    assert "nan" not in draw_predictions(board).replace("</title>", "")
