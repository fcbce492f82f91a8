"""The keeper of the keys in a process: opens them, makes the next one when it is due, and has the log told of it.

Processes share the stored keys and nothing else. Each looks at them every few seconds; what one has made the others
have opened by then, and until then sign with the key before, which does not end at once. A rotation is a row first and
a leaf afterwards: whoever finds a row without its leaf, appends it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

import structlog

from mesh.errors import MeshError
from services.signing.keyring import Change, KeyRing, Locksmith, StoredKey, record_keys
from services.signing.keys import NamedKey
from services.signing.records import Record, sign_record
from services.signing.rotation import Order, due, first_keys, has_changed, rotate, signer_of
from services.signing.seal import Seal, Subject
from services.signing.store import SigningStore
from services.signing.writer import LogWriter

LOOK_PAUSE = 5.0
"""Seconds between two looks at the stored keys."""

log = structlog.get_logger()


class Custodian:
    """Holds the opened keys."""

    def __init__(
        self,
        store: SigningStore,
        locksmith: Locksmith,
        *,
        every: dt.timedelta | None,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep the keys of `store`; `every` is the age at which a key of records is followed by the next."""
        self._store = store
        self._locksmith = locksmith
        self._every = every
        self._clock = clock
        self._held: Sequence[StoredKey] = ()
        self._ring = KeyRing((), ())

    @property
    def ring(self) -> KeyRing:
        """The keys as they were opened last."""
        return self._ring

    def record_key(self, now: dt.datetime) -> NamedKey:
        """The key that signs records at the time `now`; raises what `KeyRing.record_key` raises."""
        return self._ring.record_key(now)

    async def begin(self) -> None:
        """Make what a first start needs, wrap anew what another key wrapped, and open all.

        Raises CustodyError where a seed does not open.
        """

        def settle(held: Sequence[StoredKey]) -> Change:
            made = first_keys(self._locksmith, held, self._clock())
            return Change(made.new, self._locksmith.rewrapped(held))

        await self._open(await self._settle(settle))
        self._held = ()  # whether the log was told of all, the first look finds out

    async def rotate(self, order: Order, writer: LogWriter) -> StoredKey:
        """The key that the order made, now or before, once the log has been told.

        Raises what `rotation.rotate` raises.
        """
        held = await self._settle(lambda held: rotate(self._locksmith, held, order, self._clock()))
        await self._announce(held, writer)
        await self._open(held)
        return next(key for key in held if key.request_id == order.request_id)

    async def look(self, writer: LogWriter) -> None:
        """Learn of keys that others made, make the one that is due, and tell the log what it was not told."""
        held = await self._store.keys()
        if order := due(held, self._clock(), self._every):
            await self.rotate(order, writer)
        elif has_changed(self._held, held):
            await self._announce(held, writer)
            await self._open(held)

    async def keep(self, writer: LogWriter) -> None:
        """Look again and again; what fails is tried again."""
        while True:
            await asyncio.sleep(LOOK_PAUSE)
            await self.try_to_look(writer)

    async def try_to_look(self, writer: LogWriter) -> None:
        """Look; what fails is only told, since the keys that there are go on signing."""
        try:
            await self.look(writer)
        except MeshError as error:
            log.warning("keys_not_looked_at", reason=error.reason, error=error.message)

    async def record_keys(self) -> list[StoredKey]:
        """Every key of records, oldest first."""
        return record_keys(await self._store.keys())

    async def rotations(self) -> list[tuple[bytes, Seal]]:
        """What the log was told of keys, oldest first: records and their seals."""
        told = {_subject(key): key.announcement for key in await self.record_keys() if key.announcement is not None}
        _, seals = await self._store.read(list(told))
        return [(told[seal.subject], seal) for seal in sorted(seals, key=lambda seal: seal.leaf_index)]

    async def _settle(self, change: Callable[[Sequence[StoredKey]], Change]) -> list[StoredKey]:
        return await self._store.settle_keys(change)

    async def _open(self, held: Sequence[StoredKey]) -> None:
        self._ring = await asyncio.to_thread(self._locksmith.open, held, self._clock())
        self._held = held

    async def _announce(self, held: Sequence[StoredKey], writer: LogWriter) -> None:
        told = [seal.subject for _, seal in await self.rotations()]
        for key in (key for key in record_keys(held) if key.announcement is not None and _subject(key) not in told):
            assert key.announcement is not None  # noqa: S101 - tells the type checker what the line above ensures
            signer = await asyncio.to_thread(self._locksmith.named, signer_of(key, held))
            signed = await asyncio.to_thread(sign_record, Record.read(key.announcement), signer)
            await writer.append(_subject(key), signed)
            log.info("key_rotated", key_id=key.key_id, not_before=key.not_before.isoformat())


def _subject(key: StoredKey) -> Subject:
    return Subject(f"key/{key.key_id}")
