"""Pictures as a reader's software sees them: XML, a name and a description, marks where the numbers say."""

import math
import re
from xml.etree import ElementTree as ET

import pytest

from services.execution.algorithms.picture import (
    LARGEST,
    MOST_BARS,
    MOST_NODES,
    MOST_POINTS,
    Bars,
    Line,
    bars,
    graph,
    lines,
)

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own text


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in parsed(picture).iter(f"{SVG}text")]


def drawn(picture: str, colour: str) -> list[str]:
    return [e.get("d", "") for e in parsed(picture).iter(f"{SVG}path") if colour in (e.get("fill"), e.get("stroke"))]


CURVE = Line("energy", [0.5, 1.0, 1.5], [-1.0, -1.1, -0.9])
EVERY = [
    bars("Counts", "What was counted.", ["00", "11"], [Bars("shots", [3, 5])], axis="shots"),
    lines("Curve", "How it goes.", [CURVE], x_axis="length", y_axis="energy"),
    graph("Cut", "Who is where.", [(0, 1, 1.0)], [0, 1]),
]


@pytest.mark.parametrize("picture", EVERY)
def test_picture_says_what_it_shows_before_it_shows_it(picture: str):
    root = parsed(picture)
    assert root.get("role") == "img"
    assert [child.tag for child in root[:2]] == [f"{SVG}title", f"{SVG}desc"]
    assert all(child.text for child in root[:2])
    assert "prefers-color-scheme:dark" in picture
    assert not re.search(r"href|<script|url\(|@import|\son\w+=", picture)


def test_heights_of_bars_are_in_proportion_to_their_values():
    picture = bars("t", "d", ["a", "b", "c"], [Bars("s", [1, 2, -1])], axis="y")
    heights = [float(re.search(r"v([\d.]+)", path).group(1)) for path in drawn(picture, "#0072b2")]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == pytest.approx(heights[0], abs=0.2)


def test_marked_bars_have_a_colour_of_their_own():
    picture = bars("t", "d", ["a", "b", "c"], [Bars("s", [1, 2, 3], marked=[1])], axis="y")
    assert (len(drawn(picture, "#0072b2")), len(drawn(picture, "#d55e00"))) == (2, 1)


def test_dots_stand_where_the_points_are():
    dots = Line("found", [0, 5, 10], [0, 1, 2], "dots", errors=[0.1, 0.1, 0.1])
    picture = lines("t", "d", [Line("true", [0, 10], [0, 2]), dots], x_axis="x", y_axis="y")
    places = [tuple(map(float, pair)) for pair in re.findall(r"M([\d.]+) ([\d.]+)h0", drawn(picture, "#d55e00")[0])]
    (left, low), (middle, between), (right, high) = places
    assert (middle, between) == (pytest.approx((left + right) / 2), pytest.approx((low + high) / 2, abs=0.1))
    assert left < right
    assert low > high  # SVG counts downwards


def test_axes_are_labelled_with_round_numbers_that_enclose_the_values():
    picture = lines("t", "d", [Line("e", [0.7, 2.4], [-1.137, -0.93])], x_axis="x", y_axis="y")
    numbers = [float(text) for text in texts(picture) if re.fullmatch(r"-?[\d.]+", text)]
    assert {-1.15, -0.9, 0.5, 2.5} <= set(numbers)


def test_edges_across_the_cut_are_dashed_and_weights_are_written():
    picture = graph("t", "d", [(0, 1, 1.5), (1, 2, 2), (0, 2, 2)], [0, 1, 1])
    crossing, kept = (drawn(picture, colour)[0] for colour in ("#009e73", "#9aa0a6"))
    assert (crossing.count("M"), kept.count("M")) == (2, 1)
    assert {"1.5", "2", "0", "1"} <= set(texts(picture))


def test_names_from_strangers_are_text_and_nothing_else():
    name = '<script>alert("x")</script>\x00&' + "n" * 500
    for picture in (
        bars(name, name, [name], [Bars(name, [1]), Bars(name, [2])], axis=name),
        lines(name, name, [Line(name, [1], [1])], x_axis=name, y_axis=name),
        graph(name, name, [], [0, 1], legend=(name, name)),
    ):
        assert not list(parsed(picture).iter(f"{SVG}script"))


def test_largest_pictures_stay_within_the_limit():
    labels = [f"{index:06b}" for index in range(MOST_BARS)]
    values = [math.sin(index) * 1e3 for index in range(MOST_BARS)]
    assert len(bars("t", "d", labels, [Bars("s", values, values)], axis="y").encode()) <= LARGEST
    wave = [math.sin(index / 9) for index in range(MOST_POINTS)]
    curve = Line("s", list(range(MOST_POINTS)), wave)
    assert len(lines("t", "d", [curve], x_axis="x", y_axis="y").encode()) <= LARGEST
    every = [(a, b, 1.0 + a) for a in range(MOST_NODES) for b in range(a)]
    assert len(graph("t", "d", every, [node % 2 for node in range(MOST_NODES)]).encode()) <= LARGEST


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e-12, 2e-12], [1e12, 2e12], [-75.012759, -75.012758]])
def test_any_span_of_values_can_be_drawn(values: list[float]):
    assert parsed(bars("t", "d", ["a"] * len(values), [Bars("s", values)], axis="y")) is not None
    assert parsed(lines("t", "d", [Line("s", values, values)], x_axis="x", y_axis="y")) is not None


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="bars"):
        bars("t", "d", [], [], axis="y")
    with pytest.raises(ValueError, match="points"):
        lines("t", "d", [Line("s", [0.0] * 601, [0.0] * 601)], x_axis="x", y_axis="y")
    with pytest.raises(ValueError, match="nodes"):
        graph("t", "d", [], [0] * 25)
    with pytest.raises(ValueError, match="finite"):
        bars("t", "d", ["a"], [Bars("s", [math.nan])], axis="y")
