"""What was done is told with who and from where, and proves itself: the trail, the certificate and its roots."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

from qmumma import verify

from deploy.local.mesh import LocalMesh
from tests.live import Api, Team


async def told(api: Api, job_id: str, *actions: str) -> list[dict[str, Any]]:
    """The entries of a job, once these actions are among them."""
    async with asyncio.timeout(20):
        while True:
            page = (await api.get(f"/v1/audit?object={job_id}")).json()
            entries = [outer["entry"] for outer in page["entries"]]
            if set(actions) <= {entry["action"] for entry in entries}:
                return entries
            await asyncio.sleep(0.05)


async def test_a_job_and_its_certificate_are_told_with_address_and_proof(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    job = await api.run()
    # What a client says of itself is not believed: no proxy is trusted here.
    forwarded = {"x-forwarded-for": "203.0.113.9", "x-request-id": "audit-1"}
    certificate = await api.get(f"/v1/jobs/{job['job_id']}/certificate", **forwarded)
    assert certificate.status_code == 200
    entries = await told(api, job["job_id"], "job.submitted", "job.completed", "certificate.issued")
    address = {entry["action"]: entry["address"] for entry in entries}
    assert address == {"job.submitted": "127.0.0.1", "job.completed": "", "certificate.issued": "127.0.0.1"}
    assert {entry["request_id"] for entry in entries if entry["action"] == "certificate.issued"} == {"audit-1"}
    text = (await api.get(f"/v1/audit?object={job['job_id']}&format=csv")).text
    assert [row["address"] for row in csv.DictReader(io.StringIO(text, newline=""))] == list(address.values())
    keys, log, roots = [
        await api.get(path) for path in ("/.well-known/jwks.json", "/v1/log/keys", "/v1/certificates/roots")
    ]
    evidence = await api.get(f"/v1/jobs/{job['job_id']}/evidence")  # has the trail put into the log at once
    trail = await api.get("/v1/audit")
    assert all(
        outer["batch"] for outer in trail.json()["entries"] if outer["entry"]["action"] != "certificate.downloaded"
    )
    for document in (trail.content, certificate.content, evidence.content):
        assert verify(document, keys.content, log.text, roots=roots.content).failed == ()
    await api.close()
