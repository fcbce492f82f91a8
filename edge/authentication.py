"""Who asks: from a Bearer secret to a requester, by accounts, through a short-lived cache.

Secrets are never kept: entries are filed under a digest with a key of this process. A good key is believed for at most
`GOOD_SECONDS`, a refused one for `REFUSED_SECONDS`. Requests that come with the same key at the same time share one
look-up. A revocation event drops the key at once, even from a look-up that is under way; an event that is lost costs at
most these seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qm.accounts.v1.accounts_pb2 import AuthenticateKeyRequest
from qm.type.v1.requester_pb2 import Requester

from edge.errors import Refusal
from mesh.errors import Unauthenticated

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub

GOOD_SECONDS = 30.0
REFUSED_SECONDS = 2.0
MAX_ENTRIES = 10_000
_SECRET = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +(qm_(?:live|test|ent)_[\x21-\x7e]{1,240})")
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="qmumma"'),)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of one secret; `requester` is None where accounts refused it."""

    requester: Requester | None
    until: float


class Authentication:
    """Tells requesters by their keys."""

    def __init__(
        self,
        accounts: AccountsServiceAsyncStub,
        *,
        clock: Callable[[], float] = time.time,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        """Ask `accounts`; `clock` tells Unix time in seconds; keep at most `max_entries` keys."""
        self._accounts = accounts
        self._clock = clock
        self._max_entries = max_entries
        self._pepper = os.urandom(32)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._pending: dict[bytes, asyncio.Task[_Entry]] = {}
        self._revoked: OrderedDict[str, None] = OrderedDict()

    def known(self, authorization: bytes | None) -> Requester | None:
        """Who sends this `Authorization` header, where accounts need not be asked."""
        match = _SECRET.fullmatch(authorization or b"")
        entry = self._entries.get(self._digest(match[1])) if match is not None else None
        return entry.requester if entry is not None and entry.until > self._clock() else None

    async def requester(self, authorization: bytes | None) -> Requester:
        """Who sends this `Authorization` header; raises Refusal 401, or MeshError where accounts cannot tell."""
        match = _SECRET.fullmatch(authorization or b"")
        if match is None:
            raise _unauthorized("Send a key as `Authorization: Bearer qm_live_…` (or qm_test_…, qm_ent_…).")
        secret = match[1]
        digest = self._digest(secret)
        entry = self._entries.get(digest)
        if entry is None or entry.until <= self._clock():
            entry = await self._look_up(digest, secret.decode("ascii"))
        if entry.requester is None:
            raise _unauthorized("This API key is not valid: unknown, expired or revoked.")
        return entry.requester

    def drop(self, key_id: str) -> None:
        """Forget a revoked key, wherever it is."""
        self._revoked[key_id] = None
        while len(self._revoked) > self._max_entries:
            self._revoked.popitem(last=False)
        for digest, entry in list(self._entries.items()):
            if entry.requester is not None and entry.requester.key_id == key_id:
                del self._entries[digest]

    def drop_all(self) -> None:
        """Forget every key: revocations may have gone unheard."""
        self._entries.clear()

    def _digest(self, secret: bytes) -> bytes:
        return hashlib.blake2b(secret, digest_size=16, key=self._pepper).digest()

    async def _look_up(self, digest: bytes, secret: str) -> _Entry:
        task = self._pending.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(digest, secret))
            self._pending[digest] = task
            task.add_done_callback(lambda _: self._pending.pop(digest, None))
        # One of several waiters going away must not end the look-up of the others.
        return await asyncio.shield(task)

    async def _ask(self, digest: bytes, secret: str) -> _Entry:
        try:
            response = await self._accounts.AuthenticateKey(AuthenticateKeyRequest(secret=secret))
        except Unauthenticated as error:
            if error.reason == "UNKNOWN_PEER":
                raise
            return self._keep(digest, _Entry(None, self._clock() + REFUSED_SECONDS))
        if response.requester.key_id in self._revoked:
            return self._keep(digest, _Entry(None, self._clock() + REFUSED_SECONDS))
        until = self._clock() + GOOD_SECONDS
        if response.HasField("expire_time"):
            until = min(until, response.expire_time.seconds + response.expire_time.nanos / 1e9)
        return self._keep(digest, _Entry(response.requester, until))

    def _keep(self, digest: bytes, entry: _Entry) -> _Entry:
        self._entries[digest] = entry
        self._entries.move_to_end(digest)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return entry


def _unauthorized(message: str) -> Refusal:
    return Refusal(401, message, reason="UNAUTHENTICATED", headers=_CHALLENGE)
