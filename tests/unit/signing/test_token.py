"""A key-encryption key in a PKCS#11 token: SoftHSM, of Debian's package `softhsm2`."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pkcs11
import pytest

from services.signing.custody import WRAPPED_BYTES, CustodyError, KeyEncryptionKey, Seed
from services.signing.keyring import Locksmith
from services.signing.mldsa import OpenSsl
from services.signing.token import TokenConfig, TokenKey

LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"
SECRET = bytes(range(100, 132))


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> TokenConfig:
    """A token with two AES keys: `kek`, which never leaves it, and `short`, which has 128 bits."""
    if not LIBRARY.exists() or shutil.which("softhsm2-util") is None:
        pytest.skip(f"{LIBRARY} is not installed: apt-get install softhsm2")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    make = ("softhsm2-util", "--init-token", "--free", "--label", "qmumma", "--pin", PIN, "--so-pin", PIN)
    subprocess.run(make, check=True, capture_output=True)
    found = pkcs11.lib(str(LIBRARY)).get_token(token_label="qmumma")
    never_leaves = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
    with found.open(rw=True, user_pin=PIN) as session:
        session.generate_key(pkcs11.KeyType.AES, 256, label="kek", store=True, template=never_leaves)
        session.generate_key(pkcs11.KeyType.AES, 128, label="short", store=True, template=never_leaves)
    (folder / "pin").write_text(PIN + "\n")
    return TokenConfig(module=LIBRARY, token="qmumma", key="kek", pin_file=folder / "pin")


def test_a_seed_that_the_token_wrapped_opens_in_it_under_the_same_id_only(token: TokenConfig) -> None:
    key = TokenKey(token)
    wrapped = key.wrap(Seed(SECRET), "vajra-2026-01")
    assert len(wrapped) == WRAPPED_BYTES
    assert SECRET not in wrapped
    assert key.unwrap(wrapped, "vajra-2026-01").reveal() == SECRET
    assert wrapped != key.wrap(Seed(SECRET), "vajra-2026-01")
    for other in (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), wrapped[:20] + b"\0\0" + wrapped[22:]):
        with pytest.raises(CustodyError, match="does not open"):
            key.unwrap(other, "vajra-2026-01")
    with pytest.raises(CustodyError, match="vajra-2026-02 does not open"):
        key.unwrap(wrapped, "vajra-2026-02")


def test_seeds_move_from_a_file_into_the_token(token: TokenConfig) -> None:
    file = KeyEncryptionKey(bytes(32))
    before = Locksmith(OpenSsl(), file, "log")
    keys = before.log_keys((), dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    moved = Locksmith(OpenSsl(), TokenKey(token), "log", previous=file).rewrapped(keys)
    assert [TokenKey(token).unwrap(key.wrapped_seed, key.key_id).reveal() for key in moved] == [
        file.unwrap(key.wrapped_seed, key.key_id).reveal() for key in keys
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token": "absent"}, "has no token 'absent'"),
        ({"key": "absent"}, "has no one AES key 'absent'"),
        ({"key": "short"}, "has 128 bits, not 256"),
        ({"module": Path("/nowhere.so")}, "/nowhere.so does not load"),
        ({"pin_file": Path("/nowhere")}, "PIN file /nowhere cannot be read"),
    ],
)
def test_what_is_missing_is_named(token: TokenConfig, changes: dict[str, str | Path], message: str) -> None:
    with pytest.raises(CustodyError, match=message):
        TokenKey(msgspec.structs.replace(token, **changes))


def test_a_wrong_pin_is_told_and_not_quoted(token: TokenConfig, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("987654")
    with pytest.raises(CustodyError, match="cannot be opened: PinIncorrect") as refused:
        TokenKey(msgspec.structs.replace(token, pin_file=tmp_path / "pin"))
    assert "987654" not in str(refused.value)
