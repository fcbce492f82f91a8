"""Numbers in words."""

from __future__ import annotations

_EXACT_BITS = 20
_BYTE_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def count_text(bits: int) -> str:
    """2^bits: in full where that is readable ("1,024"), as a power else ("2^100")."""
    return f"{1 << bits:,}" if bits <= _EXACT_BITS else f"2^{bits}"


def bytes_text(count: int) -> str:
    """An amount of memory with at most two digits after the point ("2.25 GiB")."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_BYTE_UNITS) - 1:  # noqa: PLR2004 - a KiB
        value, unit = value / 1024, unit + 1
    return f"{value:,.2f}".rstrip("0").rstrip(".") + f" {_BYTE_UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """A duration with the digits that a prediction deserves: "0.8 ms", "12 ms", "3.4 s", "7 min", "5 h", "12 days"."""
    for limit, unit, name in (
        (1.0, 0.001, "ms"),
        (120.0, 1.0, "s"),
        (7_200.0, 60.0, "min"),
        (172_800.0, 3_600.0, "h"),
    ):
        if seconds < limit:
            return f"{_two_digits(seconds / unit)} {name}"
    return f"{seconds / 86_400:,.0f} days"


def _two_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")  # noqa: PLR2004 - two digits
