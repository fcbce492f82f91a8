"""Which keys are made, which one signs, and that a stored key which was altered does not open."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import pytest
from qmumma.exact import canonical

from mesh.errors import Conflict, InvalidArgument, Unavailable
from services.signing.custody import CustodyError, KeyEncryptionKey
from services.signing.keyring import CLOCK_LEEWAY, Locksmith, State, StoredKey, record_keys
from services.signing.mldsa import OpenSsl
from services.signing.rotation import (
    AHEAD_MAX,
    HANDOVER,
    RECORD_KEY_LIFETIME,
    Order,
    due,
    first_keys,
    rotate,
    signer_of,
)

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
OLD, NEW = KeyEncryptionKey(bytes(range(32))), KeyEncryptionKey(bytes(32))
LOCKSMITH = Locksmith(OpenSsl(), OLD, "qmumma.local/log")
SECOND, DAY = dt.timedelta(seconds=1), dt.timedelta(days=1)


def first() -> list[StoredKey]:
    return list(first_keys(LOCKSMITH, [], NOW).new)


def rotated(held: list[StoredKey], now: dt.datetime, **order: dt.datetime) -> list[StoredKey]:
    """The keys after a rotation, as the database would have them."""
    change = rotate(LOCKSMITH, held, Order(f"r{len(held)}", "test", **order), now)
    changed = {key.key_id: key for key in change.changed}
    return [*change.new, *(changed.get(key.key_id, key) for key in held)]


def signs_at(held: list[StoredKey], now: dt.datetime) -> str:
    return LOCKSMITH.open(held, now).record_key(now).kid


def test_the_first_start_makes_one_record_key_and_two_log_keys() -> None:
    keys = first()
    assert [key.key_id for key in keys] == ["vajra-2026-01", "log-ed25519", "log-ml-dsa-65"]
    assert [key.expire_time for key in keys] == [NOW + RECORD_KEY_LIFETIME, None, None]
    assert first_keys(LOCKSMITH, keys, NOW).new == ()


def test_a_process_whose_clock_is_behind_signs_with_the_first_key() -> None:
    assert signs_at(first(), NOW - CLOCK_LEEWAY) == "vajra-2026-01"


def test_a_rotation_makes_a_key_that_signs_at_once_and_ends_the_one_before() -> None:
    keys = rotated(first(), NOW + DAY)
    assert signs_at(keys, NOW + DAY) == "vajra-2026-02"
    assert [key.key_id for key in record_keys(keys)] == ["vajra-2026-01", "vajra-2026-02"]
    before = record_keys(keys)[0]
    assert before.expire_time == NOW + DAY + CLOCK_LEEWAY
    assert [before.state_at(time) for time in (NOW - SECOND, NOW, NOW + DAY + CLOCK_LEEWAY)] == [
        State.PENDING,
        State.ACTIVE,
        State.RETIRED,
    ]


def test_a_rotation_ahead_waits_for_its_time() -> None:
    start = NOW + 30 * DAY
    keys = rotated(first(), NOW, not_before=start)
    assert signs_at(keys, start - SECOND) == "vajra-2026-01"
    assert signs_at(keys, start) == "vajra-2026-02"
    urgent = rotated(keys, NOW + DAY)
    assert [signs_at(urgent, time) for time in (NOW + DAY, start - SECOND, start)] == [
        "vajra-2026-03",
        "vajra-2026-03",
        "vajra-2026-02",
    ]


def test_a_repeated_order_changes_nothing() -> None:
    keys = rotated(first(), NOW + SECOND)
    change = rotate(LOCKSMITH, keys, Order(keys[0].request_id or "", "again"), NOW + DAY)
    assert (change.new, change.changed) == ((), ())


@pytest.mark.parametrize("ahead", [AHEAD_MAX + SECOND, RECORD_KEY_LIFETIME + SECOND])
def test_a_rotation_too_far_ahead_or_after_a_gap_is_refused(ahead: dt.timedelta) -> None:
    with pytest.raises(InvalidArgument) as refused:
        rotated(first(), NOW, not_before=NOW + ahead)
    assert refused.value.reason == "BAD_TIME"


def test_two_keys_do_not_begin_at_one_time_and_a_year_has_99_at_most() -> None:
    keys = rotated(first(), NOW, not_before=NOW + DAY)
    with pytest.raises(Conflict) as refused:
        rotated(keys, NOW, not_before=NOW + DAY)
    assert refused.value.reason == "KEY_EXISTS"
    last = dataclasses.replace(keys[0], key_id="vajra-2026-99")
    with pytest.raises(Conflict) as spent:
        rotated([last, *keys[1:]], NOW + 2 * DAY)
    assert spent.value.reason == "KEY_IDS_SPENT"


def test_what_the_log_is_told_names_the_key_its_time_and_the_one_that_it_replaces() -> None:
    keys = rotated(first(), NOW + DAY)
    text = keys[0].announcement
    assert text is not None
    told = json.loads(text)
    assert canonical(told) == text
    assert told == {
        "type": "qmumma.key/v1",
        "jwk": {"kty": "AKP", "alg": "ML-DSA-65", "use": "sig", "kid": "vajra-2026-02", "pub": told["jwk"]["pub"]},
        "not_before": "2026-11-22T12:00:00Z",
        "expires": "2027-11-22T12:00:00Z",
        "replaces": "vajra-2026-01",
        "reason": "test",
    }
    assert signer_of(keys[0], keys).key_id == "vajra-2026-01"


def test_a_rotation_is_due_by_age_and_before_the_end() -> None:
    keys = first()
    assert due(keys, NOW + 89 * DAY, 90 * DAY) is None
    by_age = due(keys, NOW + 90 * DAY, 90 * DAY)
    assert by_age is not None
    assert (by_age.request_id, by_age.reason) == ("after/vajra-2026-01", "every 90 days")
    end = NOW + RECORD_KEY_LIFETIME
    assert due(keys, end - HANDOVER - SECOND) is None
    assert due(keys, end - HANDOVER) == due(keys, end + DAY) == Order("after/vajra-2026-01", "vajra-2026-01 expires")
    late = rotated(keys, end + DAY)
    assert signs_at(late, end + DAY) == "vajra-2027-01"
    assert due(late, end + DAY) is None


def test_an_opened_key_signs_until_it_expires() -> None:
    ring = LOCKSMITH.open(first(), NOW)
    end = NOW + RECORD_KEY_LIFETIME
    assert ring.record_key(end - SECOND).kid == "vajra-2026-01"
    with pytest.raises(Unavailable) as refused:
        ring.record_key(end)
    assert refused.value.reason == "SIGNING_KEY_EXPIRED"


def test_the_logs_keys_carry_its_name() -> None:
    keys = LOCKSMITH.open(first(), NOW).log_keys()
    assert [key.vkey.partition("+")[0] for key in keys] == ["qmumma.local/log"] * 2
    assert [len(key.public) for key in keys] == [32, 1952]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_row_with_another_public_key_does_not_open(number: int) -> None:
    keys = first()
    keys[number] = dataclasses.replace(keys[number], public=bytes(len(keys[number].public)))
    with pytest.raises(CustodyError, match=f"{keys[number].key_id} does not give its public key"):
        LOCKSMITH.open(keys, NOW)


def test_seeds_move_to_a_new_key_encryption_key_and_those_that_moved_stay() -> None:
    keys = first()
    moving = dataclasses.replace(LOCKSMITH, wrapping=NEW, previous=OLD)
    moved = moving.rewrapped(keys)
    assert [key.key_id for key in moved] == [key.key_id for key in keys]
    alone = dataclasses.replace(LOCKSMITH, wrapping=NEW)
    assert alone.open(moved, NOW).record_key(NOW).key.public == keys[0].public
    assert moving.rewrapped(moved) == ()
    with pytest.raises(CustodyError, match="does not open"):
        dataclasses.replace(moving, previous=KeyEncryptionKey(bytes([1]) * 32)).rewrapped(keys)


def test_a_stored_key_shows_nothing_of_its_seed() -> None:
    for key in first():
        assert repr(key.wrapped_seed) not in repr(key)
