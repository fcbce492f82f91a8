"""The measured distribution in a result, wherever its algorithm keeps it, as the bars of a histogram. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_BARS = 16
_BITS = ("bits", "sides")
_WEIGHTS = ("count", "shots", "share")
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One outcome, and the share of shots that gave it, 0 to 1."""

    outcome: str
    share: float
    count: int | None
    """None where the result has shares alone."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The likeliest outcomes first."""

    place: str
    """Where in the result it is, such as `attempts[0].outcomes`."""
    bars: tuple[Bar, ...]
    outcome_count: int
    rest_share: float
    """What the outcomes beyond the bars have together."""


def find_distribution(result: Mapping[str, Any]) -> Distribution | None:
    """The first distribution in a result, nearest to its top; None where it has none."""
    level: list[tuple[str, Any]] = [("", result)]
    for _ in range(_DEEPEST):
        deeper: list[tuple[str, Any]] = []
        for place, value in level:
            for name, inner in _members(place, value):
                weights = _counts(inner) if name.endswith("counts") else _outcomes(inner)
                if weights:
                    return _distribution(name, weights)
                deeper.append((name, inner))
        level = deeper
    return None


def _members(place: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield f"{place}.{name}" if place else name, inner
    elif isinstance(value, list) and value:
        yield f"{place}[0]", value[0]


def _counts(value: object) -> list[tuple[str, float]]:
    if not isinstance(value, Mapping) or not value:
        return []
    if not all(_is_bits(bits) and type(count) is int and count >= 0 for bits, count in value.items()):
        return []
    return [(bits, count) for bits, count in value.items()]


def _outcomes(value: object) -> list[tuple[str, float]]:
    """A list of objects that have bits, and how often or how likely they were."""
    if not isinstance(value, list) or not value or not isinstance(value[0], Mapping):
        return []
    bits = next((name for name in _BITS if name in value[0]), None)
    weight = next((name for name in _WEIGHTS if name in value[0]), None)
    if bits is None or weight is None:
        return []
    pairs: list[tuple[str, float]] = []
    for row in value:
        mark, share = (row.get(bits), row.get(weight)) if isinstance(row, Mapping) else (None, None)
        if not _is_bits(mark) or not isinstance(share, int | float) or share < 0:
            return []
        pairs.append((str(mark), share))
    return pairs


def _is_bits(value: object) -> bool:
    return isinstance(value, str) and bool(value) and not value.strip("01 ")


def _distribution(place: str, weights: list[tuple[str, float]]) -> Distribution | None:
    total = sum(weight for _, weight in weights)
    if total <= 0:
        return None
    ranked = sorted(weights, key=lambda pair: (-pair[1], pair[0]))
    counted = all(type(weight) is int for _, weight in weights)
    # Shares are of all shots already, even where the list leaves rare outcomes out.
    whole = total if counted else max(1.0, total)
    bars = tuple(Bar(bits, weight / whole, int(weight) if counted else None) for bits, weight in ranked[:MOST_BARS])
    return Distribution(place, bars, len(weights), max(0.0, 1 - sum(bar.share for bar in bars)))
