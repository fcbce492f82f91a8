"""From what providers answer to counts over a program's classical bits, bit 0 rightmost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from services.execution.live.errors import Refused
from services.execution.live.target import Compiled


def from_bits(circuit: Compiled, outcomes: Iterable[tuple[Callable[[int], int], int]]) -> dict[str, int]:
    """Counts of outcomes, each a function from a qubit of the text to its bit, and how often it came."""
    counts: Counter[str] = Counter()
    for bit, count in outcomes:
        row = ["0"] * circuit.clbit_count
        for qubit, clbit in circuit.readout:
            row[circuit.clbit_count - 1 - clbit] = str(bit(qubit))
        counts["".join(row)] += count
    return dict(counts)


def from_probabilities(circuit: Compiled, probabilities: Mapping[str, float]) -> dict[str, int]:
    """Counts of a histogram over decimal outcomes, qubit 0 lowest, as IonQ writes them.

    The machine counted shots and the histogram is their shares, so that share times shots is a whole number up to
    rounding; what rounding leaves over goes to the largest remainders. Raises Refused where the shares are none.
    """
    total = sum(probabilities.values())
    if not probabilities or min(probabilities.values()) < 0 or not 0.99 < total < 1.01:  # noqa: PLR2004 - shares of 1
        raise Refused(f"the provider's histogram adds up to {total:.3g}, not to 1")
    exact = {int(outcome): share / total * circuit.shots for outcome, share in probabilities.items()}
    whole = {outcome: int(value) for outcome, value in exact.items()}
    left = circuit.shots - sum(whole.values())
    for outcome in sorted(exact, key=lambda each: (whole[each] - exact[each], each))[:left]:
        whole[outcome] += 1
    return from_bits(circuit, [(_bits(outcome), count) for outcome, count in whole.items() if count])


def _bits(outcome: int) -> Callable[[int], int]:
    return lambda qubit: outcome >> qubit & 1


def checked(circuit: Compiled, counts: Mapping[str, int]) -> dict[str, int]:
    """The counts, where they are of this circuit; raises Refused where the provider answered something else."""
    for outcome, count in counts.items():
        if len(outcome) != circuit.clbit_count or set(outcome) - {"0", "1"} or count < 0:
            raise Refused(f"the provider answered counts that are none of this circuit: {outcome[:64]!r}")
    if not counts or sum(counts.values()) > circuit.shots:
        raise Refused(f"the provider answered {sum(counts.values())} shots instead of {circuit.shots}")
    return dict(counts)
