"""The types of single members, each with the bounds that hold wherever it is used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from edge.dialects.qmumma.ids import ANCHOR_PATTERN, JOB_ID_PATTERN
from edge.money import MAX_MICROS, Usd

EXACT = 2**53 - 1
"""The largest integer up to which JSON numbers carry all (RFC 7493)."""
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

JobIdText = Annotated[
    str,
    Meta(
        description="The job's id.",
        pattern=JOB_ID_PATTERN,
        examples=["qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
    ),
]
Anchor = Annotated[str, Meta(pattern=ANCHOR_PATTERN)]
Hash = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
Signature = Annotated[str, Meta(pattern=_BASE64, min_length=4, max_length=8192)]
Node = Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{43}=$")]
"""Base64 of a hash of the log's tree."""
Name = Annotated[str, Meta(max_length=128)]
"""Of a thing: an id, a version, a word."""
Sentence = Annotated[str, Meta(max_length=16_384)]
"""For people."""
Document = Annotated[str, Meta(max_length=2**20)]
"""A text with a form of its own."""
Moment = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=EXACT)]
Positive = Annotated[int, Meta(ge=1, le=EXACT)]
Extent = Annotated[float, Meta(ge=0, le=EXACT)]
"""A measure that cannot be negative."""
Real = Annotated[float, Meta(ge=-EXACT, le=EXACT)]
Cost = Annotated[Usd, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_MICROS // 10**6})]
