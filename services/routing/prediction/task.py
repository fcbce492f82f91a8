"""What a child of the prediction pool does, and what passes between it and its parent: MessagePack after its length.

Run by pool.py, never by hand. Imports nothing heavy until it runs in the child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from services.routing.prediction.calibration import UnknownCalibrationError
from services.routing.prediction.circuit import parse
from services.routing.prediction.model import MODEL, Method
from services.routing.prediction.profile import Profile, UnfitError

if TYPE_CHECKING:
    from services.routing.prediction.circuit import Structure
    from services.routing.prediction.ideal import Ideal

HEAD: Final = struct.Struct("!I")
"""The length of a message in bytes."""
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "QULACS_NUM_THREADS")
"""The variables that say how many threads a library takes: in a child, one."""
WIDEST: Final = 20
"""Qubits of the widest circuit whose ideal distribution is computed: 8 MB, and some 0.1 s."""
_PR_SET_PDEATHSIG = 1
_NICENESS = 5
_WARM = 2
"""Circuits whose ideal distributions stay, of up to 4 MB."""


class Find(msgspec.Struct, frozen=True):
    """Fit a circuit to a machine, unless its structure's profile is given, and predict what its run will be worth."""

    calibration_id: str
    encoded: bytes
    profile: Profile | None


class Finding(msgspec.Struct, frozen=True, kw_only=True, tag="finding"):
    """What was found out about a circuit on a machine."""

    profile: Profile
    method: Method
    fidelity: float | None
    """None where the ideal distribution is out of reach."""
    outcomes: int = 0
    """How many the ideal distribution has; 0 where that is not known."""


class Unfit(msgspec.Struct, frozen=True, tag="unfit"):
    """The machine has no means for the circuit."""

    reason: str


Answer = Finding | Unfit


def find(folder: Path, task: Find) -> Finding:
    """Do a task. Raises UnfitError, UnknownCalibrationError and ValueError."""
    from services.routing.prediction import fitting, mixture, noisy  # noqa: PLC0415 - in the child alone

    structure, angles = _decoded(task.encoded)
    if task.profile is None:
        fitted = fitting.fitter(folder, task.calibration_id).fit(structure, angles)
    else:
        fitted = fitting.Fitted(task.profile, None)
    profile, read = fitted.profile, fitted.read
    if structure.qubit_count > WIDEST or not structure.read_at_the_end:
        return Finding(profile=profile, method=Method.SURROGATE, fidelity=None)
    found = _ideal(task.encoded, with_errors=read is None)
    if read is None:
        method, value = Method.IDEAL_MIXTURE, mixture.fidelity(found, profile, MODEL.weights)
    else:
        method, value = Method.DENSITY_MATRIX, noisy.hellinger(found.probabilities, read)
    return Finding(profile=profile, method=method, fidelity=value, outcomes=found.support)


@lru_cache(_WARM)
def _ideal(encoded: bytes, *, with_errors: bool) -> Ideal:
    from services.routing.prediction import ideal  # noqa: PLC0415 - in the child alone

    return ideal.ideal_of(*_decoded(encoded), with_errors=with_errors)


@lru_cache(_WARM)
def _decoded(encoded: bytes) -> tuple[Structure, tuple[float, ...]]:
    return parse(encoded).decoded()


def serve(folder: Path, tasks: BinaryIO, answers: BinaryIO) -> None:
    """Answer task after task, to the end."""
    _send(answers, b"")
    while len(head := tasks.read(HEAD.size)) == HEAD.size:
        task = msgspec.msgpack.decode(tasks.read(*HEAD.unpack(head)), type=Find)
        answer: Answer
        try:
            answer = find(folder, task)
        except (UnfitError, UnknownCalibrationError, ValueError) as error:
            answer = Unfit(str(error))
        _send(answers, msgspec.msgpack.encode(answer))


def main() -> None:
    """Serve the parent. argv: the folder of calibrations, and the parent's process id."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    from services.routing.prediction import fitting, ideal, mixture  # noqa: F401, PLC0415 - before the first task

    serve(Path(sys.argv[1]), sys.stdin.buffer, answers)


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(HEAD.pack(len(message)) + message)
    stream.flush()


if __name__ == "__main__":
    main()
