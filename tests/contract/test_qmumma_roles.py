"""What members, admins and owners may do with keys and with accounts at providers."""

from __future__ import annotations

import pytest
from qm.accounts.v1 import accounts_pb2 as pb

from deploy.local.mesh import LocalMesh
from edge.dialects.qmumma.credentials import CredentialsNote
from tests.contract.keyed import made, member
from tests.live import Api, Team, assert_is, error_of


async def test_a_member_manages_the_own_keys_and_sees_no_others(mesh: LocalMesh, big: Team, own: Api) -> None:
    api, _ = await member(mesh, big, pb.ROLE_MEMBER)
    mine, others = await made(api, "live"), await made(own)
    assert {key["user_id"] for key in (await api.get("/v1/keys")).json()["keys"]} == {mine["user_id"]}
    place = f"/v1/keys/{others['key_id']}"
    for answer in (await api.http.delete(place), await api.http.post(f"{place}/rotate", json={"grace_seconds": 0})):
        assert error_of(answer)[:2] == (403, "forbidden")
    assert (await api.http.delete(f"/v1/keys/{mine['key_id']}")).status_code == 200
    await api.close()


async def test_an_admin_revokes_every_key_and_gets_no_secret_of_an_owner(mesh: LocalMesh, big: Team, own: Api) -> None:
    api, _ = await member(mesh, big, pb.ROLE_ADMIN)
    junior, _ = await member(mesh, big, pb.ROLE_MEMBER)
    owners, members = await made(own), await made(junior)
    for key, status in ((owners, 403), (members, 201)):
        answer = await api.http.post(f"/v1/keys/{key['key_id']}/rotate", json={"grace_seconds": 60})
        assert answer.status_code == status
        assert (await api.http.delete(f"/v1/keys/{key['key_id']}")).status_code == 200
    for each in (api, junior):
        await each.close()


async def test_a_test_key_ends_no_live_key(mesh: LocalMesh, big: Team) -> None:
    api = Api(mesh, big.secrets["test"])
    place = f"/v1/keys/qm_key_{big.key_ids['live'].replace('-', '')}"
    for answer in (await api.http.delete(place), await api.http.post(f"{place}/rotate", json={"grace_seconds": 0})):
        assert error_of(answer)[:2] == (403, "forbidden")
    await api.close()


IBM = {"token": "never-to-be-shown", "instance": "crn:v1:bluemix"}


async def test_credentials_are_set_told_of_and_forgotten_but_never_shown(mesh: LocalMesh, big: Team) -> None:
    api = Api(mesh, big.secrets["live"])
    place = "/v1/providers/ibm/credentials"
    assert error_of(await api.get(place))[:2] == (404, "not_found")
    for answer in (await api.http.put(place, json=IBM), await api.get(place)):
        assert assert_is(answer, CredentialsNote)["provider"] == "ibm"
        assert IBM["token"] not in answer.text
    assert [(await api.http.delete(place)).status_code for _ in range(2)] == [204, 204]
    assert error_of(await api.get(place))[:2] == (404, "not_found")
    assert IBM["token"] not in mesh.layout.log("services").read_text() + mesh.layout.log("edge").read_text()
    await api.close()


async def test_credentials_are_for_owners_and_admins_with_a_live_key(mesh: LocalMesh, big: Team) -> None:
    plain, _ = await member(mesh, big, pb.ROLE_MEMBER)
    admin, _ = await member(mesh, big, pb.ROLE_ADMIN)
    tester = Api(mesh, big.secrets["test"])
    place = "/v1/providers/ionq/credentials"
    for api, statuses in ((plain, (403, 403, 403)), (tester, (404, 403, 403)), (admin, (404, 200, 204))):
        answers = (await api.get(place), await api.http.put(place, json={"api_key": "k"}), await api.http.delete(place))
        assert tuple(answer.status_code for answer in answers) == statuses
        await api.close()


@pytest.mark.parametrize(
    ("provider", "body", "param"),
    [
        ("ibm", {"instance": "crn"}, "token"),
        ("ibm", {**IBM, "channel": "elsewhere"}, "channel"),
        ("ionq", {"api_key": "with space"}, "api_key"),
        ("ionq", {"api_key": "newline\n"}, "credentials.ionq.api_key"),
        ("ionq", {"api_key": "k", "token": "k"}, "token"),
    ],
)
async def test_credentials_that_no_provider_has_are_refused(
    mesh: LocalMesh, big: Team, provider: str, body: dict[str, str], param: str
) -> None:
    api = Api(mesh, big.secrets["live"])
    answer = await api.http.put(f"/v1/providers/{provider}/credentials", json=body)
    assert error_of(answer) == (400, "bad_request", param)
    await api.close()
