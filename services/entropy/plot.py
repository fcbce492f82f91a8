"""The picture of a report: every p-value of SP 800-22, by test and in order, as SVG. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 960, 460
_LEFT, _TOP, _BOTTOM = 56, 64, 330
_STRIP_RIGHT, _ORDER_LEFT, _ORDER_RIGHT = 600, 672, 936
_INK, _FAINT, _GOOD, _BAD, _LINE = "#1d2733", "#8793a1", "#2563a8", "#c2312b", "#d5dbe2"
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
    'font-family="Helvetica, Arial, sans-serif" font-size="11" role="img">'
)


def draw_plot(record: Mapping[str, Any]) -> str:
    """The SVG of a record of type qmumma.entropy/v1. A perfect source scatters its p-values evenly from 0 to 1."""
    suite = record["report"]["sp800_22"]
    tests: Sequence[Mapping[str, Any]] = suite["tests"]
    rejected = set(suite["rejected"])
    parts = [
        _HEAD,
        f"<title>{escape(_title(record))}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 24, _title(record), size=15, weight="bold"),
        _text(_LEFT, 42, _subtitle(record), colour=_FAINT),
        *_axis(_LEFT, _STRIP_RIGHT),
        *_axis(_ORDER_LEFT, _ORDER_RIGHT),
        *_strips(tests, rejected),
        *_ordered([value for test in tests for value in test["p_values"]]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(record: Mapping[str, Any]) -> str:
    verdict = "passed" if record["nist_tests_passed"] else "rejected"
    return f"SP 800-22: {record['report']['sp800_22']['p_value_count']} p-values, {verdict} (Holm-Bonferroni at 0.01)"


def _subtitle(record: Mapping[str, Any]) -> str:
    suite = record["report"]["sp800_22"]
    of = "these bits" if suite["of"] == "data" else "the block that these bits come from"
    kind = "simulator, pseudo-random" if record["simulated"] else "machine"
    return f"{suite['tested_bits']:,} bits ({of}) · source {record['source']} ({kind}) · {record['entropy_id']}"


def _axis(left: float, right: float) -> list[str]:
    marks = []
    for tick in _TICKS:
        y = _height(tick)
        marks.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{_LINE}"/>')
        marks.append(_text(left - 8, y + 4, f"{tick:g}", anchor="end", colour=_FAINT))
    return marks


def _strips(tests: Sequence[Mapping[str, Any]], rejected: set[str]) -> list[str]:
    """One column a test; its p-values stand side by side in their order."""
    width = (_STRIP_RIGHT - _LEFT) / len(tests)
    marks = []
    for number, test in enumerate(tests):
        left, values = _LEFT + number * width, test["p_values"]
        colour = _BAD if test["name"] in rejected else _GOOD
        for place, value in enumerate(values):
            x = left + width * (0.15 + 0.7 * (place + 0.5) / len(values))
            marks.append(
                f'<circle cx="{x:.1f}" cy="{_height(value):.1f}" r="2.1" fill="{colour}" fill-opacity="0.75"/>'
            )
        middle = left + width / 2
        if not values:
            marks.append(_text(middle, _height(0.5), "not applicable", colour=_FAINT, anchor="middle", turn=-90))
        marks.append(_text(middle + 4, _BOTTOM + 14, test["name"], colour=_INK, anchor="end", turn=-45))
    return marks


def _ordered(values: Sequence[float]) -> list[str]:
    """All of them in order, beside the straight line that they should be near."""
    span = _ORDER_RIGHT - _ORDER_LEFT
    marks = [
        f'<path d="M{_ORDER_LEFT} {_BOTTOM}L{_ORDER_RIGHT} {_TOP}" stroke="{_FAINT}" stroke-dasharray="4 3"/>',
        _text((_ORDER_LEFT + _ORDER_RIGHT) / 2, _BOTTOM + 20, "in order; dashed: perfectly even", anchor="middle"),
    ]
    for rank, value in enumerate(sorted(values)):
        x = _ORDER_LEFT + span * (rank + 0.5) / len(values)
        marks.append(f'<circle cx="{x:.1f}" cy="{_height(value):.1f}" r="1.8" fill="{_GOOD}"/>')
    return marks


def _height(value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * value


def _text(  # noqa: PLR0913 - what a line of text has
    x: float,
    y: float,
    text: str,
    *,
    size: int = 11,
    weight: str = "normal",
    colour: str = _INK,
    anchor: str = "start",
    turn: int = 0,
) -> str:
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}"{turned}>{escape(text)}</text>'
    )
