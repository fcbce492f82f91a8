"""`POST /v1/entropy/generate`: each line of what it promises."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx
import pytest
from qmumma.documents import verify_trusting
from qmumma.verification import Trust

from edge.dialects.qmumma.entropy_types import Entropy
from tests.live import Api, assert_is, error_of

PLAIN = {"data", "bits", "source", "nist_tests_passed", "cost_usd", "simulated", "grade"}
CERTIFIED = {"pqc_signature", "key_id", "audit_hash", "blockchain_anchor", "report", "data_sha256", "entropy_id"}


EXCURSIONS = {"RandomExcursions": 8, "RandomExcursionsVariant": 18}
"""Tests of SP 800-22 that need 500 returns of the walk to zero, and how many p-values they have."""
GENERATE = "/v1/entropy/generate"


async def generate(api: Api, body: dict[str, Any], path: str = GENERATE, **headers: str) -> httpx.Response:
    """The answer, once the pool of a mesh that has just started is filled."""
    answer = await api.patient_post(path, body, **headers)
    assert answer.status_code == 200, answer.text
    return answer


async def test_bits_come_in_hex_uncertified_unless_it_is_said(own: Api) -> None:
    body = assert_is(await generate(own, {"bits": 256}), Entropy)
    assert set(body) == PLAIN
    assert (len(bytes.fromhex(body["data"])), body["data"]) == (32, body["data"].upper())
    assert (body["bits"], body["simulated"]) == (256, True)
    assert isinstance(body["nist_tests_passed"], bool)


@pytest.mark.parametrize("bits", [1, 12, 8191])
async def test_bits_that_fill_no_byte_sit_at_its_high_end(own: Api, bits: int) -> None:
    size, spare = -(-bits // 8), -bits % 8
    texts = {
        form: (await generate(own, {"bits": bits, "format": form})).json()["data"]
        for form in ("hex", "base64", "bytes")
    }
    for data in (bytes.fromhex(texts["hex"]), base64.b64decode(texts["base64"], validate=True), bytes(texts["bytes"])):
        assert len(data) == size
        assert data[-1] & ((1 << spare) - 1) == 0


async def test_the_bytes_themselves_come_where_they_are_asked_for(own: Api) -> None:
    answer = await generate(own, {"bits": 12}, Accept="application/octet-stream")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (len(answer.content), answer.content[1] & 15) == (2, 0)
    assert answer.headers["x-entropy-simulated"] == "true"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "bits"),
        ({"bits": 0}, "bits"),
        ({"bits": 10_000_001}, "bits"),
        ({"bits": 1.5}, "bits"),
        ({"bits": 8, "format": "binary"}, "format"),
        ({"bits": 8, "certification": "yes"}, "certification"),
        ({"bits": 8, "source": "nowhere"}, "source"),
        ({"bits": 8, "more": 1}, "more"),
    ],
)
async def test_what_is_wrong_is_named(own: Api, body: dict[str, Any], param: str) -> None:
    assert error_of(await own.http.post("/v1/entropy/generate", json=body)) == (400, "bad_request", param)


@pytest.mark.parametrize(("bits", "cents"), [(1, 1), (10_000, 1), (10_001, 2), (1_000_000, 100)])
async def test_ten_thousand_started_bits_cost_a_cent_and_a_test_key_pays_nothing(
    own: Api, bits: int, cents: int
) -> None:
    billed = own.http.headers["Authorization"].startswith("Bearer qm_live_")
    cost = (await generate(own, {"bits": bits})).json()["cost_usd"]
    assert cost == pytest.approx(cents / 100 if billed else 0)


async def test_certified_bits_are_signed_with_their_report(own: Api, anyone: Api) -> None:
    body = assert_is(await generate(own, {"bits": 10_000, "format": "hex", "certification": True}), Entropy)
    assert set(body) >= PLAIN | CERTIFIED
    assert body["data_sha256"] == hashlib.sha256(bytes.fromhex(body["data"])).hexdigest()
    report = body["report"]
    assert report["source"]["id"] == body["source"]
    tests = report["sp800_22"]["tests"]
    assert sum(len(test["p_values"]) for test in tests) == report["sp800_22"]["p_value_count"]
    absent = {test["name"] for test in tests if test.get("not_applicable")}
    assert absent in (set(), set(EXCURSIONS))  # one walk in eight comes back to zero too seldom for them
    assert report["sp800_22"]["p_value_count"] + sum(EXCURSIONS[name] for name in absent) == 188
    assert 0 < report["sp800_90b"]["min_entropy"] <= 1
    assert report["health_tests"]["passed"] is True
    assert report["conditioning"]
    held = (await own.get(f"/v1/entropy/records/{body['entropy_id']}?include=proof")).json()
    assert (await anyone.http.post("/v1/verify", json=held)).json()["valid"] is True


@pytest.mark.parametrize("form", ["hex", "base64", "bytes"])
async def test_certified_bits_are_checked_offline_as_they_were_answered(own: Api, anyone: Api, form: str) -> None:
    asked = {"bits": 1003, "format": form, "certification": True}
    answer = await generate(own, asked, path="/v1/entropy/generate?include=proof")
    keys = [(await anyone.get(path)).content for path in ("/.well-known/jwks.json", "/v1/log/keys")]
    trust = Trust.read(keys[0], keys[1].decode())
    report = verify_trusting(answer.content, trust)
    assert report.ok
    assert "data" in {check.name for check in report.checks}
    body = answer.json()
    assert (await anyone.get(body["report"]["plot"].replace("plot.svg", "nothing"))).status_code == 404
    assert b"<svg" in (await own.get(body["report"]["plot"])).content
    held = await own.get(f"/v1/entropy/records/{body['entropy_id']}?include=proof")
    bits = bytes.fromhex(body["data"]) if form == "hex" else None
    if bits is not None:
        assert verify_trusting(held.content, trust, bits).ok
        assert not verify_trusting(held.content, trust, bits[:-1]).ok


async def test_a_source_may_be_named_and_a_simulator_is_never_called_quantum(own: Api) -> None:
    sources = (await own.get("/v1/entropy/sources")).json()["sources"]
    assert all(source["simulated"] for source in sources if source["id"].startswith("sim."))
    answer = (await generate(own, {"bits": 8, "source": "sim.stabilizer"})).json()
    assert (answer["source"], answer["simulated"], answer["grade"]) == ("sim.stabilizer", True, "drbg")
    refused = await own.http.post(
        "/v1/entropy/generate", json={"bits": 8, "source": "sim.stabilizer", "grade": "full_entropy"}
    )
    assert error_of(refused) == (400, "bad_request", "grade")
