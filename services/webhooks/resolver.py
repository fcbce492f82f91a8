"""From a host to the addresses that may be called, looked up off the event loop.

A name server that does not answer holds a thread for many seconds. So one team has only a few look-ups under way, also
those that nobody waits for any more, and the threads of the others stay free.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from weakref import WeakValueDictionary

from mesh.destination import Address, Destinations

KNOWN_SECONDS = 5.0
"""How long an answer is believed; the rules are put to each of its addresses again whenever it is used."""
KNOWN_NAMES = 1024
THREADS = 32
TEAM_LOOKUPS = 4
MOST_ADDRESSES = 4
"""Of one name that are tried."""

Lookup = Callable[[str], Sequence[str]]


class NameUnknown(Exception):
    """The name has no address, or the name servers do not answer."""


class AddressRefused(Exception):
    """None of the name's addresses may be called."""


def look_up(name: str) -> list[str]:
    """The addresses of a name by the system's resolver, in its order; raises OSError. Blocks."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """Finds addresses that may be called."""

    def __init__(self, destinations: Destinations, lookup: Lookup = look_up) -> None:
        """Allow what `destinations` allows; `lookup` blocks, and runs in a thread."""
        self._destinations = destinations
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook names")
        self._known: OrderedDict[str, tuple[float, Sequence[str]]] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def addresses(self, host: str, team_id: str) -> list[str]:
        """The addresses of a name, or of an address, that may be called; raises NameUnknown or AddressRefused."""
        allowed = [text for text in await self._all(host, team_id) if self._destinations.allows(_address(text))]
        if not allowed:
            raise AddressRefused
        return allowed[:MOST_ADDRESSES]

    def close(self) -> None:
        """Begin no further look-up; one that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _all(self, host: str, team_id: str) -> Sequence[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        until, found = self._known.get(host, (0.0, ()))
        return found if time.monotonic() < until else await self._ask(host, team_id)

    async def _ask(self, host: str, team_id: str) -> Sequence[str]:
        turn = self._turns.setdefault(team_id, asyncio.Semaphore(TEAM_LOOKUPS))
        await turn.acquire()
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host)
        work.add_done_callback(lambda _: turn.release())
        try:
            found = await asyncio.shield(work)
        except (OSError, UnicodeError) as error:
            raise NameUnknown from error
        self._known[host] = (time.monotonic() + KNOWN_SECONDS, found)
        self._known.move_to_end(host)
        if len(self._known) > KNOWN_NAMES:
            self._known.popitem(last=False)
        return found


def _address(text: str) -> Address:
    # A link-local address of a resolver carries its interface, which no rule speaks of.
    return ip_address(text.partition("%")[0])
