"""From bytes to a handler and back: the one road that every call takes, whatever transport brought it.

guard → parse → validate → handler, inside telemetry; what is no MeshError is logged with its trace and becomes a mute
`Internal`. The guard comes first, so that a peer without a row in the caller table has nothing parsed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import protovalidate
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from mesh.call import Call, serving
from mesh.errors import MUTE, DeadlineExceeded, Internal, InvalidArgument, MeshError, NotFound
from mesh.telemetry import RPC_ERRORS, Telemetry, log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

    from mesh.guard import Guard


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
        self._guard.admit(call.caller, path)

    async def unary(self, path: str, payload: bytes, call: Call) -> bytes:
        """Serve a call with one request and one response; raises MeshError and nothing else."""
        with self._serve(path, call) as served:
            method = self.methods.get(path)
            if method is None or method.client_streaming or method.server_streaming:
                message = f"{path} is no unary method of this server"
                raise NotFound(message, reason="UNKNOWN_METHOD")
            request = _parse(method, payload)
            response: Message = await method.handler(request, served)
            return response.SerializeToString()

    async def server_stream(self, path: str, payload: bytes, call: Call) -> AsyncIterator[bytes]:
        """Serve a call with one request and many responses."""
        with self._serve(path, call) as served:
            method = self.methods[path]
            async for response in method.handler(_parse(method, payload), served):
                yield response.SerializeToString()

    async def client_stream(self, path: str, payloads: AsyncIterator[bytes], call: Call) -> bytes:
        """Serve a call with many requests and one response."""
        with self._serve(path, call) as served:
            method = self.methods[path]
            response: Message = await method.handler(_parse_each(method, payloads), served)
            return response.SerializeToString()

    async def both_stream(self, path: str, payloads: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        """Serve a call with many requests and many responses."""
        with self._serve(path, call) as served:
            method = self.methods[path]
            async for response in method.handler(_parse_each(method, payloads), served):
                yield response.SerializeToString()

    @contextmanager
    def _serve(self, path: str, call: Call) -> Iterator[Call]:
        try:
            self.admit(path, call)
            with self._telemetry.serve(path, call) as traced, serving(traced):
                yield traced
        except MeshError as error:
            RPC_ERRORS.labels(path, error.status.name).inc()
            raise
        except TimeoutError as error:
            RPC_ERRORS.labels(path, DeadlineExceeded.status.name).inc()
            message = f"{path} ran out of time"
            raise DeadlineExceeded(message, reason="DEADLINE_EXCEEDED") from error
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            RPC_ERRORS.labels(path, Internal.status.name).inc()
            log.exception("rpc_failed", method=path, caller=call.caller, request_id=call.request_id)
            raise Internal(MUTE, reason="INTERNAL") from error


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _parse(method: Method, payload: bytes) -> Message:
    try:
        request = method.request_class.FromString(payload)
    except DecodeError as error:
        message = f"the request is no {method.request_class.DESCRIPTOR.full_name}"
        raise InvalidArgument(message, reason="MALFORMED_REQUEST") from error
    violations = protovalidate.collect_violations(request)
    if violations:
        proto = violations[0].proto
        names = [element.field_name for element in proto.field.elements] if proto.field else []
        field = ".".join(names)
        raise InvalidArgument(f"{field}: {proto.message}", reason="INVALID_FIELD", field=field)
    return request


async def _parse_each(method: Method, payloads: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for payload in payloads:
        yield _parse(method, payload)
