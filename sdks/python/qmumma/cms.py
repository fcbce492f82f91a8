"""The seals inside a PDF: CMS SignedData (RFC 5652) as this cloud writes it, and no other way.

Of a seal's container only the signed attributes are signed. So it is taken apart, put together again from what matters,
and has to come out byte for byte: there is no place left in which something could be changed unseen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

_SEQUENCE, _SET, _OCTETS, _INTEGER, _OID = 0x30, 0x31, 0x04, 0x02, 0x06
_LONG, _LONGEST = 0x80, 4
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_DATA = bytes.fromhex("06092a864886f70d010701")
_MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
_ONE = bytes.fromhex("020101")


class SealError(ValueError):
    """A seal's container is not as this cloud writes it."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How a seal is made."""

    name: str
    digest: str
    digest_oid: bytes
    signature_oid: bytes


ECDSA = Algorithm(
    "ECDSA P-256", "sha256", bytes.fromhex("0609608648016503040201"), bytes.fromhex("06082a8648ce3d040302")
)
ML_DSA = Algorithm(
    "ML-DSA-65", "sha512", bytes.fromhex("0609608648016503040203"), bytes.fromhex("0609608648016503040312")
)


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal, taken apart."""

    algorithm: Algorithm
    certificate: x509.Certificate
    attributes: bytes
    """The signed attributes as they are signed: a DER SET."""
    message_digest: bytes
    signature: bytes

    def digests(self, data: bytes) -> bool:
        """Whether the seal is over `data`."""
        return hashlib.new(self.algorithm.digest, data).digest() == self.message_digest

    def signed(self) -> bool:
        """Whether the certificate's key signed the attributes."""
        key = self.certificate.public_key()
        try:
            if self.algorithm is ML_DSA and isinstance(key, MLDSA65PublicKey):
                key.verify(self.signature, self.attributes)
            elif self.algorithm is ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(self.signature, self.attributes, ec.ECDSA(hashes.SHA256()))
            else:
                return False
        except InvalidSignature:
            return False
        return True


def read_seal(container: bytes, algorithm: Algorithm) -> Seal:
    """Take a container apart; SealError unless it is exactly what its parts make."""
    try:
        _, explicit = _children(_only(container, _SEQUENCE))
        _, _, _, certificates, infos = _children(_only(_content(explicit), _SEQUENCE))
        leaf = _content(certificates)
        _, sid, _, attributes, _, signature = _children(_only(_content(infos), _SEQUENCE))
        certificate = _certificate(leaf)
        tagged = bytes([_SET]) + attributes[1:]
        digest = _message_digest(tagged)
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise SealError(f"is no container of a seal: {error}") from None
    made = _container(algorithm, leaf, sid, attributes, _content(signature))
    expected_sid = _wrap(_SEQUENCE, certificate.issuer.public_bytes() + _integer(certificate.serial_number))
    if made != container or sid != expected_sid:
        raise SealError("has bytes that are not as the service writes them")
    return Seal(algorithm, certificate, tagged, digest, _content(signature))


def _certificate(der: bytes) -> x509.Certificate:
    """A certificate of which every part can be read: they are taken apart only when they are asked for."""
    certificate = x509.load_der_x509_certificate(der)
    certificate.public_key()
    certificate.subject.rfc4514_string()
    certificate.issuer.rfc4514_string()
    list(certificate.extensions)
    certificate.not_valid_after_utc.isoformat()
    return certificate


def _container(algorithm: Algorithm, leaf: bytes, sid: bytes, attributes: bytes, signature: bytes) -> bytes:
    digest = _wrap(_SEQUENCE, algorithm.digest_oid + b"\x05\x00")
    info = b"".join(
        (_ONE, sid, digest, attributes, _wrap(_SEQUENCE, algorithm.signature_oid), _wrap(_OCTETS, signature))
    )
    data = b"".join(
        (_ONE, _wrap(_SET, digest), _wrap(_SEQUENCE, _DATA), _wrap(0xA0, leaf), _wrap(_SET, _wrap(_SEQUENCE, info)))
    )
    return _wrap(_SEQUENCE, _SIGNED_DATA + _wrap(0xA0, _wrap(_SEQUENCE, data)))


def _message_digest(attributes: bytes) -> bytes:
    """The one message digest among signed attributes."""
    found = []
    for attribute in _children(attributes):
        kind, values = _children(attribute)
        if kind == _MESSAGE_DIGEST:
            found.append(_content(_only(_content(values), _OCTETS)))
    (digest,) = found
    return digest


def _only(data: bytes, tag: int) -> bytes:
    """`data`, which has to be one element of a tag and no more."""
    start, end = _extent(data, 0)
    if data[0] != tag or end != len(data):
        raise ValueError(f"one element of tag {tag:#x} was expected")
    return data if start else b""


def _content(element: bytes) -> bytes:
    start, end = _extent(element, 0)
    return element[start:end]


def _children(element: bytes) -> list[bytes]:
    content, found, offset = _content(element), [], 0
    while offset < len(content):
        _, end = _extent(content, offset)
        found.append(content[offset:end])
        offset = end
    return found


def _extent(data: bytes, offset: int) -> tuple[int, int]:
    """Where the content of the element at `offset` begins and ends; ValueError where it is cut off."""
    length, start = data[offset + 1], offset + 2
    if length >= _LONG:
        size = length - _LONG
        if not 0 < size <= _LONGEST:
            raise ValueError("a length of another form")
        length, start = int.from_bytes(data[start : start + size]), start + size
    if start + length > len(data):
        raise ValueError("cut off")
    return start, start + length


def _wrap(tag: int, content: bytes) -> bytes:
    """An element in DER."""
    length = len(content)
    if length < _LONG:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, _LONG + size]) + length.to_bytes(size) + content


def _integer(number: int) -> bytes:
    return _wrap(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1))
