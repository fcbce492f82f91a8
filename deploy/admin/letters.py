"""Dead letters: messages that nobody could handle, kept for thirty days with the reason.

One that is queued again goes to its old subject, under an id of its own, and leaves only once its stream has it; so a
command that breaks off in between may be repeated.
"""

from __future__ import annotations

import argparse
import base64

import nats.js.errors
from nats.js.api import RawStreamMsg

from deploy.admin.command import Command, Shown, Thing, argument
from deploy.admin.session import Session
from mesh.errors import NotFound
from mesh.events import Events, Message, queue_errors_as_unavailable
from mesh.streams import DEAD_LETTERS

_PREFIX_PARTS = 2  # dead.<stream>.<subject>


async def _list(session: Session, given: argparse.Namespace) -> Shown:
    events = await session.events()
    with queue_errors_as_unavailable():
        state = (await events.jetstream.stream_info(DEAD_LETTERS.name)).state
    found: list[Thing] = []
    sequence = state.first_seq
    while len(found) < given.limit and sequence <= state.last_seq and state.messages:
        letter = await _next(events, sequence)
        if letter is None or letter.seq is None:
            break
        found.append(_thing(letter))
        sequence = letter.seq + 1
    return found


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    letter = await _get(await session.events(), given.number)
    headers = {key: value for key, value in (letter.headers or {}).items() if not key.startswith(("Dead-", "Nats-"))}
    return {**_thing(letter), **headers, "payload_base64": base64.b64encode(letter.data or b"").decode()}


async def _requeue(session: Session, given: argparse.Namespace) -> Shown:
    events = await session.events()
    letter = await _get(events, given.number)
    headers = {key: value for key, value in (letter.headers or {}).items() if not key.startswith(("Dead-", "Nats-"))}
    subject = _subject(letter)
    await events.publish(Message(f"requeued-{given.number}", subject, letter.data or b"", headers))
    await _delete(events, given.number)
    return {"requeued": given.number, "subject": subject}


async def _drop(session: Session, given: argparse.Namespace) -> Shown:
    events = await session.events()
    letter = await _get(events, given.number)
    await _delete(events, given.number)
    return {"dropped": given.number, "subject": _subject(letter)}


async def _get(events: Events, number: int) -> RawStreamMsg:
    with queue_errors_as_unavailable():
        try:
            return await events.jetstream.get_msg(DEAD_LETTERS.name, number)
        except nats.js.errors.NotFoundError:
            raise NotFound(f"There is no dead letter {number}.", reason="LETTER_NOT_FOUND") from None


async def _next(events: Events, number: int) -> RawStreamMsg | None:
    """The first letter at or after a number."""
    with queue_errors_as_unavailable():
        try:
            return await events.jetstream.get_msg(
                DEAD_LETTERS.name, seq=number, subject=DEAD_LETTERS.subjects[0], next=True
            )
        except nats.js.errors.NotFoundError:
            return None


async def _delete(events: Events, number: int) -> None:
    with queue_errors_as_unavailable():
        await events.jetstream.delete_msg(DEAD_LETTERS.name, number)


def _subject(letter: RawStreamMsg) -> str:
    """Where it was sent to first."""
    return (letter.subject or "").split(".", _PREFIX_PARTS)[-1]


def _thing(letter: RawStreamMsg) -> Thing:
    headers = letter.headers or {}
    return {
        "number": letter.seq,
        "stream": (letter.subject or "..").split(".", _PREFIX_PARTS)[1],
        "subject": _subject(letter),
        "reason": headers.get("Dead-Reason", ""),
        "attempts": headers.get("Dead-Attempts", ""),
        "bytes": len(letter.data or b""),
    }


_NUMBER = argument("number", "its number, as `dead-letters list` shows it", type=int)
COMMANDS = (
    Command(
        group="dead-letters",
        name="list",
        summary="list messages that nobody could handle, oldest first",
        run=_list,
        arguments=(argument("--limit", "at most as many (100)", type=int, default=100),),
    ),
    Command(group="dead-letters", name="show", summary="one message, whole", run=_show, arguments=(_NUMBER,)),
    Command(
        group="dead-letters",
        name="requeue",
        summary="send a message to its old subject again, and take it off",
        run=_requeue,
        arguments=(_NUMBER,),
        examples=("dead-letters requeue 17",),
    ),
    Command(
        group="dead-letters",
        name="drop",
        summary="throw a message away",
        run=_drop,
        arguments=(_NUMBER,),
        question="Throw the dead letter {number} away for good?",
    ),
)
