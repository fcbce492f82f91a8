"""Money at the edge: a JSON number outside, whole micro-dollars inside, and never a float between."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

MAX_MICROS = 10**9 * 10**6
_DECIMALS = 6


class Usd:
    """An amount in US dollars, at most 6 decimals; negative where the holder owes."""

    __slots__ = ("micros",)
    schema: ClassVar[dict[str, Any]] = {
        "type": "number",
        "format": "decimal",
        "minimum": -MAX_MICROS // 10**6,
        "maximum": MAX_MICROS // 10**6,
    }

    def __init__(self, micros: int) -> None:
        """Take an amount in millionths of a dollar."""
        self.micros = micros

    @classmethod
    def parse(cls, value: object) -> Usd:
        """The amount of a parsed JSON number; raises ValueError where it is none, negative, too fine or too large."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            message = "must be a number"
            raise ValueError(message)  # noqa: TRY004 - validation turns ValueError alone into a refusal
        if not 0 <= value <= MAX_MICROS // 10**6:
            message = f"must be between 0 and {MAX_MICROS // 10**6}"
            raise ValueError(message)
        exponent = Decimal(value).as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -_DECIMALS:
            message = f"must have at most {_DECIMALS} decimals"
            raise ValueError(message)
        return cls(int(value * 10**_DECIMALS))

    def decimal(self) -> Decimal:
        """The exact amount, with two decimals where they suffice, else six."""
        if self.micros % 10_000 == 0:
            return Decimal(self.micros // 10_000).scaleb(-2)
        return Decimal(self.micros).scaleb(-_DECIMALS)

    def __eq__(self, other: object) -> bool:
        """Equal amounts are equal."""
        return isinstance(other, Usd) and self.micros == other.micros

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(self.micros)

    def __repr__(self) -> str:
        """Show the amount."""
        return f"Usd({self.micros})"
