"""Where large results lie, whatever stores them: by job and digest, so that a repeated put changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from mesh.errors import NotFound


@dataclass(frozen=True, slots=True)
class ResultKey:
    """Names the bytes of one result."""

    job_id: uuid.UUID
    sha256: str
    """Of the bytes, 64 hexadecimal digits."""

    def __str__(self) -> str:
        """`<job id>/<digest>`, both hexadecimal."""
        return f"{self.job_id.hex}/{self.sha256}"


class ResultStore(Protocol):
    """Stores whole results and gives them back in pieces."""

    async def put(self, key: ResultKey, data: bytes) -> None:
        """Store a result; when this returns, a killed process loses nothing of it.

        A second put of a key is good and changes nothing. Raises Unavailable.
        """
        ...

    def get(self, key: ResultKey) -> AsyncIterator[bytes]:
        """The pieces of a result in order, fetched as they are asked for.

        Raises Unavailable, and NotFound (RESULT_GONE) where it is not kept any more.
        """
        ...


def result_gone() -> NotFound:
    """What is said of a result that its store has let go."""
    message = "the result is no longer kept; a copy of yours still verifies by the digest in the signed job"
    return NotFound(message, reason="RESULT_GONE", field="job_id")
