"""When keys were used, and under which pepper they are kept: gathered, and written every few seconds.

An edge asks once in half a minute for a key that it serves, so a time is that exact. What was gathered since the last
writing is lost with the process, and gathered again at the next use.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt

from mesh.errors import MeshError
from services.accounts.key import Credential, KeyId
from services.accounts.secret import Peppers
from services.accounts.store import KeyStore

WRITE_SECONDS = 5.0


class Uses:
    """What is to be written of keys that were used."""

    def __init__(self, store: KeyStore, peppers: Peppers) -> None:
        """Write to `store`; move digests to the current one of `peppers`."""
        self._store = store
        self._peppers = peppers
        self._times: dict[KeyId, dt.datetime] = {}
        self._digests: dict[KeyId, bytes] = {}

    def note(self, credential: Credential, secret: str, time: dt.datetime) -> None:
        """Remember that a key was used at a time; its secret is digested anew where its pepper is an older one."""
        self._times[credential.key.key_id] = time
        if credential.pepper_id != self._peppers.current.pepper_id:
            self._digests[credential.key.key_id] = self._peppers.current.digest(secret)

    async def write(self) -> None:
        """Write what is remembered; while the database is away it is forgotten, and the next use tells it again."""
        times, self._times = self._times, {}
        digests, self._digests = self._digests, {}
        with contextlib.suppress(MeshError):
            if times:
                await self._store.note_uses(times)
            if digests:
                await self._store.move_digests(digests, self._peppers.current.pepper_id)

    async def keep_written(self) -> None:
        """Write again and again, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()
