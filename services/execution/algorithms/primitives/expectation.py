"""What Pauli strings are worth: in counts of a setting, and in a state of known amplitudes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.execution.algorithms.primitives.paulis import Pauli, Setting

_BLOCK = 4_096
"""Outcomes whose parities are worked out at a time."""


def readings(
    counts: Mapping[str, int], setting: Setting, coefficients: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of each observable over the shots of a setting, and the variance of a single shot.

    Bit k of a count's text, counted from the right, is the outcome of the setting's k-th measured qubit. Row t of
    `coefficients` has those of the setting's string t in every observable.
    """
    masks = np.array([[string.support >> qubit & 1 for string in setting.strings] for qubit in setting.measured])
    texts, shots = sorted(counts), np.array([counts[text] for text in sorted(counts)])
    bits = np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(len(texts), -1)[:, ::-1] & 1
    blocks = []
    for start in range(0, len(texts), _BLOCK):
        parities = (bits[start : start + _BLOCK].astype(np.float32) @ masks.astype(np.float32)).astype(np.int64) & 1
        blocks.append((1.0 - 2.0 * parities) @ coefficients)
    values = np.concatenate(blocks)
    mean = shots @ values / shots.sum()
    return mean, shots @ (values - mean) ** 2 / (shots.sum() - 1)


def expectation(state: NDArray[np.complex128], string: Pauli) -> float:
    """Return the expectation value of a string in a state, qubit 0 lowest.

    P|k> = i^|x&z| (-1)^|k&z| |k^x>, with |.| the number of ones.
    """
    index = np.arange(state.size)
    signs = 1.0 - 2.0 * (np.bitwise_count(index & string.z) & 1)
    turned = np.vdot(state[index ^ string.x], signs * state)
    return float((1j ** (string.x & string.z).bit_count() * turned).real)
