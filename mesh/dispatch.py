"""From bytes to a handler and back: the one road that every call takes, whatever transport brought it.

guard → parse → validate → handler, inside telemetry; what is no MeshError is logged with its trace and becomes a mute
`Internal`. The guard comes first, so that a peer without a row in the caller table has nothing parsed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import protovalidate
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from mesh.call import Call, serving
from mesh.errors import MUTE, Cancelled, DeadlineExceeded, Internal, InvalidArgument, MeshError
from mesh.telemetry import RPC_ERRORS, Telemetry, log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

    from mesh.guard import Guard

_CLOCK_TICK = 0.01
"""Seconds by which a timer may ring before the deadline that it was set for."""


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC and who serves it."""

    path: str
    request_class: type[Message]
    handler: Callable[..., Any]
    client_streaming: bool
    server_streaming: bool


class Dispatcher:
    """The methods of a server, and the way to each."""

    def __init__(self, guard: Guard, telemetry: Telemetry) -> None:
        """Start with no methods."""
        self._guard = guard
        self._telemetry = telemetry
        self.methods: dict[str, Method] = {}

    def add(self, service: ServiceDescriptor, implementation: object) -> None:
        """Take every method of a service; raises TypeError where the implementation lacks one."""
        for method in service.methods:
            handler = getattr(implementation, method.name, None)
            if handler is None:
                message = f"{type(implementation).__name__} has no {method.name}, which {service.full_name} declares"
                raise TypeError(message)
            path = _path(method)
            self.methods[path] = Method(
                path,
                GetMessageClass(method.input_type),
                handler,
                bool(method.client_streaming),
                bool(method.server_streaming),
            )

    def admit(self, path: str, call: Call) -> None:
        """Raise PermissionDenied unless the caller may call the method."""
        try:
            self._guard.admit(call.caller, path)
        except MeshError as error:
            RPC_ERRORS.labels(self._label(path), error.status.name).inc()
            raise

    async def unary(self, path: str, payload: bytes, call: Call) -> bytes:
        """Serve a call with one request and one response; raises MeshError and nothing else."""
        with self._serve(path, call) as served:
            method = self.methods.get(path)
            if method is None or method.client_streaming or method.server_streaming:
                log.error("unknown_method", method=path, caller=call.caller)
                raise Internal(MUTE, reason="UNKNOWN_METHOD")
            response: Message = await method.handler(_parse(method, payload), served)
            return response.SerializeToString()

    async def server_stream(self, path: str, payload: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """Serve a call with one request and many responses."""
        with self._serve(path, call) as served:
            method = self.methods[path]
            async with aclosing(method.handler(_parse(method, payload), served)) as responses:
                async for response in responses:
                    yield response.SerializeToString()

    async def client_stream(self, path: str, payloads: AsyncIterator[bytes], call: Call) -> bytes:
        """Serve a call with many requests and one response."""
        with self._serve(path, call) as served:
            method = self.methods[path]
            response: Message = await method.handler(_parse_each(method, payloads), served)
            return response.SerializeToString()

    async def both_stream(self, path: str, payloads: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        """Serve a call with many requests and many responses."""
        with self._serve(path, call) as served:
            method = self.methods[path]
            async with aclosing(method.handler(_parse_each(method, payloads), served)) as responses:
                async for response in responses:
                    yield response.SerializeToString()

    def _label(self, path: str) -> str:
        """What metrics call a method: a caller's inventions must not become time series."""
        return path if path in self.methods else "unknown"

    @contextmanager
    def _serve(self, path: str, call: Call) -> Iterator[Call]:
        self.admit(path, call)
        label = self._label(path)
        try:
            with self._telemetry.serve(label, call) as traced, serving(traced):
                try:
                    yield traced
                except (MeshError, GeneratorExit, SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    if _was_cancelled(error):
                        raise
                    raise _public(error, path, traced) from error
        except MeshError as error:
            RPC_ERRORS.labels(label, error.status.name).inc()
            raise
        except asyncio.CancelledError:
            late = call.remaining() <= _CLOCK_TICK
            RPC_ERRORS.labels(label, (DeadlineExceeded if late else Cancelled).status.name).inc()
            raise


def _was_cancelled(error: BaseException) -> bool:
    """Whether the task itself was told to end; else a CancelledError is one that the handler let slip."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _public(error: BaseException, path: str, call: Call) -> MeshError:
    """What the caller is told of an exception that is no MeshError; a bug goes to the log with its trace."""
    if isinstance(error, TimeoutError) and call.remaining() <= _CLOCK_TICK:
        return DeadlineExceeded(f"{path} ran out of time", reason="DEADLINE_EXCEEDED")
    log.error("rpc_failed", method=path, caller=call.caller, exc_info=error)
    return Internal(MUTE, reason="INTERNAL")


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _parse(method: Method, payload: bytes) -> Message:
    try:
        request = method.request_class.FromString(payload)
    except DecodeError as error:
        message = f"the request is no {method.request_class.DESCRIPTOR.full_name}"
        raise InvalidArgument(message, reason="MALFORMED_REQUEST") from error
    violations = protovalidate.collect_violations(request, fail_fast=True)
    if violations:
        proto = violations[0].proto
        field = ".".join(map(_step, proto.field.elements)) if proto.field else ""
        message = f"{field}: {proto.message}" if field else proto.message
        raise InvalidArgument(message, reason="INVALID_FIELD", field=field)
    return request


def _step(element: Any) -> str:  # noqa: ANN401 - protovalidate's FieldPathElement is private
    """One step of a field's path: `keys`, `keys[2]` or `labels["a"]`."""
    subscript = element.subscript
    if subscript is None:
        return str(element.field_name)
    name: str = element.field_name
    return f"{name}[{json.dumps(subscript.value)}]"


async def _parse_each(method: Method, payloads: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for payload in payloads:
        yield _parse(method, payload)
