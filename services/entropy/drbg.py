"""CTR_DRBG with AES-256 and a derivation function (NIST SP 800-90A rev. 1, section 10.2.1).

Its state is overwritten after every request, so that who learns it cannot compute what it gave before (backtracking
resistance). One lives for one block; the next block has a seed of its own.
"""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB

SECURITY_BITS = 256
LEAST_ENTROPY_BYTES = SECURITY_BITS // 8
NONCE_BYTES = SECURITY_BITS // 16
MOST_BYTES_A_REQUEST = 2**19 // 8
RESEED_INTERVAL = 2**48
_KEY_BYTES = 32
_BLOCK_BYTES = 16
_SEED_BYTES = _KEY_BYTES + _BLOCK_BYTES


class DrbgError(ValueError):
    """A request that the generator refuses: too much at once, too little entropy, or too long without a new seed."""


class CtrDrbg:
    """One instantiation."""

    __slots__ = ("_key", "_reseed_counter", "_value")

    def __init__(self, entropy: bytes, nonce: bytes, personalization: bytes = b"") -> None:
        """Instantiate (10.2.1.3.2); raises DrbgError below 256 bits of entropy input or 128 of nonce."""
        if len(nonce) < NONCE_BYTES:
            raise DrbgError(f"a nonce has at least {NONCE_BYTES} bytes")
        self._key, self._value = bytes(_KEY_BYTES), bytes(_BLOCK_BYTES)
        self._update(_derive(_enough(entropy) + nonce + personalization))
        self._reseed_counter = 1

    def reseed(self, entropy: bytes, additional: bytes = b"") -> None:
        """Take new entropy (10.2.1.4.2)."""
        self._update(_derive(_enough(entropy) + additional))
        self._reseed_counter = 1

    def generate(self, count: int, additional: bytes = b"") -> bytes:
        """`count` bytes, 65,536 at most (10.2.1.5.2); raises DrbgError, also after 2^48 requests on one seed."""
        if not 0 <= count <= MOST_BYTES_A_REQUEST:
            raise DrbgError(f"a request is for at most {MOST_BYTES_A_REQUEST} bytes")
        if self._reseed_counter > RESEED_INTERVAL:
            raise DrbgError("the generator needs a new seed")
        data = bytes(_SEED_BYTES)
        if additional:
            data = _derive(additional)
            self._update(data)
        output = self._stream(count)
        self._update(data)
        self._reseed_counter += 1
        return output

    def _update(self, provided: bytes) -> None:
        """CTR_DRBG_Update (10.2.1.2)."""
        stream = self._stream(_SEED_BYTES)
        mixed = bytes(a ^ b for a, b in zip(stream, provided, strict=True))
        self._key, self._value = mixed[:_KEY_BYTES], mixed[_KEY_BYTES:]

    def _stream(self, count: int) -> bytes:
        """The encryptions of V + 1, V + 2, …, which V then stands at; CTR mode counts as the standard does."""
        first = (int.from_bytes(self._value) + 1) % 2 ** (8 * _BLOCK_BYTES)
        output = Cipher(AES256(self._key), CTR(first.to_bytes(_BLOCK_BYTES))).encryptor().update(bytes(count))
        last = (first - 1 + -(-count // _BLOCK_BYTES)) % 2 ** (8 * _BLOCK_BYTES)
        self._value = last.to_bytes(_BLOCK_BYTES)
        return output

    def __repr__(self) -> str:
        """Hide the state."""
        return "CtrDrbg(…)"


def _enough(entropy: bytes) -> bytes:
    if len(entropy) < LEAST_ENTROPY_BYTES:
        raise DrbgError(f"a seed needs at least {LEAST_ENTROPY_BYTES} bytes of entropy input")
    return entropy


def _derive(text: bytes) -> bytes:
    """Block_Cipher_df to the length of a seed (10.3.2)."""
    framed = struct.pack(">II", len(text), _SEED_BYTES) + text + b"\x80"
    framed += bytes(-len(framed) % _BLOCK_BYTES)
    key = bytes(range(_KEY_BYTES))
    chained = b"".join(
        _chain(key, struct.pack(">I", index) + bytes(_BLOCK_BYTES - 4) + framed)
        for index in range(_SEED_BYTES // _BLOCK_BYTES)
    )
    encrypt = Cipher(AES256(chained[:_KEY_BYTES]), ECB()).encryptor()  # noqa: S305 - single blocks, as 10.3.2 asks
    value, output = chained[_KEY_BYTES:], b""
    while len(output) < _SEED_BYTES:
        value = encrypt.update(value)
        output += value
    return output


def _chain(key: bytes, data: bytes) -> bytes:
    """BCC: the last block of CBC with a zero vector (10.3.3)."""
    encrypt = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305 - chained here
    value = bytes(_BLOCK_BYTES)
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES]
        value = encrypt.update(bytes(a ^ b for a, b in zip(value, block, strict=True)))
    return value
