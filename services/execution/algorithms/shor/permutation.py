"""Reversible circuits of permutations, found by transformation (Miller, Maslov, Dueck, DAC 2003)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flip:
    """Turns bit `target` of a number where the bits of `controls`, a mask, are all 1."""

    controls: int
    target: int

    def __call__(self, value: int) -> int:
        """Return the number after the flip."""
        return value ^ 1 << self.target if value & self.controls == self.controls else value


def flips_of(images: Sequence[int], bits: int) -> list[Flip]:
    """Return flips that take each number x < len(images) to images[x], themselves the numbers below len(images).

    The larger numbers go anywhere. What is found is the shorter of the permutation and, backwards, of its inverse.
    """
    inverse = [images.index(value) for value in range(len(images))]
    return min(_sorting(inverse, bits), _sorting(images, bits)[::-1], key=_cost)


def _sorting(images: Sequence[int], bits: int) -> list[Flip]:
    """Return flips that take images[x] to x.

    From 0 up each image is moved to its place; the controls leave every image alone that is in its place already.
    """
    table = list(images)
    flips: list[Flip] = []
    for place in range(len(table)):
        for flip in _moving(table[place], place, bits):
            flips.append(flip)
            table = [flip(image) for image in table]
    return flips


def _moving(value: int, place: int, bits: int) -> Iterator[Flip]:
    """Yield flips that take a value to a place not above it and that no number below the place feels."""
    for bit in range(bits):
        if (place & ~value) >> bit & 1:
            yield Flip(value, bit)
            value |= 1 << bit
    for bit in range(bits):
        if (value & ~place) >> bit & 1:
            yield Flip(place, bit)
            value ^= 1 << bit


def _cost(flips: Sequence[Flip]) -> int:
    """Return about how many gates the flips take: as many as controls, but few for the first three."""
    return sum(max(1, flip.controls.bit_count() - 1) for flip in flips)
