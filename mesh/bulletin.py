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


Vacancy: TypeAlias = Callable[[], object | None]
"""Answers a place that is kept for the asker, or None."""


class Bulletin:
    """The messages of one process, and the places that are free in it. A listener does no more than to wake somebody.

    A place is for one message that is not committed yet: whoever takes it commits that the message needs nobody else.
    """

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._vacancies: defaultdict[str, list[Vacancy]] = defaultdict(list)

    def listen(self, subjects: str, listener: Listener) -> Callable[[], None]:
        """Hand `listener` each message of one subject, or of all below "subject.>"; the answer ends it."""
        self._listeners[subjects].append(listener)
        return functools.partial(self._listeners[subjects].remove, listener)

    def offer(self, subject: str, vacancy: Vacancy) -> Callable[[], None]:
        """Let whoever is about to tell of something under `subject` take a place from `vacancy`; the answer ends it."""
        self._vacancies[subject].append(vacancy)
        return functools.partial(self._vacancies[subject].remove, vacancy)

    def place(self, subject: str) -> object | None:
        """A place for what is about to be told under `subject`; None where nobody here has one now."""
        places = (vacancy() for vacancy in self._vacancies.get(subject, ()))
        return next((place for place in places if place is not None), None)

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
