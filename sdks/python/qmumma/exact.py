"""JSON in which every reader sees the same value.

Refused: a member named twice, NaN and Infinity, text that is no Unicode, and any number whose written value would
change on its way through an IEEE 754 double, such as 9007199254740993 or 1e400. Whole numbers come back as int
however they were written, so 1.0 and 1 are one value, as they are in RFC 8785.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import NoReturn, Union

import rfc8785

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]

_SAFE_INTEGER = 2**53 - 1
_DIGITS_MAX = 1100  # a double written out in full has at most 1,075 digits


class UnreadableError(ValueError):
    """A file is not what it should be, so nothing in it can be checked; the message names file and place."""


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
    """Return the value of a JSON number if a double keeps all of it."""
    if len(literal) > _DIGITS_MAX:
        message = f"the number {literal[:40]}… is too long"
        raise ValueError(message)
    value = float(literal)
    try:
        kept = Decimal(literal) == Decimal(repr(value))
    except InvalidOperation:
        kept = False
    if not kept:
        message = f"the number {literal} cannot be kept exactly"
        raise ValueError(message)
    return int(value) if value.is_integer() and abs(value) <= _SAFE_INTEGER else value


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
