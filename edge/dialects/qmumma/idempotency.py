"""Repeating a submission without a second job. The job service keeps the key beside the job, in the same commit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import uuid_utils

from edge.errors import Refusal
from edge.values import canonical

_KEY = re.compile(rb"[\x20-\x7e]{1,255}")


def idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    """The caller's key, or None without one; raises Refusal 400 where it is too long or not printable."""
    sent = headers.get(b"idempotency-key")
    if sent is None:
        return None
    if not _KEY.fullmatch(sent):
        message = "Idempotency-Key: must be 1 to 255 printable ASCII characters"
        raise Refusal(400, message, param="Idempotency-Key", reason="INVALID_FIELD")
    return sent.decode("ascii")


def own_key() -> str:
    """A key for a request that came without one: the mesh may repeat a call, and must not make a second job."""
    return f"edge-{uuid_utils.uuid7().hex}"


def fingerprint(operation: str, parsed_body: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """SHA-256 of what was asked: the same for the same values, whatever their order and spacing."""
    return hashlib.sha256(operation.encode() + b"\n" + canonical(parsed_body)).digest()
