"""Decisions: a choice, what it was made from, and for which job. What routing learns from, and can repeat."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import NewType

import msgspec

from services.routing.catalogue import Kind
from services.routing.exposure import Exposure
from services.routing.policy import Choice
from services.routing.program import Estimate, Features
from services.routing.question import Question

DecisionId = NewType("DecisionId", str)
JobId = NewType("JobId", str)
TeamId = NewType("TeamId", str)

_ENCODER = msgspec.msgpack.Encoder()
_QUESTIONS = msgspec.msgpack.Decoder(Question)


class CandidateRow(msgspec.Struct, frozen=True):
    """A candidate as it is kept for reading."""

    backend_id: str
    kind: Kind
    estimate: Estimate | None
    reason: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """A question and its answer as they are kept, once for all decisions that share them."""

    digest: bytes
    """SHA-256 of the question and the answer."""
    question: bytes
    """MessagePack, so that every number comes back as it was."""
    answer: bytes
    """The decision's message, without its id and time."""
    features: Features
    candidates: msgspec.Raw
    """JSON of `CandidateRow`s, for who reads the table: the chosen one first."""


class Grounds:
    """What a choice was made from; encoded when nobody waits any more, and only that remains then."""

    __slots__ = ("_made", "answer")

    def __init__(self, question: Question, choice: Choice, answer: bytes) -> None:
        """Of a choice, whose message is `answer`."""
        self._made: tuple[Question, Choice] | Encoded = (question, choice)
        self.answer = answer

    def encoded(self) -> Encoded:
        """As it is kept; the first time takes about a millisecond for 71 candidates."""
        if isinstance(self._made, tuple):
            question, choice = self._made
            packed = _ENCODER.encode(question)
            digest = hashlib.sha256(packed + self.answer).digest()
            self._made = Encoded(digest, packed, self.answer, question.wish.features, _candidates(choice))
        return self._made


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice for a job."""

    decision_id: DecisionId
    job_id: JobId
    team_id: TeamId
    hardware: str
    """What was asked for."""
    backend_id: str
    shot_count: int
    policy_version: str
    queue: str
    """Where its job waits (standing.py)."""
    queue_depth: int
    exposure: Exposure | None
    """Where on its machine the circuit runs, as far as that is known."""
    grounds: Grounds
    create_time: dt.datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision as it comes back."""

    decision_id: DecisionId
    job_id: JobId
    team_id: TeamId
    create_time: dt.datetime
    question: bytes
    answer: bytes

    def asked(self) -> Question:
        """The question. Raises msgspec.DecodeError where it was kept by rules that are no more."""
        question: Question = _QUESTIONS.decode(self.question)
        return question


def _candidates(choice: Choice) -> msgspec.Raw:
    """As JSON already: asyncpg would take a list of lists for an array of two dimensions."""
    chosen = CandidateRow(choice.backend.backend_id, choice.backend.kind, choice.estimate, choice.reason)
    others = [
        CandidateRow(other.backend.backend_id, other.backend.kind, other.estimate, each.reason)
        for each in choice.alternatives
        for other in (each.candidate,)
    ]
    return msgspec.Raw(msgspec.json.encode([chosen, *others]))
