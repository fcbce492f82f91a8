"""The linear complexity test (SP 800-22, section 2.10): how long a shift register has to be to make each block."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from scipy import special

from services.entropy.statistics.outcome import Bits, Integers, Outcome, outcome, too_short

BLOCK = 500
LEAST_BITS = 1_000_000
PROBABILITIES = (0.01047, 0.03125, 0.125, 0.5, 0.25, 0.0625, 0.020833)
"""Of the seven classes of T as section 2.10 and NIST's program print them, so that p-values can be compared with
theirs; the first, by section 3.10, is 1/96."""
_WORD = 64


def linear_complexity(bits: Bits, block: int = BLOCK) -> Outcome:
    """Blocks of 500 bits, as NIST's program takes them."""
    if len(bits) < LEAST_BITS:
        return too_short("LinearComplexity", LEAST_BITS, M=block)
    return outcome("LinearComplexity", linear_complexity_p(bits, block, PROBABILITIES), M=block)


def linear_complexity_p(bits: Bits, block: int, probabilities: tuple[float, ...]) -> float:
    """The p-value for blocks of `block` bits, by the probabilities of the seven classes."""
    count = len(bits) // block
    lengths = complexities(bits[: count * block].reshape(count, block))
    sign = -1 if block % 2 else 1
    mean = block / 2 + (9 - sign) / 36 - (block / 3 + 2 / 9) / 2.0**block
    classes = np.digitize(sign * (lengths - mean) + 2 / 9, np.arange(-2.5, 3.0), right=True)
    expected = count * np.array(probabilities)
    chi_squared = float(((np.bincount(classes, minlength=7) - expected) ** 2 / expected).sum())
    return float(special.gammaincc(3.0, chi_squared / 2))


@numba.njit(cache=True, nogil=True)
def complexities(blocks: npt.NDArray[np.uint8]) -> Integers:  # pragma: no cover - compiled
    """The linear complexity of each row, by Berlekamp and Massey over words of 64 bits.

    `past` has the bits so far, the newest lowest; `before` is the polynomial of the last change of length, moved up by
    one at every step.
    """
    count, width = blocks.shape
    words = width // _WORD + 1
    lengths = np.zeros(count, np.int64)
    connection, before = np.zeros(words, np.uint64), np.zeros(words, np.uint64)
    kept, past = np.zeros(words, np.uint64), np.zeros(words, np.uint64)
    one, top = np.uint64(1), np.uint64(_WORD - 1)
    for row in range(count):
        connection[:] = 0
        before[:] = 0
        past[:] = 0
        connection[0] = before[0] = one
        length = 0
        for step in range(width):
            used = step // _WORD + 1
            parity = np.uint64(0)
            for word in range(used - 1, 0, -1):
                past[word] = (past[word] << one) | (past[word - 1] >> top)
                before[word] = (before[word] << one) | (before[word - 1] >> top)
                parity ^= past[word] & connection[word]
            past[0] = (past[0] << one) | np.uint64(blocks[row, step])
            before[0] <<= one
            parity ^= past[0] & connection[0]
            parity ^= parity >> np.uint64(32)
            parity ^= parity >> np.uint64(16)
            parity ^= parity >> np.uint64(8)
            parity ^= parity >> np.uint64(4)
            if (np.uint64(0x6996) >> (parity & np.uint64(15))) & one:
                if 2 * length <= step:
                    kept[:used] = connection[:used]
                    for word in range(used):
                        connection[word] ^= before[word]
                    before[:used] = kept[:used]
                    length = step + 1 - length
                else:
                    for word in range(used):
                        connection[word] ^= before[word]
        lengths[row] = length
    return lengths
