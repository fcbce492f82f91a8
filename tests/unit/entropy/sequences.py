"""Sequences with known faults, the same on every machine."""

from pathlib import Path

import numpy as np

from services.entropy.statistics.outcome import Bits

GOLDEN = Path(__file__).parents[2] / "golden" / "entropy"


def words(count: int, seed: int) -> np.ndarray:
    """SplitMix64: `count` words of 64 bits."""
    with np.errstate(over="ignore"):
        mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def fair(count: int, seed: int = 2) -> Bits:
    return (words(count, seed) >> np.uint64(63)).astype(np.uint8)


def biased(count: int, share: float) -> Bits:
    return (words(count, 1).astype(np.float64) / 2.0**64 < share).astype(np.uint8)


def digits(name: str) -> Bits:
    """The first 10^6 bits of `pi` or `e`."""
    return np.unpackbits(np.fromfile(GOLDEN / f"{name}.bin", np.uint8))


def every_sequence(count: int = 60_000) -> dict[str, Bits]:
    even, uniform = fair(count), words(count, 1).astype(np.float64) / 2.0**64
    period = np.tile(even[:97], count // 97 + 1)[:count].copy()
    period[::1009] ^= 1
    lagged = even.copy()
    lagged[50:] = np.where(uniform[50:] < 0.9, lagged[:-50], lagged[50:])
    return {
        "fair": even,
        "biased": biased(count, 0.6),
        "sticky": (np.cumsum(uniform < 0.2).astype(np.uint8) & 1).astype(np.uint8),
        "period": period,
        "half": np.concatenate((even[: count // 2], even[: count // 2])),
        "lagged": lagged,
        "short": even[:20_000],
        "pi": digits("pi"),
    }
