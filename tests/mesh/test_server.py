"""Four kinds of RPC behind a default-deny guard, and the standard services beside them."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

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
    MUTE,
    MeshError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    from_rpc_error,
)
from mesh.identity import Authority, Identity, ensure_authority, ensure_identity
from tests.mesh.proving import EchoRequest, Mesh, Number, Stub, path
from tests.mesh.transports import KINDS, Transport, both, call, native, numbers, silence


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


def requests_of(transport: Transport) -> Callable[..., Any]:
    """What a caller that is refused would send: our own channel keeps it back until the server has let it in."""
    return silence if transport is native else numbers


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
        await call(transport(mesh, server.port, mesh.identity("stranger")), kind, requests_of(transport))
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
        await call(transport(mesh, server.port, identity), kind, requests_of(transport))
    assert refused.value.reason == "UNKNOWN_PEER"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_peer_of_another_authority_is_not_connected(mesh: Mesh, kind: str, tmp_path: Path) -> None:
    server = await mesh.serve()
    other = ensure_identity(ensure_authority(tmp_path / "other"), "edge")
    other.authority_file.write_bytes(mesh.identity("billing").authority())
    with pytest.raises(Unavailable) as refused:
        await call(native(mesh, server.port, other), kind, silence)
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

    malformed: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    for refused in (
        health.Check(health_pb2.HealthCheckRequest()),
        malformed(b"\xff\xff"),
        health.Watch(health_pb2.HealthCheckRequest()).read(),
        # Nothing is written: grpc.aio tells `Internal`, and not why, of a call that ends while it is written to.
        reflection.ServerReflectionInfo().read(),
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
