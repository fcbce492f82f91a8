"""What proves an answer: keys, anchors, the log, and checking online and offline."""

from __future__ import annotations

import asyncio
import base64
import uuid
from pathlib import Path

import qmumma.cli
from qm.execution.v1 import execution_pb2
from qm.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST, Requester
from qmumma.documents import verify

from deploy.local.mesh import LocalMesh
from edge.dialects.qmumma.answers import Job, SubmittedJob
from edge.dialects.qmumma.proof import Anchor, KeySet
from tests.live import BELL_JOB, Api, Team, assert_is, operator_channel


async def test_public_keys_are_akp_of_ml_dsa_65_and_name_the_signer(own: Api, anyone: Api) -> None:
    keys = {key["kid"]: key for key in assert_is(await anyone.get("/.well-known/jwks.json"), KeySet)["keys"]}
    assert {(key["kty"], key["alg"]) for key in keys.values()} == {("AKP", "ML-DSA-65")}
    job = await own.run()
    assert len(base64.urlsafe_b64decode(keys[job["key_id"]]["pub"] + "==")) == 1952
    assert len(base64.b64decode(job["pqc_signature"])) == 3309


async def test_an_anchor_is_found_with_its_leaf_index_proof_and_checkpoint(api: Api, anyone: Api) -> None:
    txid = (await api.run())["blockchain_anchor"].removeprefix("vajra://txid/")
    found = assert_is(await anyone.get(f"/v1/anchors/{txid}"), Anchor)
    assert set(found) == {"blockchain_anchor", "leaf", "leaf_index", "tree_size", "inclusion", "checkpoint"}
    assert found["leaf_index"] < found["tree_size"]
    assert (await anyone.get(f"/v1/anchors/{'0' * 64}")).status_code == 404


async def test_the_checkpoint_is_a_signed_note_and_leads_to_tiles(api: Api, anyone: Api) -> None:
    await api.run()
    note = (await anyone.get("/v1/log/checkpoint")).text
    origin, size, root, empty, *signatures = note.split("\n")
    assert (empty, len(base64.b64decode(root))) == ("", 32)
    assert all(line.startswith(f"\u2014 {origin} ") for line in signatures[:1])
    width = min(int(size), 255)
    tile = await anyone.get(f"/v1/log/tile/0/000.p/{width}" if int(size) < 256 else "/v1/log/tile/0/000")
    assert (tile.status_code, len(tile.content) % 32) == (200, 0)


async def test_an_entropy_answer_and_a_certificate_are_verified_as_a_result_is(own: Api, anyone: Api) -> None:
    body = {"bits": 2048, "certification": True}
    certified, job = await asyncio.gather(own.patient_post("/v1/entropy/generate", body), own.run())
    pdf = (await own.get(f"/v1/jobs/{job['job_id']}/certificate")).content
    for content, kind in ((certified.content, "application/json"), (pdf, "application/pdf")):
        told = await anyone.http.post("/v1/verify", content=content, headers={"Content-Type": kind})
        assert (told.status_code, told.json()["valid"]) == (200, True), told.text
    flipped = bytearray(pdf)
    flipped[len(pdf) // 2] ^= 1
    told = await anyone.http.post("/v1/verify", content=bytes(flipped), headers={"Content-Type": "application/pdf"})
    assert told.status_code == 400 or told.json()["valid"] is False
    forged = certified.content.replace(b'"bits":2048', b'"bits":2049', 1)
    told = await anyone.http.post("/v1/verify", content=forged, headers={"Content-Type": "application/json"})
    assert told.json()["valid"] is False


async def test_a_job_goes_from_submission_to_a_result_that_verifies_offline(api: Api, anyone: Api) -> None:
    accepted = await api.submit({**BELL_JOB, "seed": 2**63 - 1})
    assert accepted.status_code == 202
    assert_is(accepted, SubmittedJob)
    place = accepted.headers["location"]
    job = await api.finished(accepted.json()["job_id"])
    assert (job["status"], job["execution"]["seed"], sum(job["result"]["counts"].values())) == (
        "completed",
        str(2**63 - 1),
        1024,
    )
    held = await api.get(f"{place}?include=proof")
    assert_is(held, Job)
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    assert_is(jwks, KeySet)
    report = verify(held.content, jwks.content, log_keys.text)
    assert report.failed == ()
    online = await anyone.http.post("/v1/verify", json=held.json())
    assert online.json()["valid"] is True
    anchor = await anyone.get(f"/v1/anchors/{held.json()['blockchain_anchor'].removeprefix('vajra://txid/')}")
    assert_is(anchor, Anchor)
    assert anchor.json()["leaf"] == held.json()["proof"]["leaf"]


async def test_one_altered_member_is_named_with_or_without_the_proof(api: Api, anyone: Api) -> None:
    job = await api.run()
    altered = {**job, "shots": 2048}
    report = (await anyone.http.post("/v1/verify", json=altered)).json()
    assert report["valid"] is False
    assert "audit_hash" in [check["name"] for check in report["checks"] if not check["ok"]]
    held = (await api.get(f"/v1/jobs/{job['job_id']}?include=proof")).json()
    report = (await anyone.http.post("/v1/verify", json={**held, "shots": 2048})).json()
    assert "shots" in [check["name"] for check in report["checks"] if not check["ok"]]


async def test_a_number_that_no_record_can_hold_is_named_online_as_offline(api: Api, anyone: Api) -> None:
    job = await api.run()
    held = await api.get(f"/v1/jobs/{job['job_id']}?include=proof")
    altered = held.content.replace(b'"shots":1024', b'"shots":1024.00000000000000000001', 1)
    assert altered != held.content
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    offline = [(check.name, check.ok) for check in verify(altered, jwks.content, log_keys.text).checks]
    answer = await anyone.http.post("/v1/verify", content=altered, headers={"Content-Type": "application/json"})
    assert [(check["name"], check["ok"]) for check in answer.json()["checks"]] == offline
    assert offline == [("result.shots", False)]


async def test_the_log_is_witnessed_and_a_monitor_that_follows_it_finds_it_honest(
    mesh: LocalMesh, api: Api, anyone: Api, tmp_path: Path
) -> None:
    job = await api.run()
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    witness = mesh.layout.state / "witness" / "witness.vkey"

    async def witnessed() -> bool:
        held = await api.get(f"/v1/jobs/{job['job_id']}?include=proof")
        return verify(held.content, jwks.content, log_keys.text, witness_keys=witness.read_text()).ok

    async with asyncio.timeout(20):
        while not await witnessed():
            await asyncio.sleep(0.05)
    arguments = ["log", "monitor", mesh.base_url, "--once", "--state", str(tmp_path / "log.json")]
    for _ in range(2):
        status = await asyncio.to_thread(qmumma.cli.main, [*arguments, "--witness-key", str(witness)])
        assert status == qmumma.cli.EXIT_HOLDS
    tile = await anyone.get("/v1/log/tile/entries/000.p/1")
    assert tile.status_code == 200
    again = await anyone.http.get("/v1/log/tile/entries/000.p/1", headers={"If-None-Match": tile.headers["etag"]})
    assert again.status_code == 304


async def test_a_completed_job_has_a_page_for_whoever_holds_its_token(
    mesh: LocalMesh, team: Team, api: Api, anyone: Api
) -> None:
    job = await api.run()
    canonical_id = str(uuid.UUID(job["job_id"].removeprefix("qm_job_")))
    async with operator_channel(mesh, "execution") as channel:
        whose = Requester(
            team_id=team.team_id,
            user_id=team.user_id,
            key_id=team.key_ids["test"],
            plan="commercial",
            environment=ENVIRONMENT_TEST,
        )
        request = execution_pb2.GetJobRequest(requester=whose, job_id=canonical_id)
        token = (await ExecutionServiceStub(channel).GetJob(request)).job.view_token
    page = await anyone.get(f"/verify/{job['job_id']}?t={token}")
    assert page.status_code == 200
    assert "This result is genuine" in page.text
    assert (await anyone.get(f"/verify/{job['job_id']}?t={token[:-1]}")).status_code == 404
