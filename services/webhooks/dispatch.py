"""Sending what is due: taken up fairly, a bounded number at a time, and what came of each try is kept in batches.

A delivery that this process has taken up is leased: if it dies, the row is due again when the lease ends, under the
same id. An endpoint may so get a delivery twice, and never none.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from mesh.batch import Batcher
from mesh.destination import DestinationRefused
from mesh.errors import MeshError
from mesh.telemetry import log
from services.webhooks.config import WebhooksConfig
from services.webhooks.delivery import TIMEOUT_SECONDS, Attempt, EndpointId, Sending, TeamId
from services.webhooks.exchange import Answer, ExchangeFailed, Malformed
from services.webhooks.mail import Postman
from services.webhooks.resolver import AddressRefused, NameUnknown
from services.webhooks.secrets import Secrets
from services.webhooks.sender import ConnectFailed, Sender
from services.webhooks.signature import signed_headers
from services.webhooks.store import Outcome, Room, WebhooksStore

LOOK_SECONDS = 1.0
"""Between two looks for what is due by now."""
PAUSE_SECONDS = 0.004
"""Between two claims: what becomes free and due meanwhile is taken up together."""
FORGET_SECONDS = 600.0
KNOWN_URLS = 4096
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n\t\u00a0-\ud7ff\ue000-\ufffd]")


class Dispatcher:
    """Sends deliveries for one process."""

    def __init__(
        self,
        store: WebhooksStore,
        secrets: Secrets,
        sender: Sender,
        postman: Postman,
        config: WebhooksConfig,
        *,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Send by `sender` what `store` says is due; `postman` tells of endpoints that are disabled."""
        self._store = store
        self._secrets = secrets
        self._sender = sender
        self._postman = postman
        self._config = config
        self._parse = lru_cache(KNOWN_URLS)(config.destinations.parse)
        self._clock = clock
        self._teams: Counter[TeamId] = Counter()
        self._endpoints: Counter[EndpointId] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._letters: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._outcomes: Batcher[Outcome, None] = Batcher(self._settle)

    def wake(self) -> None:
        """Look at once: something is due, or a place is free."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                claimed = await self.claim()
            except MeshError as error:
                log.warning("claim_postponed", reason=error.reason)
                claimed = []
            if claimed:
                self._wake.set()
            await asyncio.sleep(PAUSE_SECONDS)

    async def look(self) -> None:
        """Make due what is due by now, and tidy up, until cancelled."""
        forgotten = -FORGET_SECONDS
        while True:
            try:
                while await self._store.promote(self._clock()):
                    self.wake()
                if time.monotonic() - forgotten > FORGET_SECONDS:
                    forgotten = time.monotonic()
                    await self._forget()
            except MeshError as error:
                log.warning("look_postponed", reason=error.reason)
            self.wake()
            self._sender.tidy()
            await asyncio.sleep(LOOK_SECONDS)

    async def claim(self) -> Sequence[Sending]:
        """Take up what is due as far as there is room, and begin to send it; answers what was taken."""
        room = Room(
            places=self._config.places - len(self._tasks),
            team_places=self._config.team_places,
            endpoint_places=self._config.endpoint_places,
            teams=self._teams,
            endpoints=self._endpoints,
        )
        if room.places <= 0:
            return ()
        claimed = await self._store.claim(room, self._clock())
        for sending in claimed:
            self._begin(sending)
        return claimed

    async def close(self) -> None:
        """Wait for what is under way, at most as long as one try takes."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=min(self._config.drain_seconds, TIMEOUT_SECONDS))
        for task in (*self._tasks, *self._letters):
            task.cancel()
        await self._outcomes.close()

    def _begin(self, sending: Sending) -> None:
        self._teams[sending.team_id] += 1
        self._endpoints[sending.endpoint_id] += 1
        task = asyncio.create_task(self._send(sending))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, sending: Sending) -> None:
        try:
            attempt = await self._attempt(sending)
        except Exception:  # noqa: BLE001 - a bug, or a secret that does not open, must not end the others
            log.exception("delivery_failed", delivery=sending.delivery_id)
            return
        finally:
            self._release(sending)
        with contextlib.suppress(MeshError):  # then it is tried again when the lease ends
            await self._outcomes.add((sending, attempt))

    def _release(self, sending: Sending) -> None:
        for counter, key in ((self._teams, sending.team_id), (self._endpoints, sending.endpoint_id)):
            counter[key] -= 1  # type: ignore[index] # each key goes with its counter
            if not counter[key]:  # type: ignore[index]
                del counter[key]
        self.wake()

    async def _attempt(self, sending: Sending) -> Attempt:
        """One try; what goes wrong on the way is a word in its outcome."""
        secrets = self._secrets.of(sending)
        began, started = self._clock(), time.perf_counter()
        answer, error = None, ""
        try:
            to = self._parse(sending.url)
            headers = signed_headers(sending.delivery_id, sending.body, secrets, began)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._sender.post(sending.team_id, to, headers, sending.body)
        except TimeoutError:
            error = "timeout"
        except (DestinationRefused, AddressRefused):
            error = "address_refused"
        except NameUnknown:
            error = "name_unknown"
        except ConnectFailed as failed:
            error = failed.word
        except Malformed:
            error = "answer_malformed"
        except ExchangeFailed:
            error = "connection_lost"
        latency = dt.timedelta(seconds=time.perf_counter() - started)
        return Attempt(
            create_time=began,
            latency=latency,
            status_code=answer.status if answer else 0,
            error=error,
            response=printable(answer) if answer else "",
        )

    async def _settle(self, outcomes: list[Outcome]) -> list[Exception | None]:
        for disabled in await self._store.settle(outcomes):
            letter = asyncio.create_task(self._postman.tell(disabled))
            self._letters.add(letter)
            letter.add_done_callback(self._letters.discard)
        return [None] * len(outcomes)

    async def _forget(self) -> None:
        now = self._clock()
        before = now - dt.timedelta(days=self._config.keep_days)
        while await self._store.forget(deliveries_before=before, now=now):
            pass
        while await self._store.forget_endpoints():
            pass


def printable(answer: Answer) -> str:
    """The beginning of an answer's body as text that does no harm where it is shown."""
    return _UNPRINTABLE.sub("\ufffd", answer.body.decode("utf-8", "replace"))
