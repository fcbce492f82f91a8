"""A state kept as a product of small entangled clusters: what basis states and their transforms stay all along.

A gate joins the clusters of its qubits, and a qubit that is a factor again afterwards leaves its cluster. No cluster
may grow past MOST_QUBITS, so that a gate takes microseconds whatever the circuit.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from services.execution.engines.engine import Capabilities, EngineError, Method
from services.execution.engines.matrices import Matrix, matrix
from services.execution.engines.sampling import distinct, generator
from services.execution.engines.simulating import Draw, Simulating

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

ENGINE = "qmumma-cloud"
_VERSION = version(ENGINE)
_WIDEST = 1_024
MOST_QUBITS = 3
_CONTROLLED = {"cx": "x", "cy": "y", "cz": "z", "cp": "p", "csx": "sx", "ccx": "cx", "cswap": "swap"}
"""What is left of a gate whose first qubit, the control, is in |1>."""
_SYMMETRIC = {"cz", "cp"}
_RESIDUE = 1e-24
"""The squared norm that is left out at most when a qubit leaves: rounding, far below what a sample can show."""


class ClusterEngine(Simulating):
    """Runs what stays in clusters, and refuses the rest once it has found out.

    `budget` bounds the amplitudes that are computed.
    """

    def __init__(self, budget: int) -> None:
        """Make the engine."""
        self._budget = budget
        self.capabilities = Capabilities(ENGINE, _VERSION, {"matrix_product_state": _WIDEST})

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample cluster by cluster; all shots that agree so far at once."""
        clusters = clusters_of(program.tape, self._budget)
        if clusters is None:
            raise EngineError("UNSUPPORTED", "the circuit entangles too many qubits for clusters")
        random = generator(seed, "counts")
        counts = np.array([shots], dtype=np.int64)
        states = np.zeros((1, program.tape.width), dtype=np.uint8)
        for cluster in clusters:
            chances = np.abs(np.array(cluster.amplitudes)) ** 2
            drawn = random.multinomial(counts, chances / chances.sum())
            of, found = np.nonzero(drawn)
            counts, states = drawn[of, found], states[of]
            states[:, cluster.qubits] = found[:, None] >> np.arange(len(cluster.qubits)) & 1
        rows = np.zeros((len(states), readout.num_clbits), dtype=np.uint8)
        rows[:, readout.clbits] = states[:, [readout.qubits[place] for place in readout.places]]
        return Draw(*distinct(rows, counts))


@dataclass(slots=True)
class Cluster:
    """Qubits, and 2^n amplitudes over them: the first qubit lowest, the norm 1."""

    qubits: list[int]
    amplitudes: list[complex]


def clusters_of(tape: Tape, budget: int) -> list[Cluster] | None:
    """Return the clusters at the end of a flat tape without resets.

    None where one outgrows MOST_QUBITS, or more amplitudes than `budget` would be computed.
    """
    homes = [Cluster([qubit], [1 + 0j, 0j]) for qubit in range(tape.width)]
    wires = list(range(tape.width))
    for gate, operands, angles, _ in tape.operations():
        name, qubits = _left(gate, operands, homes, wires)
        if name == "swap":
            one, other = qubits
            wires[one], wires[other] = wires[other], wires[one]
        elif name not in {"id", "measure"}:
            touched = [wires[qubit] for qubit in qubits]
            if (cluster := _joined([homes[qubit] for qubit in touched])) is None:
                return None
            budget -= len(cluster.amplitudes)
            if budget < 0:
                return None
            _apply(cluster, matrix(name, angles), touched)
            if len(cluster.qubits) > 1:
                _settle(homes, cluster, touched)
    return _named(homes, wires)


def _left(name: str, qubits: tuple[int, ...], homes: list[Cluster], wires: list[int]) -> tuple[str, tuple[int, ...]]:
    """What is left of a gate where a control is in a basis state."""
    while name in _CONTROLLED:
        if name in _SYMMETRIC and _bit(homes[wires[qubits[0]]]) is None:
            qubits = qubits[::-1]
        control = _bit(homes[wires[qubits[0]]])
        if control is None:
            break
        name, qubits = (_CONTROLLED[name], qubits[1:]) if control else ("id", ())
    return name, qubits


def _bit(cluster: Cluster) -> bool | None:
    """The basis state that a lone qubit is in, None where it is in none."""
    if len(cluster.qubits) == 1:
        for bit in (False, True):
            if abs(cluster.amplitudes[not bit]) ** 2 < _RESIDUE:
                return bit
    return None


def _settle(homes: list[Cluster], cluster: Cluster, touched: list[int]) -> None:
    """Give the qubits of a cluster their home; of those that a gate touched, some may be factors."""
    for qubit in cluster.qubits:
        homes[qubit] = cluster
    if len(cluster.amplitudes) == 4:  # noqa: PLR2004 - two qubits, of which one is a factor where the determinant is 0
        low, one, other, high = cluster.amplitudes
        if abs(low * high - one * other) ** 2 > _RESIDUE:
            return
    for qubit in touched:
        if len(cluster.qubits) > 1 and (alone := _leave(cluster, qubit)) is not None:
            homes[qubit] = alone


def _named(homes: list[Cluster], wires: list[int]) -> list[Cluster]:
    """The clusters, with the qubits by the numbers that the tape gives them at its end."""
    names = {wire: qubit for qubit, wire in enumerate(wires)}
    distinct = {id(cluster): cluster for cluster in homes}
    return [Cluster([names[qubit] for qubit in each.qubits], each.amplitudes) for each in distinct.values()]


def _joined(clusters: Iterable[Cluster]) -> Cluster | None:
    joined: Cluster | None = None
    seen: set[int] = set()
    for cluster in clusters:
        if id(cluster) in seen:
            continue
        seen.add(id(cluster))
        if joined is None:
            joined = cluster
        elif len(joined.qubits) + len(cluster.qubits) > MOST_QUBITS:
            return None
        else:
            low, high = joined.amplitudes, cluster.amplitudes
            joined = Cluster(joined.qubits + cluster.qubits, [one * other for other in high for one in low])
    return joined


def _apply(cluster: Cluster, rows: Matrix, touched: list[int]) -> None:
    """Multiply with a matrix over the touched qubits, the first one lowest."""
    if len(cluster.amplitudes) == len(rows) == 2:  # noqa: PLR2004 - most gates, by far
        zero, one = cluster.amplitudes
        cluster.amplitudes = [row[0] * zero + row[1] * one for row in rows]
        return
    if len(cluster.amplitudes) == len(rows) == 4:  # noqa: PLR2004 - most of the others
        _apply_pair(cluster, rows, swapped=touched[0] != cluster.qubits[0])
        return
    places = [1 << cluster.qubits.index(qubit) for qubit in touched]
    offsets = [sum(place for bit, place in enumerate(places) if index >> bit & 1) for index in range(len(rows))]
    amplitudes, mask = cluster.amplitudes, offsets[-1]
    result = amplitudes.copy()
    for base in range(len(amplitudes)):
        if not base & mask:
            part = [amplitudes[base + offset] for offset in offsets]
            for offset, row in zip(offsets, rows, strict=True):
                result[base + offset] = sum([entry * value for entry, value in zip(row, part, strict=True) if entry])
    cluster.amplitudes = result


def _apply_pair(cluster: Cluster, rows: Matrix, *, swapped: bool) -> None:
    """Multiply two qubits with a matrix over both, the first or (`swapped`) the second one lowest."""
    low, one, other, high = cluster.amplitudes
    if swapped:
        one, other = other, one
    new = [row[0] * low + row[1] * one + row[2] * other + row[3] * high for row in rows]
    if swapped:
        new[1], new[2] = new[2], new[1]
    cluster.amplitudes = new


def _leave(cluster: Cluster, qubit: int) -> Cluster | None:
    """Take a qubit out of its cluster where it is a factor; return a cluster of its own, None where it is none."""
    place = cluster.qubits.index(qubit)
    bit = 1 << place
    zeros = [value for index, value in enumerate(cluster.amplitudes) if not index & bit]
    ones = [value for index, value in enumerate(cluster.amplitudes) if index & bit]
    with_zero, with_one = (sum([abs(value) ** 2 for value in part]) for part in (zeros, ones))
    larger, smaller, weight = (zeros, ones, with_zero) if with_zero >= with_one else (ones, zeros, with_one)
    overlap = sum([one.conjugate() * other for one, other in zip(larger, smaller, strict=True)])
    ratio = overlap / weight
    if sum([abs(other - ratio * one) ** 2 for one, other in zip(larger, smaller, strict=True)]) > _RESIDUE:
        return None
    norm = sqrt(weight)
    share = 1 / sqrt(1 + abs(ratio) ** 2)
    own = [share + 0j, share * ratio]
    cluster.qubits = [each for each in cluster.qubits if each != qubit]
    cluster.amplitudes = [value / norm for value in larger]
    return Cluster([qubit], own if larger is zeros else own[::-1])
