"""The ASGI application: from a scope to an operation, and from its answer, or from whatever went wrong, to the wire.

    app = create_app(Dialect(operations, error_body), authentication=…, plans=…, leases=…, …)

Starlette's router runs the lifespan and hands over everything else: one dictionary look-up finds an operation, where a
list of its routes would try one regular expression after the other (37 µs for 60 of them).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from prometheus_client import Counter
from qm.type.v1.requester_pb2 import Requester
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from edge import bodies, faults, request_ids
from edge.addresses import address_of
from edge.authentication import Authentication
from edge.bodies import Disconnected
from edge.dialects import Dialect
from edge.errors import Refusal, mute, refusal_of
from edge.exchange import REPLAYED, Answer, Header, Request
from edge.faults import NO_FAULTS, faults_of
from edge.leases import Leases
from edge.limits import Rate, RateLimiter, too_many
from edge.operations import Nothing, Operation
from edge.paths import PathTable
from edge.plans import Plans
from edge.protocol import DROP
from edge.values import body_of, query_of
from edge.visit import Visit
from mesh.call import Call, serving
from mesh.errors import MeshError
from mesh.telemetry import Telemetry

log = structlog.get_logger()
RESPONSES = Counter("http_responses", "Answers by operation and status", ["operation", "status"])
MAX_BODY_BYTES = 4 * 1024 * 1024
_NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
_NOBODY = Requester()
_NOTHING = Nothing()


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a client may ask of this process, beyond its plan."""

    body_bytes: int = MAX_BODY_BYTES
    body_seconds: float = 10.0
    anonymous: Rate = field(default_factory=lambda: Rate(per_minute=300, burst=100))
    """Requests without a key, for each client address."""


class Edge:
    """Serves the operations of a dialect."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        authentication: Authentication,
        plans: Plans,
        leases: Leases,
        telemetry: Telemetry,
        bounds: Bounds | None = None,
    ) -> None:
        """Serve `dialect`; raises ValueError where two operations share a method and a path."""
        self.draining = asyncio.Event()
        self._dialect = dialect
        self._authentication = authentication
        self._plans = plans
        self._leases = leases
        self._telemetry = telemetry
        self._bounds = bounds or Bounds()
        self._addresses = RateLimiter()
        self._paths: PathTable[Operation] = PathTable()
        for operation in dialect.operations:
            for path in (operation.path, *operation.aliases):
                self._paths.add(operation.method, path, operation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        visit = Visit(dict(reversed(scope["headers"])))
        call = Call("public", visit.request_id, traceparent=visit.traceparent, address=address_of(scope))
        with serving(call):
            try:
                answer = await self._answer(scope, receive, visit, call)
            except Disconnected:
                return
            if visit.lost:
                self._note(answer, visit, scope["method"])
                scope[DROP]()
                return
            await self._send(answer, visit, scope["method"], send)

    def unread(self, refusal: Refusal) -> bytes:
        """A whole HTTP/1.1 answer to what could not be read as a request; the connection ends with it."""
        request_id = request_ids.fresh_id()
        body = self._dialect.error_body(refusal, request_id)
        _counted("unread", refusal.status).inc()
        head = (
            f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\ncache-control: no-store\r\n"
            f"x-request-id: {request_id}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        return head.encode("ascii") + body

    async def _answer(self, scope: Scope, receive: Receive, visit: Visit, call: Call) -> Answer:
        try:
            return await self._serve(scope, receive, visit, call)
        except Refusal as refusal:
            return self._refused(refusal, visit)
        except MeshError as error:
            public = refusal_of(error)
            if public.status >= 500:  # noqa: PLR2004 - the class of statuses that are ours to explain
                told = {"operation": visit.operation, "reason": error.reason, "detail": error.metadata.get("detail")}
                log.warning("mesh_failed", message=error.message, milliseconds=visit.milliseconds, **told)
            return self._refused(public, visit)
        except Disconnected:
            raise
        except Exception:
            log.exception("request_failed", operation=visit.operation)
            return self._refused(mute(), visit)

    async def _serve(self, scope: Scope, receive: Receive, visit: Visit, call: Call) -> Answer:
        method, raw_path = scope["method"], scope.get("raw_path") or scope["path"].encode()
        if method == "OPTIONS":
            return Answer(204, headers=[(b"allow", self._paths.allowed(raw_path).encode())])
        operation, path = self._paths.find(method, raw_path)
        visit.operation = operation.id
        requester = await self._admit(operation, scope, visit)
        scripted = NO_FAULTS
        if operation.authenticated:
            scripted = faults_of(visit.headers.get(faults.HEADER), requester, operation.faults)
        if scripted.rate_limited and visit.verdict is not None:
            raise too_many(visit.verdict.refused())
        query = query_of(scope["query_string"], operation.query)
        body, parsed = await self._body(operation, receive, visit)
        request = Request(
            id=visit.request_id,
            path=path,
            query=query,
            body=body,
            parsed_body=parsed,
            headers=visit.headers,
            requester=requester,
            disconnected=lambda: _disconnected(receive),
            faults=scripted,
            draining=self.draining,
        )
        with self._telemetry.serve(operation.id, call) as traced, serving(traced):
            answer = await operation.handler(request)
            visit.lost = scripted.lost_response and REPLAYED not in answer.headers
            return answer

    async def _admit(self, operation: Operation, scope: Scope, visit: Visit) -> Requester:
        """Who asks, once a token of the plan, or of the address, is taken; raises Refusal 401 or 429."""
        if operation.authenticated:
            requester = await self._authenticate(scope, visit)
            visit.team = requester.team_id
            verdict = await self._leases.take(requester.team_id, await self._plans.rate(requester.plan))
        elif operation.limited:
            requester = _NOBODY
            verdict = self._addresses.take(address_of(scope), self._bounds.anonymous)
        else:
            return _NOBODY
        if not verdict.allowed:
            raise too_many(verdict)
        visit.limit_headers, visit.verdict = verdict.headers(), verdict
        return requester

    async def _authenticate(self, scope: Scope, visit: Visit) -> Requester:
        """Whose key it is. A key that nobody knows costs its address a token, lest look-ups be free for all."""
        header = visit.headers.get(b"authorization")
        known = self._authentication.known(header)
        if known is not None:
            return known
        if self._authentication.met(header):
            return await self._authentication.requester(header)
        address = address_of(scope)
        verdict = self._addresses.take(address, self._bounds.anonymous)
        if not verdict.allowed:
            raise too_many(verdict)
        try:
            requester = await self._authentication.requester(header)
        except MeshError:
            self._addresses.give_back(address, self._bounds.anonymous)
            raise
        self._addresses.give_back(address, self._bounds.anonymous)
        return requester

    async def _body(self, operation: Operation, receive: Receive, visit: Visit) -> tuple[Any, Any]:
        """The body by the operation's type, and as it was parsed; a document's is its bytes."""
        if operation.body is None:
            return _NOTHING, None
        bounds = self._bounds
        is_document = False
        if not operation.body_optional or b"content-type" in visit.headers:
            is_document = bodies.check_media_type(visit.headers, operation.documents)
        raw = await bodies.read(receive, visit.headers, limit=bounds.body_bytes, seconds=bounds.body_seconds)
        if is_document:
            return _NOTHING, raw
        parsed = {} if operation.body_optional and not raw else await bodies.parse(raw)
        return body_of(parsed, operation.body), parsed

    def _refused(self, refusal: Refusal, visit: Visit) -> Answer:
        body = self._dialect.error_body(refusal, visit.request_id)
        return Answer(refusal.status, body, headers=[(b"cache-control", b"no-store"), *refusal.headers])

    async def _send(self, answer: Answer, visit: Visit, method: str, send: Send) -> None:
        body = answer.body
        headers = [
            *answer.headers,
            (request_ids.HEADER, visit.request_id.encode()),
            _NOSNIFF,
            *(visit.limit_headers if not _carries_limits(answer) else ()),
        ]
        if answer.status not in {204, 304}:
            headers.append((b"content-type", answer.media_type))
            if isinstance(body, bytes):
                headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if isinstance(body, bytes):
            await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
        else:
            await _stream(body, method, send)
        self._note(answer, visit, method)

    def _note(self, answer: Answer, visit: Visit, method: str) -> None:
        """Count the answer; log it, at level info where it is a refusal."""
        _counted(visit.operation, answer.status).inc()
        note = log.debug if answer.status < 400 else log.info  # noqa: PLR2004 - where refusals begin
        note(
            "request",
            method=method if method.isalpha() else "?",
            operation=visit.operation,
            status=answer.status,
            milliseconds=visit.milliseconds,
            team=visit.team,
        )


def create_app(edge: Edge, lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None) -> Router:
    """The ASGI application of an edge."""
    return Router(default=edge, redirect_slashes=False, lifespan=lifespan)


async def _stream(body: AsyncIterator[bytes], method: str, send: Send) -> None:
    """Send a stream piece by piece; whatever breaks it ends it, since its status is long sent."""
    async with aclosing(body) as pieces:  # type: ignore[type-var]
        if method != "HEAD":
            try:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except Exception:
                log.exception("stream_failed")
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@functools.cache
def _counted(operation: str, status: int) -> Counter:
    return RESPONSES.labels(operation, str(status))


def _carries_limits(answer: Answer) -> bool:
    return any(name == b"x-ratelimit-limit" for name, _ in answer.headers)
