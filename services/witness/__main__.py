"""The witness: a process with its own key and memory that signs the log's checkpoints while the log only grows."""

from __future__ import annotations

import datetime as dt

import msgspec
from qm.signing.v1.signing_pb2_grpc import SigningServiceStub
from qmumma.exact import UnreadableError
from qmumma.note import parse_log_keys

from mesh.config import ConfigError
from mesh.process import Part, Process, run
from services.witness.config import WitnessConfig
from services.witness.key import open_key
from services.witness.memory import Memory, MemoryFaultError, load
from services.witness.watch import Witness


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


def remembered(memory: Memory, log_keys: tuple[str, ...]) -> Memory:
    """The memory with the configured keys; ConfigError where it has others, or one of them is none."""
    if not log_keys:
        return memory
    try:
        parse_log_keys("\n".join(log_keys), "log_keys")
    except UnreadableError as error:
        raise ConfigError(str(error)) from error
    if memory.log_keys and set(memory.log_keys) != set(log_keys):
        message = "the log's keys are not those that this witness has signed for: begin another in a new folder"
        raise ConfigError(message)
    return msgspec.structs.replace(memory, log_keys=log_keys)


async def wire(process: Process[WitnessConfig], config: WitnessConfig) -> None:
    """Put the witness together; ConfigError where its key or its memory is missing."""
    try:
        key = open_key(config.state_folder, config.name)
        memory = remembered(load(config.state_folder), config.log_keys)
    except MemoryFaultError as error:
        raise ConfigError(str(error)) from error
    signing = SigningServiceStub(process.channel("signing"))
    witness = Witness(signing, key, memory, folder=config.state_folder, clock=utc_now)
    process.background(witness.watch(config.pause_seconds), "watch the log")
    process.server  # noqa: B018 - answers health checks


PART = Part("witness", WitnessConfig, wire)

if __name__ == "__main__":
    run(PART)
