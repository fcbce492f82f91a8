"""From raw bits to seeds and to full-entropy output: HMAC-SHA-512, a vetted conditioner (SP 800-90B, 3.1.5.1.1). Pure.

The key is fresh from the kernel's generator each time. It hides the raw bits, which execution has seen; it is never
credited as entropy of a source.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Callable, Iterator

OUTPUT_BYTES = 64
KEY_BYTES = 64
EXCESS_BITS = 64
"""Output has full entropy where the input has as many bits of entropy more than it has bits (SP 800-90C, 3.2.2.2)."""
FUNCTION = "HMAC-SHA-512"


def condition(raw: bytes, random: Callable[[int], bytes]) -> bytes:
    """64 bytes from raw bits and as many of `random`, the kernel's generator."""
    return hmac.digest(random(KEY_BYTES), raw, hashlib.sha512)


def full_entropy_input_bytes(min_entropy: float) -> int:
    """Raw bytes for 64 of full entropy, where a raw bit is worth `min_entropy` bits."""
    return math.ceil((8 * OUTPUT_BYTES + EXCESS_BITS) / min_entropy / 8)


def full_entropy(raw: bytes, min_entropy: float, random: Callable[[int], bytes]) -> bytes:
    """All the full-entropy output that raw bits give."""
    return b"".join(condition(piece, random) for piece in _pieces(raw, full_entropy_input_bytes(min_entropy)))


def _pieces(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[start : start + size] for start in range(0, len(raw) - size + 1, size))
