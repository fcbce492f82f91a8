"""The container of a seal: CMS SignedData (RFC 5652) with the attributes that PAdES asks for, in DER. Pure.

Written here rather than by pyHanko, which encodes it anew ten times over: that is half of what a certificate costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

_SEQUENCE, _SET, _OCTETS, _INTEGER, _OID = 0x30, 0x31, 0x04, 0x02, 0x06
_SIGNED_DATA, _DATA = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d010701")
_CONTENT_TYPE, _MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010903"), bytes.fromhex("2a864886f70d010904")
_SIGNING_CERTIFICATE_V2 = bytes.fromhex("2a864886f70d010910022f")
_VERSION_1, _NULL = b"\x02\x01\x01", b"\x05\x00"


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a seal is made: the digest over the file, and the signature over the attributes."""

    digest: str
    digest_oid: bytes
    signature_oid: bytes


ECDSA = Scheme("sha256", bytes.fromhex("608648016503040201"), bytes.fromhex("2a8648ce3d040302"))
ML_DSA = Scheme("sha512", bytes.fromhex("608648016503040203"), bytes.fromhex("608648016503040312"))
"""RFC 9882 asks for SHA-512 with ML-DSA-65."""


def seal_container(scheme: Scheme, certificate: bytes, digest: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The container over a file's digest; `certificate` is DER, `sign` signs the attributes."""
    algorithm = _wrap(_SEQUENCE, _wrap(_OID, scheme.digest_oid) + _NULL)
    attributes = b"".join(
        sorted(
            (
                _attribute(_CONTENT_TYPE, _wrap(_OID, _DATA)),
                _attribute(_MESSAGE_DIGEST, _wrap(_OCTETS, digest)),
                _attribute(_SIGNING_CERTIFICATE_V2, _certificate_id(certificate)),
            )
        )
    )
    signer = x509.load_der_x509_certificate(certificate)
    info = b"".join(
        (
            _VERSION_1,
            _wrap(_SEQUENCE, signer.issuer.public_bytes() + _integer(signer.serial_number)),
            algorithm,
            _wrap(0xA0, attributes),
            _wrap(_SEQUENCE, _wrap(_OID, scheme.signature_oid)),
            _wrap(_OCTETS, sign(_wrap(_SET, attributes))),
        )
    )
    data = b"".join(
        (
            _VERSION_1,
            _wrap(_SET, algorithm),
            _wrap(_SEQUENCE, _wrap(_OID, _DATA)),
            _wrap(0xA0, certificate),
            _wrap(_SET, _wrap(_SEQUENCE, info)),
        )
    )
    return _wrap(_SEQUENCE, _wrap(_OID, _SIGNED_DATA) + _wrap(0xA0, _wrap(_SEQUENCE, data)))


def _attribute(kind: bytes, value: bytes) -> bytes:
    return _wrap(_SEQUENCE, _wrap(_OID, kind) + _wrap(_SET, value))


def _certificate_id(certificate: bytes) -> bytes:
    """SigningCertificateV2 (RFC 5035) with SHA-256, which is the default and so not named."""
    identity = _wrap(_SEQUENCE, _wrap(_OCTETS, hashlib.sha256(certificate).digest()))
    return _wrap(_SEQUENCE, _wrap(_SEQUENCE, identity))


def _integer(number: int) -> bytes:
    return _wrap(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def _wrap(tag: int, content: bytes) -> bytes:
    """An element in DER."""
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - X.690, 8.1.3
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 + size]) + length.to_bytes(size) + content
