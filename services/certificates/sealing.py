"""Sealing a PDF twice, each as an incremental update that leaves every earlier byte as it was.

    pages → + digests of the pages' objects, ECDSA seal → + ML-DSA-65 seal

The digests tell a verifier which object was altered; the first seal covers them, the second covers the first. Imported
by the press's child alone: pyHanko takes two seconds to import.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass
from typing import Self

from asn1crypto import cms, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from pyhanko.pdf_utils.generic import NameObject, StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, PdfSigner
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.pdf_cms import Signer
from pyhanko_certvalidator.registry import SimpleCertificateStore

from services.certificates.container import ECDSA, ML_DSA, seal_container

DIGESTS_KEY = "/QMUMDigests"
"""Where the catalogue has the digests: a name of ours, as ISO 32000-1 annex E lets a developer add."""
_OBJECT = re.compile(rb"(?:^|\n)([0-9]+) 0 obj\b(.*?)\nendobj", re.DOTALL)
_ECDSA_DIGITS, _ML_DSA_DIGITS = 4_096, 20_480
"""Room for each seal, in hexadecimal digits: certificate, signature and attributes take 2,100 and 18,900."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """A seal's certificate, its issuer's, and its private key."""

    certificate: bytes
    """DER."""
    private: ec.EllipticCurvePrivateKey | MLDSA65PrivateKey

    @classmethod
    def load(cls, certificate: bytes, private_key: bytes) -> Self:
        """From DER: X.509 and PKCS #8. TypeError for a key of another kind."""
        private = serialization.load_der_private_key(private_key, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey | MLDSA65PrivateKey):
            raise TypeError("a seal signs with ECDSA or ML-DSA-65")
        return cls(certificate, private)


class _ServiceSigner(Signer):
    """Signs with a key that is loaded already."""

    def __init__(self, key: SealKey) -> None:
        certificate = x509.Certificate.load(key.certificate)
        super().__init__(signing_cert=certificate, cert_registry=SimpleCertificateStore())  # type: ignore[no-untyped-call]
        self._private = key.private
        self._certificate = key.certificate
        self._scheme = ML_DSA if isinstance(key.private, MLDSA65PrivateKey) else ECDSA

    @property
    def digest(self) -> str:
        """How the file is digested."""
        return self._scheme.digest

    async def async_sign(self, data_digest: bytes, *_arguments: object, **_settings: object) -> cms.ContentInfo:
        """Make the container over a digest, whatever else is asked for: a seal has one form."""
        der = seal_container(self._scheme, self._certificate, data_digest, self._sign)
        return cms.ContentInfo.load(der)

    def _sign(self, attributes: bytes) -> bytes:
        if isinstance(self._private, MLDSA65PrivateKey):
            return self._private.sign(attributes)
        return self._private.sign(attributes, ec.ECDSA(hashes.SHA256()))


def object_digests(pdf: bytes) -> dict[str, str]:
    """SHA-256 of each object of a PDF as it is written, by number; hexadecimal."""
    return {match[1].decode(): hashlib.sha256(match[2]).hexdigest() for match in _OBJECT.finditer(pdf)}


def seal_twice(pdf: bytes, classical: SealKey, quantum_safe: SealKey) -> bytes:
    """The PDF with both seals. Raises what pyHanko raises where the PDF is none of ours."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    digests = StreamObject(stream_data=json.dumps(object_digests(pdf), separators=(",", ":")).encode())
    digests["/Type"] = NameObject(DIGESTS_KEY)
    writer.root[DIGESTS_KEY] = writer.add_object(digests)
    writer.update_root()  # type: ignore[no-untyped-call]
    once = _seal(writer, classical, "Seal-ECDSA", _ECDSA_DIGITS)
    return _seal(IncrementalPdfFileWriter(io.BytesIO(once)), quantum_safe, "Seal-ML-DSA-65", _ML_DSA_DIGITS)


def _seal(writer: IncrementalPdfFileWriter, key: SealKey, field: str, reserved: int) -> bytes:
    signer = _ServiceSigner(key)
    metadata = PdfSignatureMetadata(
        field_name=field,
        md_algorithm=signer.digest,
        subfilter=SigSeedSubFilter.PADES,
        reason="Attests origin and integrity; no signature of a person",
        app_build_props=None,
    )
    out = PdfSigner(metadata, signer).sign_pdf(writer, bytes_reserved=reserved, appearance_text_params=None)
    content: bytes = out.getvalue()
    return content
