"""The gRPC server of a process: mTLS, one dispatcher, all four kinds of RPC, and the multiplexed stream.

Handlers are plain coroutines that take a message and a `Call`; services are registered by their descriptor:

    server.add(billing_pb2.DESCRIPTOR.services_by_name["BillingService"], BillingService(store))

Health, reflection and channelz come along, behind the same guard.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError
from grpc_channelz.v1 import channelz_pb2_grpc
from grpc_channelz.v1._async import ChannelzServicer
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import aio as reflection_aio

from mesh.call import ADDRESS_KEY, ADMITTED_KEY, REQUEST_ID_KEY, TRACEPARENT_KEY, Call
from mesh.dispatch import Dispatcher, Method
from mesh.errors import DETAILS_KEY, InvalidArgument, MeshError, Unavailable, to_status
from mesh.guard import Guard, caller_of
from mesh.multiplex import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MULTIPLEX, MultiplexServer
from mesh.telemetry import Telemetry

if TYPE_CHECKING:
    from mesh.identity import Identity

OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # An old connection must not outlive a revoked certificate for long.
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
)


class _Handlers:
    """Looks like a server to generated code and keeps the handlers that it is given."""

    def __init__(self) -> None:
        self.by_service: dict[str, dict[str, Any]] = {}

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Ignore the old way; generated code uses both."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Keep them."""
        self.by_service[service] = handlers


class MeshServer:
    """A server of RPC services under one identity."""

    def __init__(self, listen: str, identity: Identity, guard: Guard, telemetry: Telemetry) -> None:
        """Make a server that will listen on `listen` ("127.0.0.1:7101"; port 0 takes a free one)."""
        self.dispatcher = Dispatcher(guard, telemetry)
        self._multiplex = MultiplexServer(self.dispatcher)
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=OPTIONS)
        self._services: list[str] = []
        self.port = self._bind(listen, identity)

    def add(self, service: ServiceDescriptor, implementation: object) -> None:
        """Serve every method of `service` with the method of the same name of `implementation`."""
        self.dispatcher.add(service, implementation)
        self._services.append(service.full_name)
        handlers = {
            method.path.rpartition("/")[2]: self._handler(method)
            for method in self.dispatcher.methods.values()
            if method.path.startswith(f"/{service.full_name}/")
        }
        self._register(service.full_name, handlers)

    async def start(self) -> None:
        """Begin to serve; healthy from here on."""
        multiplexed: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(self._multiplexed)
        self._register(MULTIPLEX.rpartition("/")[0][1:], {"Multiplex": multiplexed})
        self._add_standard_services()
        await self._server.start()
        await self.set_serving(serving=True)

    async def set_serving(self, *, serving: bool) -> None:
        """Answer health checks with SERVING or NOT_SERVING."""
        word = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", *self._services):
            await self._health.set(service, word)

    async def drain(self, grace: float) -> None:
        """Take no new calls, let those in flight end within `grace` seconds, then stop."""
        await self._health.enter_graceful_shutdown()
        self._multiplex.drain()
        await self._server.stop(grace)

    def _bind(self, listen: str, identity: Identity) -> int:
        try:
            port = self._server.add_secure_port(listen, identity.server_credentials())
        except RuntimeError as error:
            message = f"cannot listen on {listen}: the port is taken or not ours. Set another in the configuration."
            raise Unavailable(message, reason="PORT_BUSY") from error
        return int(port)

    def _add_standard_services(self) -> None:
        """Add health, reflection and channelz, whose servicers speak gRPC's context, behind the same guard."""
        names = [*self._services, "grpc.health.v1.Health"]
        standard: Any = _Handlers()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, standard)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
            reflection_aio.ReflectionServicer(service_names=names), standard
        )
        channelz_pb2_grpc.add_ChannelzServicer_to_server(ChannelzServicer(), standard)
        for service, handlers in standard.by_service.items():
            guarded = {name: self._guarded(f"/{service}/{name}", handler) for name, handler in handlers.items()}
            self._register(service, guarded)

    def _guarded(self, path: str, handler: Any) -> Any:  # noqa: ANN401 - grpc's handlers are named tuples of callables
        """The same handler behind the guard, which comes before parsing."""
        kind = next(k for k in ("unary_unary", "unary_stream", "stream_stream") if getattr(handler, k))
        behavior, parse = getattr(handler, kind), handler.request_deserializer

        async def parse_each(payloads: AsyncIterator[bytes]) -> AsyncIterator[Any]:
            async for payload in payloads:
                yield parse(payload)

        async def admitted(payload: Any, context: Any) -> Any:  # noqa: ANN401
            try:
                if kind != "stream_stream":
                    self.dispatcher.admit(path, _call(context))
                    return parse(payload)
                await self._welcome(path, _call(context), context)
                return parse_each(payload)
            except MeshError as error:
                return await _abort(context, error)
            except DecodeError:
                return await _abort(context, InvalidArgument("the request is malformed", reason="MALFORMED_REQUEST"))

        async def answer(payload: Any, context: Any) -> Any:  # noqa: ANN401
            return await behavior(await admitted(payload, context), context)

        async def generate(payload: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
            async for response in behavior(await admitted(payload, context), context):
                yield response

        guarded = generate if inspect.isasyncgenfunction(behavior) else answer
        return handler._replace(request_deserializer=None, **{kind: guarded})

    def _register(self, service: str, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))

    def _handler(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        """Bind a method to gRPC; bytes in and out, so that the guard comes before any parsing."""
        path, dispatcher = method.path, self.dispatcher

        async def one(payload: Any, context: Any) -> bytes:  # noqa: ANN401 - bytes, or an iterator of them
            serve = dispatcher.client_stream if method.client_streaming else dispatcher.unary
            try:
                return await serve(path, payload, await self._begun(method, context))
            except MeshError as error:
                return await _abort(context, error)

        async def many(payload: Any, context: Any) -> None:  # noqa: ANN401
            serve = dispatcher.both_stream if method.client_streaming else dispatcher.server_stream
            try:
                call = await self._begun(method, context)
                # A cancelled call ends here, within its own task, and not whenever the generator is collected.
                async with aclosing(serve(path, payload, call)) as responses:
                    async for response in responses:
                        await context.write(response)
            except MeshError as error:
                await _abort(context, error)

        if method.client_streaming:
            if method.server_streaming:
                return grpc.stream_stream_rpc_method_handler(many)
            return grpc.stream_unary_rpc_method_handler(one)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(many)
        return grpc.unary_unary_rpc_method_handler(one)

    async def _begun(self, method: Method, context: Any) -> Call:  # noqa: ANN401
        call = _call(context)
        if method.client_streaming:
            await self._welcome(method.path, call, context)
        return call

    async def _welcome(self, path: str, call: Call, context: Any) -> None:  # noqa: ANN401
        """Admit a call whose requests are a stream, and say so: a client of the mesh sends none before."""
        self.dispatcher.admit(path, call)
        await context.send_initial_metadata(((ADMITTED_KEY, "yes"),))

    async def _multiplexed(self, payloads: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401
        try:
            call = _call(context)
            await self._welcome(MULTIPLEX, call, context)
            await self._multiplex.serve(payloads, context.write, call.caller)
        except MeshError as error:
            await _abort(context, error)


def _call(context: Any) -> Call:  # noqa: ANN401 - grpc's context is untyped
    metadata = dict(context.invocation_metadata() or ())
    remaining = context.time_remaining()
    deadline = float("inf") if remaining is None else time.monotonic() + remaining
    return Call(
        caller_of(context.auth_context()),
        str(metadata.get(REQUEST_ID_KEY, "")),
        deadline,
        str(metadata.get(TRACEPARENT_KEY, "")),
        str(metadata.get(ADDRESS_KEY, "")),
    )


async def _abort(context: Any, error: MeshError) -> NoReturn:  # noqa: ANN401
    status = to_status(error)
    # The whole message is in the status; beside it stands what fits a client with gRPC's own limits of headers.
    await context.abort(error.status, status.message[:200], ((DETAILS_KEY, status.SerializeToString()),))
    raise error
