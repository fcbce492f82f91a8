"""What passes between a process and its engine children, as MessagePack: data alone, no pickles.

A child reads programs from strangers, so its parent takes nothing from it but these types.
"""

from __future__ import annotations

from typing import Any

import msgspec

from services.execution.programs.features import Features


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Validate parameters and measure the program."""

    algorithm_id: str
    parameters: bytes
    """JSON."""


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Run an algorithm."""

    algorithm_id: str
    parameters: bytes
    """JSON."""
    shots: int
    seed: int
    method: str


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A child waits for work."""

    pid: int


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a run is, 0 to 1."""

    fraction: float
    message: str


class Description(msgspec.Struct, frozen=True, tag="description"):
    """Answers Describe."""

    features: Features


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """Answers Run."""

    result: dict[str, Any]
    """What the algorithm's result schema says."""
    qubits_used: int
    fidelity: float
    fidelity_method: str
    engine: str
    engine_version: str
    duration_ms: float


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The program itself is at fault: trying again cannot help."""

    reason: str
    message: str
    field: str = ""


Request = Describe | Run
Answer = Description | Outcome | Failure
Message = Ready | Progress | Description | Outcome | Failure

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS = msgspec.msgpack.Decoder(Request)
_MESSAGES = msgspec.msgpack.Decoder(Message)


def encode(message: Request | Message) -> bytes:
    """The bytes of a message, either way."""
    return _ENCODER.encode(message)


def decode_request(payload: bytes) -> Request:
    """A request, in a child."""
    request: Request = _REQUESTS.decode(payload)
    return request


def decode(payload: bytes) -> Message:
    """A message of a child; raises msgspec.ValidationError for anything else."""
    message: Message = _MESSAGES.decode(payload)
    return message
