"""How far a running job is: what its program tells, and between two tellings the share of its predicted time. Pure."""

from __future__ import annotations

import datetime as dt

from mesh.wording import duration_text

EVERY = dt.timedelta(seconds=2)
"""A job whose program is silent for longer tells how long it has been running."""
MOST = 0.95
"""Of what a program has left to do, the most that is told of it by the time alone."""


class Progress:
    """The progress of one job under one lease."""

    def __init__(self) -> None:
        """Know nothing of a job yet."""
        self.fraction, self.message = 0.0, ""
        self._shown = 0.0
        self._seconds = 0.0
        self._news = False
        self._began = self._heard = self._told = dt.datetime.min.replace(tzinfo=dt.UTC)

    def hear(self, fraction: float, message: str, now: dt.datetime) -> None:
        """Note what the job's program tells."""
        self.fraction, self.message = fraction, message
        self._heard, self._news = now, True

    def expect(self, seconds: float, now: dt.datetime) -> None:
        """Note that a run begins which is predicted to take so many seconds; 0 where nothing was predicted."""
        self._seconds, self._began, self._heard, self._shown = seconds, now, now, 0.0

    def news(self, now: dt.datetime) -> tuple[float, str] | None:
        """What is to be told now, as a fraction and a message; None for nothing."""
        if not self._news and (not self._seconds or now - self._told < EVERY):
            return None
        told = (self.fraction, self.message) if self._news else self._by_time(now)
        self._news, self._told, self._shown = False, now, max(self._shown, told[0])
        return self._shown, told[1]

    def _by_time(self, now: dt.datetime) -> tuple[float, str]:
        left = 1.0 - self.fraction
        silent, predicted = (now - self._heard).total_seconds(), max(1e-3, self._seconds * left)
        running = duration_text((now - self._began).total_seconds())
        message = f"{self.message or 'running'}; for {running} now, of about {duration_text(self._seconds)} predicted"
        return round(self.fraction + left * min(MOST, silent / predicted), 3), message
