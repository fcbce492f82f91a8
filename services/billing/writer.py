"""The one writer of the ledger in a process: operations queue up and go through in groups, in the order they came.

A group is read, decided and committed in two statements, however many operations it has. Where several processes run,
one that finds the ledger changed since it read it decides again, on the balances that the other has committed. A group
whose commit got no answer may be tried again by its callers: every operation is keyed by its job.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from mesh.batch import Batcher
from services.billing.book import Book
from services.billing.hold import Hold, Operation
from services.billing.plan import Plans
from services.billing.store import LedgerStore

_GROUP_SIZE = 256


class LedgerWriter:
    """Applies operations to the ledger, one after the other."""

    def __init__(self, store: LedgerStore, plans: Plans, *, clock: Callable[[], dt.datetime]) -> None:
        """Write to `store` by the rules of `plans`; `clock` tells the time in UTC."""
        self._store = store
        self._plans = plans
        self._clock = clock
        self._batcher: Batcher[Operation, Hold | None] = Batcher(self._flush, max_size=_GROUP_SIZE)

    async def apply(self, operation: Operation) -> Hold | None:
        """The operation's answer, once it is committed; raises what `Book.apply` refuses it with."""
        return await self._batcher.add(operation)

    async def close(self) -> None:
        """Refuse new operations and commit those that wait."""
        await self._batcher.close()

    async def _flush(self, operations: list[Operation]) -> list[Hold | Exception | None]:
        def decide(book: Book) -> list[Hold | Exception | None]:
            return [book.apply(operation) for operation in operations]

        return await self._store.keep_book(self._plans, operations, self._clock(), decide)
