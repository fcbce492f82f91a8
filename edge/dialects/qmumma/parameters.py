"""An algorithm's own parameters, from JSON to `google.protobuf.Struct` without loss."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

from edge.errors import Refusal

MAX_DEPTH = 30
"""Nested containers; protobuf itself stops at 100 messages, and one object level takes three."""
MAX_EXACT_INTEGER = 2**53


def parameters_of(value: dict[str, Any]) -> Struct:
    """The Struct of a parsed JSON object; raises Refusal 400 that names what a Struct cannot carry."""
    return _struct(value, "parameters", MAX_DEPTH)


def _struct(value: dict[str, Any], path: str, depth: int) -> Struct:
    return Struct(fields={name: _value(inner, f"{path}.{name}", depth) for name, inner in value.items()})


def _value(value: Any, path: str, depth: int) -> Value:  # noqa: ANN401, PLR0911 - one line for each JSON type
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int):
        return Value(number_value=_exact(value, path))
    if isinstance(value, Decimal):
        return Value(number_value=float(value))
    if value is None:
        return Value(null_value=NullValue.NULL_VALUE)
    if depth == 0:
        raise _refusal(path, f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return Value(struct_value=_struct(value, path, depth - 1))
    items = [_value(inner, f"{path}[{index}]", depth - 1) for index, inner in enumerate(value)]
    return Value(list_value=ListValue(values=items))


def _exact(value: int, path: str) -> int:
    if abs(value) > MAX_EXACT_INTEGER:
        raise _refusal(path, "is an integer beyond 2^53, which JSON numbers do not carry exactly; send a string")
    return value


def _refusal(path: str, what: str) -> Refusal:
    shown = path if path.isprintable() and len(path) <= 200 else "parameters"  # noqa: PLR2004 - a bound for a message
    return Refusal(400, f"{shown}: {what}", param=shown, reason="INVALID_FIELD")
