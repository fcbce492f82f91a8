"""Plain programs, read without a parser: registers, then gates, measurements, resets and barriers, one by one.

Long programs are of this kind, and repeat most of their statements. So every text between two semicolons is read once,
and the tape put together of what they mean. Whatever is not understood to its last character, or is past a limit, is
left to the parsers, which know the rest of the language and what to say of it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from services.execution.programs.angles import angles_of
from services.execution.programs.library import LIBRARY, expanded
from services.execution.programs.reserved import RESERVED
from services.execution.programs.tape import Tape
from services.execution.programs.wires import Registers, Wires

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from services.execution.programs.library import LibraryGate
    from services.execution.programs.limits import Limits
    from services.execution.programs.program import Version
    from services.execution.programs.tape import Operation

_VERSIONS: dict[tuple[str, str], Version] = {
    ("OPENQASM 2.0", 'include "qelib1.inc"'): "2.0",
    ("OPENQASM 3.0", 'include "stdgates.inc"'): "3.0",
    ("OPENQASM 3", 'include "stdgates.inc"'): "3.0",
    ("OPENQASM 3.1", 'include "stdgates.inc"'): "3.0",
}
_COMMENT = re.compile(r"//[^\n]*\n")
_REGISTERS: dict[Version, re.Pattern[str]] = {
    "2.0": re.compile(r" *(?P<kind>qreg|creg) +(?P<name>[a-z]\w{0,63})\[(?P<size>[1-9]\d{0,3})\] *", re.ASCII),
    "3.0": re.compile(r" *(?P<kind>qubit|bit)(?:\[(?P<size>[1-9]\d{0,3})\])? +(?P<name>[a-z]\w{0,63}) *", re.ASCII),
}
_MEASURE_ALL = ";"
"""No text between two semicolons."""

Steps = tuple["Operation", ...]


class Plain(NamedTuple):
    """A plain program as it was read."""

    tape: Tape
    version: Version
    qubits: Registers
    clbits: Registers
    measured_all: bool
    """Whether it measures nothing, so that a measurement of every qubit into a register `meas` was added."""


def read_plain(source: str, limits: Limits) -> Plain | None:
    """Read a program; None where it takes a parser to say what it means."""
    if len(source) > limits.source_bytes or not source.isascii() or "/*" in source:
        return None
    text = source.replace("\r\n", "\n") if "\r" in source else source
    if "\r" in text:
        return None
    if "//" in text:
        text = _COMMENT.sub("\n", text)
    pieces = text.replace("\n", " ").replace("\t", " ").split(";")
    version = _VERSIONS.get((pieces[0].strip(" "), pieces[1].strip(" "))) if len(pieces) > 1 else None
    if version is None or pieces.pop().strip(" "):
        return None
    reading = _Reading(version, limits)
    first = next((place for place in range(2, len(pieces)) if not reading.declares(pieces[place])), len(pieces))
    return reading.read(pieces[first:])


class _Reading:
    """One program under way, behind its include. Qubits are numbered as declared."""

    def __init__(self, version: Version, limits: Limits) -> None:
        self._version: Version = version
        self._limits = limits
        self._gates = LIBRARY[version]
        self._qubits, self._clbits = Wires(), Wires()
        self._angles: dict[str, float] = {}
        self._several: dict[str, Sequence[tuple[int, ...]]] = {}
        """The qubits of every call that operands mean, by their text."""
        self._calls: dict[str, int] = {}
        """How many composite gates a text calls, where it does."""
        self._touched: set[int] = set()
        """Qubits that anything but a barrier is on."""
        self._measures = self._has_barriers = False

    def declares(self, piece: str) -> bool:
        """Declare a register; False where the statement does something else, or would break a limit."""
        match = _REGISTERS[self._version].fullmatch(piece)
        if match is None:
            return False
        name, size = match["name"], None if match["size"] is None else int(match["size"])
        wires, most = (
            (self._qubits, self._limits.qubits) if match["kind"][0] == "q" else (self._clbits, self._limits.clbits)
        )
        taken = name in RESERVED or name in self._qubits or name in self._clbits
        if taken or wires.count + (size or 1) > most:
            return False
        wires.declare(name, size)
        return True

    def read(self, pieces: Sequence[str]) -> Plain | None:
        """Read the statements behind the declarations."""
        meanings: dict[str, Steps] = {}
        read = 0
        for piece in dict.fromkeys(pieces):
            steps = self._meaning(piece)
            if steps is None:
                return None
            meanings[piece] = steps
            read += len(steps)
            if read > self._limits.operations:
                return None
        total = sum(map(len, map(meanings.__getitem__, pieces)))
        if self._calls:
            total += sum(self._calls.get(piece, 0) for piece in pieces)
        if not self._qubits.count or total > self._limits.operations:
            return None
        measured_all = not self._measures
        if measured_all:
            if "meas" in self._qubits:
                return None
            self._clbits = Wires()
            self._clbits.declare("meas", self._qubits.count)
            pieces = [*pieces, _MEASURE_ALL]
            meanings[_MEASURE_ALL] = self._measured(range(self._qubits.count), range(self._qubits.count))
        tape = self._tape(pieces, meanings)
        return Plain(tape, self._version, tuple(self._qubits.declared), tuple(self._clbits.declared), measured_all)

    def _tape(self, pieces: Sequence[str], meanings: dict[str, Steps]) -> Tape:
        active = tuple(sorted(self._touched))
        if len(active) < self._qubits.count:
            place = {qubit: new for new, qubit in enumerate(active)}
            meanings = {piece: tuple(_renumbered(steps, place)) for piece, steps in meanings.items()}
        steps = tuple(chain.from_iterable(map(meanings.__getitem__, pieces)))
        barriers: list[tuple[int, tuple[int, ...]]] = []
        if self._has_barriers:
            kept: list[Operation] = []
            for step in steps:
                if step[0] != "barrier":
                    kept.append(step)
                elif step[1]:
                    barriers.append((len(kept), step[1]))
            steps = tuple(kept)
        return Tape(steps, active, self._qubits.count, self._clbits.count, tuple(barriers))

    def _meaning(self, piece: str) -> Steps | None:
        """Return the steps of a statement; a barrier is one of that name."""
        if "(" in piece:
            front, _, operands = piece.partition(")")
            name, _, written = front.strip(" ").partition("(")
            angles = angles_of(written, self._angles, floor=self._version == "3.0")
        else:
            name, _, operands = piece.strip(" ").partition(" ")
            angles = ()
        gate = self._gates.get(name)
        if gate is None:
            return self._other(name, operands, piece)
        several = self._several.get(operands) or self._applied_to(operands)
        if angles is None or not several or len(angles) != gate.angles or len(several[0]) != gate.qubits:
            return None
        if gate.composite:
            return self._composite(piece, gate, angles, several)
        if len(several) == 1:
            return ((gate.name, several[0], angles, ()),)
        return tuple([(gate.name, qubits, angles, ()) for qubits in several])

    def _composite(
        self, piece: str, gate: LibraryGate, angles: tuple[float, ...], several: Sequence[tuple[int, ...]]
    ) -> Steps:
        self._calls[piece] = len(several)
        template = expanded(gate.name, angles)
        return tuple(
            (name, tuple([qubits[place] for place in places]), turned, ())
            for qubits in several
            for name, places, turned, _ in template
        )

    def _applied_to(self, operands: str) -> Sequence[tuple[int, ...]]:
        """Return the qubits of each call that a statement means, as many as its registers are wide; none if unsure."""
        names = [operand.strip(" ") for operand in operands.split(",")]
        places = [self._qubits.entries.get(name, -1) for name in names]
        if -1 not in places:
            several = [tuple(places)]
        else:
            registers = [self._qubits.registers.get(name, ()) for name in names]
            several = list(zip(*registers, strict=True)) if len(set(map(len, registers))) == 1 else []
        if several and len(set(several[0])) < len(names):
            return ()
        self._several[operands] = several
        self._touched.update(*several)
        return several

    def _other(self, name: str, operands: str, piece: str) -> Steps | None:
        """A measurement, a reset or a barrier."""
        if name == "measure":
            return self._measurement(*operands.partition("->")[::2])
        if "=" in piece and self._version == "3.0":
            target, _, source = piece.partition("=")
            word, _, source = source.strip(" ").partition(" ")
            return self._measurement(source, target) if word == "measure" else None
        places = self._qubits.places(operands)
        if name == "barrier" and len(set(places)) == len(places) > 0:
            self._has_barriers = True
            return (("barrier", places, (), ()),)
        if name == "reset" and "," not in operands and places:
            self._touched.update(places)
            return tuple([("reset", (place,), (), ()) for place in places])
        return None

    def _measurement(self, qubits: str, clbits: str) -> Steps | None:
        """A measurement of a bit into a bit, or of a register into one as wide."""
        qubits, clbits = qubits.strip(" "), clbits.strip(" ")
        if qubits in self._qubits.entries and clbits in self._clbits.entries:
            return self._measured((self._qubits.entries[qubits],), (self._clbits.entries[clbits],))
        source, target = self._qubits.registers.get(qubits, ()), self._clbits.registers.get(clbits, ())
        return self._measured(source, target) if len(source) == len(target) > 0 else None

    def _measured(self, qubits: Sequence[int], clbits: Sequence[int]) -> Steps:
        self._measures = True
        self._touched.update(qubits)
        return tuple([("measure", (qubit,), (), (clbit,)) for qubit, clbit in zip(qubits, clbits, strict=True)])


def _renumbered(steps: Steps, place: Mapping[int, int]) -> Iterator[Operation]:
    """Number active qubits alone; a barrier is kept over those."""
    for name, qubits, angles, clbits in steps:
        yield name, tuple([place[qubit] for qubit in qubits if qubit in place]), angles, clbits
