"""The way to another service. Generated stubs take a `MeshChannel` like any channel:

    billing = BillingServiceStub(process.channel("billing"))
    response = await billing.HoldFunds(request)          # raises mesh.errors

Unary calls ride on one multiplexed stream; streams are gRPC's own. A service of the same process is called without
either: the same bytes, through the same guard, under the same deadline. Every unary call has a deadline: that of the
current call, else `DEFAULT_TIMEOUT`. A peer that is not there is tried again for so long, because every unary RPC is
keyed and safe to repeat. The certificate is renewed without a failed call: new connection first, then the
old ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, Self

import grpc

from mesh.callables import DEFAULT_TIMEOUT, CollectCall, StreamCall, UnaryCall
from mesh.errors import Unavailable
from mesh.multiplex import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MULTIPLEX, MultiplexClient
from mesh.telemetry import log

if TYPE_CHECKING:
    from mesh.dispatch import Dispatcher
    from mesh.identity import Identity

RENEW_SECONDS = 5.0
"""Between two looks at the certificates."""
RENEW_AGE = 480.0
"""Seconds after which a connection is replaced: before the server ends it, whose limit is about 600."""
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # Not a pause: the least time that one attempt to connect is given. A handshake on a busy machine takes a while.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class _Connection:
    """One TLS connection with one multiplexed stream, made anew when it broke."""

    def __init__(self, target: str, identity: Identity, service: str) -> None:
        self.version = identity.version()
        self.made = time.monotonic()
        # The certificate must be that service's, not any of the mesh: all of them are good for the loopback addresses.
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", service))
        self.channel = grpc.aio.secure_channel(target, identity.channel_credentials(), options=options)
        self._multiplex: Any = self.channel.stream_stream(MULTIPLEX)
        self._client: MultiplexClient | None = None

    @property
    def broken(self) -> bool:
        """Whether its stream has ended."""
        return self._client is not None and self._client.closed

    def client(self) -> MultiplexClient:
        """The multiplexed stream, opened where there is none."""
        if self._client is None or self._client.closed:
            self._client = MultiplexClient(self._multiplex())
        return self._client

    async def close(self, grace: float | None) -> None:
        """End after the pending calls and streams, after `grace` seconds each at the latest."""
        if self._client is not None:
            await self._client.close(grace)
        await self.channel.close(grace)


class MeshChannel(grpc.aio.Channel):
    """A channel to one service, under our identity."""

    def __init__(
        self, target: str, identity: Identity, service: str, neighbours: Mapping[str, Dispatcher] | None = None
    ) -> None:
        """Call `service` ("billing") at `target` ("127.0.0.1:7102"); nothing is opened before the first call.

        Where it is among the `neighbours`, which share this process, unary calls need no connection.
        """
        self.service = service
        self._neighbours = {} if neighbours is None else neighbours
        self._target = target
        self._identity = identity
        self._connection: _Connection | None = None
        self._renewer: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def caller(self) -> str:
        """Under whose name calls are made."""
        return self._identity.name

    def neighbour(self) -> Dispatcher | None:
        """The service itself, where it runs in this process."""
        return self._neighbours.get(self.service)

    def connection(self) -> _Connection:
        """The connection of the moment; raises Unavailable after `close`."""
        if self._closed:
            raise Unavailable(f"the channel to {self.service} is closed", reason="SHUTTING_DOWN")
        if self._connection is None:
            self._connection = _Connection(self._target, self._identity, self.service)
            self._renewer = asyncio.create_task(self._renew(), context=Context())
        elif self._connection.broken and self._connection.version != self._identity.version():
            self._swap(_Connection(self._target, self._identity, self.service))
        return self._connection

    def _swap(self, fresh: _Connection) -> None:
        """Make `fresh` the connection; the old one ends when its calls and streams have, or the server ends it."""
        old, self._connection = self._connection, fresh
        if old is not None:
            ending = asyncio.create_task(old.close(RENEW_AGE), context=Context())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _renew(self) -> None:
        """Follow renewed certificates and the age of the connection: connect anew, then swap."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._follow()
            except OSError as error:  # a TimeoutError is one too
                log.warning("renewal_failed", peer=self.service, error=repr(error))

    async def _follow(self) -> None:
        old = self._connection
        if old is None or (old.version == self._identity.version() and time.monotonic() - old.made < RENEW_AGE):
            return
        fresh = _Connection(self._target, self._identity, self.service)
        try:
            async with asyncio.timeout(DEFAULT_TIMEOUT):
                await fresh.channel.channel_ready()
        except BaseException:
            await fresh.close(None)
            raise
        if self._connection is old:
            self._swap(fresh)
        else:
            await fresh.close(None)

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
        return StreamCall(self, "unary_stream", (method, request_serializer, response_deserializer))

    def stream_unary(  # type: ignore[override]
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002
    ) -> CollectCall:
        """A callable for one method that takes a stream and gives one response."""
        return CollectCall(self, "stream_unary", (method, request_serializer, response_deserializer))

    def stream_stream(  # type: ignore[override]
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002
    ) -> StreamCall:
        """A callable for one method with streams both ways."""
        return StreamCall(self, "stream_stream", (method, request_serializer, response_deserializer))

    async def channel_ready(self) -> None:
        """Wait until the connection stands."""
        await self.connection().channel.channel_ready()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002
        """GRPC's own, as it is."""
        return self.connection().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """GRPC's own, as it is."""
        await self.connection().channel.wait_for_state_change(last_observed_state)

    async def close(self, grace: float | None = None) -> None:
        """Take no more calls and end when those pending have, after `grace` seconds at the latest (by default 5)."""
        self._closed = True
        if self._renewer is not None:
            self._renewer.cancel()
        for ending in self._ending:
            ending.cancel()
        if self._connection is not None:
            await self._connection.close(DEFAULT_TIMEOUT if grace is None else grace)

    async def __aenter__(self) -> Self:
        """Use as a context manager: closed at the end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()
