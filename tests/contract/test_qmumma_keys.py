"""Keys: prefixes, making, listing, rotating, revoking, and those that do not hold."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import uuid
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub

from deploy.local.mesh import LocalMesh
from edge.dialects.qmumma.keys import Key, KeyPage, NewKey, RotatedKey
from tests.contract.keyed import dies, made, member, works
from tests.live import Api, Team, assert_is, error_of, operator_channel

PREFIXES = {"live": "qm_live_", "test": "qm_test_", "enterprise": "qm_ent_"}


# Making


@pytest.mark.parametrize("environment", ["live", "test", "enterprise"])
async def test_a_key_has_the_prefix_of_its_environment_sk_and_43_base62_digits(
    mesh: LocalMesh, ent: Api, environment: str
) -> None:
    answer = await ent.http.post("/v1/keys", json={"name": "Nachtläufer 🚀", "environment": environment})
    key = assert_is(answer, NewKey)
    assert re.fullmatch(rf"{PREFIXES[environment]}sk_[0-9A-Za-z]{{43}}", key["secret"])
    assert (answer.status_code, key["name"], key["environment"]) == (201, "Nachtläufer 🚀", environment)
    assert key["secret"].startswith(key["hint"])
    assert await works(mesh, key["secret"])


async def test_a_key_ends_after_as_many_days_as_it_was_given(own: Api) -> None:
    key = await made(own, expires_in_days=90)
    created, ends = [dt.datetime.fromisoformat(key[name]) for name in ("created_at", "expires_at")]
    assert ends - created == dt.timedelta(days=90)
    assert "expires_at" not in await made(own)


async def test_a_secret_is_in_no_answer_but_the_first(own: Api) -> None:
    key = await made(own)
    listed = await own.get("/v1/keys?limit=100")
    assert key["key_id"] in listed.text
    assert "secret" not in listed.text
    assert key["secret"] not in listed.text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"environment": "test"}, "name"),
        ({"name": "x"}, "environment"),
        ({"name": "x" * 10_000, "environment": "test"}, "name"),
        ({"name": "", "environment": "test"}, "name"),
        ({"name": " \u00a0", "environment": "test"}, "name"),
        ({"name": "\u200d\ufe0f", "environment": "test"}, "name"),
        ({"name": "txt.\u202eexe", "environment": "test"}, "name"),
        ({"name": "a\nb", "environment": "test"}, "name"),
        ({"name": "x", "environment": "ent"}, "environment"),
        ({"name": "x", "environment": "test", "expires_in_days": 0}, "expires_in_days"),
        ({"name": "x", "environment": "test", "expires_in_days": 10**9}, "expires_in_days"),
        ({"name": "x", "environment": "test", "plan": "enterprise"}, "plan"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_and_the_field_named(own: Api, body: dict[str, Any], param: str) -> None:
    assert error_of(await own.http.post("/v1/keys", json=body)) == (400, "bad_request", param)


async def test_a_repeat_with_the_same_idempotency_key_answers_the_first_body(mesh: LocalMesh, own: Api) -> None:
    body, headers = {"name": "once", "environment": "test"}, {"Idempotency-Key": uuid.uuid4().hex}
    answers = await asyncio.gather(*(own.http.post("/v1/keys", json=body, headers=headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", *["true"] * 4]
    assert await works(mesh, answers[0].json()["secret"])
    other = await own.http.post("/v1/keys", json={**body, "name": "other"}, headers=headers)
    assert error_of(other) == (409, "conflict", "Idempotency-Key")


async def test_an_idempotency_key_of_one_user_tells_another_user_no_secret(
    mesh: LocalMesh, big: Team, own: Api
) -> None:
    body, headers = {"name": "mine", "environment": "test"}, {"Idempotency-Key": uuid.uuid4().hex}
    first = await own.http.post("/v1/keys", json=body, headers=headers)
    other, _ = await member(mesh, big, pb.ROLE_MEMBER)
    second = await other.http.post("/v1/keys", json=body, headers=headers)
    assert second.status_code == 201
    assert second.json()["secret"] != first.json()["secret"]
    assert second.json()["user_id"] != first.json()["user_id"]
    await other.close()


async def test_a_key_makes_no_key_above_itself(mesh: LocalMesh, big: Team) -> None:
    for own, above in (("test", "live"), ("test", "enterprise"), ("live", "enterprise")):
        api = Api(mesh, big.secrets[own])
        answer = await api.http.post("/v1/keys", json={"name": "x", "environment": above})
        assert error_of(answer) == (403, "forbidden", "environment")
        await api.close()


async def test_enterprise_keys_are_of_the_plan_enterprise_alone(mesh: LocalMesh, team: Team) -> None:
    async with operator_channel(mesh, "accounts") as channel:
        request = pb.CreateKeyRequest(
            request_id="x", team_id=team.team_id, user_id=team.user_id, name="x", environment=3
        )
        with pytest.raises(Exception, match="has no enterprise keys"):
            await AccountsServiceStub(channel).CreateKey(request)


# Listing


async def test_keys_are_listed_newest_first_in_pages_of_both_directions(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "enterprise")).secrets["ent"])
    newest_first = [(await made(api))["key_id"] for _ in range(4)][::-1]
    page = assert_is(await api.get("/v1/keys?limit=2"), KeyPage)
    assert ([key["key_id"] for key in page["keys"]], page["has_more"]) == (newest_first[:2], True)
    page = (await api.get(f"/v1/keys?limit=100&after={newest_first[1]}")).json()
    assert ([key["key_id"] for key in page["keys"]][:2], page["has_more"]) == (newest_first[2:], False)
    assert len(page["keys"]) == 5
    page = (await api.get(f"/v1/keys?limit=1&before={newest_first[2]}")).json()
    assert ([key["key_id"] for key in page["keys"]], page["has_more"]) == (newest_first[1:2], True)
    await api.close()


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "after=nothing", "before=qm_key_" + "0" * 32 + "%0A", "status=active",
     f"before=qm_key_{'0' * 32}&after=qm_key_{'0' * 32}"],
)  # fmt: skip
async def test_a_page_that_cannot_be_is_refused(own: Api, query: str) -> None:
    assert error_of(await own.get(f"/v1/keys?{query}")) == (400, "bad_request", query.partition("=")[0])


async def test_a_key_tells_when_it_was_last_used(mesh: LocalMesh, ent: Api) -> None:
    key = await made(ent)
    assert await works(mesh, key["secret"])
    async with asyncio.timeout(10):
        while True:
            [listed] = [each for each in (await ent.get("/v1/keys")).json()["keys"] if each["key_id"] == key["key_id"]]
            if "last_used_at" in listed:
                break
            await asyncio.sleep(0.2)
    assert listed["last_used_at"] > key["created_at"]


# Rotating


async def test_a_rotated_key_works_during_its_grace_and_is_dead_after_it(mesh: LocalMesh, own: Api) -> None:
    key = await made(own, expires_in_days=30)
    assert await works(mesh, key["secret"])
    answer = await own.http.post(f"/v1/keys/{key['key_id']}/rotate", json={"grace_seconds": 3})
    new = assert_is(answer, RotatedKey)
    assert (answer.status_code, new["replaces"]["key_id"]) == (201, key["key_id"])
    assert [new[name] for name in ("name", "environment", "user_id")] == [
        key[name] for name in ("name", "environment", "user_id")
    ]
    assert new["expires_at"] > key["expires_at"]
    assert await works(mesh, key["secret"])
    await dies(mesh, key["secret"], seconds=5)
    assert await works(mesh, new["secret"])


async def test_without_grace_a_rotated_key_is_dead_at_once_everywhere(mesh: LocalMesh, own: Api) -> None:
    key = await made(own)
    assert await works(mesh, key["secret"])
    await own.http.post(f"/v1/keys/{key['key_id']}/rotate", json={"grace_seconds": 0})
    await dies(mesh, key["secret"])


async def test_of_two_rotations_at_once_one_wins(own: Api) -> None:
    key = await made(own)
    place = f"/v1/keys/{key['key_id']}/rotate"
    answers = await asyncio.gather(*(own.http.post(place, json={"grace_seconds": 60}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_repeated_rotation_answers_the_first_body(own: Api) -> None:
    place, headers = f"/v1/keys/{(await made(own))['key_id']}/rotate", {"Idempotency-Key": uuid.uuid4().hex}
    first, again = [await own.http.post(place, json={"grace_seconds": 60}, headers=headers) for _ in range(2)]
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    other = await own.http.post(place, json={"grace_seconds": 61}, headers=headers)
    assert error_of(other) == (409, "conflict", "Idempotency-Key")


@pytest.mark.parametrize("body", [{}, {"grace_seconds": -1}, {"grace_seconds": 604_801}, {"grace_seconds": "1"}])
async def test_a_grace_outside_of_its_bounds_is_refused(own: Api, body: dict[str, Any]) -> None:
    place = f"/v1/keys/qm_key_{'0' * 32}/rotate"
    assert error_of(await own.http.post(place, json=body)) == (400, "bad_request", "grace_seconds")


# Revoking


async def test_a_revoked_key_is_dead_within_a_second_and_for_good(mesh: LocalMesh, own: Api) -> None:
    key = await made(own)
    assert await works(mesh, key["secret"])
    answer = await own.http.delete(f"/v1/keys/{key['key_id']}")
    gone = assert_is(answer, Key)
    await dies(mesh, key["secret"])
    again = await own.http.delete(f"/v1/keys/{key['key_id']}")
    assert again.json()["revoked_at"] == gone["revoked_at"]
    rotated = await own.http.post(f"/v1/keys/{key['key_id']}/rotate", json={"grace_seconds": 60})
    assert error_of(rotated) == (409, "conflict", "key_id")


async def test_a_key_of_another_team_does_not_exist(mesh: LocalMesh, own: Api) -> None:
    other = await Team.create(mesh, "student")
    for key_id in (other.key_ids["test"].replace("-", ""), "0" * 32, "nothing", "0" * 31 + "%0a"):
        place = f"/v1/keys/qm_key_{key_id}"
        for answer in (
            await own.http.delete(place),
            await own.http.post(f"{place}/rotate", json={"grace_seconds": 1}),
        ):
            assert error_of(answer)[:2] == (404, "not_found")
    assert await works(mesh, other.secrets["test"])


# Keys that do not hold


async def test_an_expired_key_is_401(mesh: LocalMesh, big: Team) -> None:
    end = Timestamp()
    end.FromDatetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1))
    async with operator_channel(mesh, "accounts") as channel:
        request = pb.CreateKeyRequest(
            request_id=uuid.uuid4().hex,
            team_id=big.team_id,
            user_id=big.user_id,
            name="short",
            environment=1,  # type: ignore[arg-type]
            expire_time=end,
        )
        made = await AccountsServiceStub(channel).CreateKey(request)
    assert await works(mesh, made.secret)
    await dies(mesh, made.secret, seconds=2)


@pytest.mark.parametrize(
    "secret",
    ["qm_live_sk_" + "a" * 43, "qm_prod_sk_" + "a" * 43, "qm_live_sk_" + "a" * 42, "qm_test_sk_" + "é" * 43,
     "qm_live_" + "a" * 10_000],
)  # fmt: skip
async def test_a_key_that_nobody_has_is_401(anyone: Api, secret: str) -> None:
    answer = await anyone.get("/v1/jobs", Authorization=f"Bearer {secret}".encode())  # type: ignore[arg-type]
    assert error_of(answer)[:2] == (401, "unauthorized")


async def test_a_secret_under_another_prefix_is_401(mesh: LocalMesh, big: Team) -> None:
    assert not await works(mesh, big.secrets["test"].replace("qm_test_", "qm_live_"))
