"""Certificates and evidence bundles for `POST /v1/verify`: the checks of `qmumma verify`, with the keys of now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from qm.certificates.v1 import certificates_pb2
from qm.signing.v1 import signing_pb2
from qmumma.documents import verify_trusting
from qmumma.exact import UnreadableError
from qmumma.verification import Trust

from edge.dialects.qmumma.proof import Check, Verification, key_set, log_keys_text
from edge.dialects.qmumma.verification import Document
from edge.errors import Refusal
from edge.values import encode

if TYPE_CHECKING:
    from qm.certificates.v1.certificates_pb2_grpc import CertificatesServiceAsyncStub
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub


class SealedDocuments:
    """Checks documents with digital seals."""

    def __init__(self, signing: SigningServiceAsyncStub, certificates: CertificatesServiceAsyncStub) -> None:
        """Ask `signing` for the keys of records and of the log, `certificates` for the roots of seals."""
        self._signing = signing
        self._certificates = certificates

    def kinds(self) -> dict[str, Document]:
        """What is checked here, by media type."""
        return {
            "application/pdf": Document("A certificate, as `GET /v1/jobs/{job_id}/certificate` gave it.", self.verify),
            "application/zip": Document(
                "An evidence bundle, as `GET /v1/jobs/{job_id}/evidence` gave it.", self.verify
            ),
        }

    async def verify(self, document: bytes) -> Verification:
        """What holds of a document and what does not; raises Refusal 400 where it cannot be read at all."""
        keys, roots = await asyncio.gather(
            self._signing.ListKeys(signing_pb2.ListKeysRequest()),
            self._certificates.ListRoots(certificates_pb2.ListRootsRequest()),
        )
        trust = Trust.read(encode(key_set(keys)), log_keys_text(keys), roots=roots.pem)
        try:
            report = await asyncio.to_thread(verify_trusting, document, trust)
        except UnreadableError as error:
            raise Refusal(400, f"The document cannot be read: {error}.", reason="UNREADABLE_DOCUMENT") from None
        checks = [Check(check.name, check.ok, check.detail) for check in report.checks]
        return Verification(valid=report.ok, checks=checks)
