"""Families of benchmark circuits. Each makes a circuit of a width from a seed; the same seed makes the same circuit.

Mirror circuits follow Proctor et al. (Nature Physics 18, 2022), volume circuits Cross et al. (Phys. Rev. A 100, 2019)
with three CX and random rotations in place of a random SU(4). The others are those of MQT Bench (Quetschlich et al.,
Quantum 7, 2023), made here. Circuits whose ideal outcome is uniform are left out: noise would not show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from services.routing.benchmarks.circuit import Builder, Circuit

PEAKED_WIDTHS = (4, 8, 12)
SPREAD_WIDTHS = (4, 6, 8)
"""Of circuits with many outcomes: 4,096 shots are more than ten for each, below which the fidelity is biased."""
SHOTS = 4096
_ROUNDS = 2
_ONE_QUBIT_CLIFFORDS = ("id", "x", "y", "z", "h", "s", "sdg")
_INVERSE = {"s": "sdg", "sdg": "s"}


@dataclass(frozen=True, slots=True)
class Family:
    """A family of circuits."""

    name: str
    description: str
    widths: tuple[int, ...]
    make: Callable[[int, Random], Circuit]

    def circuit(self, width: int, seed: int) -> Circuit:
        """The circuit of a seed."""
        return self.make(width, Random(f"{self.name}/{width}/{seed}"))  # noqa: S311 - circuits, not secrets


def _ghz(width: int, _random: Random) -> Circuit:
    builder = Builder(width)
    builder.gate("h", 0)
    for qubit in range(width - 1):
        builder.gate("cx", qubit, qubit + 1)
    return builder.measured()


def _mirror(width: int, random: Random) -> Circuit:
    builder = Builder(width)
    steps: list[tuple[str, tuple[int, ...]]] = []
    for _ in range(width // 2):
        steps += [(random.choice(_ONE_QUBIT_CLIFFORDS), (qubit,)) for qubit in range(width)]
        order = random.sample(range(width), width)
        steps += [("cx", (a, b)) for a, b in zip(order[::2], order[1::2], strict=False)]
    for name, qubits in steps:
        builder.gate(name, *qubits)
    for name, qubits in reversed(steps):
        builder.gate(_INVERSE.get(name, name), *qubits)
    for qubit in range(width):
        if random.random() < 0.5:  # noqa: PLR2004 - a fair coin: readout errors of 1 show as well as those of 0
            builder.gate("x", qubit)
    return builder.measured()


def _volume(width: int, random: Random) -> Circuit:
    builder = Builder(width)
    for _ in range(width):
        order = random.sample(range(width), width)
        for a, b in zip(order[::2], order[1::2], strict=False):
            for _ in range(3):
                builder.random_rotation(a, random)
                builder.random_rotation(b, random)
                builder.gate("cx", a, b)
    for qubit in range(width):
        builder.random_rotation(qubit, random)
    return builder.measured()


def _fourier(width: int, random: Random) -> Circuit:
    """The inverse transform of a Fourier state: one outcome."""
    builder, number = Builder(width), random.randrange(2**width)
    builder.each("h")
    for qubit in range(width):
        builder.gate("u1", qubit, angles=(2 * math.pi * number / 2 ** (width - qubit) % (2 * math.pi),))
    for qubit in reversed(range(width)):
        for lower in range(width - 1, qubit, -1):
            builder.controlled_phase(-math.pi / 2 ** (lower - qubit), lower, qubit)
        builder.gate("h", qubit)
    return builder.measured()


def _w_state(width: int, _random: Random) -> Circuit:
    builder = Builder(width)
    builder.gate("x", width - 1)
    for qubit in range(width - 1, 0, -1):
        half = math.acos(math.sqrt(1 / (qubit + 1)))
        builder.gate("ry", qubit - 1, angles=(-half,))
        builder.gate("cz", qubit, qubit - 1)
        builder.gate("ry", qubit - 1, angles=(half,))
        builder.gate("cx", qubit - 1, qubit)
    return builder.measured()


def _deutsch_jozsa(width: int, random: Random) -> Circuit:
    """A balanced oracle: each input's parity under a mask."""
    builder, target = Builder(width), width - 1
    mask = random.randrange(1, 2**target)
    builder.gate("x", target)
    builder.each("h")
    for qubit in range(target):
        if mask >> qubit & 1:
            builder.gate("cx", qubit, target)
    builder.each("h")
    return builder.measured()


def _qaoa(width: int, random: Random) -> Circuit:
    """Maximum cut of a ring."""
    builder = Builder(width)
    builder.each("h")
    for _ in range(_ROUNDS):
        gamma, beta = random.uniform(0.2, 1.2), random.uniform(0.2, 1.2)
        for qubit in range(width):
            other = (qubit + 1) % width
            builder.gate("cx", qubit, other)
            builder.gate("rz", other, angles=(gamma,))
            builder.gate("cx", qubit, other)
        builder.each("rx", beta)
    return builder.measured()


def _real_amplitudes(width: int, random: Random) -> Circuit:
    builder = Builder(width)
    for layer in range(_ROUNDS + 1):
        for qubit in range(width):
            builder.gate("ry", qubit, angles=(random.uniform(0, 2 * math.pi),))
        if layer < _ROUNDS:
            for qubit in range(width - 1):
                builder.gate("cx", qubit, qubit + 1)
    return builder.measured()


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("ghz", "All qubits equal: 0 or 1", PEAKED_WIDTHS, _ghz),
        Family("mirror", "Random Clifford layers and their inverse: one outcome", PEAKED_WIDTHS, _mirror),
        Family("volume", "Layers of random pairs, as deep as wide", SPREAD_WIDTHS, _volume),
        Family("fourier", "Inverse Fourier transform: one outcome", PEAKED_WIDTHS, _fourier),
        Family("wstate", "A single 1, anywhere", PEAKED_WIDTHS, _w_state),
        Family("deutsch_jozsa", "A balanced oracle, asked once", PEAKED_WIDTHS, _deutsch_jozsa),
        Family("qaoa", "Maximum cut of a ring, two rounds", SPREAD_WIDTHS, _qaoa),
        Family("real_amplitudes", "Random rotations and a chain of CX, two rounds", SPREAD_WIDTHS, _real_amplitudes),
    )
}
"""By name."""
