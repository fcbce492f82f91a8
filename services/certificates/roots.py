"""The seals' roots in the log: each is a signed record, and so a leaf, before any document is sealed under it.

A root that was made in secret, for a single reader, is not in a log that all read: `qmumma verify` looks for it there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import rfc8785
import structlog
from qm.signing.v1 import signing_pb2

from mesh.errors import MeshError
from services.certificates.authority import Purpose, StoredKey
from services.certificates.proof import proven_record

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

ROOT_TYPE = "qmumma.root/v1"
_RETRY_SECONDS = 2.0

log = structlog.get_logger()


class LoggedRoots:
    """Puts roots into the log, and proves that they are there."""

    def __init__(self, signing: SigningServiceAsyncStub) -> None:
        """Ask `signing`, which has the log."""
        self._signing = signing
        self._seals: dict[str, signing_pb2.Seal] = {}

    async def log(self, keys: Sequence[StoredKey]) -> None:
        """Put the roots among `keys` into the log, unless they are there; raises what signing raises."""
        for root in _roots(keys):
            if root.fingerprint not in self._seals:
                request = signing_pb2.SignRecordRequest(
                    subject=f"root/{root.fingerprint}", record_type=ROOT_TYPE, record=root_record(root)
                )
                self._seals[root.fingerprint] = (await self._signing.SignRecord(request)).seal

    async def proven(self, keys: Sequence[StoredKey]) -> bytes:
        """The record of each root with its seal and its proof, as a file of JSON; raises what signing raises."""
        await self.log(keys)
        proven = []
        for root in _roots(keys):
            seal = self._seals[root.fingerprint]
            anchor = await self._signing.GetAnchor(signing_pb2.GetAnchorRequest(leaf_hash=seal.leaf_hash))
            proven.append(proven_record(root_record(root), seal, anchor))
        return b'{"roots":[' + b",".join(proven) + b"]}"

    async def log_soon(self, keys: Callable[[], Awaitable[Sequence[StoredKey]]]) -> None:
        """Put them into the log as soon as signing takes them: a witness has seen them before the first document."""
        while True:
            try:
                await self.log(await keys())
            except MeshError as error:
                log.warning("roots_not_logged", reason=error.reason)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return


def root_record(root: StoredKey) -> bytes:
    """What is signed of a root: which it is, and for how long; canonical JSON (RFC 8785)."""
    return rfc8785.dumps(
        {
            "type": ROOT_TYPE,
            "algorithm": str(root.algorithm),
            "subject": root.subject,
            "certificate_sha256": f"sha256:{root.fingerprint}",
            "not_before": _rfc3339(root.not_before),
            "expires": _rfc3339(root.expire_time),
        }
    )


def _roots(keys: Sequence[StoredKey]) -> list[StoredKey]:
    return [key for key in keys if key.purpose is Purpose.ROOT]


def _rfc3339(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
