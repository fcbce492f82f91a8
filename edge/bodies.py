"""Bodies of requests: read within bounds, and parsed as the JSON that RFC 7493 (I-JSON) allows.

Refused: more than the limit (413), too slow (408), another media type (415), and with 400 whatever is malformed or
means two things: duplicate names, NaN and infinities, numbers out of range, lone surrogates, U+0000, deep nesting.
Numbers stay exact: an integral one becomes an int (`214.0` is the integer 214), any other a Decimal.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from edge.errors import Refusal

JsonValue = Any
"""None, bool, int, Decimal, str, a list of these, or a dict from str to these."""

MAX_DEPTH = 100
MAX_COMMAS = 300_000
"""Twice what the largest result holds, and more than a program of the greatest length; each value costs microseconds
to parse, to check and to render, many times more than its bytes."""
LARGE_BYTES = 64 * 1024
"""Bodies beyond this size are parsed in a thread, so that other requests go on."""
_EXACT = 2**53
_RANGE = range(-(2**63), 2**64)
_INTEGER_LENGTH = 20
_LONGEST_PATH = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_JSON = re.compile(rb'application/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*', re.IGNORECASE)


class Disconnected(Exception):
    """The client went away before its request was complete."""


async def read(
    receive: Callable[[], Awaitable[Any]], headers: Mapping[bytes, bytes], *, limit: int, seconds: float
) -> bytes:
    """The whole body, at most `limit` bytes within `seconds`; raises Refusal or Disconnected.

    Of one that is too large as much again is read and dropped: a client that is still sending when the connection ends
    never sees why.
    """
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length[:20]) > 2 * limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    chunks.clear()
                if size > 2 * limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        text = f"The body did not arrive within {seconds:g} seconds."
        raise Refusal(408, text, reason="BODY_TIMEOUT", headers=((b"connection", b"close"),)) from None
    if size > limit:
        raise _too_large(limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def check_media_type(headers: Mapping[bytes, bytes], documents: Collection[str] = ()) -> bool:
    """Whether the body is one of `documents`, by media type; raises Refusal 415 unless it is that or JSON in UTF-8."""
    kind = headers.get(b"content-type", b"")
    is_document = kind.partition(b";")[0].strip().lower().decode("latin-1") in documents
    if not is_document and kind != b"application/json" and not _JSON.fullmatch(kind):
        known = " or ".join(["application/json", *documents])
        raise Refusal(415, f"Send the body with Content-Type: {known}.", reason="MEDIA_TYPE")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal(415, "Send the body without a Content-Encoding.", reason="MEDIA_TYPE")
    return is_document


async def parse(body: bytes) -> JsonValue:
    """The value of a JSON text; raises Refusal 400."""
    if len(body) > LARGE_BYTES:
        return await asyncio.to_thread(parse_text, body)
    return parse_text(body)


def parse_text(body: bytes) -> JsonValue:
    """The value of a JSON text; raises Refusal 400 that says where it is wrong."""
    if body.count(b",") > MAX_COMMAS:
        message = f"The body holds more than {MAX_COMMAS} commas, and so too many values."
        raise Refusal(413, message, reason="TOO_LARGE")
    try:
        text = body.decode("utf-8")
        value = _DECODER.decode(text)
    except _Unfit as unfit:
        raise _refused_at(_place_of_unfit(text), unfit) from None
    except UnicodeDecodeError as error:
        raise _malformed(f"the body is not valid UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _malformed(
            f"the body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if "\\u" in text:
        _check_characters(text, value)
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _check_depth(value)
    return value


class _Unfit(Exception):
    """Something that is JSON, or nearly, and yet no value; the message says why."""

    def __init__(self, message: str, member: str = "", reason: str = "MALFORMED_BODY") -> None:
        super().__init__(message)
        self.member = member
        self.reason = reason


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = _first_repeated(pairs)
        raise _Unfit(f"{twice[:100]!r} is given twice", twice, "DUPLICATE_FIELD")
    return value


def _first_repeated(pairs: list[tuple[str, JsonValue]]) -> str:
    seen: set[str] = set()
    return next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def _number(text: str) -> int | Decimal:
    """The exact value of a number with a fraction or an exponent."""
    approximate = float(text)
    if math.isinf(approximate):
        raise _out_of_range(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise _out_of_range(text) from None
    whole = int(approximate)
    return whole if abs(whole) <= _EXACT and exact == whole else exact


def _integer(text: str) -> int:
    """The value of a whole number that 64 bits hold."""
    value = int(text) if len(text) <= _INTEGER_LENGTH else _RANGE.stop
    if value not in _RANGE:
        raise _out_of_range(text)
    return value


def _out_of_range(text: str) -> _Unfit:
    return _Unfit(f"the number {text[:40]} is out of range")


def _constant(word: str) -> JsonValue:
    raise _Unfit(f"{word} is not JSON")


def _marked(read: Callable[[Any], JsonValue]) -> Callable[[Any], JsonValue]:
    """Read, with a mark for what is unfit: one for all, since a body may hold very many."""

    def marked(read_from: Any) -> JsonValue:  # noqa: ANN401 - text, or the members of an object
        try:
            return read(read_from)
        except _Unfit:
            return _MARK

    return marked


_MARK = object()
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
_MARKING = json.JSONDecoder(
    object_pairs_hook=_marked(_unique),
    parse_int=_marked(_integer),
    parse_float=_marked(_number),
    parse_constant=_marked(_constant),
)
"""Reads once more what was refused, to find the place: the hooks of a decoder are not told where they are."""


def _place_of_unfit(text: str) -> str:
    try:
        return _place(_MARKING.decode(text), lambda value: value is _MARK)
    except (json.JSONDecodeError, RecursionError):  # what follows it is no JSON at all
        return ""


def _place(value: JsonValue, is_wanted: Callable[[JsonValue], bool]) -> str:
    """The path of the first value of a kind, such as `parameters.circuits[0].shots`; cut, where it is long."""
    waiting = [iter([("", value)])]
    while waiting:
        for path, inner in waiting[-1]:
            if is_wanted(inner):
                return path
            if isinstance(inner, dict | list):
                waiting.append(_steps(path, inner))
                break
        else:
            waiting.pop()
    return ""


def _steps(path: str, value: dict[str, JsonValue] | list[JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield f"{path}[{index}]"[:_LONGEST_PATH], inner
    else:
        for name, inner in value.items():
            yield f"{path}{'.' if path else ''}{name[:_LONGEST_PATH]}"[:_LONGEST_PATH], inner


def _refused_at(path: str, unfit: _Unfit) -> Refusal:
    path = ".".join(filter(None, (path, unfit.member)))[:_LONGEST_PATH]
    shown = path if path.isprintable() else ""
    return Refusal(400, f"{shown or 'The body'}: {unfit}", param=shown, reason=unfit.reason)


def _check_characters(text: str, value: JsonValue) -> None:
    if "\\u0000" in text and _NUL.search(text):
        raise _refused_at(_place(value, _holds_nul), _Unfit("may not hold U+0000"))
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        unfit = _Unfit("holds half of a surrogate pair")
        raise _refused_at(_place(value, _holds_surrogate), unfit) from None


def _holds_nul(value: JsonValue) -> bool:
    return isinstance(value, str) and "\0" in value


def _holds_surrogate(value: JsonValue) -> bool:
    return isinstance(value, str) and _SURROGATE.search(value) is not None


def _check_depth(value: JsonValue) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _contents(outer) if isinstance(inner, dict | list)]
        if not level:
            return
    raise _too_deep()


def _contents(value: JsonValue) -> Any:  # noqa: ANN401 - a view of whatever the container holds
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _malformed(what: str) -> Refusal:
    return Refusal(400, f"{what[0].upper()}{what[1:]}.", reason="MALFORMED_BODY")


def _too_deep() -> Refusal:
    return _malformed(f"the body is nested deeper than {MAX_DEPTH} levels")


def _too_large(limit: int) -> Refusal:
    message = f"The body is larger than {limit} bytes."
    return Refusal(413, message, reason="TOO_LARGE", headers=((b"connection", b"close"),))
