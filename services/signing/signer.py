"""Signing records, mostly on threads: OpenSSL and liboqs let go of the interpreter for the millisecond that it takes.

So signatures run on all cores, and the event loop keeps answering meanwhile. A thread also takes the reading of the
record, which is slow for large ones (about 0.2 s for a mebibyte) but gives way to the loop every few milliseconds.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from mesh.errors import InvalidArgument
from services.signing.keys import NamedKey
from services.signing.records import BadRecordError, NotCanonicalError, Record, SignedRecord, sign_record

SMALL_BYTES = 16 * 1024
"""A record of this size is read in a millisecond or two."""
MOST_READY = 1024
"""Signatures made ahead that wait; of more, the oldest are forgotten, and made anew where they are still wanted."""


class RecordKeys(Protocol):
    """Who knows the key of the moment."""

    def record_key(self, now: dt.datetime) -> NamedKey:
        """The key that signs records at the time `now`; Unavailable (SIGNING_KEY_EXPIRED) where none does."""


class RecordSigner:
    """Reads records and signs them with the current key."""

    def __init__(self, keys: RecordKeys, *, clock: Callable[[], dt.datetime]) -> None:
        """Sign with the record key of `keys`; `clock` tells the time in UTC."""
        self._keys = keys
        self._clock = clock
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "sign")
        self._asked = 0
        self._ready: OrderedDict[tuple[str, bytes], SignedRecord] = OrderedDict()

    async def sign(self, record_type: str, canonical: bytes) -> SignedRecord:
        """Sign a record of the type that it names, or take what `prepare` has signed.

        Raises InvalidArgument where it is not canonical (NOT_CANONICAL), of another type (TYPE_MISMATCH) or may not be
        signed for another reason (BAD_RECORD); Unavailable (SIGNING_KEY_EXPIRED) where the key's span is over.
        """
        key = self._keys.record_key(self._clock())
        ready = self._ready.pop((record_type, canonical), None)
        if ready is not None and ready.leaf.kid == key.kid:
            return ready
        self._asked += 1
        try:
            await asyncio.sleep(0)
            # For a lone one the way to a thread and back would take as long as the signature.
            if self._asked == 1 and len(canonical) <= SMALL_BYTES:
                return _sign(record_type, canonical, key)
            return await asyncio.get_running_loop().run_in_executor(self._threads, _sign, record_type, canonical, key)
        finally:
            self._asked -= 1

    async def prepare(self, record_type: str, canonical: bytes) -> None:
        """Sign a record that `sign` is asked for next; raises what it raises. Of large ones none is kept."""
        signed = await self.sign(record_type, canonical)
        if len(canonical) <= SMALL_BYTES:
            self._ready[record_type, canonical] = signed
            if len(self._ready) > MOST_READY:
                self._ready.popitem(last=False)

    async def close(self) -> None:
        """End the threads; signatures that were begun are finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _sign(record_type: str, canonical: bytes, key: NamedKey) -> SignedRecord:
    try:
        record = Record.read(canonical)
    except NotCanonicalError as error:
        raise InvalidArgument(f"record: {error}.", reason="NOT_CANONICAL", field="record") from error
    except BadRecordError as error:
        raise InvalidArgument(f"record: {error}.", reason="BAD_RECORD", field="record") from error
    if record.type != record_type:
        message = f"record_type: {record_type} was named, but the record is a {record.type}."
        raise InvalidArgument(message, reason="TYPE_MISMATCH", field="record_type")
    return sign_record(record, key)
