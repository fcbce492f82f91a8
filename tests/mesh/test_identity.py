"""Certificates carry the SPIFFE name, renew in time, and are picked up without a restart."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import stat
import threading
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from mesh.identity import Identity, ensure_authority, ensure_identity, spiffe_name


def _certificate(identity: Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificate(identity.certificate())


def test_a_leaf_names_its_service_and_the_addresses_it_answers_on(tmp_path: Path) -> None:
    identity = ensure_identity(ensure_authority(tmp_path), "billing", hosts=["billing.qmumma.svc"])
    names = _certificate(identity).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://qmumma/billing"]
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "billing", "billing.qmumma.svc"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    identity = ensure_identity(ensure_authority(tmp_path), "billing")
    for file in (identity.key_file, tmp_path / "authority.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(identity.certificate_file.stat().st_mode) == 0o644


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    first = ensure_identity(ensure_authority(tmp_path), "billing")
    before = (first.certificate(), first.key(), first.authority())
    second = ensure_identity(ensure_authority(tmp_path), "billing")
    assert (second.certificate(), second.key(), second.authority()) == before


def test_a_leaf_is_renewed_a_month_before_its_end(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path)
    start = dt.datetime.now(dt.UTC)
    first = _certificate(ensure_identity(authority, "billing", clock=lambda: start))
    later = _certificate(ensure_identity(authority, "billing", clock=lambda: start + dt.timedelta(days=59)))
    assert later == first
    renewed = _certificate(ensure_identity(authority, "billing", clock=lambda: start + dt.timedelta(days=61)))
    assert renewed.not_valid_after_utc > first.not_valid_after_utc


def test_a_leaf_of_another_authority_or_without_a_wanted_host_is_replaced(tmp_path: Path) -> None:
    ensure_identity(ensure_authority(tmp_path / "old"), "billing", folder=tmp_path / "leaf")
    authority = ensure_authority(tmp_path / "new")
    identity = ensure_identity(authority, "billing", folder=tmp_path / "leaf")
    assert _certificate(identity).issuer == authority.certificate.subject
    assert identity.authority() == authority.certificate_file.read_bytes()
    before = identity.certificate()
    assert ensure_identity(authority, "billing", folder=tmp_path / "leaf", hosts=["x"]).certificate() != before


def test_an_authority_file_with_two_certificates_still_issues_with_its_own_key(tmp_path: Path) -> None:
    old, new = ensure_authority(tmp_path / "old"), ensure_authority(tmp_path / "new")
    both = old.certificate_file.read_bytes() + new.certificate_file.read_bytes()
    new.certificate_file.write_bytes(both)
    authority = ensure_authority(tmp_path / "new")
    assert authority.certificate == new.certificate
    assert ensure_identity(authority, "billing").authority() == both


def test_an_authority_whose_certificate_and_key_differ_is_refused(tmp_path: Path) -> None:
    ensure_authority(tmp_path / "one")
    ensure_authority(tmp_path / "two")
    (tmp_path / "one" / "authority.key").write_bytes((tmp_path / "two" / "authority.key").read_bytes())
    with pytest.raises(ValueError, match="no certificate of the key"):
        ensure_authority(tmp_path / "one")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("spiffe://qmumma/billing", "billing"),
        ("spiffe://qmumma/", None),
        ("spiffe://other/billing", None),
        ("spiffe://qmumma/a/b", None),
        ("billing", None),
    ],
)
def test_only_a_single_name_of_our_trust_domain_is_a_service(uri: str, name: str | None) -> None:
    assert spiffe_name(uri) == name


def test_two_identities_shake_hands_over_tls_1_3(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path)
    server, client = (ensure_identity(authority, name) for name in ("billing", "edge"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate_file, server.key_file)
    context.load_verify_locations(server.authority_file)
    context.verify_mode = ssl.CERT_REQUIRED
    seen: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as secure:
                seen.append((secure.getpeercert() or {})["subjectAltName"])
                secure.sendall(b"hello")

        thread = threading.Thread(target=accept)
        thread.start()
        with (
            socket.create_connection(listener.getsockname()) as plain,
            client.ssl_context().wrap_socket(plain, server_hostname="billing") as secure,
        ):
            assert secure.version() == "TLSv1.3"
            assert secure.recv(5) == b"hello"
        thread.join()
    assert ("URI", "spiffe://qmumma/edge") in seen[0]  # type: ignore[operator]


async def test_a_server_shows_its_renewed_certificate_without_a_restart(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path)
    identity, client = ensure_identity(authority, "billing"), ensure_identity(authority, "edge")
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", identity.server_credentials())
    await server.start()

    def shown() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            client.ssl_context().wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return secure.getpeercert(binary_form=True) or b""

    before = await asyncio.to_thread(shown)
    ensure_identity(authority, "billing", hosts=["another-host"])
    after = await asyncio.to_thread(shown)
    await server.stop(None)
    assert before != after
    assert x509.load_der_x509_certificate(after) == _certificate(identity)
