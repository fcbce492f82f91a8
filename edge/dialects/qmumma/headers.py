"""Headers that several operations listen to or answer with."""

from __future__ import annotations

from edge.operations import HeaderField

IDEMPOTENCY_KEY = HeaderField(
    name="Idempotency-Key",
    description="1 to 255 printable ASCII characters of your choice, kept for at least 24 h for each team. A repeat of "
    "the same request answers the first status and body with `Idempotency-Replayed: true`, does nothing and costs "
    "nothing; with another request it is 409. Refused requests are not kept.",
    schema={"type": "string", "pattern": "^[ -~]{1,255}$"},
    example="order-2026-11-21-17",
)
REPLAYED = {"Idempotency-Replayed": "`true` where this is the answer of an earlier request with the same key."}
KEY_CONFLICT = "`Idempotency-Key` was used with another request."
IF_NONE_MATCH = HeaderField(
    name="If-None-Match",
    description="The `ETag` of what you have; answered by 304 while nothing has changed.",
    schema={"type": "string"},
    example='"3"',
)
ACCEPT = HeaderField(
    name="Accept",
    description="JSON is answered, unless this names another media type of the answer and not JSON beside it.",
    schema={"type": "string"},
    example="application/json",
)
