"""The subjects and streams of the mesh, and who may publish to and read from which: data, with no client in it.

The NATS configuration of every deployment is made from `RIGHTS`; a client is who its certificate says. What is not
listed is denied. Each name has an inbox prefix of its own, so that nobody reads another's answers.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86_400.0


@dataclass(frozen=True)
class Stream:
    """A JetStream stream, stored on disk."""

    name: str
    subjects: tuple[str, ...]
    work_queue: bool = False
    """A message leaves a work queue with its first acknowledgement; elsewhere it stays for `max_age`."""
    max_age: float = 0.0
    """Seconds that a message is kept; 0 for as long as it takes."""
    duplicate_window: float = 300.0
    """Seconds within which a second message of the same id is dropped."""
    objects: bool = False
    """Whether it is a JetStream object store (ADR-20): an object is chunks and one message that describes them."""
    joined: bool = False
    """Whether payloads of one subject may be sent as one message, one behind the other (`mesh/outbox.py`)."""


JOBS_WORK = Stream("JOBS_WORK", ("jobs.work.>",), work_queue=True)
JOBS_EVENTS = Stream("JOBS_EVENTS", ("jobs.event.>",), max_age=DAY)
JOBS_WEBHOOKS = Stream("JOBS_WEBHOOKS", ("jobs.webhook.>",), work_queue=True)
"""What webhooks tell of, of jobs that have one: kept until it is filed, however long that takes."""
KEYS = Stream("KEYS", ("accounts.key.>", "accounts.team.>"), max_age=3600.0)
KEYS_TOLD = "accounts.told"
"""Says several times a second that accounts can tell of its keys: a revocation would be heard. No stream keeps it."""
RECALLS = "accounts.recall.*"
"""Asks every edge for the tokens that it holds of a team; no stream keeps it."""
AUDIT = Stream("AUDIT", ("audit.event.>",), work_queue=True, joined=True)
"""What was done, until the audit trail has it: nothing ends it but that."""
DEAD_LETTERS = Stream("DEAD_LETTERS", ("dead.>",), max_age=30 * DAY)
RESULTS_BUCKET = "results"
RESULTS = Stream(
    f"OBJ_{RESULTS_BUCKET}",
    (f"$O.{RESULTS_BUCKET}.C.>", f"$O.{RESULTS_BUCKET}.M.>"),
    max_age=90 * DAY,
    objects=True,
)
"""Results too large for their signed records. What the records say of them, the digest, outlives them."""
STREAMS = (JOBS_WORK, JOBS_EVENTS, JOBS_WEBHOOKS, KEYS, AUDIT, DEAD_LETTERS, RESULTS)


_JOINED = tuple(subjects.removesuffix(">") for stream in STREAMS if stream.joined for subjects in stream.subjects)


def is_joined(subject: str) -> bool:
    """Whether messages of this subject may be sent as one."""
    return subject.startswith(_JOINED)


def work_subject(pool: str, queue: str) -> str:
    """The subject that wakes a worker of `pool`: a job waits in its `queue`."""
    return f"jobs.work.{pool}.{queue}"


def event_subject(state: str, team_id: str) -> str:
    """The subject that tells that a job of a team has entered a state."""
    return f"jobs.event.{state}.{team_id}"


def webhook_subject(stage: str, team_id: str) -> str:
    """The subject that tells of a job whose team is to be called."""
    return f"jobs.webhook.{stage}.{team_id}"


def cancel_subject(job_id: str) -> str:
    """The subject that tells the workers live that a job is not wanted any more; no stream keeps it."""
    return f"jobs.cancel.{job_id}"


def key_revoked_subject(key_id: str) -> str:
    """The subject that tells every edge to forget a key."""
    return f"accounts.key.revoked.{key_id}"


def audit_subject(team_id: str) -> str:
    """The subject that tells the audit trail what was done in a team."""
    return f"audit.event.{team_id}"


def key_rotated_subject(key_id: str) -> str:
    """The subject that tells every edge that the end of a key has moved."""
    return f"accounts.key.rotated.{key_id}"


def team_changed_subject(team_id: str) -> str:
    """The subject that tells every edge that the keys of a team mean something else now."""
    return f"accounts.team.changed.{team_id}"


def recall_subject(team_id: str) -> str:
    """The subject that asks every edge for the tokens that it holds of a team."""
    return f"accounts.recall.{team_id}"


def dead_subject(stream: str, subject: str) -> str:
    """Where a message that nobody could handle goes."""
    return f"dead.{stream}.{subject}"


@dataclass(frozen=True)
class Rights:
    """What one service does with the queue."""

    publishes: tuple[str, ...] = ()
    """Subjects that it sends to."""
    listens: tuple[str, ...] = ()
    """Subjects that it hears live, as a wake-up that may be missed."""
    keeps: tuple[Stream, ...] = ()
    """Streams that it makes where they are missing; the objects of an object store it reads and drops too."""
    consumes: tuple[Stream, ...] = ()
    """Streams that it pulls from and acknowledges."""


RIGHTS: dict[str, Rights] = {
    "accounts": Rights(publishes=(*KEYS.subjects, KEYS_TOLD, RECALLS, *AUDIT.subjects), keeps=(KEYS, AUDIT)),
    "billing": Rights(publishes=AUDIT.subjects, keeps=(AUDIT,)),
    "signing": Rights(),
    "routing": Rights(consumes=(JOBS_EVENTS,)),
    "execution": Rights(
        publishes=(
            *JOBS_WORK.subjects,
            *JOBS_EVENTS.subjects,
            *JOBS_WEBHOOKS.subjects,
            *RESULTS.subjects,
            *AUDIT.subjects,
            cancel_subject("*"),
        ),
        listens=(*JOBS_EVENTS.subjects, cancel_subject("*")),
        keeps=(JOBS_WORK, JOBS_EVENTS, JOBS_WEBHOOKS, AUDIT, DEAD_LETTERS, RESULTS),
        consumes=(JOBS_WORK,),
    ),
    "certificates": Rights(publishes=AUDIT.subjects, keeps=(AUDIT, DEAD_LETTERS), consumes=(AUDIT,)),
    "webhooks": Rights(publishes=AUDIT.subjects, keeps=(JOBS_WEBHOOKS, AUDIT, DEAD_LETTERS), consumes=(JOBS_WEBHOOKS,)),
    "edge": Rights(listens=(*KEYS.subjects, KEYS_TOLD, RECALLS)),
    "operator": Rights(publishes=(">",), listens=(">",)),
}


def inbox_prefix(name: str) -> str:
    """The prefix of the subjects on which a client hears the answers to its own requests."""
    return f"_INBOX_{name}"


def publish_subjects(rights: Rights) -> list[str]:
    """Every subject that a client with these rights may send to, the JetStream API's included."""
    subjects = [*rights.publishes]
    for stream in rights.keeps:
        subjects += [f"$JS.API.STREAM.{verb}.{stream.name}" for verb in ("CREATE", "UPDATE", "INFO")]
        if stream.objects:
            subjects += [f"$JS.API.STREAM.{verb}.{stream.name}" for verb in ("MSG.GET", "PURGE")]
    for stream in rights.consumes:
        subjects += [
            f"$JS.API.CONSUMER.{verb}.{stream.name}.>" for verb in ("CREATE", "DURABLE.CREATE", "INFO", "MSG.NEXT")
        ]
        subjects += [f"$JS.ACK.{stream.name}.>", dead_subject(stream.name, ">")]
    return subjects


def subscribe_subjects(name: str, rights: Rights) -> list[str]:
    """Every subject that the client `name` with these rights may hear."""
    return [*rights.listens, f"{inbox_prefix(name)}.>"]
