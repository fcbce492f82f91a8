"""One request for random bits, from the hold to the answer.

The money is held first. Bytes are drawn, and from then on are nobody else's; certified ones are tested and signed. The
answer is kept where the caller may repeat the request, and the hold is settled. A crash on the way leaves a hold that
execution's sweeper gives back, and bytes that nobody gets.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import structlog
import uuid_utils.compat
from qm.billing.v1 import billing_pb2
from qm.entropy.v1 import entropy_pb2 as pb
from qm.signing.v1 import signing_pb2
from qm.type.v1 import money_pb2, requester_pb2

from mesh.errors import Conflict, MeshError, Unavailable
from services.entropy.archive import Archive, Reservation
from services.entropy.block import Grade
from services.entropy.laboratory import Laboratory
from services.entropy.pool import Draw, Pool
from services.entropy.record import ENTROPY_TYPE, FORMATS, OWN_TEST_BITS, Certified, entropy_record
from services.entropy.source import SourceKey

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

log = structlog.get_logger()
PRICED_BITS = 10_000
PRICE_MICROS = 10_000
"""$0.01 for each started 10,000 bits."""
MOST_DRAWS = 3
"""A good generator fails the tests of a request once in a hundred: then what failed is thrown away."""
KEPT = dt.timedelta(hours=25)
_HOLDS = uuid.UUID("7d0c4c1e-6a8f-5d2b-9a51-5f0e2f9b1a37")


@dataclass(frozen=True)
class Peers:
    """The services that a request needs."""

    billing: BillingServiceAsyncStub
    signing: SigningServiceAsyncStub


class Generator:
    """Answers requests for bits."""

    def __init__(
        self, pool: Pool, archive: Archive, laboratory: Laboratory, peers: Peers, *, clock: Callable[[], dt.datetime]
    ) -> None:
        """Draw from `pool`, test in `laboratory`, keep in `archive`; `clock` tells the time in UTC."""
        self._pool = pool
        self._archive = archive
        self._laboratory = laboratory
        self._peers = peers
        self._clock = clock
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def generate(self, request: pb.GenerateEntropyRequest) -> pb.GenerateEntropyResponse:
        """The answer to a request, or to an earlier one that it repeats. Raises MeshError."""
        team_id, request_id = request.requester.team_id, request.request_id
        if not request.keep_answer:  # the id was made up for this request, and stands for it for ever
            return await self._fresh(request, uuid.uuid5(_HOLDS, f"{team_id}|{request_id}"))
        async with self._turns.setdefault((team_id, request_id), asyncio.Lock()):
            reservation = await self._archive.reserve(
                team_id,
                request_id,
                fingerprint=request.fingerprint,
                hold_id=uuid_utils.compat.uuid7(),
                now=self._clock(),
            )
            if not reservation.is_new:
                return await self._repeated(request, reservation)
            return await self._kept(request, reservation.hold_id)

    async def expire(self) -> None:
        """Forget kept answers, an hour after a day."""
        await self._archive.expire(self._clock() - KEPT)

    async def _repeated(
        self, request: pb.GenerateEntropyRequest, reservation: Reservation
    ) -> pb.GenerateEntropyResponse:
        if reservation.fingerprint != request.fingerprint:
            message = "This Idempotency-Key was used for another request."
            raise Conflict(message, reason="IDEMPOTENCY_KEY_REUSED", field="request_id")
        if reservation.answer is None:  # whoever worked on it is gone: its hold is still the one
            return await self._kept(request, reservation.hold_id)
        await self._settle(reservation.hold_id)  # the last one may have been stopped before that
        reservation.answer.replayed = True
        return reservation.answer

    async def _kept(self, request: pb.GenerateEntropyRequest, hold_id: uuid.UUID) -> pb.GenerateEntropyResponse:
        team_id, request_id = request.requester.team_id, request.request_id
        try:
            return await self._fresh(request, hold_id)
        except MeshError:
            await self._archive.forget(team_id, request_id)
            raise

    async def _fresh(self, request: pb.GenerateEntropyRequest, hold_id: uuid.UUID) -> pb.GenerateEntropyResponse:
        grade = Grade(request.grade)
        live_allowed = request.requester.environment != requester_pb2.ENVIRONMENT_TEST
        key = await self._pool.choose(request.source, grade, live_allowed=live_allowed)
        hold_id, cost = await self._hold(request, hold_id)
        try:
            draw, tests = await self._passing(key, grade, request)
            answer = await self._answer(request, draw, tests, cost)
            if request.keep_answer:
                answer = await self._archive.keep(request.requester.team_id, request.request_id, answer)
        except BaseException:
            await self._release(hold_id)
            raise
        await self._settle(hold_id)
        return answer

    async def _passing(
        self, key: SourceKey, grade: Grade, request: pb.GenerateEntropyRequest
    ) -> tuple[Draw, dict[str, Any]]:
        """Bytes, and the tests that they passed: their own where they are enough for that, else their block's."""
        count, until = -(-request.bit_count // 8), self._pool.patience()
        if not request.certification or request.bit_count < OWN_TEST_BITS:
            draw = trimmed(await self._pool.draw(key, grade, count, until=until), request.bit_count)
            return draw, draw.block.tests
        for _ in range(MOST_DRAWS):
            draw = trimmed(await self._pool.draw(key, grade, count, until=until, tested=False), request.bit_count)
            tests = await self._laboratory.run_suite(draw.data, request.bit_count)
            if tests["passed"]:
                return draw, tests
            log.warning("draw_rejected", source=str(key), rejected=tests["rejected"])
        message = f"{MOST_DRAWS} draws in a row failed SP 800-22; nothing was charged. Try again."
        raise Unavailable(message, reason="TESTS_FAILED")

    async def _answer(
        self, request: pb.GenerateEntropyRequest, draw: Draw, tests: dict[str, Any], cost: int
    ) -> pb.GenerateEntropyResponse:
        entropy_id = uuid_utils.compat.uuid7()
        answer = pb.GenerateEntropyResponse(
            entropy_id=str(entropy_id),
            data=draw.data,
            bit_count=request.bit_count,
            source=draw.block.provenance.source.source_id,
            simulated=draw.block.provenance.simulated,
            grade=request.grade,
            tests_passed=tests["passed"],
            cost=money_pb2.Money(currency_code="USD", micros=cost),
        )
        if request.certification:
            certified = Certified(
                entropy_id,
                draw.data,
                request.bit_count,
                FORMATS[request.encoding],
                draw.block,
                tests,
                tests_of="block" if tests is draw.block.tests else "data",
                cost=cost,
                generate_time=self._clock(),
            )
            answer.record = entropy_record(certified)
            answer.seal.CopyFrom(await self._sign(entropy_id, answer.record))
            await self._archive.keep_record(entropy_id, request.requester.team_id, answer.record, answer.seal)
        return answer

    async def _sign(self, entropy_id: uuid.UUID, record: bytes) -> signing_pb2.Seal:
        signed = await self._peers.signing.SignRecord(
            signing_pb2.SignRecordRequest(subject=f"entropy/{entropy_id}", record_type=ENTROPY_TYPE, record=record)
        )
        return signed.seal

    async def _hold(self, request: pb.GenerateEntropyRequest, hold_id: uuid.UUID) -> tuple[uuid.UUID, int]:
        """Hold the price; the hold, and what it comes to for this team in micro-dollars.

        Where an earlier try died and its hold was given back, the request takes another.
        """
        price = -(-request.bit_count // PRICED_BITS) * PRICE_MICROS
        response = await self._peers.billing.HoldFunds(
            billing_pb2.HoldFundsRequest(
                job_id=str(hold_id),
                requester=request.requester,
                price=money_pb2.Money(currency_code="USD", micros=price),
                metered=True,
                item=f"entropy, {request.bit_count} bits",
            )
        )
        if response.hold.state != billing_pb2.HOLD_STATE_RELEASED:
            return hold_id, int(response.hold.amount.micros)
        another = uuid.uuid5(hold_id, "again")
        if request.keep_answer:
            await self._archive.renew(request.requester.team_id, request.request_id, another)
        return await self._hold(request, another)

    async def _settle(self, hold_id: uuid.UUID) -> None:
        try:
            await self._peers.billing.SettleHold(billing_pb2.SettleHoldRequest(job_id=str(hold_id)))
        except Conflict as error:  # the sweeper was quicker: the bits are theirs, and cost nothing
            log.warning("hold_not_settled", hold_id=str(hold_id), reason=error.reason)

    async def _release(self, hold_id: uuid.UUID) -> None:
        try:
            async with asyncio.timeout(2):
                await self._peers.billing.ReleaseHold(billing_pb2.ReleaseHoldRequest(job_id=str(hold_id)))
        except (MeshError, TimeoutError) as error:  # the sweeper will
            log.warning("hold_not_released", hold_id=str(hold_id), error=type(error).__name__)


def trimmed(draw: Draw, bit_count: int) -> Draw:
    """The draw with zeros after its last bit."""
    spare = -bit_count % 8
    if not spare:
        return draw
    last = draw.data[-1] >> spare << spare
    return Draw(draw.data[:-1] + bytes((last,)), draw.block)
