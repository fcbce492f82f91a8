import base64
import json
import random
from typing import Any

import httpx
import pytest
from qm.entropy.v1 import entropy_pb2 as pb
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST

from edge.dialects.qmumma.entropy import OCTETS, written
from edge.exchange import prefers
from tests.unit.edge.conftest import SEAL

GENERATE = "/v1/entropy/generate"


async def _ask(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post(GENERATE, json=body)


async def test_plain_bits_come_without_record_and_seal(client: httpx.AsyncClient, world: Any):
    answer = await _ask(client, bits=12)
    assert answer.status_code == 200
    assert answer.json() == {
        "data": "0001",
        "bits": 12,
        "source": "sim.stabilizer",
        "simulated": True,
        "grade": "drbg",
        "nist_tests_passed": True,
        "cost_usd": 0.01,
    }
    [asked] = world.entropy.asked
    assert (asked.source, asked.grade, asked.keep_answer, asked.encoding) == ("auto", pb.GRADE_DRBG, False, 1)
    assert asked.requester.environment == ENVIRONMENT_TEST


@pytest.mark.parametrize(
    ("form", "data"), [("hex", "0001020A"[:6]), ("base64", base64.b64encode(b"\0\1\2").decode()), ("bytes", [0, 1, 2])]
)
async def test_each_format_is_written_as_the_contract_says(client: httpx.AsyncClient, form: str, data: Any):
    assert (await _ask(client, bits=24, format=form)).json()["data"] == data


@pytest.mark.parametrize("size", [1, 24_575, 24_576, 24_577, 49_153])
def test_what_is_written_in_pieces_is_one_value(size: int):
    data = random.Random(size).randbytes(size)
    assert json.loads(b"".join(written(data, "hex"))) == data.hex().upper()
    assert json.loads(b"".join(written(data, "base64"))) == base64.b64encode(data).decode()
    assert json.loads(b"".join(written(data, "bytes"))) == list(data)


async def test_certified_bits_are_the_record_byte_for_byte_with_data_and_seal(client: httpx.AsyncClient, world: Any):
    answer = await _ask(client, bits=12, certification=True)
    assert world.entropy.record[1:-1] in answer.content
    members = answer.json()
    assert members["audit_hash"] == "sha256:" + b"a".hex() * 32
    assert members["key_id"] == "vajra-2026-01"
    assert answer.headers["link"] == (
        '</v1/entropy/records/qm_entropy_0199d1c27d3e7c559f5a3c0f5d2b7a10>; rel="describedby"'
    )


async def test_certified_bits_come_with_their_proof_where_it_is_asked_for(client: httpx.AsyncClient, world: Any):
    certified = {"bits": 12, "certification": True}
    unknown = await client.post(f"{GENERATE}?include=proof", json=certified)
    assert unknown.status_code == 200  # they are paid for, whether the log answers or not
    assert "proof" not in unknown.json()
    world.entropy.seal.leaf_hash = SEAL.leaf_hash
    answer = await client.post(f"{GENERATE}?include=proof", json=certified)
    assert set(answer.json()["proof"]) >= {"leaf", "leaf_index", "inclusion", "checkpoint", "digests"}
    asked = len(world.entropy.asked)
    octets = {"accept": "application/octet-stream"}
    for body, headers in (({"bits": 8}, {}), ({"bits": 8, "certification": True}, octets)):
        refused = await client.post(f"{GENERATE}?include=proof", json=body, headers=headers)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "include")
    assert len(world.entropy.asked) == asked


async def test_bytes_themselves_come_to_who_accepts_octets(client: httpx.AsyncClient):
    answer = await client.post(GENERATE, json={"bits": 12}, headers={"accept": "application/octet-stream"})
    assert answer.content == b"\0\1"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-entropy-simulated"] == "true"
    assert answer.headers["x-entropy-cost-usd"] == "0.01"
    assert not prefers(b"application/json, application/octet-stream", OCTETS)
    assert not prefers(b"*/*", OCTETS)


async def test_a_repeat_says_that_it_is_one(client: httpx.AsyncClient, world: Any):
    for replayed in (None, "true"):
        answer = await client.post(GENERATE, json={"bits": 8}, headers={"idempotency-key": "mine"})
        assert answer.headers.get("idempotency-replayed") == replayed
    first, second = world.entropy.asked
    assert first.request_id == second.request_id == "mine"
    assert first.keep_answer
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "bits"),
        ({"bits": 0}, "bits"),
        ({"bits": 10_000_001}, "bits"),
        ({"bits": "8"}, "bits"),
        ({"bits": True}, "bits"),
        ({"bits": 8, "format": "octal"}, "format"),
        ({"bits": 8, "certification": 1}, "certification"),
        ({"bits": 8, "source": ""}, "source"),
        ({"bits": 8, "grade": "quantum"}, "grade"),
        ({"bits": 8, "seed": 1}, "seed"),
    ],
)
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, world: Any, body: dict[str, Any], param: str):
    answer = await _ask(client, **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert not world.entropy.asked


async def test_records_pictures_sources_and_the_beacon_are_read(client: httpx.AsyncClient, world: Any):
    place = "/v1/entropy/records/qm_entropy_0199d1c27d3e7c559f5a3c0f5d2b7a10"
    assert (await client.get(place)).json()["type"] == "qmumma.entropy/v1"
    picture = await client.get(f"{place}/plot.svg")
    assert (picture.headers["content-type"], picture.content) == ("image/svg+xml", b"<svg/>")
    absent = await client.get("/v1/entropy/records/qm_job_1")
    assert (absent.status_code, absent.json()["error"]["param"]) == (404, "entropy_id")
    [source] = (await client.get("/v1/entropy/sources")).json()["sources"]
    assert (source["status"], source["reason"], source["assessed_min_entropy"]) == ("quarantined", "stuck", None)
    async with world.client(None) as anyone:
        for path in ("", "/latest", "/0"):
            assert (await anyone.get(f"/v1/entropy/beacon{path}")).status_code == 200
        assert (await anyone.get("/v1/entropy/beacon/-1")).status_code == 404
        assert (await anyone.get("/v1/entropy/sources")).status_code == 401
    assert [asked.HasField("beacon_index") for asked in world.entropy.asked[-3:]] == [False, False, True]
