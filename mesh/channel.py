"""The way to another service. Generated stubs take a `MeshChannel` like any channel:

    billing = BillingServiceStub(process.channel("billing"))
    response = await billing.HoldFunds(request)          # raises mesh.errors

Unary calls ride on one multiplexed stream; streams are gRPC's own. Every call has a deadline: what the current call has
left, at most `DEFAULT_TIMEOUT`. A peer that does not answer is tried again until then, because every unary RPC is keyed
and safe to repeat. The certificate is renewed without a failed call: new connection first, then the old one ends.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.message import Message

from mesh.call import REQUEST_ID_KEY, TRACEPARENT_KEY, current
from mesh.errors import DeadlineExceeded, Unavailable, from_rpc_error
from mesh.multiplex import MULTIPLEX, MultiplexClient

if TYPE_CHECKING:
    from mesh.identity import Identity

DEFAULT_TIMEOUT = 5.0
RENEW_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.02
LAST_RETRY_SECONDS = 0.5
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class _Connection:
    """One TLS connection with one multiplexed stream, made anew when it broke."""

    def __init__(self, target: str, identity: Identity, service: str) -> None:
        self.version = identity.version()
        self.channel = grpc.aio.secure_channel(target, identity.channel_credentials(), options=_OPTIONS)
        self._service = service
        self._multiplex: Any = self.channel.stream_stream(MULTIPLEX)
        self._client: MultiplexClient | None = None

    def client(self) -> MultiplexClient:
        """The multiplexed stream, opened where there is none."""
        if self._client is None or self._client.closed:
            self._client = MultiplexClient(self._service, self._multiplex())
        return self._client

    async def close(self) -> None:
        """End after the pending calls."""
        if self._client is not None:
            await self._client.close()
        await self.channel.close(grace=DEFAULT_TIMEOUT)


class MeshChannel(grpc.aio.Channel):
    """A channel to one service, under our identity."""

    def __init__(self, target: str, identity: Identity, service: str) -> None:
        """Call `service` ("billing") at `target` ("127.0.0.1:7102"); nothing is opened before the first call."""
        self._target = target
        self._identity = identity
        self._service = service
        self._connection: _Connection | None = None
        self._renewer: asyncio.Task[None] | None = None

    def connection(self) -> _Connection:
        """The connection of the moment."""
        if self._connection is None:
            self._connection = _Connection(self._target, self._identity, self._service)
            self._renewer = asyncio.create_task(self._renew())
        return self._connection

    async def _renew(self) -> None:
        """Follow renewed certificates: connect with the new one, swap, then end the old."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            old = self.connection()
            if old.version == self._identity.version():
                continue
            fresh = _Connection(self._target, self._identity, self._service)
            try:
                async with asyncio.timeout(DEFAULT_TIMEOUT):
                    await fresh.channel.channel_ready()
            except TimeoutError:
                await fresh.channel.close()
                continue
            self._connection = fresh
            await old.close()

    def unary_unary(  # type: ignore[override] # our multi-callable has the same call shape
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,  # noqa: ARG002 - messages serialise themselves
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002 - grpc's signature
    ) -> UnaryCall:
        """A callable for one unary method; stubs ask for it."""
        return UnaryCall(self, method, response_deserializer or bytes)

    def unary_stream(  # type: ignore[override]
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002
    ) -> StreamCall:
        """A callable for one method that streams its responses."""
        return StreamCall(self, method, request_serializer, response_deserializer)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """GRPC's own, as it is."""
        return self.connection().channel.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """GRPC's own, as it is."""
        return self.connection().channel.stream_stream(*args, **kwargs)

    async def channel_ready(self) -> None:
        """Wait until the connection stands."""
        await self.connection().channel.channel_ready()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002
        """GRPC's own, as it is."""
        return self.connection().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """GRPC's own, as it is."""
        await self.connection().channel.wait_for_state_change(last_observed_state)

    async def close(self, grace: float | None = None) -> None:  # noqa: ARG002 - pending calls end by their deadlines
        """End after the pending calls."""
        if self._renewer is not None:
            self._renewer.cancel()
        if self._connection is not None:
            await self._connection.close()

    async def __aenter__(self) -> Self:
        """Use as a context manager: closed at the end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()


class UnaryCall:
    """One unary method of a service."""

    def __init__(self, channel: MeshChannel, method: str, parse: Callable[[bytes], Any]) -> None:
        """Bind a method of a channel."""
        self._channel = channel
        self._method = method
        self._parse = parse

    async def __call__(self, request: Message, *, timeout: float = DEFAULT_TIMEOUT) -> Any:  # noqa: ANN401
        """Call it; raises MeshError. `timeout` is in seconds and never longer than what the current call has left."""
        call = current()
        deadline = time.monotonic() + (timeout if call is None else min(timeout, call.remaining()))
        payload = request.SerializeToString()
        request_id, traceparent = (call.request_id, call.traceparent) if call else ("", "")
        pause = FIRST_RETRY_SECONDS
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise DeadlineExceeded(f"no time left to call {self._method}", reason="DEADLINE_EXCEEDED")
            try:
                answer = (
                    await self._channel.connection()
                    .client()
                    .call(self._method, payload, timeout=remaining, request_id=request_id, traceparent=traceparent)
                )
                return self._parse(answer)
            except Unavailable as error:
                if error.reason != "PEER_UNAVAILABLE" or deadline - time.monotonic() <= pause:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause = min(LAST_RETRY_SECONDS, pause * 2)


class StreamCall:
    """One method of a service that streams its responses."""

    def __init__(
        self,
        channel: MeshChannel,
        method: str,
        serialize: Callable[[Any], bytes] | None,
        parse: Callable[[bytes], Any] | None,
    ) -> None:
        """Bind a method of a channel."""
        self._channel = channel
        self._method = method
        self._serialize = serialize
        self._parse = parse

    async def __call__(self, request: Message, *, timeout: float | None = None) -> AsyncIterator[Any]:
        """Call it and yield what comes; raises MeshError. `timeout` bounds the whole stream, in seconds."""
        call = current()
        remaining = call.remaining() if call else float("inf")
        if timeout is not None:
            remaining = min(remaining, timeout)
        metadata = ((REQUEST_ID_KEY, call.request_id), (TRACEPARENT_KEY, call.traceparent)) if call else ()
        raw = self._channel.connection().channel.unary_stream(self._method, self._serialize, self._parse)
        stream = raw(request, timeout=None if remaining == float("inf") else remaining, metadata=metadata)
        try:
            async for response in stream:
                yield response
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        finally:
            stream.cancel()
