"""Four kinds of RPC behind a default-deny guard; errors that say enough and not too much."""
# ruff: noqa: ANN401, N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import descriptor_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mesh.errors import (
    CLASSES,
    MUTE,
    InvalidArgument,
    MeshError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    from_rpc_error,
)
from mesh.identity import Authority, Identity, ensure_authority, ensure_identity
from tests.mesh.proving import EchoRequest, Key, Mesh, Number, Proving, Stub, path

KINDS = ("Echo", "Count", "Sum", "Converse")
Transport = Callable[[Mesh, int, Identity], Any]


async def _numbers(*numbers: int) -> AsyncIterator[Any]:
    for number in numbers:
        yield Number(number=number)


async def _silence(*_: int) -> AsyncIterator[Any]:
    """Requests that never come: grpc.aio forgets the status of a call that ends while a request is being written."""
    await asyncio.Event().wait()
    yield


async def _then_silence(*numbers: int) -> AsyncIterator[Any]:
    for number in numbers:
        yield Number(number=number)
    await asyncio.Event().wait()


async def call(stub: Any, kind: str, requests: Callable[..., Any] = _numbers) -> Any:
    """One call of a kind over any channel; what comes back, and a MeshError for what goes wrong."""
    try:
        if kind == "Echo":
            return (await stub.Echo(EchoRequest(word="hello"), timeout=2)).word
        if kind == "Count":
            return [answer.number async for answer in stub.Count(Number(number=3), timeout=2)]
        if kind == "Sum":
            return (await stub.Sum(requests(1, 2, 3), timeout=2)).number
        return [answer.number async for answer in stub.Converse(requests(1, 2), timeout=2)]
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


def through_mesh(mesh: Mesh, port: int, identity: Identity) -> Any:
    return Stub(mesh.channel(port, identity=identity))


def native(mesh: Mesh, port: int, identity: Identity) -> Any:
    return Stub(mesh.native(port, identity))


both = pytest.mark.parametrize("transport", [through_mesh, native])


def forged(authority: Authority, uris: list[str], folder: Path) -> Identity:
    """A leaf of `authority` with other URIs than ours."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName("x"), *map(x509.UniformResourceIdentifier, uris)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    identity = Identity.at(folder, "edge")
    identity.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    identity.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    identity.authority_file.write_bytes(authority.certificate_file.read_bytes())
    return identity


@both
@pytest.mark.parametrize(("kind", "answer"), list(zip(KINDS, ["hello", [0, 1, 2], 6, [2, 4]], strict=True)))
async def test_a_caller_with_a_row_is_served(mesh: Mesh, transport: Transport, kind: str, answer: object) -> None:
    server = await mesh.serve()
    assert await call(transport(mesh, server.port, mesh.identity("edge")), kind) == answer


@both
@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller_without_a_row_is_refused(mesh: Mesh, transport: Transport, kind: str) -> None:
    server = await mesh.serve()
    with pytest.raises(PermissionDenied) as refused:
        await call(transport(mesh, server.port, mesh.identity("stranger")), kind, _silence)
    assert refused.value.reason == "CALLER_NOT_ALLOWED"


@both
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "uris",
    [
        pytest.param([], id="no SPIFFE name"),
        pytest.param(["spiffe://elsewhere/edge"], id="another trust domain"),
        pytest.param(["spiffe://qmumma/edge", "spiffe://qmumma/billing"], id="two names"),
        pytest.param(["https://qmumma/edge"], id="no SPIFFE scheme"),
    ],
)
async def test_a_certificate_that_names_no_service_is_nobody(
    mesh: Mesh, transport: Transport, kind: str, uris: list[str], tmp_path: Path
) -> None:
    server = await mesh.serve()
    identity = forged(mesh.authority, uris, tmp_path / "forged")
    with pytest.raises(Unauthenticated) as refused:
        await call(transport(mesh, server.port, identity), kind, _silence)
    assert refused.value.reason == "UNKNOWN_PEER"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_peer_of_another_authority_is_not_connected(mesh: Mesh, kind: str, tmp_path: Path) -> None:
    server = await mesh.serve()
    other = ensure_identity(ensure_authority(tmp_path / "other"), "edge")
    other.authority_file.write_bytes(mesh.identity("billing").authority())
    with pytest.raises(Unavailable) as refused:
        await call(native(mesh, server.port, other), kind, _silence)
    assert refused.value.reason == "PEER_UNAVAILABLE"


async def test_a_server_of_another_authority_is_not_believed(mesh: Mesh, tmp_path: Path) -> None:
    server = await mesh.serve()
    other = ensure_identity(ensure_authority(tmp_path / "other"), "edge")
    with pytest.raises(Unavailable):
        await Stub(mesh.channel(server.port, identity=other)).Echo(EchoRequest(), timeout=0.3)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_peer_without_a_certificate_is_not_connected(mesh: Mesh, kind: str) -> None:
    server = await mesh.serve()
    credentials = grpc.ssl_channel_credentials(root_certificates=mesh.identity("edge").authority())
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        with pytest.raises(Unavailable):
            await call(Stub(channel), kind)


@both
@pytest.mark.parametrize(("name", "expected"), [("stranger", "CALLER_NOT_ALLOWED"), ("edge", "MALFORMED_REQUEST")])
async def test_the_guard_comes_before_parsing(mesh: Mesh, transport: Transport, name: str, expected: str) -> None:
    server = await mesh.serve()
    identity = mesh.identity(name)
    channel = mesh.native(server.port, identity) if transport is native else mesh.channel(server.port, name)
    raw: Any = channel.unary_unary(path("Echo"))
    malformed: Any = b"\xff\xff" if transport is native else _Raw(b"\xff\xff")
    with pytest.raises((MeshError, grpc.aio.AioRpcError)) as refused:
        await raw(malformed, timeout=2)
    error = refused.value
    assert (from_rpc_error(error) if isinstance(error, grpc.aio.AioRpcError) else error).reason == expected


class _Raw:
    """A request that serialises to anything."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def SerializeToString(self) -> bytes:
        return self._payload


@both
@pytest.mark.parametrize("kind", KINDS)
async def test_every_error_arrives_as_it_was_raised(mesh: Mesh, transport: Transport, kind: str) -> None:
    service = _Failing()
    server = await mesh.serve(service)
    stub = transport(mesh, server.port, mesh.identity("edge"))
    for cls in CLASSES:
        service.error = cls("too many “qubits”: 65", reason="TOO_MANY", field="circuit", metadata={"limit": "64"})
        with pytest.raises(MeshError) as raised:
            await call(stub, kind, _silence)
        got = raised.value
        assert type(got) is cls
        assert (got.message, got.reason, got.field) == ("too many “qubits”: 65", "TOO_MANY", "circuit")
        assert got.metadata == {"limit": "64"}


@both
async def test_an_error_with_a_very_long_message_still_arrives(mesh: Mesh, transport: Transport) -> None:
    service = _Failing()
    service.error = InvalidArgument("漢" * 50_000, reason="PROGRAM_INVALID", metadata={"line": "é" * 50_000})
    server = await mesh.serve(service)
    with pytest.raises(InvalidArgument) as raised:
        await call(transport(mesh, server.port, mesh.identity("edge")), "Echo")
    assert raised.value.reason == "PROGRAM_INVALID"
    assert raised.value.message == "漢" * 2000


class _Failing(Proving):
    """Every handler raises `error`."""

    error: BaseException

    async def Echo(self, _request: object, _call: object) -> Any:
        raise self.error

    async def Count(self, _request: object, _call: object) -> AsyncIterator[Any]:
        raise self.error
        yield

    Sum = Echo
    Converse = Count


@both
@pytest.mark.parametrize("kind", KINDS)
async def test_a_bug_is_mute_on_the_wire_and_has_its_trace_in_the_log(
    mesh: Mesh, transport: Transport, kind: str, log_lines: list[dict[str, Any]]
) -> None:
    service = _Failing()
    server = await mesh.serve(service)
    stub = transport(mesh, server.port, mesh.identity("edge"))
    for bug in (ZeroDivisionError("secret"), asyncio.CancelledError("secret"), TimeoutError("secret")):
        log_lines.clear()
        service.error = bug
        with pytest.raises(MeshError) as raised:
            await call(stub, kind, _silence)
        error = raised.value
        assert (error.message, error.reason, error.field, error.metadata) == (MUTE, "INTERNAL", "", {})
        assert "secret" not in repr(error.__cause__)
        (line,) = [line for line in log_lines if line["event"] == "rpc_failed"]
        assert (line["method"], line["caller"], line["exc_info"]) == (path(kind), "edge", bug)


@both
@pytest.mark.parametrize(
    ("request_", "field", "message"),
    [
        (EchoRequest(word="x" * 101), "word", "word: "),
        (EchoRequest(keys=[Key(name="a"), Key(name="b"), Key()]), "keys[2].name", "keys[2].name: "),
        (EchoRequest(labels={"a.b": Key()}), 'labels["a.b"].name', 'labels["a.b"].name: '),
    ],
)
async def test_a_violation_names_the_path_of_its_field(
    mesh: Mesh, transport: Transport, request_: Any, field: str, message: str
) -> None:
    server = await mesh.serve()
    with pytest.raises((InvalidArgument, grpc.aio.AioRpcError)) as raised:
        await transport(mesh, server.port, mesh.identity("edge")).Echo(request_, timeout=2)
    error = raised.value if isinstance(raised.value, MeshError) else from_rpc_error(raised.value)
    assert (type(error), error.reason, error.field) == (InvalidArgument, "INVALID_FIELD", field)
    assert error.message.startswith(message)


async def test_a_violation_of_a_rule_of_the_whole_message_names_no_field(mesh: Mesh) -> None:
    server = await mesh.serve()
    with pytest.raises(InvalidArgument) as raised:
        _ = [answer async for answer in mesh.stub(server.port).Count(Number(number=13))]
    assert (raised.value.field, raised.value.message) == ("", "13 brings bad luck")


@both
async def test_a_violation_within_a_stream_of_requests_ends_it(mesh: Mesh, transport: Transport) -> None:
    server = await mesh.serve()
    stub = transport(mesh, server.port, mesh.identity("edge"))
    stream = aiter(stub.Converse(_then_silence(1, -1), timeout=2))
    assert (await anext(stream)).number == 2
    with pytest.raises((InvalidArgument, grpc.aio.AioRpcError)) as raised:
        await anext(stream)
    error = raised.value if isinstance(raised.value, MeshError) else from_rpc_error(raised.value)
    assert error.field == "number"


@both
@pytest.mark.parametrize("ending", ["deadline", "cancelled"])
async def test_a_handler_that_nobody_waits_for_is_cancelled(mesh: Mesh, transport: Transport, ending: str) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    class Stuck(Proving):
        async def Echo(self, _request: object, _call: object) -> Any:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    server = await mesh.serve(Stuck())
    stub = transport(mesh, server.port, mesh.identity("edge"))
    timeout = 0.2 if ending == "deadline" else 20
    waiting = asyncio.ensure_future(stub.Echo(EchoRequest(), timeout=timeout))
    await started.wait()
    if ending == "cancelled":
        waiting.cancel()
    await asyncio.wait_for(cancelled.wait(), 2)
    with pytest.raises((asyncio.CancelledError, MeshError, grpc.aio.AioRpcError)):
        await waiting


async def test_a_cancelled_stream_closes_its_handler_at_once(mesh: Mesh) -> None:
    closed = asyncio.Event()
    service = Proving()

    async def endless(_request: object, _call: object) -> AsyncIterator[Any]:
        try:
            while True:
                yield Number(number=1)
        finally:
            closed.set()

    vars(service)["Count"] = endless
    server = await mesh.serve(service)
    stream = mesh.stub(server.port).Count(Number(number=1))
    async for _ in stream:
        break
    await stream.aclose()
    async with asyncio.timeout(2):
        await closed.wait()


async def test_a_taken_port_is_named(mesh: Mesh) -> None:
    server = await mesh.serve()
    with pytest.raises(Unavailable, match=rf"cannot listen on 127\.0\.0\.1:{server.port}"):
        await mesh.serve(port=server.port)


async def test_a_service_without_one_of_its_methods_is_not_added(mesh: Mesh) -> None:
    with pytest.raises(TypeError, match="object has no Echo, which"):
        await mesh.serve(object())


async def test_health_reflection_and_channelz_answer_the_operator(mesh: Mesh) -> None:
    server = await mesh.serve()
    channel = mesh.native(server.port, mesh.identity("operator"))
    health: Any = health_pb2_grpc.HealthStub(channel)
    for service in ("", "proving.v1.ProvingService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    async for answer in health.Watch(health_pb2.HealthCheckRequest()):
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        break
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def questions() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol="proving.v1.ProvingService")

    answers = [answer async for answer in reflection.ServerReflectionInfo(questions())]
    assert "proving.v1.ProvingService" in [service.name for service in answers[0].list_services_response.service]
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(f)
        for f in answers[1].file_descriptor_response.file_descriptor_proto
    ]
    assert "proving.proto" in [file.name for file in files]
    channelz: Any = channelz_pb2_grpc.ChannelzStub(channel)
    assert (await channelz.GetServers(channelz_pb2.GetServersRequest())).server


async def test_health_reflection_and_channelz_are_refused_to_others(mesh: Mesh) -> None:
    server = await mesh.serve()
    channel = mesh.native(server.port, mesh.identity("stranger"))
    health: Any = health_pb2_grpc.HealthStub(channel)
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    channelz: Any = channelz_pb2_grpc.ChannelzStub(channel)

    async def questions() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async def first(stream: Any) -> Any:
        return [answer async for answer in stream]

    malformed: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    for refused in (
        health.Check(health_pb2.HealthCheckRequest()),
        malformed(b"\xff\xff"),
        first(health.Watch(health_pb2.HealthCheckRequest())),
        first(reflection.ServerReflectionInfo(questions())),
        channelz.GetServers(channelz_pb2.GetServersRequest()),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await refused
        assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert from_rpc_error(error.value).reason == "CALLER_NOT_ALLOWED"


async def test_a_malformed_health_check_is_an_invalid_argument(mesh: Mesh) -> None:
    server = await mesh.serve()
    malformed: Any = mesh.native(server.port).unary_unary("/grpc.health.v1.Health/Check")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await malformed(b"\xff\xff")
    assert from_rpc_error(error.value).reason == "MALFORMED_REQUEST"


@both
async def test_a_method_that_a_server_does_not_know_is_told_as_such(mesh: Mesh, transport: Transport) -> None:
    server = await mesh.serve()
    channel = mesh.native(server.port) if transport is native else mesh.channel(server.port)
    raw: Any = channel.unary_unary(path("Unknown"), EchoRequest.SerializeToString)
    with pytest.raises((MeshError, grpc.aio.AioRpcError)) as raised:
        await raw(EchoRequest(), timeout=2)
    error = raised.value if isinstance(raised.value, MeshError) else from_rpc_error(raised.value)
    assert (error.reason, error.message) == ("UNKNOWN_METHOD", MUTE)


async def test_a_multiplexed_stream_of_something_else_is_refused(mesh: Mesh) -> None:
    server = await mesh.serve()
    raw: Any = mesh.native(server.port).stream_stream("/qm.mesh.v1.MultiplexService/Multiplex")
    stream = raw()
    await stream.write(b"\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stream.read()
    assert from_rpc_error(error.value).reason == "MALFORMED_REQUEST"


async def test_a_streaming_method_cannot_be_called_through_the_multiplexed_stream(mesh: Mesh) -> None:
    server = await mesh.serve()
    raw: Any = mesh.channel(server.port).unary_unary(path("Count"), None, Number.FromString)
    with pytest.raises(MeshError) as raised:
        await raw(Number(number=1), timeout=2)
    assert raised.value.reason == "UNKNOWN_METHOD"
    assert json.dumps(raised.value.metadata) == "{}"
