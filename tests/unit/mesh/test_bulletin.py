"""What parts of one process tell each other."""

from __future__ import annotations

from structlog.testing import capture_logs

from mesh.bulletin import Bulletin
from mesh.events import Message

WORK = Message("1", "jobs.work.sim.short", b"")
EVENT = Message("2", "jobs.event.completed.team", b"")


class Heard:
    """A listener."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.about: list[object] = []

    def listen(self, message: Message, about: object) -> None:
        self.messages.append(message)
        self.about.append(about)


def test_a_listener_hears_its_subject_and_no_other():
    bulletin, heard = Bulletin(), Heard()
    bulletin.listen("jobs.work.sim.short", heard.listen)
    bulletin.tell([WORK, EVENT, Message("3", "jobs.work.sim.shorter", b"")])
    assert heard.messages == [WORK]


def test_a_listener_hears_all_below_a_subject():
    bulletin, heard = Bulletin(), Heard()
    bulletin.listen("jobs.event.>", heard.listen)
    bulletin.tell([WORK, EVENT])
    assert heard.messages == [EVENT]


def test_a_listener_is_given_what_a_message_is_about():
    bulletin, heard = Bulletin(), Heard()
    bulletin.listen("jobs.>", heard.listen)
    bulletin.tell([WORK, EVENT], {EVENT.id: "the job"})
    assert heard.about == [None, "the job"]


def test_what_a_listener_takes_is_told():
    bulletin, heard = Bulletin(), Heard()
    bulletin.listen("jobs.>", heard.listen)
    bulletin.listen("jobs.work.sim.short", lambda *_: True)
    assert bulletin.tell([WORK, EVENT]) == {WORK.id}
    assert heard.messages == [WORK, EVENT]


def test_who_has_stopped_listening_hears_nothing():
    bulletin, heard = Bulletin(), Heard()
    stop = bulletin.listen("jobs.>", heard.listen)
    stop()
    bulletin.tell([WORK])
    assert heard.messages == []


def test_a_listener_that_breaks_spoils_it_for_nobody():
    bulletin, heard = Bulletin(), Heard()

    def break_down(_message: Message, _about: object) -> None:
        raise RuntimeError

    bulletin.listen("jobs.>", break_down)
    bulletin.listen("jobs.>", heard.listen)
    with capture_logs() as lines:
        bulletin.tell([WORK, EVENT])
    assert heard.messages == [WORK, EVENT]
    assert len(lines) == 2


def test_a_place_is_had_of_the_first_who_has_one_until_the_offer_ends():
    bulletin, rooms = Bulletin(), {"first": 0, "second": 2}

    def vacancy(name: str) -> str | None:
        rooms[name] -= 1
        return name if rooms[name] >= 0 else None

    bulletin.offer(WORK.subject, lambda: vacancy("first"))
    stop = bulletin.offer(WORK.subject, lambda: vacancy("second"))
    assert [bulletin.place(WORK.subject), bulletin.place(EVENT.subject)] == ["second", None]
    stop()
    assert (bulletin.place(WORK.subject), rooms["second"]) == (None, 1)
