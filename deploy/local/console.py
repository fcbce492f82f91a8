"""What the person at the terminal sees: one line for each step with its time, colours on a terminal only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_GREEN, _RED, _YELLOW, _DIM, _BOLD, _PLAIN = "\033[32m", "\033[31m", "\033[33m", "\033[2m", "\033[1m", "\033[0m"


class Console:
    """Writes progress to a stream; `quiet` writes nothing but problems."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        """Write to `stream`, standard error by default."""
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._colours = self._stream.isatty() and "NO_COLOR" not in os.environ

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and write its line when it is done."""
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self._write(f"  {self._paint('✗', _RED)} {name}")
            raise
        self.done(name, time.monotonic() - start)

    def done(self, name: str, seconds: float) -> None:
        """Write the line of a finished step."""
        if not self._quiet:
            self._write(f"  {self._paint('✓', _GREEN)} {name:<34}{self._paint(f'{seconds:6.2f} s', _DIM)}")

    def title(self, text: str) -> None:
        """Write a line that stands out."""
        if not self._quiet:
            self._write(self._paint(text, _BOLD))

    def line(self, text: str = "") -> None:
        """Write a plain line."""
        if not self._quiet:
            self._write(text)

    def warning(self, text: str) -> None:
        """Write what went wrong and is being dealt with."""
        self._write(f"  {self._paint('!', _YELLOW)} {text}")

    def problem(self, text: str) -> None:
        """Write why it cannot go on."""
        self._write(f"{self._paint('Cannot start:', _RED)} {text}")

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours else text

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()
