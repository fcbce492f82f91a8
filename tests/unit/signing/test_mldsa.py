"""ML-DSA-65 against NIST's vectors and a second implementation."""

from __future__ import annotations

import ctypes.util
import hashlib
import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from fast_mldsa.rust import MlDsa65
from fast_mldsa.rust import SigningKey as ReferenceKey
from fast_mldsa.rust import VerificationKey as ReferencePublicKey

from services.signing.liboqs import LibOqs, find_library
from services.signing.mldsa import OpenSsl, Provider, ProviderMissingError
from services.signing.providers import choose_provider
from tests.unit.signing.expansion import public_key

SEED = hashlib.sha256(b"seed").digest()
CONTEXT = b"qmumma.result/v1"


def reference_key(seed: bytes) -> tuple[ReferencePublicKey, ReferenceKey]:
    return MlDsa65.key_gen(seed)


def holds(provider: Provider, public: bytes, case: dict[str, Any]) -> bool:
    """Whether the provider, or for a bare hash the library under it, finds the case's signature good."""
    if "mu" not in case:
        return provider.verifying_key(public).verify(case["message"], case["signature"], case["context"])
    try:
        MLDSA65PublicKey.from_public_bytes(public).verify_mu(case["signature"], case["mu"])
    except InvalidSignature:
        return False
    return True


def test_seeds_expand_to_the_public_keys_that_nist_published(
    provider: Provider, acvp_key_generation: list[dict[str, Any]]
) -> None:
    assert len(acvp_key_generation) == 25
    for case in acvp_key_generation:
        assert provider.signing_key(case["seed"]).public == case["pk"], case["tcId"]


def test_verification_agrees_with_every_nist_verdict(
    provider: Provider, acvp_verification: list[dict[str, Any]]
) -> None:
    verdicts = {case["testPassed"] for case in acvp_verification}
    assert verdicts == {True, False}
    assert len(acvp_verification) == 30
    for case in acvp_verification:
        assert holds(provider, case["pk"], case) is case["testPassed"], case["tcId"]


def test_every_signature_that_nist_published_holds(provider: Provider, acvp_signing: list[dict[str, Any]]) -> None:
    """Deterministic and hedged ones, over messages with contexts and over bare hashes of them (mu)."""
    assert len(acvp_signing) == 60
    for case in acvp_signing:
        public = public_key(case["sk"])
        assert hashlib.shake_256(public).digest(64) == case["sk"][64:128]
        assert holds(provider, public, case), case["tcId"]


def test_the_reference_reproduces_nist_signatures_byte_for_byte(acvp_signing: list[dict[str, Any]]) -> None:
    """Which makes it fit to be the reference of the next test; these vectors hold no public key."""
    deterministic = [case for case in acvp_signing if "message" in case and "rnd" not in case]
    assert len(deterministic) == 15
    for case in deterministic:
        key = ReferenceKey.from_bytes(case["sk"])
        assert key.sign(case["message"], case["context"], deterministic=True) == case["signature"], case["tcId"]


def test_signatures_of_the_reference_hold_over_the_nist_messages(
    provider: Provider, acvp_signing: list[dict[str, Any]], acvp_key_generation: list[dict[str, Any]]
) -> None:
    messages = [case for case in acvp_signing if "message" in case]
    for seed, case in zip(acvp_key_generation, messages, strict=False):
        public, private = reference_key(seed["seed"])
        signature = private.sign(case["message"], case["context"], deterministic=True)
        assert provider.verifying_key(public.to_bytes()).verify(case["message"], signature, case["context"])


@pytest.mark.parametrize("context", [b"", CONTEXT, bytes(255)], ids=["empty", "type", "longest"])
def test_our_signatures_hold_for_the_reference(provider: Provider, context: bytes) -> None:
    key = provider.signing_key(SEED)
    public, _ = reference_key(SEED)
    assert key.public == public.to_bytes()
    assert public.verify(key.sign(b"message", context), b"message", context)


def test_a_signature_holds_for_its_own_message_context_and_key_only(provider: Provider) -> None:
    key = provider.signing_key(SEED)
    signature = key.sign(b"message", CONTEXT)
    own, other = provider.verifying_key(key.public), provider.verifying_key(provider.signing_key(bytes(32)).public)
    assert own.verify(b"message", signature, CONTEXT)
    assert not own.verify(b"messagf", signature, CONTEXT)
    assert not own.verify(b"message", signature, b"qmumma.result/v2")
    assert not own.verify(b"message", signature[:-1], CONTEXT)
    assert not own.verify(b"message", signature, bytes(256))
    assert not other.verify(b"message", signature, CONTEXT)


def test_signatures_are_hedged(provider: Provider) -> None:
    key = provider.signing_key(SEED)
    assert key.sign(b"message", CONTEXT) != key.sign(b"message", CONTEXT)


def test_a_context_of_256_bytes_is_refused(provider: Provider) -> None:
    with pytest.raises(ValueError, match="at most 255 bytes, not 256"):
        provider.signing_key(SEED).sign(b"message", bytes(256))


def test_keys_of_a_wrong_length_are_refused_without_quoting_them(provider: Provider) -> None:
    with pytest.raises(ValueError, match="seed must have 32 bytes, not 31"):
        provider.signing_key(SEED[:-1])
    with pytest.raises(ValueError, match="public key must have 1952 bytes, not 3"):
        provider.verifying_key(b"abc")


def test_a_signing_key_shows_no_secret(provider: Provider) -> None:
    assert SEED.hex() not in repr(provider.signing_key(SEED))


def test_oqs_is_refused_by_name_when_its_package_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(ProviderMissingError, match="liboqs-python, which is not installed"):
        choose_provider("oqs", {})


def test_oqs_is_never_imported_without_its_shared_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Importing it then would clone a repository and end the process."""
    imported: list[str] = []
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.16.0.1")
    monkeypatch.setattr(importlib, "import_module", imported.append)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    with pytest.raises(ProviderMissingError, match="OQS_INSTALL_PATH"):
        LibOqs({"OQS_INSTALL_PATH": str(tmp_path)})
    assert imported == []


def test_a_library_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "lib" / "liboqs.so"
    library.parent.mkdir()
    library.write_bytes(b"not a library")
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.16.0.1")
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    assert find_library({"OQS_INSTALL_PATH": str(tmp_path)}) == str(library)
    with pytest.raises(ProviderMissingError, match=r"liboqs\.so does not load"):
        LibOqs({"OQS_INSTALL_PATH": str(tmp_path)})


def test_auto_falls_back_to_openssl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    assert choose_provider("auto", {"OQS_INSTALL_PATH": str(tmp_path)}).name == "openssl"
    assert isinstance(choose_provider("openssl", {}), OpenSsl)
