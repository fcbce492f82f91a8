"""Who has had how much: start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996) over engine seconds. Pure.

Everybody who waits gets the same part of the engines by and by, each times its weight. Whoever was idle saves nothing
up, and whoever had the engines alone owes nothing for it later: only the last job counts against it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Shares(Generic[K]):
    """The virtual time of one worker, and those who are ahead of it."""

    def __init__(self) -> None:
        """Begin with nobody ahead."""
        self._time = 0.0
        self._finish: dict[K, float] = {}

    @property
    def ahead(self) -> dict[K, float]:
        """Seconds by which some are ahead; all others are level, by 0."""
        return {key: finish - self._time for key, finish in self._finish.items()}

    def begin(self, key: K, seconds: float, *, weight: float = 1.0) -> None:
        """Note that the turn of `key` has come, for `seconds` as far as is known."""
        start = max(self._time, self._finish.get(key, 0.0))
        self._time = start
        self._finish[key] = start + seconds / weight
        self._finish = {other: finish for other, finish in self._finish.items() if finish > start}

    def correct(self, key: K, seconds: float, *, weight: float = 1.0) -> None:
        """Add what a turn took more (or, below 0, less) than was known when it began."""
        finish = max(self._time, self._finish.get(key, 0.0)) + seconds / weight
        if finish > self._time:
            self._finish[key] = finish
        else:
            self._finish.pop(key, None)
