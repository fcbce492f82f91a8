"""The discrete Fourier transform test, and the rank test (SP 800-22, sections 2.5 and 2.6)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft, special

from services.entropy.statistics.outcome import Bits, Outcome, outcome, too_short

SPECTRAL_LEAST_BITS = 1000
ROWS = 32
MATRIX_BITS = ROWS * ROWS
RANK_LEAST_BITS = 38 * MATRIX_BITS


def spectral(bits: Bits) -> Outcome:
    """Peaks of the spectrum (2.6)."""
    if len(bits) < SPECTRAL_LEAST_BITS:
        return too_short("FFT", SPECTRAL_LEAST_BITS)
    return outcome("FFT", spectral_p(bits))


def spectral_p(bits: Bits) -> float:
    """The p-value: how many of the first n/2 peaks stay below what 95 % should."""
    count = len(bits)
    peaks = fft.rfft(bits.astype(np.float64) * 2 - 1, overwrite_x=True)[: count // 2]
    power = peaks.real**2 + peaks.imag**2
    below = int(np.count_nonzero(power < math.log(1 / 0.05) * count))
    distance = (below - 0.95 * count / 2) / math.sqrt(count * 0.95 * 0.05 / 4)
    return float(special.erfc(abs(distance) / math.sqrt(2)))


def rank(bits: Bits) -> Outcome:
    """The ranks of 32 x 32 matrices over GF(2) (2.5)."""
    if len(bits) < RANK_LEAST_BITS:
        return too_short("Rank", RANK_LEAST_BITS, M=ROWS, Q=ROWS)
    count = len(bits) // MATRIX_BITS
    packed = np.packbits(bits[: count * MATRIX_BITS]).view(">u4").astype(np.uint32).reshape(count, ROWS)
    ranks = _ranks(np.ascontiguousarray(packed.T))
    full, less = int(np.count_nonzero(ranks == ROWS)), int(np.count_nonzero(ranks == ROWS - 1))
    shares = _rank_probability(ROWS), _rank_probability(ROWS - 1)
    expected = np.array([*shares, 1 - sum(shares)]) * count
    seen = np.array([full, less, count - full - less])
    return outcome("Rank", math.exp(-float(((seen - expected) ** 2 / expected).sum()) / 2), M=ROWS, Q=ROWS)


def _ranks(rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """The ranks of many matrices at once: `rows` has the k-th row of each at [k], 32 bits wide; it is used up.

    One row after the other is taken out; where it is not zero, its lowest bit clears that column in those below.
    """
    rows_left = rows
    ranks = np.zeros(rows.shape[1], np.int64)
    for index in range(ROWS):
        pivot = rows_left[index]
        ranks += pivot != 0
        lowest = pivot & (~pivot + np.uint32(1))
        below = rows_left[index + 1 :]
        below ^= np.where(below & lowest, pivot, np.uint32(0))
    return ranks


def _rank_probability(wanted: int) -> float:
    """The share of random 32 x 32 matrices of a rank (section 3.5)."""
    powers = 2.0 ** (np.arange(wanted) - ROWS)
    product = np.prod((1 - powers) ** 2 / (1 - 2.0 ** (np.arange(wanted) - wanted)))
    return float(2.0 ** (wanted * (2 * ROWS - wanted) - ROWS * ROWS) * product)
