"""Pictures of results: one SVG text each, small enough to travel inside a signed result.

A picture stands alone (no script, no font, no reference to anything outside), is read aloud as its title and
description, and is drawn for a light page; where the reader asks for dark, a style sheet changes paper and ink. Series
are told apart by colour and by shape; the colours are those of Okabe and Ito, which colour-blind readers can tell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

LARGEST = 16_384
"""Bytes of a picture."""
MOST_BARS = 64
"""Of a bar chart, all series together."""
MOST_POINTS = 600
"""Of a line chart, all lines together."""
MOST_NODES = 24

Shape = Literal["solid", "dashed", "dots"]

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 624, 64, 308
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DARK = (
    "<style>@media(prefers-color-scheme:dark){.qm-paper{fill:#15181c}.qm-ink{fill:#e8eaed}"
    ".qm-rule{stroke:#44494f}.qm-line{stroke:#9aa0a6}.qm-halo{stroke:#15181c}}</style>"
)
_LONGEST_TEXT = 80
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CHARACTER = 6.2
"""Width of a letter at 11 px, about."""
_MANY = 1e6
"""From here on, and below its inverse, numbers are written with an exponent."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar for each label; `errors` are half the lengths of the whiskers, `marked` are the bars that stand out."""

    name: str
    values: Sequence[float]
    errors: Sequence[float] | None = None
    marked: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A curve through points, or the points alone ("dots"); `errors` are half the lengths of the whiskers."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    shape: Shape = "solid"
    errors: Sequence[float] | None = None


def bars(title: str, description: str, labels: Sequence[str], series: Sequence[Bars], *, axis: str) -> str:
    """Draw groups of bars over `labels`; a marked bar has another colour than the rest of its series.

    Raises ValueError where the bars are none or more than 64.
    """
    if not 0 < len(labels) * len(series) <= MOST_BARS:
        raise ValueError(f"a picture has 1 to {MOST_BARS} bars")
    ends = [
        value + sign * error
        for one in series
        for value, error in _with_errors(one.values, one.errors)
        for sign in (-1, 1)
    ]
    scale = _Scale.over([0.0, *ends], _BOTTOM, _TOP)
    step = (_RIGHT - _LEFT) / len(labels)
    width = 0.8 * step / len(series)
    drawn = 0.92 * width
    parts, spans = [_frame(scale, axis)], []
    for place, one in enumerate(series):
        for index, (value, error) in enumerate(_with_errors(one.values, one.errors)):
            left = _LEFT + index * step + 0.1 * step + place * width
            colour = _COLOURS[(place + len(series) * (index in one.marked)) % len(_COLOURS)]
            top, base = sorted((scale(value), scale(0.0)))
            parts.append(
                f'<path fill="{colour}" d="M{left:.1f} {top:.1f}h{drawn:.1f}v{base - top:.1f}h-{drawn:.1f}z"/>'
            )
            if error:
                spans.append((left + drawn / 2, scale(value - error), scale(value + error)))
    parts.append(_whiskers(spans))
    parts.append(_bar_labels(labels, step))
    if len(series) > 1:
        parts.append(_legend([(one.name, "solid") for one in series]))
    return _picture(title, description, parts)


def lines(title: str, description: str, series: Sequence[Line], *, x_axis: str, y_axis: str) -> str:
    """Draw curves and points over a common pair of axes.

    Raises ValueError where the points are none or more than 600.
    """
    if not 0 < sum(len(one.x) for one in series) <= MOST_POINTS:
        raise ValueError(f"a picture has 1 to {MOST_POINTS} points")
    across = _Scale.over([x for one in series for x in one.x], _LEFT, _RIGHT)
    ends = [y + sign * error for one in series for y, error in _with_errors(one.y, one.errors) for sign in (-1, 1)]
    up = _Scale.over(ends, _BOTTOM, _TOP)
    parts = [_frame(up, y_axis)]
    parts += [_text(across(tick), _BOTTOM + 16, across.label(tick), "middle") for tick in across.ticks]
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, x_axis, "middle"))
    for place, one in enumerate(series):
        points = [(across(x), up(y)) for x, y in zip(one.x, one.y, strict=True)]
        parts.append(_curve(points, one.shape, _COLOURS[place % len(_COLOURS)]))
        if one.errors is not None:
            spans = zip(one.x, _with_errors(one.y, one.errors), strict=True)
            parts.append(_whiskers([(across(x), up(y - error), up(y + error)) for x, (y, error) in spans]))
    parts.append(_legend([(one.name, one.shape) for one in series]))
    return _picture(title, description, parts)


def graph(
    title: str,
    description: str,
    edges: Sequence[tuple[int, int, float]],
    sides: Sequence[int],
    *,
    legend: tuple[str, str] = ("side 0", "side 1"),
) -> str:
    """Draw a graph on a circle, its nodes of side 0 or 1 in two colours and shapes, edges across the sides dashed.

    `edges` are (node, node, weight); the weights are written where they differ and the edges are few.
    Raises ValueError where the nodes are none or more than 24.
    """
    if not 0 < len(sides) <= MOST_NODES:
        raise ValueError(f"a picture has 1 to {MOST_NODES} nodes")
    middle, radius = ((_LEFT + _RIGHT) / 2, 200.0), 128.0
    turns = [2 * math.pi * node / len(sides) - math.pi / 2 for node in range(len(sides))]
    places = [(middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)) for turn in turns]
    parts = []
    for crossing, style in (
        (False, 'class="qm-line" stroke="#9aa0a6"'),
        (True, 'stroke="#009e73" stroke-width="2" stroke-dasharray="5 3"'),
    ):
        chosen = [(a, b) for a, b, _ in edges if (sides[a] != sides[b]) == crossing]
        path = "".join(
            f"M{places[a][0]:.0f} {places[a][1]:.0f}L{places[b][0]:.0f} {places[b][1]:.0f}" for a, b in chosen
        )
        parts.append(f'<path fill="none" {style} d="{path}"/>' if path else "")
    if len({weight for _, _, weight in edges}) > 1 and len(edges) <= MOST_NODES:
        parts.append('<g class="qm-halo" stroke="#fff" stroke-width="5" stroke-linejoin="round" paint-order="stroke">')
        for a, b, weight in edges:  # a third of the way along, where few other edges cross
            x, y = (2 * places[a][k] / 3 + places[b][k] / 3 for k in (0, 1))
            parts.append(_text(x, y + 4, f"{weight:g}", "middle"))
        parts.append("</g>")
    for node, (x, y) in enumerate(places):
        parts.append(_node(x, y, sides[node]))
        parts.append(f'<text x="{x:.0f}" y="{y + 4:.0f}" fill="#fff" text-anchor="middle">{node}</text>')
    parts.append(_legend([(legend[0], "dots"), (legend[1], "dots")]))
    return _picture(title, description, parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to pixels, with round numbers for ticks."""

    low: float
    high: float
    start: float
    end: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> _Scale:
        """Span the values, with a little air, in steps of 1, 2 or 5 times a power of ten."""
        if not all(map(math.isfinite, values)):
            raise ValueError("a picture has finite numbers")
        low, high = min(values), max(values)
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
            margin = abs(high) / 10 or 1.0
            low, high = low - margin, high + margin
        power = 10.0 ** math.floor(math.log10((high - low) / 5))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= high - low)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end, step)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Return the round numbers within."""
        return [self.low + index * self.step for index in range(round((self.high - self.low) / self.step) + 1)]

    def label(self, tick: float) -> str:
        """Write a tick with as many places as the step needs."""
        if max(abs(self.low), abs(self.high)) >= _MANY or self.step < 1 / _MANY:
            return f"{tick:.3g}"
        text = f"{tick:.{max(0, -math.floor(math.log10(self.step) + 1e-9))}f}"
        return text.lstrip("-") if float(text) == 0 else text


def _with_errors(values: Sequence[float], errors: Sequence[float] | None) -> list[tuple[float, float]]:
    return list(zip(values, errors or [0.0] * len(values), strict=True))


def _frame(scale: _Scale, axis: str) -> str:
    rules = "".join(f"M{_LEFT} {scale(tick):.1f}H{_RIGHT}" for tick in scale.ticks)
    ticks = "".join(_text(_LEFT - 6, scale(tick) + 4, scale.label(tick), "end") for tick in scale.ticks)
    return (
        f'<path class="qm-rule" fill="none" stroke="#c8ccd0" d="{rules}"/>{ticks}{_text(8, _TOP - 12, axis, "start")}'
    )


def _bar_labels(labels: Sequence[str], step: float) -> str:
    longest = max(len(label) for label in labels)
    places = [(_LEFT + (index + 0.5) * step, _plain(label)) for index, label in enumerate(labels)]
    if longest * _CHARACTER < step:
        return "".join(_text(x, _BOTTOM + 16, label, "middle") for x, label in places)
    turned = "".join(
        f'<text transform="translate({x + 4:.1f} {_BOTTOM + 6})rotate(-90)">{escape(label[:8])}</text>'
        for x, label in places
    )
    size = min(11.0, max(6.0, 0.9 * step))
    return f'<g class="qm-ink" text-anchor="end" font-size="{size:.0f}">{turned}</g>'


def _curve(points: Sequence[tuple[float, float]], shape: Shape, colour: str) -> str:
    if shape == "dots":
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
        return f'<path fill="none" stroke="{colour}" stroke-width="6" stroke-linecap="round" d="{path}"/>'
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="6 4"' if shape == "dashed" else ""
    return f'<path fill="none" stroke="{colour}" stroke-width="2"{dash} d="{path}"/>'


def _whiskers(spans: Sequence[tuple[float, float, float]]) -> str:
    path = "".join(f"M{x:.1f} {low:.1f}V{high:.1f}" for x, low, high in spans)
    return path and f'<path class="qm-line" fill="none" stroke="#5f6368" stroke-width="1.5" d="{path}"/>'


def _node(x: float, y: float, side: int) -> str:
    if side:
        return f'<path fill="{_COLOURS[1]}" d="M{x - 11:.0f} {y - 11:.0f}h22v22h-22z"/>'
    return f'<circle fill="{_COLOURS[0]}" cx="{x:.0f}" cy="{y:.0f}" r="12"/>'


def _legend(entries: Sequence[tuple[str, Shape]]) -> str:
    parts, x = [], float(_LEFT)
    total = sum(len(_plain(name)) * _CHARACTER + 40 for name, _ in entries)
    x = max(_LEFT, _RIGHT - total)
    for place, (name, shape) in enumerate(entries):
        parts.append(
            _curve(
                [(x, 40), (x + 18, 40)] if shape != "dots" else [(x + 9, 40)], shape, _COLOURS[place % len(_COLOURS)]
            )
        )
        parts.append(_text(x + 24, 44, name, "start"))
        x += len(_plain(name)) * _CHARACTER + 40
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="qm-ink" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(_plain(text))}</text>'


def _plain(text: str) -> str:
    clean = _CONTROL.sub(" ", text)
    return clean if len(clean) <= _LONGEST_TEXT else clean[: _LONGEST_TEXT - 1] + "…"


def _picture(title: str, description: str, parts: Sequence[str]) -> str:
    """Put the parts on paper. Raises ValueError past 16 KiB."""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="system-ui,sans-serif" font-size="11">'
        f"<title>{escape(_plain(title))}</title><desc>{escape(_CONTROL.sub(' ', description))}</desc>{_DARK}"
        f'<path class="qm-paper" fill="#fff" d="M0 0h{_WIDTH}v{_HEIGHT}H0z"/>'
        '<g fill="#202124"><text class="qm-ink" x="8" y="22" font-size="15" font-weight="600">'
        f"{escape(_plain(title))}</text>{''.join(parts)}</g></svg>"
    )
    if len(svg.encode()) > LARGEST:
        raise ValueError(f"the picture has {len(svg.encode())} bytes; {LARGEST} are allowed")
    return svg
