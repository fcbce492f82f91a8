"""What passes between a process and its engine children, as MessagePack: data alone, no pickles.

A child reads programs from strangers, so its parent takes nothing from it but these types.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.execution.live.target import Compiled, Reading, Target
from services.execution.programs.features import Features

Fraction = Annotated[float, Meta(ge=0, le=1)]
Word = Annotated[str, Meta(max_length=64)]
Line = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*$")]


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Validate parameters and measure the program."""

    algorithm_id: str
    parameters: bytes
    """JSON."""
    with_circuit: bool = False
    """Whether the circuit itself is wanted, for a machine to be chosen by it."""
    cpu_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """CPU time after which the child dies of it; 0 for as much as it takes."""


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Run an algorithm."""

    algorithm_id: str
    parameters: bytes
    """JSON."""
    shots: int
    seed: int
    engine: str
    method: str
    memory_bytes: int = 0
    """The most memory that it may take beyond what a warm child has; 0 for what the child may have anyway."""
    twin: str = ""
    """The device whose twin runs the circuits; empty for an ideal simulation."""
    attempts: bool = False
    """Whether short cuts may be tried first: nobody asked for this engine."""
    threads: Annotated[int, Meta(ge=1)] = 1
    """For an engine that uses several; the worker keeps cores free for them."""
    crash: bool = False
    """Whether the child dies of it, as a test key wished."""


class Replay(msgspec.Struct, frozen=True, tag="replay"):
    """Run an algorithm on a machine, as far as the machine has answered."""

    algorithm_id: str
    parameters: bytes
    """JSON."""
    shots: int
    seed: int
    provider: str
    target: Target
    readings: tuple[Reading, ...]
    began_at: float
    """Unix time in seconds: the first replay."""


class Lane(msgspec.Struct, frozen=True, tag="lane"):
    """Several runs in a row, each of next to no length."""

    runs: Annotated[tuple[Run, ...], Meta(min_length=1)]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A child waits for work."""

    pid: int


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a run is, 0 to 1."""

    fraction: Fraction
    message: Line


class Description(msgspec.Struct, frozen=True, tag="description"):
    """Answers Describe."""

    features: Features
    circuit: bytes = b""
    """As of programs/encoding.py; empty where it was not asked for, and where there is no such circuit."""


class Stages(msgspec.Struct, frozen=True):
    """When a run was, and what its device did in it."""

    began_at: Annotated[float, Meta(ge=0, le=1e11)]
    """Unix time in seconds: the child begins, with parsing and whatever comes before the first circuit."""
    device_ms: Annotated[float, Meta(ge=0, le=1e12)]
    """The time that the device's circuits took, their compilation included."""
    circuit_count: Annotated[int, Meta(ge=0, le=2**53)]
    shot_count: Annotated[int, Meta(ge=0, le=2**53)]
    """Of all circuits together."""


class Transpiled(msgspec.Struct, frozen=True):
    """The circuit that a device really ran; of several the one with the most gates on two qubits."""

    layout: list[Annotated[int, Meta(ge=0)] | None]
    """The device's qubit for each of the program, None for one that no operation touches."""
    depth: Annotated[int, Meta(ge=0)]
    gate_count: Annotated[int, Meta(ge=0)]
    two_qubit_gate_count: Annotated[int, Meta(ge=0)]
    optimization_level: Annotated[int, Meta(ge=0, le=3)]
    openqasm: Annotated[str, Meta(max_length=65_536)] | None
    """OpenQASM 3, where it is short."""


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """Answers Run."""

    result: dict[str, Any]
    """What the algorithm's result schema says."""
    qubits_used: Annotated[int, Meta(ge=0)]
    fidelity: Fraction
    fidelity_method: Word
    engine: Word
    engine_version: Word
    duration_ms: Annotated[float, Meta(ge=0, le=1e12)]
    simulated: bool = True
    """What the engine says of itself, whatever the backend is called; every engine of this package simulates."""
    calibration_id: Word | None = None
    """The calibration that the device had, or that its twin simulates."""
    stages: Stages | None = None
    transpiled: Transpiled | None = None
    """None where no circuit was fitted to a device."""
    versions: dict[Word, Word] = {}
    """Of what ran besides the engine, by name."""


class Circuits(msgspec.Struct, frozen=True, tag="circuits"):
    """Answers Replay, where the machine has to answer these first."""

    circuits: Annotated[tuple[Compiled, ...], Meta(min_length=1)]


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The program itself is at fault: trying again cannot help."""

    reason: Word
    message: Line
    field: Line = ""


class Starved(msgspec.Struct, frozen=True, tag="starved"):
    """The program needed more memory than it may have."""

    memory_bytes: Annotated[int, Meta(ge=0, le=2**62)]
    """Its limit."""


class Answers(msgspec.Struct, frozen=True, tag="answers"):
    """Answers Lane: in the order of the runs, None for one that has to be asked for by itself."""

    answers: tuple[Outcome | Failure | Starved | None, ...]


Request = Describe | Run | Lane | Replay
Answer = Description | Outcome | Answers | Circuits | Failure | Starved
Message = Progress | Description | Outcome | Answers | Circuits | Failure | Starved

BULKY_BYTES = 64 * 1024
LARGEST_ANSWER = 64 * 2**20
"""Bytes of one message that a child may send."""

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS = msgspec.msgpack.Decoder(Request)
_MESSAGES = msgspec.msgpack.Decoder(Message)
_READY = msgspec.msgpack.Decoder(Ready)


def encode(message: Request | Message | Ready) -> bytes:
    """The bytes of a message, either way."""
    return _ENCODER.encode(message)


def is_bulky(outcome: Outcome) -> bool:
    """Whether writing the outcome as canonical JSON takes so long (10 ms and more) that no event loop should wait."""
    return len(_ENCODER.encode(outcome)) > BULKY_BYTES


def decode_request(payload: bytes) -> Request:
    """A request, in a child."""
    request: Request = _REQUESTS.decode(payload)
    return request


def decode_ready(payload: bytes) -> Ready:
    """The first message of a child; raises msgspec.DecodeError for anything else."""
    ready: Ready = _READY.decode(payload)
    return ready


def decode(payload: bytes) -> Message:
    """A later message of a child; raises msgspec.DecodeError for anything else."""
    message: Message = _MESSAGES.decode(payload)
    return message
