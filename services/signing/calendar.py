"""Anchoring the log outside: the hash of a checkpoint goes to OpenTimestamps calendars now and then. Off by default.

What goes out is a hash, and nothing else. A calendar that is away, slow or wrong delays nothing: it is asked again at
the next turn.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Sequence

import httpx
import structlog

from mesh.errors import MeshError
from services.signing.checkpoint import Checkpoint
from services.signing.reader import LogReader
from services.signing.store import SigningStore, StoredTimestamp
from services.signing.timestamp import PROOF_BYTES_MAX, BadTimestampError, Timestamp, extended

log = structlog.get_logger()
_SECONDS = 10.0
_HEADERS = {"accept": "application/vnd.opentimestamps.v1", "user-agent": "qmumma"}
_FAILURES = (httpx.HTTPError, httpx.InvalidURL, BadTimestampError)


class Calendars:
    """Has checkpoints timestamped."""

    def __init__(
        self, store: SigningStore, reader: LogReader, addresses: Sequence[str], *, clock: Callable[[], dt.datetime]
    ) -> None:
        """Ask the calendars at these addresses; `clock` tells the time in UTC."""
        self._store = store
        self._reader = reader
        self._addresses = [address.rstrip("/") for address in addresses]
        self._clock = clock

    async def keep(self, pause: float) -> None:
        """Stamp the newest checkpoint and complete the pending proofs, every `pause` seconds."""
        while True:
            try:
                await self.turn()
            except MeshError as error:
                log.warning("not_timestamped", reason=error.reason)
            await asyncio.sleep(pause)

    async def turn(self) -> None:
        """Do both once."""
        async with httpx.AsyncClient(timeout=_SECONDS, headers=_HEADERS) as client:
            head = await self._reader.head()
            for address in self._addresses:
                if head.size and not await self._store.has_timestamp(head.size, address):
                    await self._stamp(client, address, Checkpoint(self._reader.origin, head.size, head.root))
            for pending in await self._store.pending_timestamps():
                if pending.calendar in self._addresses:
                    await self._complete(client, pending)

    async def _stamp(self, client: httpx.AsyncClient, address: str, checkpoint: Checkpoint) -> None:
        digest = checkpoint_digest(checkpoint)
        try:
            proof = await _bytes(client, "POST", f"{address}/digest", digest)
            Timestamp(digest, proof).attestations()
        except _FAILURES as error:
            log.warning("calendar_failed", calendar=address, error=str(error))
            return
        stamped = StoredTimestamp(checkpoint.size, address, digest, proof, self._clock())
        await self._store.keep_timestamp(stamped, complete=False)

    async def _complete(self, client: httpx.AsyncClient, pending: StoredTimestamp) -> None:
        """Ask the calendar that stamped it for the rest, whatever address the proof itself names."""
        timestamp = Timestamp(pending.digest, pending.proof)
        for attestation in timestamp.attestations():
            if not attestation.calendar:
                continue
            url = f"{pending.calendar}/timestamp/{attestation.message.hex()}"
            try:
                rest = await _bytes(client, "GET", url)
                timestamp = extended(timestamp, attestation.message, rest)
            except _FAILURES as error:
                log.info("timestamp_pending", calendar=pending.calendar, size=pending.size, error=str(error))
                continue
            stamped = StoredTimestamp(pending.size, pending.calendar, pending.digest, timestamp.proof, self._clock())
            await self._store.keep_timestamp(stamped, complete=bool(timestamp.bitcoin_roots()))


def checkpoint_digest(checkpoint: Checkpoint) -> bytes:
    """What is stamped: SHA-256 of the checkpoint's text, without signatures, which differ from note to note."""
    return hashlib.sha256(checkpoint.text().encode()).digest()


async def _bytes(client: httpx.AsyncClient, method: str, url: str, content: bytes | None = None) -> bytes:
    """The body of a 200, of the length of a proof at most; raises httpx.HTTPError or BadTimestampError."""
    async with client.stream(method, url, content=content) as answer:
        if answer.status_code != httpx.codes.OK:
            message = f"the calendar answered {answer.status_code}"
            raise BadTimestampError(message)
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > PROOF_BYTES_MAX:
                message = "the calendar's answer is longer than a proof"
                raise BadTimestampError(message)
    return body
