"""What waits together goes as one message where the stream allows it, and is named after what is in it."""

from __future__ import annotations

import uuid

from mesh.events import Message
from mesh.outbox import packets
from mesh.streams import audit_subject, event_subject

TEAM, OTHER = audit_subject("t-1"), audit_subject("t-2")


def message(subject: str, payload: bytes = b"x") -> Message:
    return Message(str(uuid.uuid4()), subject, payload)


def test_messages_of_a_joined_subject_are_one_and_those_of_another_are_not() -> None:
    work = [message(event_subject("running", "t-1")), message(event_subject("running", "t-1"))]
    first, second, other = message(TEAM, b"a"), message(TEAM, b"b"), message(OTHER, b"c")
    sent = packets([first, work[0], other, work[1], second])
    assert [(each.subject, each.payload) for each, _ in sent] == [
        (TEAM, b"ab"),
        (work[0].subject, b"x"),
        (OTHER, b"c"),
        (work[1].subject, b"x"),
    ]
    assert [rows for _, rows in sent] == [
        [uuid.UUID(each.id) for each in group] for group in ([first, second], [work[0]], [other], [work[1]])
    ]


def test_the_same_rows_again_are_the_same_message_and_other_rows_are_not() -> None:
    # Else the stream would drop what a relay joined otherwise, and the rows would go with it.
    first, second, third = (message(TEAM) for _ in range(3))
    [(once, _)], [(again, _)], [(more, _)] = packets([first, second]), packets([first, second]), packets([first, third])
    [(alone, _)] = packets([first])
    assert once.id == again.id
    assert len({once.id, more.id, alone.id}) == 3


def test_a_joined_message_stays_small_enough_for_the_queue() -> None:
    sent = packets([message(TEAM, bytes(100_000)) for _ in range(7)])
    assert [len(rows) for _, rows in sent] == [2, 2, 2, 1]
