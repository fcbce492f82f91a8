"""Every engine on every circuit of a public set: which is the best, which one is chosen, and what Aer alone would take.

    python -m bench.engines [--quick] [--only NAME] [--minutes M]     measures what is missing, and prints the table
    python -m bench.engines --fresh             begins anew: about half an hour
    python -m bench.engines --choice            measures the choice again, beside the best way: some minutes
    python -m bench.engines --minutes 0 --write fits the costs to what there is
    python -m bench.engines --named [--write]   the engines that run only where they are named: four minutes

Each way to run a circuit (an engine by a method, and `AerSimulator()` left to itself) has a warm child process with
limits of memory and time, so that a crash or a hog costs one number. What counts is CPU time, the least of a few runs,
from the parsed program to the counts: the duration on an undisturbed machine, whoever else is busy. Every circuit is
kept in bench/circuits/measured.json once it is measured, so that what was stopped goes on where it was. `--write` fits
services/execution/engines/costs.toml to the circuits that are not held out; what is said of the choice is said of the
file as it then is, apart for circuits that were fitted to and for those that were not.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.circuits.cases import cases
from bench.circuits.fitting import write_costs
from bench.circuits.measuring import LIMITS, LONGEST_SECONDS, Measurements, Measuring, Row, attempts, measure
from bench.circuits.timing import AUTOMATIC, CHOSEN, Timer, Way, ways
from services.execution.engines import registry
from services.execution.engines.cost import CostModel

QUICK_SECONDS = 4.0
NARROW = 22
"""Qubits of the circuits by which the engines that run only by name are measured: enough for states past any cache."""
LINE = "{:32}{:>7}{:>7}  {:22}{:>8}{:>8}  {:22}{:>8}{:>7}{:>8}"
GEOMETRIC_TARGET, WORST_TARGET, NEAR_SHARE, NEAR = 1.25, 3.0, 0.95, 1.3
AUTOMATIC_TARGET, BELL_TARGET = 5.0, 0.25


@dataclass(frozen=True)
class Choice:
    """What the model takes for a circuit, beside the best way."""

    row: Row
    way: Way | None
    predicted: float
    refusal: str

    @property
    def failed(self) -> bool:
        """Whether the way that was taken refuses, or fails."""
        return self.way is not None and self._ran not in {**self.row.seconds, **self.row.over}

    @property
    def ratio(self) -> float | None:
        """Times the best way; at least, where the chosen one did not end. None where there is nothing to compare."""
        if self.way is None or self.row.best is None:
            return None
        taken = self.taken or self.row.over.get(self._ran)
        return None if taken is None else taken / min(taken, self.row.seconds[self.row.best])

    @property
    def taken(self) -> float | None:
        """The seconds that the choice took, short cuts included; None where it did not end."""
        return self.row.seconds.get(self._ran)

    @property
    def _ran(self) -> Way:
        """A plan that is too short for short cuts was measured as it is."""
        return CHOSEN if attempts(self.predicted) or self.way is None else self.way

    @property
    def gain(self) -> float | None:
        """How many times as long Aer left to itself takes; at least, where it did not end. None where it fails."""
        if self.way is None or self.taken is None:
            return None
        alone = self.row.seconds.get(AUTOMATIC, self.row.over.get(AUTOMATIC))
        return None if alone is None else alone / self.taken


def choose(rows: Iterable[Row], model: CostModel) -> list[Choice]:
    """What the model takes for each circuit."""
    choices = []
    for row in rows:
        plans, refusals = model.plans(row.features, row.case.shots, LIMITS)
        if plans:
            first = plans[0]
            choices.append(Choice(row, (first.engine, first.method), first.seconds_p50, ""))
        else:
            choices.append(Choice(row, None, math.nan, f"{refusals[0].engine}: {refusals[0].reason}"))
    return choices


def table(choices: Iterable[Choice]) -> None:
    """Print a line for each circuit."""
    columns = ("circuit", "qubits", "gates", "chosen", "ms", "said", "best", "ms", "ratio", "Aer/")
    print(LINE.format(*columns))
    for choice in choices:
        row = choice.row
        name = row.case.name + (" *" if row.case.held_out else "")
        head = (name, row.features.active_qubits, row.features.gate_count)
        if choice.way is None:
            best = f"; {label(row.best)} could" if row.best else ""
            print(LINE.format(*head, f"refused: {choice.refusal}{best}", *[""] * 6))
            continue
        taken = choice.taken
        best = "" if row.best in (None, choice.way) else label(row.best)
        least = "" if row.best is None else milliseconds(row.seconds[row.best])
        ratio = "" if choice.ratio is None else f"{choice.ratio:.2f}"
        gain = f"{'>' if AUTOMATIC in row.over else ''}{choice.gain:.1f}" if choice.gain else "fails"
        said = milliseconds(choice.predicted)
        tail = (label(choice.way), "over" if taken is None else milliseconds(taken), said, best, least, ratio, gain)
        print(LINE.format(*head, *tail))
    print("* held out: nothing was fitted to it")


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds with three digits."""
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def label(way: Way | None) -> str:
    """A way in few letters."""
    short = {"matrix_product_state": "mps", "decision_diagram": "diagram"}
    return f"{way[0]} {short.get(way[1], way[1])}" if way else ""


def summary(name: str, choices: Sequence[Choice]) -> None:
    """Print the ratios of a set of circuits, beside their targets."""
    refused = [choice for choice in choices if choice.way is None]
    taken = [choice for choice in choices if choice.way and choice.taken]
    print(f"\n{name}: {len(choices)} circuits, {len(refused)} refused")
    for said, odd in (
        ("refused, though an engine could", [each for each in refused if each.row.best is not None]),
        ("chosen, and over its time", [each for each in choices if each.way and not each.taken and not each.failed]),
        ("chosen, and failed", [choice for choice in choices if choice.failed]),
    ):
        if odd:
            print(f"  {said}: {', '.join(each.row.case.name for each in odd)}")
    ratios = [choice.ratio for choice in choices if choice.ratio is not None]
    gains = [choice.gain for choice in choices if choice.gain is not None]
    if not ratios or not gains:
        return
    near = sum(ratio <= NEAR for ratio in ratios) / len(ratios)
    mean, alone = statistics.geometric_mean(ratios), statistics.geometric_mean(gains)
    print(f"  chosen / best: {mean:.3f} in the geometric mean (target {GEOMETRIC_TARGET})")
    print(f"    worst {max(ratios):.2f} (target {WORST_TARGET}), {near:.0%} within {NEAR} (target {NEAR_SHARE:.0%})")
    print(f"  AerSimulator() / chosen: at least {alone:.1f} in the geometric mean (target {AUTOMATIC_TARGET})")
    print(f"    over {len(gains)} circuits; {len(taken) - len(gains)} more fail on it")
    off = sorted(choice.taken / choice.predicted for choice in taken if choice.taken)
    low, middle, high = (off[round(share * (len(off) - 1))] for share in (0.1, 0.5, 0.9))
    print(f"  measured / predicted of the chosen: {low:.2f}, {middle:.2f}, {high:.2f} at 10, 50 and 90 %")


def beside(rows: Iterable[Row]) -> None:
    """Print what each engine takes for each circuit, in milliseconds."""
    print(f"{'circuit':32}{'qubits':>7}{'gates':>7}" + "".join(f"{name:>12}" for name in registry.NAMED))
    for row in rows:
        times = {way[0]: milliseconds(seconds) for way, seconds in row.seconds.items()}
        times |= {way[0]: f"> {milliseconds(seconds)}" for way, seconds in row.over.items()}
        head = f"{row.case.name:32}{row.features.active_qubits:>7}{row.features.gate_count:>7}"
        print(head + "".join(f"{times.get(name, ''):>12}" for name in registry.NAMED))


def main() -> None:
    """Measure, fit where asked, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short set")
    parser.add_argument("--write", action="store_true", help="fit costs.toml to what is measured")
    parser.add_argument("--named", action="store_true", help="the engines that run only where they are named")
    parser.add_argument("--only", default="", help="circuits whose name has this")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no circuit after so many")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured")
    parser.add_argument("--choice", action="store_true", help="measure the choice again")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    wanted = [case for case in cases() if arguments.only in case.name and (case.quick or not arguments.quick)]
    among = (*ways(), CHOSEN, AUTOMATIC)
    if arguments.named:
        wanted = [case for case in wanted if not case.held_out and case.make().num_qubits <= NARROW]
        among = tuple((name, "statevector") for name in registry.NAMED)
    longest = QUICK_SECONDS if arguments.quick else LONGEST_SECONDS
    with Timer() as timer:
        until = time.monotonic() + 60 * arguments.minutes
        measuring = Measuring(timer, CostModel.load(), longest=longest, until=until)
        rows = measure(wanted, measuring, among, Measurements(fresh=arguments.fresh), again=arguments.choice)
    if arguments.write:
        write_costs([(row.features, row.case.shots, row.engines, row.over) for row in rows if not row.case.held_out])
    if arguments.named:
        beside(rows)
        return
    choices = choose(rows, CostModel.load())
    table(choices)
    for name, held_out in (("fitted to", False), ("held out", True)):
        part = [choice for choice in choices if choice.row.case.held_out == held_out]
        if part:
            summary(name, part)
    summary("all", choices)
    bell = next((choice for choice in choices if choice.row.case.name == "bell"), None)
    if bell is not None and bell.gain:
        print(f"\nBell, 1,024 shots: {1 / bell.gain:.3f} of raw Aer (target {BELL_TARGET})")


if __name__ == "__main__":
    main()
