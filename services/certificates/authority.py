"""The X.509 chains of the two seals: a root and a seal certificate each, made at the first start, the seals renewed.

ECDSA P-256 is what today's PDF viewers check, ML-DSA-65 (FIPS 204) what holds against quantum computers. Their roots
have different subject names: a validator that looks up issuers by name must not take one for the other. Private keys
are kept sealed under the key-encryption key, each for the certificate that it belongs to. Pure, but for drawing keys.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.x509.oid import NameOID, ObjectIdentifier

from mesh.vault import Vault, VaultError

ROOT_LIFETIME = dt.timedelta(days=20 * 365)
SEAL_LIFETIME = dt.timedelta(days=2 * 365)
RENEW_WITHIN = dt.timedelta(days=60)
CLOCK_LEEWAY = dt.timedelta(minutes=5)
DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
"""RFC 9336."""

PrivateKey = ec.EllipticCurvePrivateKey | MLDSA65PrivateKey


class AuthorityError(RuntimeError):
    """A stored key that does not open, or does not belong to its certificate."""


class Algorithm(StrEnum):
    """How a key signs."""

    ECDSA = "ECDSA P-256"
    ML_DSA = "ML-DSA-65"


class Purpose(StrEnum):
    """What a key signs."""

    ROOT = "root"
    SEAL = "seal"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A certificate and its key, as the database has them."""

    purpose: Purpose
    algorithm: Algorithm
    certificate: bytes
    """DER."""
    sealed_key: bytes = field(repr=False)
    """PKCS #8, sealed under the key-encryption key `kid`."""
    kid: str
    not_before: dt.datetime
    expire_time: dt.datetime

    def parsed(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_der_x509_certificate(self.certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, hexadecimal."""
        return self.parsed().fingerprint(hashes.SHA256()).hex()

    @property
    def subject(self) -> str:
        """The common name."""
        (name,) = self.parsed().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)


@dataclass(frozen=True, slots=True)
class Authority:
    """Makes what is missing, and opens what is there."""

    issuer: str
    """The organisation that the certificates name."""
    vault: Vault

    def missing(self, held: Sequence[StoredKey], now: dt.datetime) -> list[StoredKey]:
        """Roots that are not there, and seals where none is valid for `RENEW_WITHIN` more; AuthorityError as `open`."""
        made: list[StoredKey] = []
        for algorithm in Algorithm:
            own = [key for key in held if key.algorithm is algorithm]
            root = _newest(own, Purpose.ROOT)
            if root is None or root.expire_time - now < SEAL_LIFETIME:
                root = self._root(algorithm, now)
                made.append(root)
            seal = _newest(own, Purpose.SEAL)
            if seal is None or seal.expire_time - now < RENEW_WITHIN:
                made.append(self._seal(root, now))
        return made

    def open(self, key: StoredKey) -> PrivateKey:
        """The private key; AuthorityError where it does not open or is not the certificate's."""
        try:
            opened = self.vault.open(key.sealed_key, self.issuer, f"keys|{key.fingerprint}", key.kid)
            private = serialization.load_der_private_key(opened, None)
        except (VaultError, ValueError) as error:
            raise AuthorityError(f"the key of {key.subject} does not open: {error}") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey | MLDSA65PrivateKey):
            raise AuthorityError(f"the key of {key.subject} is of another kind")
        if private.public_key() != key.parsed().public_key():
            raise AuthorityError(f"the key of {key.subject} is not its certificate's: the row was altered")
        return private

    def _root(self, algorithm: Algorithm, now: dt.datetime) -> StoredKey:
        private = _generate(algorithm)
        name = self._name(f"{self.issuer} certificate root {algorithm}, {now:%Y}")
        builder = (
            _begin(name, name, private, (now, now + ROOT_LIFETIME))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        return self._stored(Purpose.ROOT, algorithm, builder, private, private)

    def _seal(self, root: StoredKey, now: dt.datetime) -> StoredKey:
        private, issuer_key = _generate(root.algorithm), self.open(root)
        builder = (
            _begin(root.parsed().subject, self._name(f"{self.issuer} digital seal {root.algorithm}"), private,
                   (now, now + SEAL_LIFETIME))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([DOCUMENT_SIGNING]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )  # fmt: skip
        return self._stored(Purpose.SEAL, root.algorithm, builder, issuer_key, private)

    def _stored(
        self, purpose: Purpose, algorithm: Algorithm, builder: x509.CertificateBuilder, signer: PrivateKey,
        private: PrivateKey,
    ) -> StoredKey:  # fmt: skip
        certificate = builder.sign(signer, hashes.SHA256() if algorithm is Algorithm.ECDSA else None)
        place = f"keys|{certificate.fingerprint(hashes.SHA256()).hex()}"
        return StoredKey(
            purpose,
            algorithm,
            certificate.public_bytes(serialization.Encoding.DER),
            self.vault.seal(private_der(private), self.issuer, place),
            self.vault.kid,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )

    def _name(self, common: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.issuer[:64]),
                x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
            ]
        )


def private_der(private: PrivateKey) -> bytes:
    """A private key as PKCS #8, in the clear."""
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def current(held: Sequence[StoredKey], algorithm: Algorithm) -> StoredKey:
    """The newest seal of an algorithm."""
    seal = _newest([key for key in held if key.algorithm is algorithm], Purpose.SEAL)
    if seal is None:
        raise AuthorityError(f"there is no {algorithm} seal")
    return seal


def roots_pem(held: Sequence[StoredKey]) -> bytes:
    """The root certificates, newest first, as PEM."""
    roots = [key for key in held if key.purpose is Purpose.ROOT]
    return b"".join(key.parsed().public_bytes(serialization.Encoding.PEM) for key in roots)


def _newest(held: Sequence[StoredKey], purpose: Purpose) -> StoredKey | None:
    return max((key for key in held if key.purpose is purpose), key=lambda key: key.not_before, default=None)


def _generate(algorithm: Algorithm) -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1()) if algorithm is Algorithm.ECDSA else MLDSA65PrivateKey.generate()


def _begin(
    issuer: x509.Name, subject: x509.Name, private: PrivateKey, span: tuple[dt.datetime, dt.datetime]
) -> x509.CertificateBuilder:
    public = private.public_key()
    return (
        x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
        .not_valid_before(span[0] - CLOCK_LEEWAY)
        .not_valid_after(span[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
