"""Requests as bytes, so that they can be wrong in every way, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

PATIENCE = 60.0
"""Seconds until a request counts as hung. What arrives slowly is cut off after ten; the longest work, a bundle of
evidence on a busy machine, may take longer than that."""
REST_SECONDS = 0.3
"""Until a client that is answered nothing says that it sends nothing more."""
_INTERIM = re.compile(rb"^HTTP/1\.1 1\d\d [^\r]*\r\n\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass
class Wire:
    """One request before it is bytes."""

    operation: str
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    version: bytes = b"HTTP/1.1"
    line_end: bytes = b"\r\n"
    raw: bytes | None = None
    """Instead of all that."""
    counted: bool = True
    """Whether the body's length is told as it is."""
    is_whole: bool = True
    """Whether it is a request that HTTP itself lets a server answer."""
    stays_open: bool = False
    """Whether the client waits for the server to close."""
    how: list[str] = field(default_factory=list)
    """The mutations."""

    def data(self) -> bytes:
        """The bytes."""
        if self.raw is not None:
            return self.raw
        headers = list(self.headers)
        if self.body and self.counted:
            headers.append((b"Content-Length", b"%d" % len(self.body)))
        lines = [b"%s %s %s" % (self.method, self.target, self.version), *(b"%s: %s" % each for each in headers)]
        return self.line_end.join([*lines, b"", b""]) + self.body


@dataclass(frozen=True)
class Reply:
    """What came back: a status, or None where the connection ended without one, or hung."""

    status: int | None
    seconds: float
    data: bytes
    hung: bool = False


async def send(host: str, port: int, wire: Wire) -> Reply:
    """Send a request and read what comes back; what is none ends with the client's side of the connection."""
    started = time.monotonic()
    data = b""
    hung = False
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, port, limit=2**22)
            reading = asyncio.create_task(_read(reader, wire))
            with contextlib.suppress(ConnectionError):
                writer.write(wire.data())
                await writer.drain()
                if not wire.is_whole and not wire.stays_open:
                    await asyncio.wait([reading], timeout=REST_SECONDS)
                    writer.write_eof()
            data = await reading
            writer.close()
    except TimeoutError:
        hung = True
    except OSError:
        pass
    found = _STATUS.match(data)
    return Reply(int(found[1]) if found else None, time.monotonic() - started, data, hung)


async def _read(reader: asyncio.StreamReader, wire: Wire) -> bytes:
    """One whole answer, or all that comes until the server closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := await reader.read(2**16):
            data = _INTERIM.sub(b"", data + more, count=1)
            if not wire.stays_open and _is_complete(data, bodiless=wire.method == b"HEAD"):
                break
    return data


def _is_complete(data: bytes, *, bodiless: bool) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end or bodiless:
        return bool(end)
    length = _LENGTH.search(head)
    if length is not None:
        return len(body) >= int(length[1])
    return body.endswith(b"0\r\n\r\n") if b"\r\ntransfer-encoding: chunked" in head.lower() else True


def requests_of(document: Mapping[str, Any], secret: str, known: Mapping[str, str]) -> Iterator[Wire]:
    """One valid request for each operation and example of the OpenAPI document; `known` are values for parameters."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method not in {"get", "post", "put", "patch", "delete"}:
                continue
            parameters = [_resolved(document, each) for each in operation.get("parameters", ())]
            target = path
            query = {}
            for each in parameters:
                value = str(known.get(each["name"], each.get("example", each["schema"].get("example", "1"))))
                if each["in"] == "path":
                    target = target.replace(f"{{{each['name']}}}", quote(value, safe=""))
                elif each["in"] == "query" and each["name"] != "wait":
                    query[each["name"]] = value
            for body in _bodies(operation):
                wire = Wire(
                    operation=operation["operationId"],
                    method=method.upper().encode(),
                    target=target.encode() + (b"?" + urlencode(query).encode() if query else b""),
                    headers=[(b"Host", b"fuzz"), (b"Connection", b"close")],
                    body=b"" if body is None else json.dumps(body).encode(),
                )
                wire.headers.append((b"Authorization", b"Bearer " + secret.encode()))
                if body is not None:
                    wire.headers.append((b"Content-Type", b"application/json"))
                yield wire


def _bodies(operation: Mapping[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return [None]
    examples = [each["value"] for each in content.get("examples", {}).values()]
    return examples or [content.get("example", {})]


def _resolved(document: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = value
    if "$ref" in value:
        found = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
    return found  # type: ignore[no-any-return]
