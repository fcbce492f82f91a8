"""What one part of a process has committed, told to the others there at once, ahead of the queue.

A bulletin spares those who wait a millisecond or more on one machine, and nothing depends on it: the queue brings the
same messages again, to this process or another, but for those that a listener takes.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import structlog

if TYPE_CHECKING:
    from mesh.events import Message

log = structlog.get_logger()
NOTHING: Mapping[str, object] = MappingProxyType({})


Listener: TypeAlias = Callable[["Message", object], bool | None]
"""Is given a message and what it is about, where whoever tells has that at hand; answers whether it takes the message,
so that nobody else need ever hear of it."""


class Bulletin:
    """The messages of one process. A listener does no more than to wake somebody."""

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)

    def listen(self, subjects: str, listener: Listener) -> Callable[[], None]:
        """Hand `listener` each message of one subject, or of all below "subject.>"; the answer ends it."""
        self._listeners[subjects].append(listener)
        return functools.partial(self._listeners[subjects].remove, listener)

    def tell(self, messages: Iterable[Message], about: Mapping[str, object] = NOTHING) -> set[str]:
        """Tell of messages that are committed, `about` what by their ids; answers the ids of those that were taken."""
        taken = set()
        for message in messages:
            for subjects, listeners in self._listeners.items():
                if message.subject == subjects or (subjects[-1] == ">" and message.subject.startswith(subjects[:-1])):
                    for listener in tuple(listeners):
                        try:
                            if listener(message, about.get(message.id)):
                                taken.add(message.id)
                        except Exception:
                            log.exception("listener failed", subject=message.subject)
        return taken
