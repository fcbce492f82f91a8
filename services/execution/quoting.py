"""How a quote is made and redeemed.

The backend is chosen, the price asked for, the record sealed and kept; nothing is held. A job that names a quote takes
its backend and its price.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

import uuid_utils.compat
from qm.billing.v1 import billing_pb2
from qm.execution.v1 import execution_pb2 as pb
from qm.signing.v1 import signing_pb2

from mesh.errors import Conflict, InvalidArgument
from services.execution import faults
from services.execution.assessing import Assessor, Order
from services.execution.messages import money
from services.execution.peers import Peers
from services.execution.quote import (
    RECORD_TYPE,
    Quote,
    QuoteId,
    build_record,
    quote_not_found,
    require_terms,
    terms_of,
)
from services.execution.quote_store import QuoteStore


class Quotes:
    """Makes quotes, and knows them again."""

    def __init__(
        self,
        store: QuoteStore,
        assessor: Assessor,
        peers: Peers,
        *,
        lifetime: dt.timedelta,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep quotes in `store`; they hold for `lifetime`."""
        self._store = store
        self._assessor = assessor
        self._peers = peers
        self._lifetime = lifetime
        self._clock = clock

    async def quote(self, request: pb.SubmitJobRequest) -> tuple[Quote, bool]:
        """A quote for a job, and whether an earlier request with the same id made it. Raises what a job would."""
        faults.require_test_key(request)
        if request.quote_id:
            message = "quote_id: a quote is asked for without one"
            raise InvalidArgument(message, reason="INVALID_FIELD", field="quote_id")
        if (earlier := await self._replay(request)) is not None:
            return earlier, True
        made = await self._make(request)
        if await self._store.keep(made):
            return made, False
        earlier = await self._replay(request)
        return (made, False) if earlier is None else (earlier, True)

    async def redeem(self, request: pb.SubmitJobRequest, order: Order) -> Quote:
        """The quote that a job names. Raises NotFound, and Conflict where it is for another job or too old."""
        try:
            quote_id = QuoteId(uuid.UUID(request.quote_id))
        except ValueError:
            raise quote_not_found() from None
        quote = await self._store.find(quote_id, request.requester.team_id)
        if quote is None:
            raise quote_not_found()
        require_terms(quote, terms_of(request, order.parameters), self._clock())
        return quote

    async def _make(self, request: pb.SubmitJobRequest) -> Quote:
        order, parameters = (order := self._assessor.order(request)), order.parameters
        quote_id = QuoteId(uuid_utils.compat.uuid7())
        decision = await self._assessor.choose(request, order, str(quote_id))
        price = order.price(decision)
        priced = await self._peers.billing.PriceJob(
            billing_pb2.PriceJobRequest(
                requester=request.requester,
                price=money(price),
                priority=request.priority == pb.PRIORITY_PRIORITY,
                max_amount=request.max_cost if request.HasField("max_cost") else None,
                qubit_count=decision.features.qubit_count,
                shot_count=request.shot_count,
            )
        )
        created, cost = self._clock(), priced.amount.micros
        expires = created + self._lifetime
        record = build_record(
            quote_id, request, parameters, decision, cost=cost, create_time=created, expire_time=expires
        )
        signed = await self._peers.signing.SignRecord(
            signing_pb2.SignRecordRequest(subject=f"quote/{quote_id}", record_type=RECORD_TYPE, record=record)
        )
        return Quote(
            quote_id=quote_id,
            team_id=request.requester.team_id,
            request_id=request.request_id,
            fingerprint=request.fingerprint,
            terms=terms_of(request, parameters),
            decision=decision,
            price=price,
            cost=cost,
            create_time=created,
            expire_time=expires,
            record=record,
            seal=signed.seal,
        )

    async def _replay(self, request: pb.SubmitJobRequest) -> Quote | None:
        quote = await self._store.by_request(request.requester.team_id, request.request_id)
        if quote is not None and quote.fingerprint != request.fingerprint:
            message = "this Idempotency-Key was used with another request; use a new key for a new request"
            raise Conflict(message, reason="IDEMPOTENCY_KEY_REUSED", field="Idempotency-Key")
        return quote


def included_no_more() -> Conflict:
    """What is said where a job would cost more than its quote: the price holds, but not the plan's included jobs."""
    message = (
        "quote_id: the quote counted on a job that your plan includes, and those are used up; ask for another quote"
    )
    return Conflict(message, reason="QUOTE_NO_LONGER_HOLDS", field="quote_id")
