"""Who asks: from a Bearer secret to a requester, by accounts, through a short-lived cache.

Secrets are never kept: entries are filed under a digest with a key of this process. A good key is believed for at most
`GOOD_SECONDS`, a refused one for `REFUSED_SECONDS`. Requests that come with the same key at the same time share one
look-up. A revocation event drops the key at once, even from a look-up that is under way.

Events can be lost, so a key is believed for long only while accounts is heard: it says several times a second, on the
way that its events take, that it would tell. After `DEAF_SECONDS` without that, whatever the cause, no key is believed
for longer than `DEAF_SECONDS` after it was asked for. So a revoked key ends within a second everywhere, NATS or not.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qm.accounts.v1.accounts_pb2 import AuthenticateKeyRequest
from qm.type.v1.requester_pb2 import Requester

from edge.errors import Refusal
from mesh.call import Call, current, serving
from mesh.errors import PermissionDenied, Unauthenticated

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub

GOOD_SECONDS = 30.0
REFUSED_SECONDS = 2.0
DEAF_SECONDS = 1.0
LOOK_UP_SECONDS = 20.0
"""How long busy accounts are waited for, as a submission waits; accounts that are away are given up sooner."""
MAX_ENTRIES = 10_000
_MOST_TRIES = 3
_SECRET = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +(qm_(?:live|test|ent)_[\x21-\x7e]{1,240})")
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="qmumma"'),)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of one secret; `requester` is None where accounts refused it."""

    requester: Requester | None
    asked: float
    until: float
    suspended: bool = False
    """Whether it is refused because its team is suspended."""


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
        self._heard = 0.0
        self._changes = 0

    def known(self, authorization: bytes | None) -> Requester | None:
        """Who sends this `Authorization` header, where accounts need not be asked."""
        match = _SECRET.fullmatch(authorization or b"")
        entry = self._fresh(self._digest(match[1])) if match is not None else None
        return entry.requester if entry is not None else None

    def met(self, authorization: bytes | None) -> bool:
        """Whether this `Authorization` header was good when accounts was last asked: asking again is no guess."""
        match = _SECRET.fullmatch(authorization or b"")
        entry = self._entries.get(self._digest(match[1])) if match is not None else None
        return entry is not None and entry.requester is not None

    async def requester(self, authorization: bytes | None) -> Requester:
        """Who sends this `Authorization` header.

        Raises Refusal 401, or 403 for a suspended team, and MeshError where accounts cannot tell.
        """
        match = _SECRET.fullmatch(authorization or b"")
        if match is None:
            raise _unauthorized("Send a key as `Authorization: Bearer qm_live_…` (or qm_test_…, qm_ent_…).")
        secret = match[1]
        digest = self._digest(secret)
        entry = self._fresh(digest) or await self._look_up(digest, secret.decode("ascii"))
        if entry.suspended:
            raise Refusal(403, "This team is suspended: ask your operator.", reason="TEAM_SUSPENDED")
        if entry.requester is None:
            raise _unauthorized("This API key is not valid: unknown, expired or revoked.")
        return entry.requester

    def heard(self) -> None:
        """Accounts can tell of its keys at this moment."""
        self._heard = self._clock()

    def drop(self, key_id: str) -> None:
        """Forget a key, wherever it is: it was revoked, or its end has moved."""
        self._drop(lambda entry: entry.requester is not None and entry.requester.key_id == key_id)

    def drop_team(self, team_id: str) -> None:
        """Forget the keys of a team: it was suspended or resumed, or has another plan."""
        self._drop(
            lambda entry: entry.suspended or (entry.requester is not None and entry.requester.team_id == team_id)
        )

    def drop_all(self) -> None:
        """Forget every key: revocations may have gone unheard."""
        self._changes += 1
        self._entries.clear()

    def _drop(self, meant: Callable[[_Entry], bool]) -> None:
        self._changes += 1
        for digest in [digest for digest, entry in self._entries.items() if meant(entry)]:
            del self._entries[digest]

    def _fresh(self, digest: bytes) -> _Entry | None:
        """What is known of a secret and still believed."""
        entry, now = self._entries.get(digest), self._clock()
        if entry is None or entry.until <= now:
            return None
        return entry if min(now - self._heard, now - entry.asked) < DEAF_SECONDS else None

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
        """Ask accounts, and again where keys changed meanwhile: the answer may be of before."""
        call = current() or Call("edge")
        with serving(replace(call, deadline=time.monotonic() + LOOK_UP_SECONDS)):
            for _ in range(_MOST_TRIES):
                changes, asked = self._changes, self._clock()
                entry = await self._answer(secret, asked)
                if changes == self._changes:
                    return self._keep(digest, entry)
            return entry

    async def _answer(self, secret: str, asked: float) -> _Entry:
        try:
            response = await self._accounts.AuthenticateKey(AuthenticateKeyRequest(secret=secret))
        except Unauthenticated as error:
            if error.reason == "UNKNOWN_PEER":
                raise
            return _Entry(None, asked, asked + REFUSED_SECONDS)
        except PermissionDenied as error:
            if error.reason != "TEAM_SUSPENDED":
                raise
            return _Entry(None, asked, asked + REFUSED_SECONDS, suspended=True)
        until = asked + GOOD_SECONDS
        if response.HasField("expire_time"):
            until = min(until, response.expire_time.seconds + response.expire_time.nanos / 1e9)
        return _Entry(response.requester, asked, until)

    def _keep(self, digest: bytes, entry: _Entry) -> _Entry:
        self._entries[digest] = entry
        self._entries.move_to_end(digest)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return entry


def _unauthorized(message: str) -> Refusal:
    return Refusal(401, message, reason="UNAUTHENTICATED", headers=_CHALLENGE)
