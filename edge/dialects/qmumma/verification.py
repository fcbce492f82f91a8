"""Is this answer genuine? The checks behind `POST /v1/verify`.

Signing looks at the record and its seal, whatever its type; what an answer of a type holds beside its record,
`qmumma.kinds` examines. A proof that came along goes through the checks that `qmumma verify` makes offline, with the
keys of the moment. A document that is no JSON goes to whoever made it, by its media type.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import rfc8785
from msgspec import UNSET
from qm.signing.v1 import signing_pb2 as pb
from qmumma.evidence import ANCHOR_PREFIX
from qmumma.exact import UnreadableError
from qmumma.kinds import Kind, kind_of
from qmumma.verification import Trust, verify_answer

from edge.bodies import LARGE_BYTES
from edge.dialects.qmumma.proof import Check, Verification, key_set, log_keys_text
from edge.dialects.qmumma.requests import SignedAnswer
from edge.errors import Refusal
from edge.exchange import Answer, Request, json_answer
from edge.operations import Nothing
from edge.values import canonical, encode
from mesh.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

T = TypeVar("T")
_MAX_INDEX = 2**53
_MAX_INTEGER = 2**53 - 1
_MOST_NAMED = 20
_HASH_DIGITS = 64
_BUSY = "Another large document is being verified; try again in a moment, or verify it offline with `qmumma verify`."


@dataclass(frozen=True)
class Document:
    """A kind of document that is no JSON."""

    description: str
    verify: Callable[[bytes], Awaitable[Verification]]
    """Asks the service that made it."""


class Verifier:
    """Checks answers and documents that someone holds."""

    def __init__(self, signing: SigningServiceAsyncStub, documents: Mapping[str, Document] | None = None) -> None:
        """Ask `signing`, which has the log; `documents` says by media type who looks at what is no JSON."""
        self.documents = documents or {}
        self._signing = signing
        self._large = asyncio.Lock()

    async def verify(self, request: Request[SignedAnswer, Nothing]) -> Answer:
        """Answer `POST /v1/verify`.

        Verifying costs a second for a megabyte and is open to all: large results go one at a time.
        """
        document = isinstance(request.parsed_body, bytes)
        size = len(request.parsed_body if document else canonical(request.parsed_body))
        verify = self._verify_document if document else self._verify
        if size <= LARGE_BYTES:
            return await verify(request)
        if self._large.locked():
            raise Refusal(429, _BUSY, reason="VERIFIER_BUSY", headers=((b"retry-after", b"5"),))
        async with self._large:
            return await verify(request)

    async def _verify_document(self, request: Request[SignedAnswer, Nothing]) -> Answer:
        media_type = request.headers[b"content-type"].partition(b";")[0].strip().lower().decode()
        return json_answer(await self.documents[media_type].verify(request.parsed_body))

    async def _verify(self, request: Request[SignedAnswer, Nothing]) -> Answer:
        members: dict[str, Any] = request.parsed_body
        if lost := await _in_thread_if_large(_lost_numbers, members):
            return json_answer(Verification(valid=False, checks=lost))
        kind = kind_of(request.body.type)
        checks = await self._record_checks(request.body, members, kind)
        checks += await _in_thread_if_large(lambda answer: _own_checks(answer, kind), members)
        if request.body.proof is not UNSET:
            checks += await self._proof_checks(members)
        return json_answer(Verification(valid=all(check.ok for check in checks), checks=checks))

    async def _record_checks(self, body: SignedAnswer, members: dict[str, Any], kind: Kind) -> list[Check]:
        record = kind.record(members)
        leaf_hash = _hash(body.blockchain_anchor, ANCHOR_PREFIX, "blockchain_anchor")
        message = pb.VerifyRecordRequest(
            record=await _in_thread_if_large(_rfc8785, record),
            seal=pb.Seal(
                audit_hash=_hash(body.audit_hash, "sha256:", "audit_hash"),
                signature=_signature(body.pqc_signature),
                key_id=body.key_id,
                leaf_hash=leaf_hash,
            ),
        )
        message.seal.leaf_index = await self._leaf_index(body, leaf_hash)
        response = await self._signing.VerifyRecord(message)
        return [Check(check.name, check.ok, check.detail) for check in response.checks]

    async def _leaf_index(self, body: SignedAnswer, leaf_hash: bytes) -> int:
        """Where the answer says that its entry is; without a proof it does not say, so the log is asked."""
        if body.proof is not UNSET:
            index = body.proof.get("leaf_index")
            return index if type(index) is int and 0 <= index < _MAX_INDEX else 0
        try:
            anchor = await self._signing.GetAnchor(pb.GetAnchorRequest(leaf_hash=leaf_hash))
        except NotFound:
            return 0
        return anchor.leaf_index

    async def _proof_checks(self, members: dict[str, Any]) -> list[Check]:
        keys = await self._signing.ListKeys(pb.ListKeysRequest())
        trust = Trust.read(encode(key_set(keys)), log_keys_text(keys))
        try:
            report = await asyncio.to_thread(verify_answer, canonical(members), trust)
        except UnreadableError as error:
            raise Refusal(400, f"proof: {error}", param="proof", reason="INVALID_FIELD") from None
        return [Check(check.name, check.ok, check.detail) for check in report.checks]


def _own_checks(answer: dict[str, Any], kind: Kind) -> list[Check]:
    """What only this kind of answer has to hold."""
    return [Check(check.name, check.ok, check.detail) for check in kind.examine(_as_doubles(answer))]


async def _in_thread_if_large(work: Callable[[dict[str, Any]], T], members: dict[str, Any]) -> T:
    large = len(canonical(members)) > LARGE_BYTES
    return await asyncio.to_thread(work, members) if large else work(members)


def _lost_numbers(members: dict[str, Any]) -> list[Check]:
    """A failed check for each of the first numbers that RFC 8785 does not carry exactly."""
    return [
        Check(
            place[:200], ok=False, detail=f"{number[:40]} is no number that a signed record can hold, so it was changed"
        )
        for place, number in islice(_lost(members, ""), _MOST_NAMED)
    ]


def _lost(value: Any, place: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lost(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _lost(inner, f"{place}[{index}]")
    elif isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(repr(float(value))) != value:
        yield place, str(value)


def _rfc8785(record: dict[str, Any]) -> bytes:
    return rfc8785.dumps(_as_doubles(record))


def _as_doubles(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value with IEEE doubles for what is no safe integer, as RFC 8785 wants them."""
    if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) > _MAX_INTEGER):
        return float(value)
    if isinstance(value, dict):
        return {name: _as_doubles(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_doubles(inner) for inner in value]
    return value


def _hash(text: str, prefix: str, param: str) -> bytes:
    """The hash that a text shows, in its one writing: a pattern's `$` would let a line end pass behind it."""
    digits = text.removeprefix(prefix)
    if len(digits) != _HASH_DIGITS:
        raise Refusal(400, f"{param}: must be {prefix} and 64 hexadecimal digits", param=param, reason="INVALID_FIELD")
    return bytes.fromhex(digits)


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        message = "pqc_signature: must be base64"
        raise Refusal(400, message, param="pqc_signature", reason="INVALID_FIELD") from None
