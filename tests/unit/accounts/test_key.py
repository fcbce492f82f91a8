import datetime as dt
from dataclasses import replace

import pytest

from services.accounts.key import Environment, Key, KeyId
from services.accounts.team import TeamId
from services.accounts.user import UserId

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
MOMENT = dt.timedelta(microseconds=1)
KEY = Key(KeyId("k"), TeamId("t"), UserId("u"), "ci", Environment.LIVE, "qm_live_sk_8x9z", NOW)


def test_a_key_without_an_end_is_valid():
    assert KEY.is_valid(NOW + dt.timedelta(days=36500))


@pytest.mark.parametrize(("left", "valid"), [(MOMENT, True), (dt.timedelta(0), False), (-MOMENT, False)])
def test_a_key_ends_at_its_expire_time(left: dt.timedelta, valid: bool):  # noqa: FBT001
    assert replace(KEY, expire_time=NOW + left).is_valid(NOW) is valid


def test_a_revoked_key_is_never_valid():
    assert not replace(KEY, revoke_time=NOW).is_valid(NOW - MOMENT)
