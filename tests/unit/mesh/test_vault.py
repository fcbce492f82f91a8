"""Secrets at rest."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mesh.config import ConfigError
from mesh.vault import Vault, VaultError
from services.accounts.team import TeamId

KEY = bytes(range(32))
TEAM, OTHER = TeamId("team"), TeamId("other")
PLACE = "provider_secrets|sealed"
SECRET = b"a token that nobody else should see"


def test_a_secret_opens_where_it_was_sealed() -> None:
    vault = Vault(KEY)
    sealed = vault.seal(SECRET, TEAM, PLACE)
    assert SECRET not in sealed
    assert Vault(KEY).open(sealed, TEAM, PLACE, vault.kid) == SECRET


def test_a_secret_is_aes_256_gcm_under_the_place_where_it_is_kept() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    vault = Vault(KEY)
    sealed = vault.seal(SECRET, TEAM, PLACE, random=lambda count: b"n" * count)
    data = f"team|provider_secrets|sealed|{vault.kid}".encode()
    assert sealed == b"\x01" + b"n" * 12 + AESGCM(KEY).encrypt(b"n" * 12, SECRET, data)


def test_two_seals_of_one_secret_differ() -> None:
    vault = Vault(KEY)
    assert vault.seal(SECRET, TEAM, PLACE) != vault.seal(SECRET, TEAM, PLACE)


def test_a_secret_does_not_open_in_another_teams_row_or_column() -> None:
    vault = Vault(KEY)
    sealed = vault.seal(SECRET, TEAM, PLACE)
    for team, place in ((OTHER, PLACE), (TEAM, "provider_secrets|other")):
        with pytest.raises(VaultError, match="altered or moved"):
            vault.open(sealed, team, place, vault.kid)


@pytest.mark.parametrize("position", [0, 1, 13, -1])
def test_one_changed_bit_is_found(position: int) -> None:
    vault = Vault(KEY)
    sealed = bytearray(vault.seal(SECRET, TEAM, PLACE))
    sealed[position] ^= 1
    with pytest.raises(VaultError):
        vault.open(bytes(sealed), TEAM, PLACE, vault.kid)


def test_another_key_is_named_and_not_shown() -> None:
    vault, other = Vault(KEY), Vault(KEY[::-1])
    assert vault.kid != other.kid
    with pytest.raises(VaultError, match=vault.kid):
        other.open(vault.seal(SECRET, TEAM, PLACE), TEAM, PLACE, vault.kid)
    assert repr(vault) == "Vault(…)"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(base64.b64encode(KEY))
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        Vault.read(file)
    file.chmod(0o600)
    assert Vault.read(file).kid == Vault(KEY).kid


@pytest.mark.parametrize("content", [b"", b"short", base64.b64encode(KEY[:31]), b"\xff" * 44])
def test_a_key_file_without_32_bytes_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="base64 of 32 bytes"):
        Vault.read(file)


def test_a_key_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        Vault.read(tmp_path / "nowhere")
