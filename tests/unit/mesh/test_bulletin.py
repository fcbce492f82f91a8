"""What parts of one process tell each other."""

from __future__ import annotations

from structlog.testing import capture_logs

from mesh.bulletin import Bulletin
from mesh.events import Message

WORK = Message("1", "jobs.work.sim.short", b"")
EVENT = Message("2", "jobs.event.completed.team", b"")


def test_a_listener_hears_its_subject_and_no_other():
    bulletin, heard = Bulletin(), list[Message]()
    bulletin.listen("jobs.work.sim.short", heard.append)
    bulletin.tell([WORK, EVENT, Message("3", "jobs.work.sim.shorter", b"")])
    assert heard == [WORK]


def test_a_listener_hears_all_below_a_subject():
    bulletin, heard = Bulletin(), list[Message]()
    bulletin.listen("jobs.event.>", heard.append)
    bulletin.tell([WORK, EVENT])
    assert heard == [EVENT]


def test_what_a_listener_takes_is_told():
    bulletin, heard = Bulletin(), list[Message]()
    bulletin.listen("jobs.>", heard.append)
    bulletin.listen("jobs.work.sim.short", lambda _: True)
    assert bulletin.tell([WORK, EVENT]) == {WORK.id}
    assert heard == [WORK, EVENT]


def test_who_has_stopped_listening_hears_nothing():
    bulletin, heard = Bulletin(), list[Message]()
    stop = bulletin.listen("jobs.>", heard.append)
    stop()
    bulletin.tell([WORK])
    assert heard == []


def test_a_listener_that_breaks_spoils_it_for_nobody():
    bulletin, heard = Bulletin(), list[Message]()

    def break_down(_message: Message) -> None:
        raise RuntimeError

    bulletin.listen("jobs.>", break_down)
    bulletin.listen("jobs.>", heard.append)
    with capture_logs() as lines:
        bulletin.tell([WORK, EVENT])
    assert heard == [WORK, EVENT]
    assert len(lines) == 2
