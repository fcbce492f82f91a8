"""The one writer of the log in a process: signed records queue up and go in by batches, in the order they came.

A batch is one transaction: its leaves, the tree nodes that they complete, and the tree's new head. An answer leaves
only after the commit; a kill -9 at any moment leaves the whole batch or nothing of it. Where several processes run, one
that finds the log grown since it read it makes its batch again, on the tree that the other has committed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from mesh.batch import Batcher
from mesh.errors import Unavailable
from services.signing.checkpoint import Head, parse_checkpoint
from services.signing.note import parse_note
from services.signing.records import SignedRecord
from services.signing.seal import Entry, Page, Seal, Subject
from services.signing.store import SigningStore
from services.signing.tree import Frontier, root_nodes

_BATCH_SIZE = 256
_TRIES = 50
"""For one batch: each that fails means that another process has extended the log, by a batch of its own."""


class BrokenLogError(RuntimeError):
    """The stored log contradicts itself; nothing is added to it until a person has looked."""


class LogWriter:
    """Appends to the log."""

    def __init__(self, store: SigningStore, origin: str, *, clock: Callable[[], dt.datetime]) -> None:
        """Extend the log called `origin` in `store`; `clock` tells the time in UTC."""
        self._store = store
        self._origin = origin
        self._clock = clock
        self._frontier = Frontier()
        self._batcher: Batcher[Entry, Seal] = Batcher(self._flush, max_size=_BATCH_SIZE)

    async def begin(self) -> None:
        """Begin with the empty tree where there is none yet, and check the tree that is there.

        Raises BrokenLogError where the log has another name, or the stored nodes do not give the root of its newest
        head.
        """
        note = await self._store.newest_note()
        if note is not None and (origin := parse_checkpoint(parse_note(note).text).origin) != self._origin:
            message = f"the log is called {origin!r} for ever, not {self._origin!r}"
            raise BrokenLogError(message)
        head, _ = await self._store.read(())
        if head is None and await self._store.write((), (), _head(Frontier()), self._clock(), over=None):
            return
        self._frontier = await self._read_frontier(head or await self._store.head())

    async def append(self, subject: Subject, signed: SignedRecord) -> Seal:
        """The subject's seal, once it is committed: this record's, or the one that stands for the same record.

        Raises Conflict (SUBJECT_ALREADY_SIGNED) where one stands for another record.
        """
        return await self._batcher.add(Entry(subject, signed))

    async def close(self) -> None:
        """Refuse new records and commit those that wait."""
        await self._batcher.close()

    async def _flush(self, entries: list[Entry]) -> list[Seal | Exception]:
        # Mostly the log is as this process left it and no subject has a seal yet. If not, nothing is written.
        if (answers := await self._extend(self._frontier, [], entries)) is not None:
            return answers
        for _ in range(_TRIES):
            head, seals = await self._store.read([entry.subject for entry in entries])
            if (answers := await self._extend(await self._current_frontier(head), seals, entries)) is not None:
                return answers
        raise Unavailable("other processes extend the log all the time; try again", reason="LOG_BUSY")

    async def _extend(
        self, frontier: Frontier, seals: Sequence[Seal], entries: Sequence[Entry]
    ) -> list[Seal | Exception] | None:
        """Each entry's seal, one of `seals` or a new one; None where the stored log is not at `frontier`."""
        page = Page(frontier, seals)
        answers = [page.take(entry) for entry in entries]
        if page.new:
            growth = page.growth()
            below, frontier = _head(frontier), growth.frontier
            if not await self._store.write(page.new, growth.rows, _head(frontier), self._clock(), over=below):
                return None
        self._frontier = frontier
        return answers

    async def _current_frontier(self, head: Head | None) -> Frontier:
        """Ours, unless another process has moved the log since, or a commit of ours got no answer."""
        if head is None:
            message = "the log has lost its heads"
            raise BrokenLogError(message)
        if (head.size, head.root) == (self._frontier.size, self._frontier.root()):
            return self._frontier
        return await self._read_frontier(head)

    async def _read_frontier(self, head: Head) -> Frontier:
        nodes = root_nodes(head.size)
        hashes = await self._store.read_nodes(nodes)
        if hashes.keys() != set(nodes) or (frontier := Frontier.read(head.size, hashes)).root() != head.root:
            message = f"the stored nodes do not give the root of the tree of {head.size} leaves"
            raise BrokenLogError(message)
        return frontier


def _head(frontier: Frontier) -> Head:
    return Head(frontier.size, frontier.root())
