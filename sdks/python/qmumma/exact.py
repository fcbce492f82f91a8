"""JSON in which every reader sees the same value.

Refused: a member named twice, NaN and Infinity, text that is no Unicode, and, with its place, any number whose written
value would change on its way through an IEEE 754 double, such as 9007199254740993 or 1e400. Whole numbers come back as
int however they were written, so 1.0 and 1 are one value, as they are in RFC 8785.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import NoReturn, Union

import rfc8785

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]

_SAFE_INTEGER = 2**53 - 1
_DIGITS_MAX = 1100  # a double written out in full has at most 1,075 digits
_SHOWN_DIGITS_MAX = 40


class UnreadableError(ValueError):
    """A file is not what it should be, so nothing in it can be checked; the message names file and place."""


class UnkeptNumberError(UnreadableError):
    """A number that a double does not keep; `place` is its path, such as `result.energies[3]`."""

    def __init__(self, name: str, place: str, literal: str) -> None:
        self.place = place
        self.literal = literal
        super().__init__(f"{name}: {place or 'it'}: the number {literal} cannot be kept exactly")


class _Unkept(float):
    """Stands for a number until it is known where it is."""

    literal: str

    @classmethod
    def of(cls, literal: str) -> _Unkept:
        """Remember how the number is written."""
        unkept = cls()
        unkept.literal = literal
        return unkept


def parse(data: bytes, name: str) -> Json:
    """Read JSON from the file called `name`, or raise UnreadableError."""
    try:
        value: Json = json.loads(
            data.decode("utf-8"),
            parse_int=_number,
            parse_float=_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_members,
        )
        canonical(value)
        unkept = next(_unkept(value, ""), None)
    except UnicodeDecodeError as error:
        message = f"{name}: byte {error.start} is not UTF-8"
        raise UnreadableError(message) from None
    except json.JSONDecodeError as error:
        message = f"{name}: line {error.lineno}, column {error.colno}: {error.msg}"
        raise UnreadableError(message) from None
    except RecursionError:
        message = f"{name}: nested too deeply"
        raise UnreadableError(message) from None
    except ValueError as error:
        message = f"{name}: {error}"
        raise UnreadableError(message) from None
    if unkept is not None:
        raise UnkeptNumberError(name, *unkept)
    return value


def parse_object(data: bytes, name: str) -> dict[str, Json]:
    """Read a JSON object from the file called `name`, or raise UnreadableError."""
    value = parse(data, name)
    if not isinstance(value, dict):
        message = f"{name}: must be a JSON object"
        raise UnreadableError(message)
    return value


def canonical(value: Json) -> bytes:
    """Return the RFC 8785 form; ValueError for text that is no Unicode."""
    return rfc8785.dumps(value)


def _number(literal: str) -> int | float:
    """Return the value of a JSON number, an _Unkept where a double does not keep all of it."""
    if len(literal) > _DIGITS_MAX:
        return _Unkept.of(literal[:_SHOWN_DIGITS_MAX] + "…")
    value = float(literal)
    try:
        kept = Decimal(literal) == Decimal(repr(value))
    except InvalidOperation:
        kept = False
    if not kept:
        return _Unkept.of(literal)
    return int(value) if value.is_integer() and abs(value) <= _SAFE_INTEGER else value


def _unkept(value: Json, place: str) -> Iterator[tuple[str, str]]:
    """The place and the text of every number that a double does not keep."""
    if isinstance(value, _Unkept):
        yield place, value.literal
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _unkept(member, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unkept(item, f"{place}[{number}]")


def _refuse_constant(literal: str) -> NoReturn:
    message = f"{literal} is not JSON"
    raise ValueError(message)


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            message = f"the member {name!r} is there twice"
            raise ValueError(message)
        members[name] = value
    return members
