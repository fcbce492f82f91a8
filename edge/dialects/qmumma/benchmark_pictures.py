"""Pictures of the benchmarks: one SVG text each, which stands alone (no script, no font, nothing from outside).

A picture is read aloud as its title and description, and is drawn for a light page; where the reader asks for dark, a
style sheet changes paper and ink. The colours are those of Okabe and Ito, which colour-blind readers can tell; the
shades of the table carry their numbers in writing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape

from qm.routing.v1 import routing_pb2 as pb

MOST_ROWS = 80
MOST_POINTS = 400
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6000", "#666666")
_STYLE = (
    "<style>.ink{fill:#202124}.soft{fill:#5f6368}.rule{stroke:#c8ccd0}.paper{fill:#fff}"
    "@media(prefers-color-scheme:dark){.ink{fill:#e8eaed}.soft{fill:#9aa0a6}.rule{stroke:#44494f}.paper{fill:#15181c}}"
    "</style>"
)
_LABELS, _CELL, _ROW, _TOP = 148, 76, 18, 84
_NARROWEST = 560
"""Room for the line below a table, whatever its columns."""
_SIDE, _LEFT, _HEAD = 420, 64, 76


def draw_benchmarks(found: Iterable[pb.Benchmark]) -> str:
    """A table of the mean measured fidelity of each backend (rows, best first) and family (columns)."""
    cells: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    rows: defaultdict[str, list[float]] = defaultdict(list)
    for each in found:
        cells[each.backend_id, each.family].append(each.fidelity)
        rows[each.backend_id].append(each.fidelity)
    families = sorted({family for _, family in cells})
    names = sorted(rows, key=lambda name: (-_mean(rows[name]), name))[:MOST_ROWS]
    width = max(_NARROWEST, _LABELS + _CELL * len(families) + 16)
    height = _TOP + _ROW * max(1, len(names)) + 28
    title = "Measured fidelity of each backend, by circuit family"
    if not names:
        return _picture(title, "Nothing was measured yet.", width, height, _note("Nothing was measured yet.", _TOP))
    parts = [_text(_LABELS + _CELL * (i + 0.5), _TOP - 8, name, "middle") for i, name in enumerate(families)]
    for place, name in enumerate(names):
        top = _TOP + place * _ROW
        parts.append(_text(_LABELS - 8, top + 13, name, "end"))
        parts += [
            _cell(_LABELS + _CELL * column, top, _mean(cells[name, family]))
            for column, family in enumerate(families)
            if (name, family) in cells
        ]
    parts.append(
        _note(
            "Per cent of Hellinger fidelity, mean over widths. Rows by the mean of what was measured so far.",
            height - 10,
        )
    )
    best, last = names[0], names[-1]
    description = (
        f"{len(names)} backends and {len(families)} families. Best is {best} with {_mean(rows[best]):.1%} on average, "
        f"last {last} with {_mean(rows[last]):.1%}."
    )
    return _picture(title, description, width, height, "".join(parts))


def draw_predictions(board: pb.Scoreboard) -> str:
    """Predicted fidelity across, measured fidelity up, with the predicted interval of 90 % for each benchmark."""
    points = list(board.points)[:MOST_POINTS]
    families = sorted({point.family for point in points})
    width, height = _LEFT + _SIDE + 168, _HEAD + _SIDE + 52
    title = "Predicted and measured fidelity"
    told = board.fidelity
    if not points:
        return _picture(title, "Nothing was measured yet.", width, height, _note("Nothing was measured yet.", _HEAD))
    low = min(0.9, *(min(point.measured, point.low) for point in points))
    axis = _Axis(max(0.0, int(low * 10) / 10))
    parts = [_grid(axis), _diagonal(axis)]
    for place, family in enumerate(families):
        colour = _COLOURS[place % len(_COLOURS)]
        own = [point for point in points if point.family == family]
        parts.append(_marks(axis, own, colour))
        parts.append(f'<circle cx="{_LEFT + _SIDE + 22}" cy="{_HEAD + 8 + 18 * place}" r="4" fill="{colour}"/>')
        parts.append(_text(_LEFT + _SIDE + 32, _HEAD + 12 + 18 * place, family, "start"))
    note = (
        f"{told.count} jobs: mean absolute error {told.mean_absolute_error:.3f}, {told.coverage:.0%} within the "
        "predicted 90 %, rank correlation "
        f"{told.rank_correlation:.2f}."
    )
    parts.append(f'<text class="soft" x="8" y="44">{escape(note)}</text>')
    drawn = "The newest benchmarks" if len(points) < told.count else "All of them"
    description = f"{note} {drawn} are drawn; the line is where both are equal."
    return _picture(title, description, width, height, "".join(parts))


class _Axis:
    """Fidelities from `low` to 1 as pixels, the same across and up."""

    def __init__(self, low: float) -> None:
        self.low = low

    def part(self, value: float) -> float:
        return (min(1.0, max(self.low, value)) - self.low) / (1 - self.low)

    def x(self, value: float) -> float:
        return _LEFT + _SIDE * self.part(value)

    def y(self, value: float) -> float:
        return _HEAD + _SIDE * (1 - self.part(value))

    @property
    def ticks(self) -> list[float]:
        """Five or so round numbers."""
        step = next(step for step in (0.02, 0.05, 0.1, 0.2) if (1 - self.low) / step <= 6)  # noqa: PLR2004 - of lines
        count = round((1 - self.low) / step)
        return [1 - step * index for index in range(count, -1, -1)]


def _grid(axis: _Axis) -> str:
    parts = []
    for tick in axis.ticks:
        x, y = axis.x(tick), axis.y(tick)
        parts.append(
            f'<path class="rule" fill="none" d="M{_LEFT} {y:.1f}h{_SIDE}M{x:.1f} {_HEAD}v{_SIDE}"/>'
            f"{_text(_LEFT - 8, y + 4, f'{tick:.2f}', 'end')}{_text(x, _HEAD + _SIDE + 16, f'{tick:.2f}', 'middle')}"
        )
    parts.append(
        _text(_LEFT + _SIDE / 2, _HEAD + _SIDE + 38, "predicted fidelity, with its interval of 90 %", "middle")
    )
    parts.append(_text(8, _HEAD - 12, "measured fidelity", "start"))
    return "".join(parts)


def _diagonal(axis: _Axis) -> str:
    path = f"M{axis.x(axis.low):.1f} {axis.y(axis.low):.1f}L{axis.x(1):.1f} {axis.y(1):.1f}"
    return f'<path fill="none" stroke="#9aa0a6" stroke-dasharray="4 3" d="{path}"/>'


def _marks(axis: _Axis, points: Sequence[pb.Point], colour: str) -> str:
    spans = "".join(f"M{axis.x(each.low):.1f} {axis.y(each.measured):.1f}H{axis.x(each.high):.1f}" for each in points)
    dots = "".join(f"M{axis.x(each.predicted):.1f} {axis.y(each.measured):.1f}h0" for each in points)
    return (
        f'<path fill="none" stroke="{colour}" stroke-opacity=".3" d="{spans}"/>'
        f'<path fill="none" stroke="{colour}" stroke-width="6" stroke-linecap="round" d="{dots}"/>'
    )


def _cell(x: float, y: float, value: float) -> str:
    """A fidelity as a shade and a number: white ink on dark, from 0 (white) to 1 (blue)."""
    shade = max(0.0, min(1.0, value)) ** 2
    colour = "#" + "".join(f"{round(255 + (end - 255) * shade):02x}" for end in (0, 88, 150))
    ink = "#fff" if shade > 0.5 else "#202124"  # noqa: PLR2004 - where white becomes the more legible
    return (
        f'<path fill="{colour}" d="M{x + 1:.0f} {y + 1:.0f}h{_CELL - 2}v{_ROW - 2}h-{_CELL - 2}z"/>'
        f'<text x="{x + _CELL / 2:.0f}" y="{y + 13:.0f}" fill="{ink}" text-anchor="middle">{100 * value:.1f}</text>'
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="ink" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


def _note(text: str, y: float) -> str:
    return f'<text class="soft" x="8" y="{y:.0f}">{escape(text)}</text>'


def _picture(title: str, description: str, width: int, height: int, parts: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}"'
        ' font-family="system-ui,sans-serif" font-size="11">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{_STYLE}"
        f'<path class="paper" d="M0 0h{width}v{height}H0z"/>'
        f'<text class="ink" x="8" y="22" font-size="15" font-weight="600">{escape(title)}</text>{parts}</svg>'
    )
