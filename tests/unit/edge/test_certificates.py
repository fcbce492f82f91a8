"""Certificates and the audit trail over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.edge.conftest import World

JOB = "/v1/jobs/qm_job_0199d1c27d3e7c559f5a3c0f5d2b7a10"


async def test_a_certificate_is_a_pdf_with_a_name_and_a_tag(world: World, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{JOB}/certificate?framework=iso-27001&edition=new")
    assert (answer.status_code, answer.content) == (200, b"%PDF-1.7")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'attachment; filename="QMC-1-iso-27001-1.pdf"'
    assert answer.headers["etag"] == f'"{(b"s" * 32).hex()}"'
    (asked,) = world.certificates.asked
    assert (asked.framework, asked.reissue, asked.job_id) == ("iso-27001", True, "0199d1c2-7d3e-7c55-9f5a-3c0f5d2b7a10")


async def test_the_trail_comes_as_json_lines_and_harmless_csv(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/audit")).json()["entries"][0]["entry"]["object_id"] == "=1+1"
    lines = await client.get("/v1/audit?format=ndjson")
    assert (lines.headers["content-type"], len(lines.text.splitlines())) == ("application/x-ndjson", 1)
    cells = (await client.get("/v1/audit?format=csv")).text.splitlines()[1].split(",")
    assert '"\'=1+1"' in cells


async def test_the_trail_is_filtered_by_ids_as_they_are_shown(world: World, client: httpx.AsyncClient) -> None:
    digits, kept = "0199d1c27d3e7c559f5a3c0f5d2b7a10", "0199d1c2-7d3e-7c55-9f5a-3c0f5d2b7a10"
    for shown, asked in ((f"qm_key_{digits}", kept), (f"qm_user_{digits}", kept), (f"qm_job_{digits}",) * 2):
        await client.get(f"/v1/audit?object={shown}&actor={shown}")
        assert (world.certificates.asked[-1].object_id, world.certificates.asked[-1].actor_id) == (asked, asked)


@pytest.mark.parametrize("query", ["object=%00", "actor=%00", "after=-1", "limit=0", "format=xml", "since=1"])
async def test_a_wrong_query_of_the_trail_is_named(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/audit?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_nobody_reads_a_trail_without_a_key(world: World) -> None:
    async with world.client(secret=None) as client:
        assert (await client.get("/v1/audit")).status_code == 401
        assert (await client.get(f"{JOB}/certificate")).status_code == 401
