"""Random bits over HTTP: each handler converts, calls one RPC, and converts back."""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from msgspec import UNSET
from qm.entropy.v1 import entropy_pb2 as pb
from qm.signing.v1.signing_pb2 import GetAnchorRequest, Seal
from qm.type.v1.requester_pb2 import Environment

from edge.dialects.qmumma.entropy_types import EntropySource, EntropySources, GenerateEntropy, GradeWord, ReadSigned
from edge.dialects.qmumma.idempotency import fingerprint, idempotency_key, own_key
from edge.dialects.qmumma.rendering import moment, proof_of, seal_members
from edge.errors import Refusal
from edge.exchange import JSON, NO_STORE, REPLAYED, Answer, Header, Request, json_answer, prefers
from edge.money import Usd
from edge.operations import Nothing
from edge.values import encode
from mesh.errors import MeshError

if TYPE_CHECKING:
    from qm.entropy.v1.entropy_pb2_grpc import EntropyServiceAsyncStub
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

log = structlog.get_logger()
GENERATE_SECONDS = 25.0
"""Longer than a request may wait for a block (10 s), and then for its tests."""
OCTETS = b"application/octet-stream"
SVG = b"image/svg+xml"
_LARGE_BYTES = 16_384
_ENTROPY_ID = re.compile(r"qm_entropy_([0-9a-f]{32})")
_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")
_ENCODINGS = {"hex": pb.ENCODING_HEX, "base64": pb.ENCODING_BASE64, "bytes": pb.ENCODING_BYTES}
_GRADES: dict[GradeWord, pb.Grade.ValueType] = {"drbg": pb.GRADE_DRBG, "full_entropy": pb.GRADE_FULL_ENTROPY}
_GRADE_WORDS: dict[int, GradeWord] = {grade: word for word, grade in _GRADES.items()}
_STATUSES: dict[int, Any] = {
    pb.SOURCE_STATE_IDLE: "idle",
    pb.SOURCE_STATE_STARTING: "starting",
    pb.SOURCE_STATE_HEALTHY: "healthy",
    pb.SOURCE_STATE_QUARANTINED: "quarantined",
}
_PIECE_BYTES = 24_576
"""What is written at a time: it stays in the processor's cache, and between two pieces other threads run. A multiple
of three, so that base64 needs no padding within."""
_FORMS: dict[str, tuple[bytes, Callable[[bytes], bytes], bytes, bytes]] = {
    "hex": (b'"', lambda piece: binascii.hexlify(piece).upper(), b"", b'"'),
    "base64": (b'"', lambda piece: binascii.b2a_base64(piece, newline=False), b"", b'"'),
    "bytes": (b"[", lambda piece: encode(list(piece))[1:-1], b",", b"]"),
}
"""How a JSON value begins, how each piece is written, what stands between two, and how it ends."""
_UNPROVEN = "include: only certified bits that come as JSON have a proof; ask with certification true, and no octets"
_NO_RECORD = "There is no certified answer with this id. Ids look like qm_entropy_ and 32 hexadecimal digits."
_NO_BEACON = "There is no such value. Name its index, or `latest`."


class Entropies:
    """The operations on random bits."""

    def __init__(self, entropy: EntropyServiceAsyncStub, signing: SigningServiceAsyncStub) -> None:
        """Call `entropy` for bits and `signing` for proofs."""
        self._entropy = entropy
        self._signing = signing

    async def generate(self, request: Request[GenerateEntropy, ReadSigned]) -> Answer:
        """Answer `POST /v1/entropy/generate`."""
        body, key = request.body, idempotency_key(request.headers)
        raw, proven = prefers(request.headers.get(b"accept", b""), OCTETS), request.query.include == "proof"
        if proven and (raw or not body.certification):
            raise Refusal(400, _UNPROVEN, param="include", reason="INVALID_FIELD")
        asked = f"POST /v1/entropy/generate {Environment.Name(request.requester.environment)} {'raw' if raw else ''}"
        response = await self._entropy.GenerateEntropy(
            pb.GenerateEntropyRequest(
                requester=request.requester,
                request_id=key or own_key(),
                fingerprint=fingerprint(asked, request.parsed_body),
                keep_answer=key is not None,
                bit_count=body.bits,
                certification=body.certification,
                source=body.source,
                grade=_GRADES[body.grade],
                encoding=pb.ENCODING_RAW if raw else _ENCODINGS[body.format],
            ),
            timeout=GENERATE_SECONDS,
        )
        headers: list[Header] = [NO_STORE]
        if response.record:
            headers.append((b"link", f'<{_place(response.entropy_id)}>; rel="describedby"'.encode()))
        if response.replayed:
            headers.append(REPLAYED)
        if raw:
            return Answer(200, response.data, OCTETS, [*headers, *_told(response)])
        proof = await self._proof_now(response) if proven else {}
        large = len(response.data) > _LARGE_BYTES
        text = await asyncio.to_thread(_body, response, body, proof) if large else _body(response, body, proof)
        return Answer(200, text, JSON, headers)

    async def _proof_now(self, response: pb.GenerateEntropyResponse) -> dict[str, Any]:
        """The proof of bits that are paid for: they are answered without it where the log does not answer."""
        try:
            return await self._proof(response.record, response.seal)
        except MeshError as error:
            log.warning("bits_without_proof", entropy_id=response.entropy_id, reason=error.reason)
            return {}

    async def record(self, request: Request[Nothing, ReadSigned]) -> Answer:
        """Answer `GET /v1/entropy/records/{entropy_id}`."""
        found = await self._certification(request)
        return await self._signed(found.record, found.seal, request)

    async def plot(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/entropy/records/{entropy_id}/plot.svg`."""
        return Answer(200, (await self._certification(request)).plot_svg.encode(), SVG, [NO_STORE])

    async def sources(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/entropy/sources`."""
        response = await self._entropy.ListSources(pb.ListSourcesRequest())
        return json_answer(EntropySources([_source(source) for source in response.sources]))

    async def beacon(self, request: Request[Nothing, ReadSigned]) -> Answer:
        """Answer `GET /v1/entropy/beacon` and `GET /v1/entropy/beacon/{index}`."""
        index = request.path.get("index", "latest")
        message = pb.GetBeaconRequest()
        if index != "latest":
            if not _INDEX.fullmatch(index):
                raise Refusal(404, _NO_BEACON, param="index", reason="BEACON_NOT_FOUND")
            message.beacon_index = int(index)
        found = await self._entropy.GetBeacon(message)
        return await self._signed(found.record, found.seal, request)

    async def _certification(self, request: Request[Any, Any]) -> pb.GetCertificationResponse:
        match = _ENTROPY_ID.fullmatch(request.path["entropy_id"])
        if match is None:
            raise Refusal(404, _NO_RECORD, param="entropy_id", reason="ENTROPY_NOT_FOUND")
        message = pb.GetCertificationRequest(requester=request.requester, entropy_id=str(UUID(match[1])))
        response: pb.GetCertificationResponse = await self._entropy.GetCertification(message)
        return response

    async def _signed(self, record: bytes, seal: Seal, request: Request[Nothing, ReadSigned]) -> Answer:
        """A record byte for byte, with its seal, and where asked its proof."""
        members = seal_members(seal)
        if request.query.include == "proof":
            members |= await self._proof(record, seal)
        return Answer(200, b"".join((record[:-1], b",", encode(members)[1:])), JSON, [NO_STORE])

    async def _proof(self, record: bytes, seal: Seal) -> dict[str, Any]:
        """The member `proof` of a signed record."""
        anchor = await self._signing.GetAnchor(GetAnchorRequest(leaf_hash=seal.leaf_hash))
        return {"proof": proof_of(record, anchor)}


def written(data: bytes, form: str) -> Iterator[bytes]:
    """Bits, at least one, as a JSON value in pieces."""
    opening, write, between, closing = _FORMS[form]
    for start in range(0, len(data), _PIECE_BYTES):
        yield between if start else opening
        yield write(data[start : start + _PIECE_BYTES])
    yield closing


def _body(response: pb.GenerateEntropyResponse, body: GenerateEntropy, proof: dict[str, Any]) -> bytes:
    """The answer as JSON: `data`, and then the rest as it stands, since two megabytes are not copied for nothing."""
    return b"".join((b'{"data":', *written(response.data, body.format), b",", *_rest(response, proof)))


def _rest(response: pb.GenerateEntropyResponse, proof: dict[str, Any]) -> Iterator[bytes]:
    """What follows `data`. A certified answer is its signed record, byte for byte, with the seal."""
    if response.record:
        yield response.record[1:-1]
        yield b","
        yield encode(seal_members(response.seal) | proof)[1:]
        return
    told = {
        "bits": response.bit_count,
        "source": response.source,
        "simulated": response.simulated,
        "grade": _GRADE_WORDS[response.grade],
        "nist_tests_passed": response.tests_passed,
        "cost_usd": Usd(response.cost.micros),
    }
    yield encode(told)[1:]


def _told(response: pb.GenerateEntropyResponse) -> list[Header]:
    """What JSON would say beside the bits, as headers."""
    told = {
        "bits": str(response.bit_count),
        "source": response.source,
        "simulated": str(response.simulated).lower(),
        "grade": _GRADE_WORDS[response.grade],
        "nist-tests-passed": str(response.tests_passed).lower(),
        "cost-usd": str(Usd(response.cost.micros).decimal()),
    }
    return [(f"x-entropy-{name}".encode(), value.encode()) for name, value in told.items()]


def _place(entropy_id: str) -> str:
    return f"/v1/entropy/records/qm_entropy_{UUID(entropy_id).hex}"


def _source(source: pb.Source) -> EntropySource:
    return EntropySource(
        id=source.source_id,
        name=source.display_name,
        simulated=source.simulated,
        status=_STATUSES[source.state],
        reason=source.reason or UNSET,
        grades=[_GRADE_WORDS[grade] for grade in source.grades],
        claimed_min_entropy=source.claimed_min_entropy,
        assessed_min_entropy=source.assessed_min_entropy or None,
        ready_bits=source.ready_bit_count,
        drawn_at=moment(source.chunk_time) if source.HasField("chunk_time") else UNSET,
    )
