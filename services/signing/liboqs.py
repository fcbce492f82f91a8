"""ML-DSA-65 from liboqs, through the optional package `liboqs-python`.

`import oqs` on a machine without the shared library counts down, clones a repository and ends the process with
SystemExit, so `find_library` looks where that package would look and the import happens only when the library is
there. The package named `oqs` on PyPI is another project; the distribution to install is `liboqs-python`.

liboqs generates keys from its random source only. To expand a given seed, that source answers with the seed
for the one call that asks for it, in the calling thread; the public key is then compared with OpenSSL's for the
same seed, so a liboqs that draws its randomness in another way is refused instead of used with a wrong key.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import importlib.metadata
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.signing.mldsa import (
    ALGORITHM,
    CONTEXT_BYTES_MAX,
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    OpenSsl,
    ProviderMissingError,
    require_context,
    require_length,
)

_RANDOM_SOURCE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)
_expanding = threading.Lock()


def find_library(environment: Mapping[str, str]) -> str | None:
    """Return the path or name of liboqs' shared library, or None.

    Looks where liboqs-python looks: the system's loader, then `lib` and `lib64` under OQS_INSTALL_PATH or ~/_oqs.
    """
    if found := ctypes.util.find_library("oqs"):
        return found
    root = Path(environment.get("OQS_INSTALL_PATH") or Path.home() / "_oqs")
    for folder in ("lib", "lib64"):
        if (library := root / folder / "liboqs.so").is_file():
            return str(library)
    return None


def load_package(environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - liboqs-python is untyped and optional
    """Import liboqs-python, or raise ProviderMissingError saying which of its two parts is absent."""
    try:
        importlib.metadata.version("liboqs-python")
    except importlib.metadata.PackageNotFoundError:
        message = "the ML-DSA provider `oqs` needs the package liboqs-python, which is not installed"
        raise ProviderMissingError(message) from None
    library = find_library(environment)
    if library is None:
        message = "the ML-DSA provider `oqs` needs liboqs' shared library; set OQS_INSTALL_PATH to its folder"
        raise ProviderMissingError(message)
    try:
        ctypes.CDLL(library)
    except OSError as error:
        message = f"liboqs at {library} does not load: {error}"
        raise ProviderMissingError(message) from error
    return importlib.import_module("oqs")


class LibOqsSigningKey:
    """A private key held by liboqs; its repr shows nothing of it."""

    __slots__ = ("_public", "_signature")

    def __init__(self, oqs: Any, seed: bytes) -> None:  # noqa: ANN401 - see load_package
        self._public = OpenSsl().signing_key(seed).public
        self._signature = oqs.Signature(ALGORITHM)
        if self._expand(oqs.native(), seed) != self._public:
            message = "this liboqs does not expand an ML-DSA seed as FIPS 204 does; use the provider `openssl`"
            raise ProviderMissingError(message)

    def _expand(self, native: Any, seed: bytes) -> bytes:  # noqa: ANN401 - see load_package
        """Generate the key pair with `seed` as the only random answer to this thread; others keep the system's."""
        expanding_thread = threading.get_ident()

        def answer(buffer: int, length: int) -> None:
            mine = threading.get_ident() == expanding_thread and length == len(seed)
            ctypes.memmove(buffer, seed if mine else os.urandom(length), length)

        source = _RANDOM_SOURCE(answer)
        with _expanding:
            native.OQS_randombytes_custom_algorithm(source)
            try:
                public: bytes = self._signature.generate_keypair()
            finally:
                native.OQS_randombytes_switch_algorithm(b"system")
        return public

    @property
    def public(self) -> bytes:
        """The public key, 1,952 bytes."""
        return self._public

    def sign(self, message: bytes, context: bytes) -> bytes:
        """Return a hedged signature of 3,309 bytes."""
        require_context(context)
        signature: bytes = self._signature.sign_with_ctx_str(message, context)
        return signature


class LibOqsVerifyingKey:
    """A public key for liboqs."""

    __slots__ = ("_public", "_signature")

    def __init__(self, oqs: Any, public: bytes) -> None:  # noqa: ANN401 - see load_package
        require_length("an ML-DSA-65 public key", public, PUBLIC_BYTES)
        self._public = public
        self._signature = oqs.Signature(ALGORITHM)

    def verify(self, message: bytes, signature: bytes, context: bytes) -> bool:
        """Tell whether `signature` is one of this key over `message` under `context`."""
        if len(context) > CONTEXT_BYTES_MAX or len(signature) != SIGNATURE_BYTES:
            return False
        valid: bool = self._signature.verify_with_ctx_str(message, signature, context, self._public)
        return valid


class LibOqs:
    """ML-DSA-65 from liboqs; ProviderMissingError where it is not installed."""

    name = "oqs"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._oqs = load_package(environment)

    def signing_key(self, seed: bytes) -> LibOqsSigningKey:
        """Expand a 32-byte seed."""
        return LibOqsSigningKey(self._oqs, seed)

    def verifying_key(self, public: bytes) -> LibOqsVerifyingKey:
        """Parse a 1,952-byte public key."""
        return LibOqsVerifyingKey(self._oqs, public)
