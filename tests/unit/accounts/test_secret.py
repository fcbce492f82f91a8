import re
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.config import ConfigError
from services.accounts.key import Environment
from services.accounts.secret import Pepper, hint, is_well_formed, make_secret

PEPPER = Pepper(bytes(range(32)))


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [
        (Environment.LIVE, "qm_live_sk_"),
        (Environment.TEST, "qm_test_sk_"),
        (Environment.ENTERPRISE, "qm_ent_sk_"),
    ],
)
def test_a_secret_says_its_environment_and_has_43_digits(environment: Environment, prefix: str):
    secret = make_secret(environment, secrets.token_bytes)
    assert re.fullmatch(prefix + "[0-9A-Za-z]{43}", secret)
    assert is_well_formed(secret)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_other_bytes_make_another_secret(first: bytes, second: bytes):
    made = [make_secret(Environment.LIVE, lambda _count, value=value: value) for value in (first, second)]
    assert (made[0] == made[1]) == (first == second)


def test_the_digits_are_base_62():
    zero = make_secret(Environment.LIVE, bytes)
    assert zero == "qm_live_sk_" + "0" * 43
    sixty_two = make_secret(Environment.LIVE, (62).to_bytes)
    assert sixty_two == "qm_live_sk_" + "0" * 41 + "10"
    last_digit = make_secret(Environment.LIVE, (61).to_bytes)
    assert last_digit.endswith("0z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qm_live_sk_",
        "qm_live_sk_" + "a" * 42,
        "qm_live_sk_" + "a" * 44,
        "qm_live_sk_" + "a" * 42 + "-",
        "qm_live_sk_" + "a" * 42 + "é",
        "qm_live_sk_" + "a" * 43 + "\n",
        " qm_live_sk_" + "a" * 43,
        "qm_prod_sk_" + "a" * 43,
        "QM_LIVE_SK_" + "a" * 43,
        "qm_live_" + "a" * 43,
    ],
)
def test_what_is_no_secret_of_ours_is_seen_by_its_shape(text: str):
    assert not is_well_formed(text)


def test_a_hint_shows_four_digits():
    assert hint("qm_ent_sk_" + "8x9z" + "q" * 39) == "qm_ent_sk_8x9z"


def test_a_digest_depends_on_the_whole_secret_and_on_the_pepper():
    secret = "qm_live_sk_" + "a" * 43
    digests = {
        PEPPER.digest(secret),
        PEPPER.digest(secret.replace("live", "test")),
        PEPPER.digest(secret[:-1] + "b"),
        Pepper(bytes(32)).digest(secret),
    }
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {32}
    assert PEPPER.digest(secret) == PEPPER.digest(secret)


def test_a_digest_is_hmac_sha_256():
    """RFC 4231, test case 6 has a key longer than a block; the digest is that of the data alone."""
    data = "Test Using Larger Than Block-Size Key - Hash Key First"
    expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    assert Pepper(b"\xaa" * 131).digest(data).hex() == expected


def test_a_pepper_does_not_show_itself():
    pepper = Pepper(b"this must never be in a log line")
    for shown in (repr(pepper), str(pepper), f"{pepper}", repr([pepper])):
        assert "never" not in shown


def test_a_pepper_that_is_missing_or_short_refuses_to_start_without_telling_it(tmp_path: Path):
    short = tmp_path / "pepper"
    short.write_bytes(b"a short pepper")
    with pytest.raises(ConfigError, match="at least 32 bytes, not 14") as refusal:
        Pepper.read(short)
    assert "a short pepper" not in str(refusal.value)
    with pytest.raises(ConfigError, match="No such file"):
        Pepper.read(tmp_path / "missing")


def test_a_pepper_is_read_byte_by_byte(tmp_path: Path):
    file = tmp_path / "pepper"
    file.write_bytes(bytes(range(32)))
    assert Pepper.read(file).digest("x") == PEPPER.digest("x")
