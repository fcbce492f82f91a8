"""What can be wrong with a request: each mutation takes a valid one, or one that is wrong already, and spoils it."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.wire import Wire

Mutation = Callable[[Wire, Random], None]
DEEP = 100_000
_KNOWN_METHODS = {b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE"}
_TEXTS = ["", " ", "\x00", "\ud800", "\u202e", "é", "😀", "'; DROP TABLE jobs; --", "${7*7}", "../../etc/passwd", "%00"]
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 0.5, 1e308, -1e-308, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400),
    *_TEXTS,
    *([], {}, [[]], {"": None}, "x" * 70_000, list(range(2000)), {"a": {"b": {"c": [1, {"d": None}]}}}),
]
_JUNK = [
    b"",
    b" ",
    b"\t",
    b"\x7f",
    b"\xff\xfe",
    b"a,b;c=d",
    b"*",
    b"x" * 9000,
    b'"',
    b"-1",
    b"%",
    b"\xc3\xa9",
    b"0" * 300,
]


def wrong_value(wire: Wire, random: Random) -> None:
    """Put another value somewhere into the JSON body."""
    _edit(wire, random, lambda holder, key: holder.__setitem__(key, random.choice(_VALUES)))


def missing_field(wire: Wire, random: Random) -> None:
    """Take something out of the JSON body."""
    _edit(wire, random, lambda holder, key: holder.__delitem__(key))


def unknown_field(wire: Wire, random: Random) -> None:
    """Put a field of a strange name into the JSON body."""

    def add(holder: Any, _key: Any) -> None:
        if isinstance(holder, dict):
            holder[random.choice([*_TEXTS, "job_id", "__class__", "x" * 3000])] = random.choice(_VALUES)

    _edit(wire, random, add)


def nested(wire: Wire, random: Random) -> None:
    """Nest a hundred thousand levels deep."""
    opened, closed = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = opened * DEEP + b"1" + closed * random.choice([DEEP, DEEP - 1, 0])
    wire.body = random.choice([inner, b'{"parameters":' + inner + b"}"])


def broken_text(wire: Wire, random: Random) -> None:
    """Change some bytes of the body."""
    body = bytearray(wire.body or b"{}")
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(body) + 1)
        body[place : place + random.randint(0, 3)] = random.choice(
            [
                b"",
                b"\xff",
                b"\x00",
                b'"',
                b"{",
                b"]",
                b",",
                b"\\u",
                b"\\ud800",
                b"NaN",
                b"1e999",
                b"//",
                b"\xed\xa0\x80",
            ]
        )
    wire.body = bytes(body)


def twice(wire: Wire, random: Random) -> None:
    """Give a field of the body twice."""
    if wire.body.startswith(b"{") and len(wire.body) > 2:
        wire.body = b'{"%s":1,%s' % (random.choice([b"algorithm_id", b"shots", b"bits", b"name"]), wire.body[1:])


def another_body(wire: Wire, random: Random) -> None:
    """Send something else as the body."""
    wire.body = random.choice(
        [
            b"",
            b"null",
            b"[]",
            b"0",
            b'""',
            b"\xef\xbb\xbf{}",
            b"a=b",
            random.randbytes(300),
            b" " * 5000,
            b"[" + b"1," * 400_000,
        ]
    )


def large(wire: Wire, random: Random) -> None:
    """Send more than may be sent."""
    wire.body = b'{"name":"' + b"x" * random.choice([1_000_000, 4 * 2**20, 5 * 2**20]) + b'"}'


def wrong_header(wire: Wire, random: Random) -> None:
    """Say something strange in a header that is listened to."""
    name = random.choice(
        [
            *(b"Content-Type", b"Accept", b"If-None-Match", b"Last-Event-ID", b"Idempotency-Key", b"X-Request-Id"),
            *(
                b"X-Test-Fault",
                b"traceparent",
                b"X-Forwarded-For",
                b"Expect",
                b"Range",
                b"Content-Encoding",
                b"Upgrade",
            ),
            *(b"Authorization", b"Host", b"Cookie", b"Origin", b"Accept-Encoding", b"Connection", b"X-API-Key"),
        ]
    )
    known = [b"100-continue", b"gzip", b"websocket", b"bytes=0-", b"queue_delay=0", b"lost_response", b"text/html"]
    _set(wire, name, random.choice([*_JUNK, *known, b"application/json; charset=utf-16"]))


def header_twice(wire: Wire, random: Random) -> None:
    """Send a header twice, the second time with another value."""
    name, value = random.choice(wire.headers or [(b"Host", b"fuzz")])
    wire.headers.insert(random.randint(0, len(wire.headers)), (name, random.choice([value, *_JUNK])))


def header_gone(wire: Wire, random: Random) -> None:
    """Leave headers out."""
    wire.headers = [each for each in wire.headers if random.random() < 0.7]


def strange_header(wire: Wire, random: Random) -> None:
    """Send headers that are none, are many, or are large."""
    wire.is_whole = False
    wire.headers += random.choice(
        [
            [(b"x y", b"1")],
            [(b"", b"1")],
            [(b"\xff", b"\xff")],
            [(b"X-Many-%d" % number, b"1") for number in range(2000)],
            [(b"X-Large", b"x" * 100_000)],
            [(b"X-Folded", b"a\r\n b")],
            [(b"X-Nul", b"a\x00b")],
        ]
    )


def wrong_length(wire: Wire, random: Random) -> None:
    """Say another length than the body has."""
    wire.counted = wire.is_whole = False
    told = random.choice(
        [b"-1", b"x", b"99999999999999999999", b"1", b"0", b"%d" % (len(wire.body) + 10), b"1, 2", b"+5", b"0x10"]
    )
    _set(wire, b"Content-Length", told)


def chunked(wire: Wire, random: Random) -> None:
    """Send the body in chunks, rightly or wrongly."""
    wire.counted = False
    _set(wire, b"Transfer-Encoding", random.choice([b"chunked"] * 4 + [b"gzip, chunked", b"chunked, chunked", b"x"]))
    size = random.randint(1, 50)
    parts = [wire.body[place : place + size] for place in range(0, len(wire.body), size)][:400]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    wire.body = framed + random.choice(
        [b"0\r\n\r\n"] * 4 + [b"", b"0\r\nX: y\r\n\r\n", b"zz\r\n", b"-5\r\n", b"ffffffffffffffffff\r\n"]
    )
    if random.random() < 0.2:
        wire.headers.append((b"Content-Length", b"3"))
    wire.is_whole = False


def truncated(wire: Wire, random: Random) -> None:
    """Stop in the middle."""
    data = wire.data()
    wire.raw, wire.is_whole = data[: random.randrange(len(data))], False


def wrong_method(wire: Wire, random: Random) -> None:
    """Use another method."""
    wire.method = random.choice(
        [
            b"GET",
            b"POST",
            b"PUT",
            b"PATCH",
            b"DELETE",
            b"HEAD",
            b"OPTIONS",
            b"TRACE",
            b"get",
            b"BREW",
            b"",
            b"X" * 500,
            b"G\xffT",
            b"CONNECT",
        ]
    )
    wire.is_whole = wire.is_whole and wire.method in _KNOWN_METHODS


def wrong_path(wire: Wire, random: Random) -> None:
    """Ask for another place."""
    path, sign, query = wire.target.partition(b"?")
    segments = path.split(b"/") if b"/" in path else [b"", path]
    place = random.randrange(1, len(segments))
    segments[place] = random.choice(
        [
            b"",
            b".",
            b"..",
            b"%",
            b"%00",
            b"%ff",
            b"%2f",
            b"%252f",
            b"*",
            b"{id}",
            b"x" * 3000,
            b"qm_job_" + b"f" * 32,
            b"-1",
            b"\xc3\xa9",
            b"\xff",
            segments[place].upper(),
        ]
    )
    wire.target = (
        random.choice([b"/".join(segments)] * 4 + [path + b"/", b"//" + path, b"http://other" + path, b"*"])
        + sign
        + query
    )
    wire.is_whole = wire.is_whole and wire.target.isascii()


def wrong_query(wire: Wire, random: Random) -> None:
    """Ask with another query."""
    path, _, query = wire.target.partition(b"?")
    names = [part.partition(b"=")[0] for part in query.split(b"&") if part] or [
        b"limit",
        b"before",
        b"include",
        b"wait",
    ]
    name = random.choice([*names, b"unknown", b"%ff", b"a[]", b""])
    value = random.choice(
        [b"", b"-1", b"0", b"1e9", b"9" * 30, b"%00", b"%ff", b"null", b"%F0%9F%98%80", b"x" * 3000, b"a&" * 50]
    )
    wire.target = (
        path
        + b"?"
        + random.choice([b"%s=%s" % (name, value), b"%s&%s=%s" % (query, name, value), b"&=&", b"?" * 100, name])
    )


def wrong_protocol(wire: Wire, random: Random) -> None:
    """Speak something else, or nearly HTTP."""
    wire.is_whole = False
    what = random.randrange(6)
    if what == 0:
        wire.version = random.choice([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"http/1.1", b"", b"HTTP/1.1 x"])
    elif what == 1:
        wire.line_end = random.choice([b"\n", b"\r", b"\r\r\n", b"\n\r"])
    elif what == 2:
        wire.raw = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    elif what == 3:
        wire.raw = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(200)
    elif what == 4:
        wire.raw = random.randbytes(random.randint(1, 2000))
    else:
        wire.raw = wire.data() * random.randint(2, 20)


ALL: tuple[Mutation, ...] = (
    *(wrong_value, missing_field, unknown_field, broken_text, twice, another_body, nested, large),
    *(wrong_header, header_twice, header_gone, strange_header, wrong_length, chunked, truncated),
    *(wrong_method, wrong_path, wrong_query, wrong_protocol),
)
_RARE = {nested, large}
_WEIGHTS = [1 if each in _RARE else 6 for each in ALL]


def mutate(wire: Wire, random: Random) -> Wire:
    """Spoil a request in one to three ways."""
    for mutation in random.choices(ALL, _WEIGHTS, k=random.choice([1, 1, 2, 3])):
        if wire.raw is None:
            mutation(wire, random)
            wire.how.append(mutation.__name__)
    return wire


def _set(wire: Wire, name: bytes, value: bytes) -> None:
    wire.headers = [each for each in wire.headers if each[0].lower() != name.lower()] + [(name, value)]


def _edit(wire: Wire, random: Random, change: Callable[[Any, Any], None]) -> None:
    """Change one place of the JSON body, at any depth."""
    try:
        value = json.loads(wire.body or b'{"a": [1]}')
    except (ValueError, RecursionError):
        return
    places = list(_places(value))
    if places:
        change(*random.choice(places))
        wire.body = json.dumps(value).encode()


def _places(value: Any, depth: int = 0) -> Any:
    keys: Any = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        if depth < 20:
            yield from _places(value[key], depth + 1)
