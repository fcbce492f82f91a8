"""What was measured of each circuit, kept in a file after each, so that a long measurement may stop and go on."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.circuits import Case
from bench.circuits.timing import AUTOMATIC, CHOSEN, LONGEST_RUN_SECONDS, MEMORY_BYTES, Timed, Timer, Way
from services.execution.engines.attempt import LONG_SECONDS
from services.execution.engines.cost import CostModel, Limits
from services.execution.programs.circuit import program_of
from services.execution.programs.features import Features
from services.execution.programs.limits import Limits as ProgramLimits
from services.execution.programs.program import Program

FILE = Path(__file__).with_name("measured.json")
PROGRAMS = ProgramLimits(qubits=2_000, clbits=4_000, operations=1_000_000)
LIMITS = Limits(MEMORY_BYTES, LONGEST_RUN_SECONDS)
LONGEST_SECONDS = 20.0
PATIENCE, PATIENCE_ALONE = 3.0, 6.0
"""A way may take so many times as long as the best one so far, and Aer left to itself."""
LEAST_SECONDS = 0.3
ROUNDS = 5
"""Turns that the choice and its rivals take, one after the other: whoever else is busy then disturbs all alike."""
SLOW_SECONDS = 1.0
"""Of circuits that take longer, one turn will do."""
NEAR_TIMES = 2.0
"""A way that took at most so many times as long as the best one is a rival of the choice."""


@dataclass
class Row:
    """What was measured of one circuit: seconds by way; a way that did not end has the time it had, as `over`."""

    case: Case
    features: Features
    seconds: dict[Way, float] = field(default_factory=dict)
    over: dict[Way, float] = field(default_factory=dict)
    unable: set[Way] = field(default_factory=set)

    @property
    def engines(self) -> dict[Way, float]:
        """The seconds of the ways that can be chosen."""
        return {way: seconds for way, seconds in self.seconds.items() if way not in {AUTOMATIC, CHOSEN}}

    @property
    def best(self) -> Way | None:
        """The fastest way, None where nothing came to an end."""
        return min(self.engines, key=self.engines.__getitem__, default=None)

    def knows(self, way: Way) -> bool:
        """Whether this way was tried."""
        return way in self.seconds or way in self.over or way in self.unable

    def note(self, way: Way, timed: float | Timed, patience: float) -> None:
        """Keep what came of a try; of several the shortest."""
        if timed is Timed.OVER:
            if way not in self.seconds:
                self.over[way] = patience
        elif isinstance(timed, Timed):
            self.unable.add(way)
        else:
            self.seconds[way] = min(timed, self.seconds.get(way, math.inf))
            self.over.pop(way, None)


class Measurements:
    """The rows of a file, by the name of the circuit."""

    def __init__(self, file: Path = FILE, *, fresh: bool = False) -> None:
        """Go on with the file, or (`fresh`) begin anew."""
        self._file = file
        self._kept: dict[str, dict[str, dict[str, float | None]]] = {}
        if file.exists() and not fresh:
            self._kept = json.loads(file.read_text("utf-8"))

    def row(self, case: Case, features: Features) -> Row:
        """What is known of a circuit."""
        row = Row(case, features)
        for name, found in self._kept.get(case.name, {}).items():
            engine, _, method = name.partition(": ")
            way = (engine, method)
            if (seconds := found.get("seconds")) is not None:
                row.seconds[way] = seconds
            elif (over := found.get("over")) is not None:
                row.over[way] = over
            else:
                row.unable.add(way)
        return row

    def keep(self, row: Row) -> None:
        """Write down what is known of a circuit."""
        told: dict[Way, dict[str, float | None]] = {way: {} for way in row.unable}
        told |= {way: {"over": seconds} for way, seconds in row.over.items()}
        told |= {way: {"seconds": float(f"{seconds:.4g}")} for way, seconds in row.seconds.items()}
        self._kept[row.case.name] = {": ".join(way): found for way, found in sorted(told.items())}
        lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in sorted(self._kept.items())]
        whole = self._file.with_suffix(".part")
        whole.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
        whole.replace(self._file)


class Measuring:
    """Measures until its time is up; what is missing then, the next one measures."""

    def __init__(self, timer: Timer, model: CostModel, *, longest: float, until: float) -> None:
        """Begin nothing after `until` (monotonic); no run takes over `longest` seconds."""
        self._timer = timer
        self._model = model
        self._longest = longest
        self._until = until

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._until

    def whole(self, row: Row, among: Sequence[Way]) -> bool:
        """Whether nothing is missing: the choice only where it is more than its plan."""
        plans, _ = self._model.plans(row.features, row.case.shots, LIMITS)
        short = not plans or not attempts(plans[0].seconds_p50)
        return all(row.knows(way) or (way == CHOSEN and short) for way in among)

    def ways(self, row: Row, program: Program, among: Sequence[Way]) -> None:
        """Measure the ways that are missing, the likely best first, so that the slow ones may be cut short."""
        plans, _ = self._model.plans(row.features, row.case.shots, LIMITS)
        order: dict[Way, int] = {(plan.engine, plan.method): place for place, plan in enumerate(plans)}
        missing = [way for way in among if not row.knows(way) and way != CHOSEN]
        for way in sorted(missing, key=lambda way: order.get(way, len(order)) if way != AUTOMATIC else math.inf):
            self._try(row, program, way, PATIENCE_ALONE if way == AUTOMATIC else PATIENCE)

    def choice(self, row: Row, program: Program) -> None:
        """Measure what is chosen, its plan and the ways that are near the best one in turn."""
        row.unable.discard(CHOSEN)
        row.seconds.pop(CHOSEN, None)
        plans, _ = self._model.plans(row.features, row.case.shots, LIMITS)
        if not plans or row.best is None:
            return
        best = row.engines[row.best]
        rivals = [way for way, seconds in row.engines.items() if seconds <= NEAR_TIMES * best]
        rivals = list(dict.fromkeys([*rivals, (plans[0].engine, plans[0].method)]))
        if attempts(plans[0].seconds_p50):
            rivals.append(CHOSEN)
        for way in rivals:  # what another hour measured says nothing of this one
            row.seconds.pop(way, None)
        for _ in range(ROUNDS if best < SLOW_SECONDS else 1):
            for way in rivals:
                if way not in row.over and way not in row.unable:
                    self._try(row, program, way, PATIENCE_ALONE)

    def _try(self, row: Row, program: Program, way: Way, times: float) -> None:
        best = min(row.engines.values(), default=self._longest)
        patience = min(self._longest, max(LEAST_SECONDS, times * best))
        row.note(way, self._timer.run(way, program, row.case.shots, patience), patience)


def attempts(predicted: float) -> bool:
    """Whether short cuts are tried before a plan of so many seconds; one that is shorter runs as it is."""
    return predicted >= LONG_SECONDS


def measure(
    cases: Sequence[Case], measuring: Measuring, among: Sequence[Way], kept: Measurements, *, again: bool
) -> list[Row]:
    """Measure what is missing, and the choice `again` where that is wanted; tell of the circuits that are whole."""
    rows = []
    for number, case in enumerate(cases, 1):
        program = program_of(case.make(), PROGRAMS)
        row = kept.row(case, program.features)
        if not measuring.over and (again or not measuring.whole(row, among)):
            measuring.ways(row, program, among)
            if CHOSEN in among:
                measuring.choice(row, program)
            kept.keep(row)
        if measuring.whole(row, among):
            rows.append(row)
        print(f"\r{number}/{len(cases)} {case.name:40}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows
