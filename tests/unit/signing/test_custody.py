"""Seeds at rest."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.custody import WRAPPED_BYTES, CustodyError, KeyEncryptionKey, Seed

KEY = bytes(range(32))
SECRET = bytes(range(100, 132))


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["", "="])
def test_a_key_is_read_from_base64_and_base64url_padded_or_not(encode: Callable[[bytes], bytes], padding: str) -> None:
    key = b"\xfb\xff" * 16
    text = encode(key).decode().rstrip("=") + padding
    wrapped = KeyEncryptionKey(key).wrap(Seed(SECRET), "k")
    assert KeyEncryptionKey.from_text(text, "QM_KEK").unwrap(wrapped, "k").reveal() == SECRET


def test_a_wrapped_seed_opens_under_the_same_key_and_id() -> None:
    wrapped = KeyEncryptionKey(KEY).wrap(Seed(SECRET), "vajra-2026-01")
    assert len(wrapped) == WRAPPED_BYTES
    assert SECRET not in wrapped
    assert KeyEncryptionKey(KEY).unwrap(wrapped, "vajra-2026-01").reveal() == SECRET


def test_a_seed_moved_to_another_id_does_not_open() -> None:
    wrapped = KeyEncryptionKey(KEY).wrap(Seed(SECRET), "vajra-2026-01")
    with pytest.raises(CustodyError, match="vajra-2026-02 does not open"):
        KeyEncryptionKey(KEY).unwrap(wrapped, "vajra-2026-02")


def test_another_key_encryption_key_does_not_open_it() -> None:
    wrapped = KeyEncryptionKey(KEY).wrap(Seed(SECRET), "vajra-2026-01")
    with pytest.raises(CustodyError, match="another key-encryption key"):
        KeyEncryptionKey(bytes(32)).unwrap(wrapped, "vajra-2026-01")


@given(st.integers(0, WRAPPED_BYTES - 1), st.integers(1, 255))
def test_one_altered_byte_does_not_open(place: int, change: int) -> None:
    wrapped = bytearray(KeyEncryptionKey(KEY).wrap(Seed(SECRET), "vajra-2026-01"))
    wrapped[place] ^= change
    with pytest.raises(CustodyError):
        KeyEncryptionKey(KEY).unwrap(bytes(wrapped), "vajra-2026-01")


def test_every_wrap_draws_its_own_nonce() -> None:
    key = KeyEncryptionKey(KEY)
    assert key.wrap(Seed(SECRET), "k") != key.wrap(Seed(SECRET), "k")
    assert key.wrap(Seed(SECRET), "k", random=bytes)[1:13] == bytes(12)


def test_secrets_do_not_show() -> None:
    shown = repr(Seed(SECRET)) + str(Seed(SECRET)) + repr(KeyEncryptionKey(KEY))
    for secret in (SECRET, KEY):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Seed(SECRET))


def test_the_key_is_read_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "kek"
    file.write_text(base64.b64encode(KEY).decode() + "\n")
    file.chmod(0o600)
    wrapped = KeyEncryptionKey(KEY).wrap(Seed(SECRET), "k")
    assert KeyEncryptionKey.from_file(file).unwrap(wrapped, "k").reveal() == SECRET


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kek"
    file.write_text(base64.b64encode(KEY).decode())
    file.chmod(0o644)
    with pytest.raises(CustodyError, match="make it mode 0600"):
        KeyEncryptionKey.from_file(file)


def test_a_missing_key_is_named_and_a_bad_one_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="absent cannot be read"):
        KeyEncryptionKey.from_file(tmp_path / "absent")
    with pytest.raises(CustodyError, match="QM_KEK is not set"):
        KeyEncryptionKey.from_environment("QM_KEK", {})
    with pytest.raises(CustodyError, match="QM_KEK must hold the base64 of 32 bytes") as refused:
        KeyEncryptionKey.from_environment("QM_KEK", {"QM_KEK": "hunter2"})
    assert "hunter2" not in str(refused.value)
