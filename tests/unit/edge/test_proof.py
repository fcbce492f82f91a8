"""Proof is open to all: anchors, keys, checkpoint, verification."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import rfc8785
from qm.execution.v1 import execution_pb2
from qm.signing.v1 import signing_pb2

from edge.app import Edge, create_app
from edge.dialects import Dialect
from edge.dialects.qmumma.proof import Proofs, Verification
from edge.dialects.qmumma.proof_routes import proof_operations
from edge.dialects.qmumma.verification import Document, Verifier
from mesh.telemetry import Telemetry
from services.signing.checkpoint import Checkpoint
from services.signing.keys import NamedKey, parse_key_id
from services.signing.mldsa import OpenSsl
from services.signing.note import Ed25519Signer, MlDsaSigner
from services.signing.proofs import prove_inclusion
from services.signing.records import RESULT_TYPE, Record, sign_record
from services.signing.tree import Frontier, hash_leaf

TXID = "ab" * 32
ID = "qm_job_00000000000000000000000000000001"


@pytest.fixture
async def anyone(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client(None) as client:
        yield client


@pytest.mark.parametrize("txid", [TXID, TXID.upper(), f"vajra%3A%2F%2Ftxid%2F{TXID}"])
async def test_an_anchor_is_found_by_either_form(anyone: httpx.AsyncClient, txid: str) -> None:
    assert (await anyone.get(f"/v1/anchors/{txid}")).json() == {
        "blockchain_anchor": f"vajra://txid/{TXID}",
        "leaf": '{"v":1}',
        "leaf_index": 4,
        "tree_size": 6,
        "inclusion": [base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)],
        "checkpoint": "note\n",
    }


@pytest.mark.parametrize("txid", ["00" * 32, "ab", "%00", "vajra%3A%2F%2Ftxid%2F", TXID + "0", "%E2%82%AC" * 64])
async def test_what_is_no_anchor_is_not_found(anyone: httpx.AsyncClient, txid: str) -> None:
    answer = await anyone.get(f"/v1/anchors/{txid}")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (404, "not_found", "txid")


async def test_keys_are_jwks_by_rfc_9964(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    (key,) = answer.json()["keys"]
    pub = key.pop("pub")
    assert key == {
        "kty": "AKP",
        "alg": "ML-DSA-65",
        "use": "sig",
        "kid": "vajra-2026-11",
        "status": "active",
        "not_before": "2027-01-15T08:00:00Z",
        "expires": "2028-01-15T08:00:00Z",
    }
    assert "=" not in pub
    assert base64.urlsafe_b64decode(pub + "==") == b"\x00\xff" * 976


async def test_the_log_tells_its_checkpoint_and_keys_as_text(anyone: httpx.AsyncClient) -> None:
    checkpoint, keys = await anyone.get("/v1/log/checkpoint"), await anyone.get("/v1/log/keys")
    assert checkpoint.headers["content-type"] == keys.headers["content-type"] == "text/plain; charset=utf-8"
    assert checkpoint.text == "qmumma/vajra\n6\nroot\n\n— sig\n"
    assert keys.text == "qmumma/vajra+0a0b0c0d+AQ==\nqmumma/vajra+01020304+/w==\n"


async def test_a_tile_is_told_once_and_for_ever(anyone: httpx.AsyncClient) -> None:
    tile = await anyone.get("/v1/log/tile/0/x001/067.p/2")
    assert (tile.content, tile.headers["content-type"]) == (b"\x01" * 64, "application/octet-stream")
    assert "immutable" in tile.headers["cache-control"]
    again = await anyone.get("/v1/log/tile/0/x001/067.p/2", headers={"if-none-match": tile.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for path in ("0/x001/067", "0/000/", "entries", "", "0%2Fx001", "%ff", "a" * 2000):
        answer = await anyone.get(f"/v1/log/tile/{path}")
        assert answer.status_code == 404, path
    assert (await anyone.get("/v1/log/tile/" + "a" * 2000)).json()["error"]["param"] == "tile"
    assert (await anyone.post("/v1/log/tile/0/000")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await anyone.get("/v1/log/witnesses")).text == "witness+0a0b0c0d+BA==\n"
    assert (await anyone.get("/v1/log/checkpoint?witnessed=maybe")).json()["error"]["param"] == "witnessed"


async def test_rotations_are_signed_answers_with_their_proofs(anyone: httpx.AsyncClient) -> None:
    [rotation] = (await anyone.get("/v1/log/rotations")).json()["rotations"]
    assert (rotation["type"], rotation["replaces"]) == ("qmumma.key/v1", "vajra-2026-10")
    assert rotation["blockchain_anchor"] == f"vajra://txid/{TXID}"
    assert rotation["proof"]["leaf_index"] == 4
    assert set(rotation["proof"]["digests"]) == {"type", "replaces"}


async def test_timestamps_say_which_roots_nobody_has_looked_up_here(anyone: httpx.AsyncClient) -> None:
    pending, complete = (await anyone.get("/v1/log/timestamps")).json()["timestamps"]
    assert pending == {
        "tree_size": 6,
        "calendar": "https://a",
        "digest": "sha256:" + "0" * 64,
        "status": "pending",
        "bitcoin_merkle_roots": {},
        "ots": "AQ==",
    }
    assert (complete["status"], complete["bitcoin_merkle_roots"]) == ("complete", {"9": "ab"})


async def test_verify_hands_signing_the_very_record_that_was_signed(world: Any, client: httpx.AsyncClient) -> None:
    job = world.execution.make()
    await world.execution.complete(job)
    body = (await client.get(f"/v1/jobs/{ID}")).json()
    answer = await client.post("/v1/verify", json=dict(reversed(body.items())))
    assert answer.json() == {"valid": True, "checks": [{"name": "signature", "ok": True, "detail": "holds"}]}
    (sent,) = world.signing.verified
    assert sent.record == job.record
    expected = signing_pb2.Seal()
    expected.CopyFrom(job.seal)
    expected.leaf_index = 4  # as the log tells, since the answer without a proof does not
    assert sent.seal == expected


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"pqc_signature": "!!!!"}, "pqc_signature"),
        ({"audit_hash": "sha256:xyz"}, "audit_hash"),
        ({"blockchain_anchor": "vajra://txid/1"}, "blockchain_anchor"),
        ({"key_id": 1}, "key_id"),
        ({"proof": "x"}, "proof"),
        ({"type": "result"}, "type"),
        ({"audit_hash": f"sha256:{'ab' * 32}\n"}, "audit_hash"),
        ({"blockchain_anchor": f"vajra://txid/{'ab' * 32}\n"}, "blockchain_anchor"),
    ],
)
async def test_what_cannot_be_a_result_is_refused(
    world: Any, client: httpx.AsyncClient, change: dict[str, Any], param: str
) -> None:
    await world.execution.complete(world.execution.make())
    body = (await client.get(f"/v1/jobs/{ID}")).json()
    answer = await client.post("/v1/verify", json={**body, **change})
    assert (answer.status_code, answer.json()["error"].get("param", "")) == (400, param)


@pytest.fixture
async def genuine(world: Any, client: httpx.AsyncClient) -> dict[str, Any]:
    """An answer with a proof whose every part is real: keys, signature, log of five entries."""
    provider = OpenSsl()
    seed = hashlib.sha256(b"a key for a test").digest()
    signer = NamedKey(parse_key_id("vajra-2026-01"), provider.signing_key(seed))
    notes = [Ed25519Signer("localhost/vajra", seed), MlDsaSigner("localhost/vajra", provider.signing_key(seed))]
    signed = sign_record(Record.of(RESULT_TYPE, {"job_id": ID, "result": {"energy": -1.1373}, "shots": 4096}), signer)
    leaves = [hash_leaf(b"%d" % n) for n in range(5)]
    leaves[3] = signed.leaf.hash()
    growth = Frontier().append(leaves)
    job = world.execution.make(state=execution_pb2.JOB_STATE_COMPLETED)
    job.record = signed.record.canonical
    job.seal.CopyFrom(
        signing_pb2.Seal(
            audit_hash=hashlib.sha256(job.record).digest(),
            signature=signed.signature,
            key_id=signer.kid,
            leaf_hash=leaves[3],
            leaf_index=3,
        )
    )
    anchor = signing_pb2.GetAnchorResponse(
        leaf=signed.leaf.text(),
        leaf_index=3,
        tree_size=5,
        inclusion=prove_inclusion(3, 5, dict(growth.rows)),
        checkpoint=Checkpoint("localhost/vajra", 5, growth.frontier.root()).sign(notes).render(),
    )

    async def get_anchor(_request: Any) -> signing_pb2.GetAnchorResponse:
        return anchor

    world.signing.GetAnchor = get_anchor
    world.signing.keys = signing_pb2.ListKeysResponse(
        keys=[
            signing_pb2.PublicKey(
                key_id=signer.kid, public_key=signer.public_key().public, state=signing_pb2.KEY_STATE_RETIRED
            )
        ],
        log_keys=[note.key.vkey for note in notes],
    )
    body: dict[str, Any] = (await client.get(f"/v1/jobs/{ID}?include=proof")).json()
    return body


async def test_a_genuine_answer_with_its_proof_is_valid(client: httpx.AsyncClient, genuine: dict[str, Any]) -> None:
    report = (await client.post("/v1/verify", json=genuine)).json()
    assert [check for check in report["checks"] if not check["ok"]] == []
    assert report["valid"] is True
    assert len(report["checks"]) > 5


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("shots", 4097, "shots"),
        ("result", {"energy": -1.1374}, "result"),
        ("proof.leaf_index", 2, "proof.leaf_index"),
        ("proof.inclusion.0", base64.b64encode(b"\x00" * 32).decode(), "proof.inclusion[0]"),
        ("proof.digests.shots", "sha256:" + "0" * 64, "proof.digests.shots"),
        ("proof.tree_size", 10**18, "proof.tree_size"),
    ],
)
async def test_what_was_altered_is_named(
    client: httpx.AsyncClient, genuine: dict[str, Any], path: str, value: Any, named: str
) -> None:
    *parents, last = path.split(".")
    place: Any = genuine
    for name in parents:
        place = place[name]
    place[int(last) if isinstance(place, list) else last] = value
    answer = await client.post("/v1/verify", json=genuine)
    assert answer.status_code == 200
    report = answer.json()
    assert report["valid"] is False
    assert named in [check["name"] for check in report["checks"] if not check["ok"]]


async def test_the_record_is_canonical_whatever_the_spelling_of_numbers(world: Any, client: httpx.AsyncClient) -> None:
    await world.execution.complete(world.execution.make())
    body = (await client.get(f"/v1/jobs/{ID}")).text.replace('"shots":4096', '"shots":4.096e3')
    answer = await client.post("/v1/verify", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    sent = world.signing.verified[0].record
    assert sent == rfc8785.dumps({**httpx.Response(200, content=sent).json()})
    assert b'"shots":4096' in sent


@pytest.mark.parametrize("altered", ["4096.00000000000000000001", "1e-400", "9007199254740993"])
async def test_a_number_that_no_signed_record_can_hold_is_named(
    world: Any, client: httpx.AsyncClient, altered: str
) -> None:
    await world.execution.complete(world.execution.make())
    body = (await client.get(f"/v1/jobs/{ID}")).text.replace('"shots":4096', f'"shots":{altered}')
    answer = await client.post("/v1/verify", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    report = answer.json()
    assert [(check["name"], check["ok"]) for check in report["checks"]] == [("shots", False)]
    assert "is no number that a signed record can hold" in report["checks"][0]["detail"]
    assert report["valid"] is False
    assert world.signing.verified == []


async def test_numbers_that_no_record_can_hold_are_named_by_their_place(world: Any, client: httpx.AsyncClient) -> None:
    await world.execution.complete(world.execution.make())
    body = (await client.get(f"/v1/jobs/{ID}")).json()
    body["result"] = {"energies": [-1.5, 2**60], "many": [2**60] * 100}
    report = (await client.post("/v1/verify", json=body)).json()
    assert report["checks"][0]["name"] == "result.energies[1]"
    assert len(report["checks"]) == 20


async def test_a_large_integer_that_a_double_keeps_is_checked_like_any_other(
    world: Any, client: httpx.AsyncClient
) -> None:
    await world.execution.complete(world.execution.make())
    body = (await client.get(f"/v1/jobs/{ID}")).json()
    answer = await client.post("/v1/verify", json={**body, "shots": 10**18})
    assert [check["name"] for check in answer.json()["checks"]] == ["signature"]
    assert b'"shots":1000000000000000000' in world.signing.verified[0].record


async def test_a_document_is_handed_to_the_service_that_knows_its_media_type() -> None:
    async def examine(document: bytes) -> Verification:
        return Verification(valid=document == b"%PDF-1.7", checks=[])

    verifier = Verifier(Any, {"application/pdf": Document("A certificate.", examine)})
    edge = Edge(
        Dialect(proof_operations(Proofs(Any), verifier), lambda refusal, _: refusal.message.encode()),
        authentication=Any,
        plans=Any,
        leases=Any,
        telemetry=Telemetry(),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(edge)), base_url="http://edge") as client:
        for kind in ("application/pdf", "Application/PDF; version=1.7"):
            answer = await client.post("/v1/verify", content=b"%PDF-1.7", headers={"content-type": kind})
            assert answer.json() == {"valid": True, "checks": []}
        answer = await client.post("/v1/verify", content=b"%PDF-1.7", headers={"content-type": "text/plain"})
        assert (answer.status_code, answer.text) == (
            415,
            "Send the body with Content-Type: application/json or application/pdf.",
        )


async def test_large_results_are_verified_one_at_a_time(world: Any, client: httpx.AsyncClient) -> None:
    await world.execution.complete(world.execution.make())
    small = (await client.get(f"/v1/jobs/{ID}")).json()
    large = {**small, "x": "y" * 70_000}
    entered, go_on = asyncio.Event(), asyncio.Event()
    get_anchor = world.signing.GetAnchor

    async def slow_anchor(request: Any) -> Any:
        entered.set()
        await go_on.wait()
        return await get_anchor(request)

    world.signing.GetAnchor = slow_anchor
    first = asyncio.create_task(client.post("/v1/verify", json=large))
    await entered.wait()
    second = await client.post("/v1/verify", json=large)
    assert (second.status_code, second.headers["retry-after"]) == (429, "5")
    go_on.set()
    assert (await first).status_code == 200
    assert (await client.post("/v1/verify", json=large)).status_code == 200
