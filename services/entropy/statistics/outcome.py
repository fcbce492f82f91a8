"""What a test of SP 800-22 says of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Bits: TypeAlias = npt.NDArray[np.uint8]
"""One bit an element, 0 or 1, first bit first."""
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The p-values of one test, in the order of NIST's own program; none where the test cannot be applied."""

    test: str
    p_values: tuple[float, ...]
    parameters: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    """Why it cannot be applied; empty where it was."""

    @property
    def applicable(self) -> bool:
        """Whether there are p-values."""
        return not self.reason


def outcome(test: str, p_values: npt.ArrayLike, **parameters: int) -> Outcome:
    """An applied test."""
    values: Any = np.atleast_1d(np.asarray(p_values, np.float64))
    return Outcome(test, tuple(float(value) for value in values), parameters)


def too_short(test: str, needed: int, **parameters: int) -> Outcome:
    """A test that needs more bits than there are."""
    return Outcome(test, (), parameters, f"needs at least {needed:,} bits")


def unpack(data: bytes, count: int) -> Bits:
    """The first `count` bits of `data`, the high bit of each byte first."""
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count)


def windows(bits: Bits, width: int) -> npt.NDArray[np.uint16]:
    """The value of each `width` (1 to 16) bits in a row, their first bit highest: len(bits) - width + 1 values."""
    values, size = bits.astype(np.uint16), 1
    while size < width:
        step = min(size, width - size)
        values = (values[: len(values) - step] << np.uint16(step)) | (
            values[step:] & np.uint16((1 << step) - 1)  # the last `step` bits of the window that ends later
        )
        size += step
    return values
