"""Which keys are made, which one signs, and that a stored key which was altered does not open."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from mesh.errors import Unavailable
from services.signing.custody import CustodyError, KeyEncryptionKey
from services.signing.keyring import CLOCK_LEEWAY, RECORD_KEY_LIFETIME, Locksmith
from services.signing.mldsa import OpenSsl

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
LOCKSMITH = Locksmith(OpenSsl(), KeyEncryptionKey(bytes(range(32))), "qmumma.local/log")
SECOND = dt.timedelta(seconds=1)


def test_the_first_start_makes_one_record_key_and_two_log_keys() -> None:
    keys = LOCKSMITH.missing([], NOW)
    assert [key.key_id for key in keys] == ["vajra-2026-01", "log-ed25519", "log-ml-dsa-65"]
    assert [key.expire_time for key in keys] == [NOW + RECORD_KEY_LIFETIME, None, None]
    assert LOCKSMITH.missing(keys, NOW) == []


def test_a_process_whose_clock_is_behind_makes_no_second_key() -> None:
    keys = LOCKSMITH.missing([], NOW)
    assert LOCKSMITH.missing(keys, NOW - CLOCK_LEEWAY) == []


def test_an_expired_record_key_gets_a_successor_and_stays() -> None:
    keys = LOCKSMITH.missing([], NOW)
    later = NOW + RECORD_KEY_LIFETIME
    made = LOCKSMITH.missing(keys, later)
    assert [key.key_id for key in made] == ["vajra-2027-01"]
    assert LOCKSMITH.open([*made, *keys], later).record.kid == "vajra-2027-01"


def test_the_newest_of_two_valid_keys_signs() -> None:
    keys = LOCKSMITH.missing([], NOW)
    next_day = NOW + dt.timedelta(days=1)
    newer = LOCKSMITH.missing([dataclasses.replace(keys[0], expire_time=NOW), *keys[1:]], next_day)
    assert LOCKSMITH.open([*keys, *newer], next_day).record.kid == "vajra-2026-02"


def test_an_opened_key_signs_until_it_expires() -> None:
    ring = LOCKSMITH.open(LOCKSMITH.missing([], NOW), NOW)
    end = NOW + RECORD_KEY_LIFETIME
    assert ring.record_key(end - SECOND).kid == "vajra-2026-01"
    with pytest.raises(Unavailable) as refused:
        ring.record_key(end)
    assert refused.value.reason == "SIGNING_KEY_EXPIRED"


def test_the_logs_keys_carry_its_name() -> None:
    keys = LOCKSMITH.open(LOCKSMITH.missing([], NOW), NOW).log_keys()
    assert [key.vkey.partition("+")[0] for key in keys] == ["qmumma.local/log"] * 2
    assert [len(key.public) for key in keys] == [32, 1952]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_row_with_another_public_key_does_not_open(number: int) -> None:
    keys = LOCKSMITH.missing([], NOW)
    keys[number] = dataclasses.replace(keys[number], public=bytes(len(keys[number].public)))
    with pytest.raises(CustodyError, match=f"{keys[number].key_id} does not give its public key"):
        LOCKSMITH.open(keys, NOW)


def test_a_stored_key_shows_nothing_of_its_seed() -> None:
    for key in LOCKSMITH.missing([], NOW):
        assert repr(key.wrapped_seed) not in repr(key)
