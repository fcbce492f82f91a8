"""Who a process is: certificates with a SPIFFE name, and the small authority that issues them on one machine.

Every leaf carries the URI `spiffe://qmumma/<name>` (what the guard and NATS authorise by), DNS and IP names (what TLS
checks the server's address against) and both purposes, server and client, since each service is both. Keys are ECDSA
P-256, which every gRPC client accepts; the key exchange is X25519MLKEM768 by the TLS libraries' default.

In production the same three files come from cert-manager or SPIRE: `Identity` only reads them. It reads them anew each
time, so a renewed file is used by the next handshake. An authority file may hold two certificates during a rotation.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TRUST_DOMAIN = "qmumma"
AUTHORITY_LIFETIME = dt.timedelta(days=3650)
LEAF_LIFETIME = dt.timedelta(days=90)
RENEW_WITHIN = dt.timedelta(days=30)
_CLOCK_SKEW = dt.timedelta(minutes=5)
_PREFIX = f"spiffe://{TRUST_DOMAIN}/"
_LOOPBACK = ("127.0.0.1", "::1")

Clock = Callable[[], dt.datetime]


def spiffe_uri(name: str) -> str:
    """The SPIFFE URI of the service `name`."""
    return _PREFIX + name


def spiffe_name(uri: str) -> str | None:
    """The service in a SPIFFE URI of our trust domain, or None for anything else."""
    name = uri.removeprefix(_PREFIX)
    return name if uri.startswith(_PREFIX) and name and "/" not in name else None


def now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Identity:
    """The certificate, the key and the trusted authorities of one process, as files."""

    name: str
    certificate_file: Path
    key_file: Path
    authority_file: Path

    @classmethod
    def at(cls, folder: Path, name: str) -> Identity:
        """The identity `name` in a folder laid out as `ensure_identity` does."""
        return cls(name, folder / f"{name}.crt", folder / f"{name}.key", folder / "authority.crt")

    def certificate(self) -> bytes:
        """The certificate chain of the moment, PEM."""
        return self.certificate_file.read_bytes()

    def key(self) -> bytes:
        """The private key of the moment, PEM."""
        return self.key_file.read_bytes()

    def authority(self) -> bytes:
        """The trusted authorities of the moment, PEM; two of them during a rotation."""
        return self.authority_file.read_bytes()

    def version(self) -> tuple[int, ...]:
        """Changes whenever one of the three files is replaced; costs three stat calls."""
        return tuple(file.stat().st_mtime_ns for file in (self.certificate_file, self.key_file, self.authority_file))

    def server_credentials(self) -> grpc.ServerCredentials:
        """Server credentials that demand a client certificate and follow changes of the files."""
        known = self.version()

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal known
            current = self.version()
            if current == known:
                return None
            known = current
            return self._server_configuration()

        return grpc.dynamic_ssl_server_credentials(
            self._server_configuration(),
            renewed,  # type: ignore[arg-type] # None is documented to mean "no change"
            require_client_authentication=True,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Client credentials as the files are now; a channel keeps them for as long as it lives."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.authority(),
            private_key=self.key(),
            certificate_chain=self.certificate(),
        )

    def ssl_context(self) -> ssl.SSLContext:
        """A TLS 1.3 client context for everything that is not gRPC; it holds the files as they are now."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.authority_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(str(self.certificate_file), str(self.key_file))
        return context

    def _server_configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self.key(), self.certificate())], root_certificates=self.authority()
        )


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose key lies in a folder of this machine."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_file(self) -> Path:
        """The PEM file of the authority's certificate."""
        return self.folder / "authority.crt"


def ensure_authority(folder: Path, *, clock: Clock = now) -> Authority:
    """The authority in `folder`; it is made at the first call. The key has mode 0600."""
    certificate_file, key_file = folder / "authority.crt", folder / "authority.key"
    if not (certificate_file.exists() and key_file.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        replace_file(key_file, _key_pem(key), 0o600)
        replace_file(certificate_file, _self_signed(key, clock()).public_bytes(serialization.Encoding.PEM), 0o644)
    loaded = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        message = f"{key_file} does not hold an elliptic-curve key"
        raise TypeError(message)
    # During a rotation the file holds two certificates: the issuer is the one that the key belongs to.
    for certificate in x509.load_pem_x509_certificates(certificate_file.read_bytes()):
        if certificate.public_key() == loaded.public_key():
            return Authority(folder, certificate, loaded)
    message = f"{certificate_file} holds no certificate of the key {key_file}"
    raise ValueError(message)


def ensure_identity(
    authority: Authority,
    name: str,
    *,
    folder: Path | None = None,
    hosts: Iterable[str] = (),
    clock: Clock = now,
) -> Identity:
    """The identity `name`, issued or renewed where it is missing, of another authority, or close to its end.

    It lies in `folder` (by default the authority's own) as `<name>.crt`, `<name>.key` (0600) and `authority.crt`. It is
    valid for localhost, the loopback addresses, `name` and `hosts`.
    """
    identity = Identity.at(folder or authority.folder, name)
    if identity.authority_file != authority.certificate_file:
        replace_file(identity.authority_file, authority.certificate_file.read_bytes(), 0o644)
    names = ("localhost", name, *hosts)
    if _is_fresh(identity, authority, names, clock()):
        return identity
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _leaf(authority, key, name, names, clock())
    replace_file(identity.key_file, _key_pem(key), 0o600)
    replace_file(identity.certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return identity


def _is_fresh(identity: Identity, authority: Authority, names: Iterable[str], moment: dt.datetime) -> bool:
    if not (identity.certificate_file.exists() and identity.key_file.exists()):
        return False
    leaf = x509.load_pem_x509_certificate(identity.certificate())
    key = serialization.load_pem_private_key(identity.key(), password=None)
    alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        leaf.not_valid_after_utc - moment > RENEW_WITHIN
        and leaf.issuer == authority.certificate.subject
        and leaf.public_key() == key.public_key()
        and all(_general_name(host) in alternatives for host in names)
    )


def _self_signed(key: ec.EllipticCurvePrivateKey, moment: dt.datetime) -> x509.Certificate:
    serial = x509.random_serial_number()
    # The serial number tells two generations of the authority apart by name.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Q-MUMMA"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"mesh authority {serial:x}"[:60]),
        ]
    )
    return (
        x509.CertificateBuilder(name, name, key.public_key(), serial)
        .not_valid_before(moment - _CLOCK_SKEW)
        .not_valid_after(moment + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    authority: Authority,
    key: ec.EllipticCurvePrivateKey,
    name: str,
    names: Iterable[str],
    moment: dt.datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternatives = [
        x509.UniformResourceIdentifier(spiffe_uri(name)),
        *(_general_name(host) for host in dict.fromkeys((*names, *_LOOPBACK))),
    ]
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer_key = authority.key.public_key()
    return (
        x509.CertificateBuilder(authority.certificate.subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(moment - _CLOCK_SKEW)
        .not_valid_after(moment + LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def replace_file(file: Path, content: bytes, mode: int) -> None:
    """Put the file in place in one step, so that a reader never sees half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content)
    fresh.replace(file)
