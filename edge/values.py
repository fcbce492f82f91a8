"""How typed values come from JSON and query strings and go back: strictly in, exactly out.

What msgspec finds wrong becomes a Refusal that names the public path of the field.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from edge.errors import Refusal
from edge.money import Usd
from edge.wording import refusal_of_fault

T = TypeVar("T")
_MAX_QUERY_FIELDS = 32


def body_of(value: Any, kind: type[T]) -> T:  # noqa: ANN401 - any JSON value
    """A parsed JSON value as a `kind`; raises Refusal 400."""
    try:
        return msgspec.convert(value, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise refusal_of_fault(str(error), kind, spelled=False) from None


def query_of(query_string: bytes, kind: type[T]) -> T:
    """A query string as a `kind`; raises Refusal 400."""
    fields: dict[str, str] = {}
    if query_string:
        for name, value in _pairs(query_string):
            if name in fields:
                raise Refusal(400, f"{name}: is given twice", param=name, reason="DUPLICATE_FIELD")
            fields[name] = value
    try:
        return msgspec.convert(fields, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise refusal_of_fault(str(error), kind, spelled=True) from None


def encode(value: object) -> bytes:
    """A value as JSON: money as an exact number, times as RFC 3339 in UTC."""
    return _ENCODER.encode(value)


def canonical(value: object) -> bytes:
    """A parsed JSON value as one text: equal values give equal bytes, whatever the order of their members."""
    return _CANONICAL.encode(value)


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_QUERY_FIELDS,
        )
    except (UnicodeDecodeError, ValueError):
        message = "The query string is not percent-encoded UTF-8, or has too many fields."
        raise Refusal(400, message, reason="MALFORMED_QUERY") from None


def _decode(kind: type, value: Any) -> Any:  # noqa: ANN401 - msgspec's signature
    if kind is Usd:
        return Usd.parse(value)
    raise NotImplementedError(kind)


def _encode(value: object) -> Decimal:
    if isinstance(value, Usd):
        return value.decimal()
    raise NotImplementedError(type(value))


_ENCODER = msgspec.json.Encoder(enc_hook=_encode, decimal_format="number")
_CANONICAL = msgspec.json.Encoder(decimal_format="number", order="deterministic")
