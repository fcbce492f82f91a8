"""Constant angles as plain programs write them: numbers and pi, joined by + - * and /."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.execution.programs.constants import Number

_NUMBER = r"(?:(?:0|[1-9]\d{0,4})(?:\.\d{0,21})?|\.\d{1,21})(?:[eE][-+]?\d{1,2})?"
_NUMBERS = re.compile(rf"[ ]?-?{_NUMBER}(?:,[ ]?-?{_NUMBER}){{0,3}}", re.ASCII)
_TERM = rf"(?:{_NUMBER}|pi)"
_EXPRESSION = re.compile(rf"[ ]?-?{_TERM}(?:[ ]?[-+*/][ ]?{_TERM}){{0,4}}", re.ASCII)
_WORD = re.compile(rf"{_TERM}|[-+*/]", re.ASCII)
_EXACT = 2**53


def angles_of(text: str, known: dict[str, float], *, floor: bool) -> tuple[float, ...] | None:
    """Return the values of a list of angles; None where it is not certain what a parser would make of it.

    `known` remembers the expressions of a program. With `floor` the quotient of two integers is one, as lowering has
    it for OpenQASM 3.
    """
    if _NUMBERS.fullmatch(text):
        return tuple(map(float, text.split(",")))
    values = []
    for part in text.split(","):
        value = known.get(part)
        if value is None:
            value = _value(part, floor=floor) if _EXPRESSION.fullmatch(part) else None
            if value is None:
                return None
            known[part] = value
        values.append(value)
    return tuple(values)


def _value(text: str, *, floor: bool) -> float | None:
    words = _WORD.findall(text)
    if words[0] == "-":
        words[:2] = [f"-{words[1]}"]
    total: Number = 0
    adding, product = "+", _term(words[0], floor=floor)
    for sign, word in zip(words[1::2], words[2::2], strict=True):
        factor = _term(word, floor=floor)
        if sign == "*":
            product *= factor
        elif sign == "/":
            if factor == 0:
                return None
            whole = isinstance(product, int) and isinstance(factor, int)
            product = product // factor if whole else product / factor
        else:
            total = total + product if adding == "+" else total - product
            adding, product = sign, factor
        if not abs(product) < _EXACT:
            return None
    return float(total + product if adding == "+" else total - product)


def _term(word: str, *, floor: bool) -> Number:
    """A number; whole ones are integers where quotients of integers are."""
    if word.lstrip("-") == "pi":
        return -math.pi if word[0] == "-" else math.pi
    return int(word) if floor and word.lstrip("-").isdecimal() else float(word)
