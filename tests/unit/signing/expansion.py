"""The public key that belongs to an expanded ML-DSA-65 private key: NIST's signing vectors give only the latter.

FIPS 204, algorithms 6 (key generation), 24 and 25 (encodings), 30 and 32 (expansion of the matrix), plainly.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Q, D, N = 8380417, 13, 256
ROWS, COLUMNS, ETA_BITS, ETA = 6, 5, 4, 4
SHORT_BYTES = N * ETA_BITS // 8
Polynomial = NDArray[np.int64]


def public_key(private: bytes) -> bytes:
    """pk = rho || t1, where t1 are the high bits of A s1 + s2."""
    seed, vectors = private[:32], private[128 : 128 + SHORT_BYTES * (ROWS + COLUMNS)]
    short = [_short(vectors[at : at + SHORT_BYTES]) for at in range(0, len(vectors), SHORT_BYTES)]
    public = seed
    for row in range(ROWS):
        total = short[COLUMNS + row] + sum(_times(_uniform(seed, row, s), short[s]) for s in range(COLUMNS))
        public += _high_bits(total % Q)
    return public


def _short(packed: bytes) -> Polynomial:
    halves = np.frombuffer(packed, np.uint8)
    return ETA - np.stack((halves & 15, halves >> 4), axis=1).reshape(N).astype(np.int64)


def _uniform(seed: bytes, row: int, column: int) -> Polynomial:
    """An entry of A, in the order of the number-theoretic transform."""
    stream = np.frombuffer(hashlib.shake_128(seed + bytes([column, row])).digest(3 * 400), np.uint8).astype(np.int64)
    drawn = stream[0::3] | stream[1::3] << 8 | (stream[2::3] & 0x7F) << 16
    return drawn[drawn < Q][:N]


def _times(transformed: Polynomial, short: Polynomial) -> Polynomial:
    return _FROM_NTT @ (transformed * (_TO_NTT @ short % Q) % Q) % Q


def _high_bits(polynomial: Polynomial) -> bytes:
    high = (polynomial + (1 << (D - 1)) - 1) >> D
    bits = (high[:, None] >> np.arange(10)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def _transforms() -> tuple[Polynomial, Polynomial]:
    """The matrix that evaluates at zeta^(2 brv(i) + 1), FIPS 204, section 2.5, and its inverse."""
    exponents = [2 * int(f"{i:08b}"[::-1], 2) + 1 for i in range(N)]
    to = np.array([[pow(1753, power * at, Q) for at in range(N)] for power in exponents], np.int64)
    back = np.array(
        [[pow(1753, -power * at, Q) * pow(N, -1, Q) % Q for power in exponents] for at in range(N)], np.int64
    )
    return to, back


_TO_NTT, _FROM_NTT = _transforms()
