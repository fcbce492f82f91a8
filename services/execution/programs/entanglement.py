"""How far a circuit can entangle its qubits, bounded from above in one pass.

A gate entangles nothing while what it acts on is in a product with the rest and one side is in an eigenstate of the
gate: a control in |0>, a target of a NOT in |+>. So a Fourier transform of a basis state stays a product, as does a
search for a hidden string. Bounds are kept for every cut of the qubits in their order, as log2 of the Schmidt rank.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from enum import IntEnum
from itertools import accumulate

DIAGONAL = frozenset({"id", "z", "s", "sdg", "t", "tdg", "p", "rz", "u1", "cz", "cp", "rzz"})
"""Gates whose matrix is diagonal."""
_FLIPS = frozenset({"x", "y"})
_CONTROLLED_X = frozenset({"cx", "ccx"})
_CONTROLS = {"cx": 1, "cy": 1, "csx": 1, "ccx": 2, "cswap": 1}
_HOPELESS_BITS = 20
"""A bond dimension that nothing can hold: from there on the bounds are those of any state."""
_MOST_BITS = 2 * _HOPELESS_BITS
_CUBES = tuple(8.0**bits for bits in range(_MOST_BITS + 1))
"""The cube of the rank, by its bits; more is counted as so many."""
_MOST_VISITS = 1_000_000
"""Cuts looked at, over all gates; from there on likewise."""


class State(IntEnum):
    """What is known of one qubit."""

    ZERO_OR_ONE = 0
    PLUS_OR_MINUS = 1
    PURE = 2
    """In some state of its own."""
    MIXED = 3
    """Perhaps entangled."""


class Entanglement:
    """The bounds, gate by gate."""

    def __init__(self, num_qubits: int) -> None:
        """Begin with every qubit in |0>."""
        self.states = [State.ZERO_OR_ONE] * num_qubits
        self.bits = [0] * max(num_qubits - 1, 0)
        self._ceiling = [min(cut + 1, num_qubits - 1 - cut) for cut in range(num_qubits - 1)]
        self._work = 0.0
        self._most = 0
        self._visits = 0
        self.hopeless = False
        """Whether the bounds are those of any state, which nothing changes any more."""
        self._full: list[float] | None = None
        """Where no bound can grow any more: the work over the cuts before each qubit."""

    @property
    def most_bits(self) -> int:
        """log2 of the largest Schmidt rank over any cut, at most."""
        return self._most

    @property
    def work_bits(self) -> float:
        """log2 of the sum over the gates and the cuts they span of rank^3: what a matrix product state multiplies.

        Of hopeless circuits only the part before they became so.
        """
        return math.log2(self._work) if self._work else 0.0

    def forget(self, qubits: Collection[int]) -> None:
        """Know nothing any more of these qubits by themselves."""
        for qubit in qubits:
            self.states[qubit] = State.MIXED

    def collapse(self, qubit: int) -> None:
        """Measure or reset a qubit."""
        self.states[qubit] = State.ZERO_OR_ONE
        self._full = None

    def apply(self, name: str, qubits: Sequence[int], times: int) -> None:
        """Apply a standard gate `times` times."""
        if len(qubits) == 1:
            if self.states[qubits[0]] is not State.MIXED:
                self._turn(name, qubits[0])
            return
        if self.hopeless:
            return
        first, last = min(qubits), max(qubits)
        if self._full is not None:
            self._work += times * (self._full[last] - self._full[first])
        else:
            self._grow(self._couple(name, qubits) * times, first, last)
            span = self.bits[first:last]
            self._most = max(self._most, *span)
            self._work += times * sum([_CUBES[min(rank, _MOST_BITS)] for rank in span])
        self._visits += last - first
        if self._most > _HOPELESS_BITS or self._visits > _MOST_VISITS:
            self._give_up()

    def _grow(self, rank_bits: int, first: int, last: int) -> None:
        """Let the ranks over the cuts between two qubits grow."""
        if not rank_bits:
            return
        bits = self.bits
        for cut in range(first, last):
            bits[cut] += rank_bits
        self._relax(first, last)
        if bits == self._ceiling and all(state is State.MIXED for state in self.states):
            self._full = [0.0, *accumulate(_CUBES[min(rank, _MOST_BITS)] for rank in bits)]

    def _give_up(self) -> None:
        """Take the bounds of any state from here on."""
        self.hopeless = True
        self._most = len(self.states) // 2
        self._work = max(self._work, 8.0 ** min(self._most, _HOPELESS_BITS))

    def _turn(self, name: str, qubit: int) -> None:
        state = self.states[qubit]
        if name == "id":
            return
        if name == "h" and state is not State.PURE:
            self.states[qubit] = State(1 - state)
        elif not (
            name in _FLIPS
            or (name in DIAGONAL and state is State.ZERO_OR_ONE)
            or (name == "z" and state is State.PLUS_OR_MINUS)
        ):
            self.states[qubit] = State.PURE

    def _couple(self, name: str, qubits: Sequence[int]) -> int:
        """Follow a gate on several qubits; return by how many bits the rank over a cut between them may grow."""
        states = self.states
        if name == "swap":
            one, other = qubits
            growth = (states[one] is State.MIXED) + (states[other] is State.MIXED)
            states[one], states[other] = states[other], states[one]
            return growth
        if name in DIAGONAL:
            acting = [qubit for qubit in qubits if states[qubit] is not State.ZERO_OR_ONE]
            return self._phase(acting)
        controls = qubits[: _CONTROLS.get(name, 0)]
        acting = [qubit for qubit in controls if states[qubit] is not State.ZERO_OR_ONE]
        targets = qubits[len(controls) :]
        if name in _CONTROLLED_X and states[targets[0]] is State.PLUS_OR_MINUS:
            return self._phase(acting, plain=name == "cx")
        if controls and not acting and len(targets) == 1:
            if states[targets[0]] is not State.MIXED and name == "csx":
                states[targets[0]] = State.PURE
            return 0
        self.forget((*acting, *targets))
        return 2 if len(targets) > 1 and controls else 1

    def _phase(self, acting: Sequence[int], *, plain: bool = False) -> int:
        """Follow a diagonal gate between the qubits on which it acts at all."""
        if len(acting) > 1:
            self.forget(acting)
            return 1
        for qubit in acting:
            if not plain and self.states[qubit] is State.PLUS_OR_MINUS:
                self.states[qubit] = State.PURE
        return 0

    def _relax(self, first: int, last: int) -> None:
        """Use that one qubit at most doubles the rank from a cut to the next."""
        bits = self.bits
        most = bits[first - 1] if first else 0
        for cut in range(first, last):
            most += 1
            if bits[cut] < most:
                most = bits[cut]
            else:
                bits[cut] = most
        most = bits[last] if last < len(bits) else 0
        for cut in range(last - 1, first - 1, -1):
            most += 1
            if bits[cut] < most:
                most = bits[cut]
            else:
                bits[cut] = most
