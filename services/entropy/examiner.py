"""The process that makes the tests, so that the service's own keeps answering. Run by `laboratory.py`, never by hand.

Both directions carry frames: the lengths of a head and of a body as two big-endian words, then a task or an answer in
MessagePack, then raw bytes. argv: the parent, and how nice to be.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

import msgspec

FRAME = struct.Struct(">II")
_PR_SET_PDEATHSIG = 1


class Task(msgspec.Struct, tag=True):
    """What to do with the bits that follow."""

    bit_count: int


class Suite(Task):
    """Run SP 800-22."""


class Assess(Task):
    """Run the health tests and SP 800-90B's estimators."""

    claimed_min_entropy: float


AnyTask = Suite | Assess


def main() -> None:
    """Do tasks until the parent closes."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(int(sys.argv[2]))
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    decoder = msgspec.msgpack.Decoder(AnyTask)
    while head := source.read(FRAME.size):
        lengths = FRAME.unpack(head)
        task, data = decoder.decode(source.read(lengths[0])), source.read(lengths[1])
        _send(sink, _run_suite(task, data) if isinstance(task, Suite) else _assess(task, data))


def _send(sink: BinaryIO, answer: dict[str, Any]) -> None:
    body = msgspec.msgpack.encode(answer)
    sink.write(FRAME.pack(len(body), 0) + body)
    sink.flush()


def _run_suite(task: Suite, data: bytes) -> dict[str, Any]:
    from services.entropy.statistics import suite  # noqa: PLC0415 - scipy and numba take a second
    from services.entropy.statistics.outcome import unpack  # noqa: PLC0415

    outcomes = suite.run_suite(unpack(data, task.bit_count))
    verdict = suite.judge(outcomes)
    return {
        "tested_bits": task.bit_count,
        "passed": verdict.passed,
        "alpha": suite.ALPHA,
        "p_value_count": verdict.p_value_count,
        "smallest_p_value": verdict.smallest,
        "rejected": list(verdict.rejected),
        "tests": [
            {"name": outcome.test, "parameters": dict(outcome.parameters), "p_values": list(outcome.p_values)}
            | ({} if outcome.applicable else {"not_applicable": outcome.reason})
            for outcome in outcomes
        ],
    }


def _assess(task: Assess, data: bytes) -> dict[str, Any]:
    from services.entropy.health import check_health  # noqa: PLC0415
    from services.entropy.statistics.assessment import assess  # noqa: PLC0415
    from services.entropy.statistics.outcome import unpack  # noqa: PLC0415

    bits = unpack(data, task.bit_count)
    health = check_health(bits, task.claimed_min_entropy)
    answer: dict[str, Any] = {"health": msgspec.to_builtins(health), "failure": health.failure}
    if not health.failure:  # no need to know how bad it is
        assessment = assess(bits)
        answer |= {"estimates": dict(assessment.estimates), "min_entropy": assessment.min_entropy}
    return answer


if __name__ == "__main__":
    main()
