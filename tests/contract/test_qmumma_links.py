"""The links of the document, followed from real answers: each leads to something."""

from __future__ import annotations

from typing import Any

import httpx
import pytest_asyncio

from deploy.local.mesh import LocalMesh
from tests.live import BELL_JOB, Api, Team
from tests.sink import sink

NOTHING_YET = {"getNewestBeacon", "getBeacon"}
"""A mesh that has just started may have none."""
AND_SO_IT_IS = {
    ("submitJob", "cancelJob"),
    ("getJob", "cancelJob"),
    ("rotateKey", "rotateKey"),
    ("createKey", "rotateKey"),
}
"""Where the next step may come too late: what it would change has ended or was changed already (409)."""


class Document:
    """The operations and links of the served document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def links(self) -> set[tuple[str, str]]:
        return {
            (name, link["operationId"])
            for name, (_, _, operation) in self._operations.items()
            for response in operation["responses"].values()
            for link in response.get("links", {}).values()
        }

    def links_of(self, name: str, status: int) -> list[dict[str, Any]]:
        response = self._operations[name][2]["responses"][str(status)]
        return list(response.get("links", {}).values())

    async def follow(self, api: Api, link: dict[str, Any], value: Any) -> httpx.Response:
        """Send the request that a link says, of the values of an answer."""
        method, path, operation = self._operations[link["operationId"]]
        query: dict[str, Any] = {}
        for name, place in link.get("parameters", {}).items():
            found = resolve(place, value)
            where = next(each["in"] for each in operation["parameters"] if each["name"] == name)
            if where == "path":
                path = path.replace(f"{{{name}}}", str(found).replace("/", "%2F"))
            else:
                query[name] = found
        body = resolve(link["requestBody"], value) if "requestBody" in link else None
        required = operation.get("requestBody", {}).get("required", False)
        if body is None and required:
            examples = operation["requestBody"]["content"]["application/json"]["examples"]
            body = next(iter(examples.values()))["value"]
        return await api.http.request(method, path, params=query, json=body if body is not None or required else None)


def resolve(expression: str, value: Any) -> Any:
    """The value of a runtime expression over the body of an answer."""
    pointer = expression.removeprefix("$response.body").removeprefix("#")
    for name in pointer.split("/")[1:]:
        value = value[int(name) if isinstance(value, list) else name]
    return value


@pytest_asyncio.fixture
async def answers(mesh: LocalMesh, big: Team) -> dict[str, httpx.Response]:
    """An answer of each operation that has links, by its id."""
    api = Api(mesh, big.secrets["test"])
    async with sink() as endpoint:
        submitted = await api.submit({**BELL_JOB, "webhook_url": endpoint.url()})
        await endpoint.wait(1)
    billed = Api(mesh, big.secrets["live"])  # without which there is no statement
    await billed.run(BELL_JOB)
    await billed.close()
    waiting = await api.submit(**{"X-Test-Fault": "queue_delay=600"})
    made, replaced = [
        await api.http.post("/v1/keys", json={"name": name, "environment": "test"}) for name in ("made", "replaced")
    ]
    deliveries = await api.get("/v1/webhooks/deliveries")
    delivery = deliveries.json()["deliveries"][0]["delivery_id"]
    entropy = await api.patient_post("/v1/entropy/generate", {"bits": 64, "certification": True})
    found = {
        "submitJob": submitted,
        "getJob": await api.get(submitted.headers["location"]),
        "listJobs": await api.get("/v1/jobs"),
        "cancelJob": await api.http.post(f"{waiting.headers['location']}/cancel"),
        "quoteJob": await api.http.post("/v1/jobs/quote", json=BELL_JOB),
        "createKey": made,
        "rotateKey": await api.http.post(f"/v1/keys/{replaced.json()['key_id']}/rotate", json={"grace_seconds": 0}),
        "listKeys": await api.get("/v1/keys"),
        "listWebhookDeliveries": deliveries,
        "retryWebhookDelivery": await api.http.post(f"/v1/webhooks/deliveries/{delivery}/retry"),
        "generateEntropy": entropy,
        "getEntropyRecord": await api.get(f"/v1/entropy/records/{entropy.json()['entropy_id']}"),
        "listAlgorithms": await api.get("/v1/marketplace/algorithms"),
        "getUsage": await api.get("/v1/billing/usage"),
        "listStatements": await api.get("/v1/billing/statements"),
        "getAlgorithm": await api.get("/v1/marketplace/algorithms/circuit.openqasm.v1"),
    }
    await api.close()
    return found


async def test_every_link_leads_to_an_answer(
    mesh: LocalMesh, big: Team, anyone: Api, answers: dict[str, httpx.Response]
) -> None:
    document = Document((await anyone.get("/v1/openapi.json")).json())
    api, followed = Api(mesh, big.secrets["test"]), set[tuple[str, str]]()
    for name, answer in answers.items():
        assert answer.is_success, (name, answer.text)
        of_cancelled = name == "cancelJob"
        for link in document.links_of(name, answer.status_code):
            step = (name, link["operationId"])
            next_answer = await document.follow(api, link, answer.json())
            late = next_answer.status_code == 409 and (step in AND_SO_IT_IS or of_cancelled)
            assert next_answer.is_success or late, (step, next_answer.status_code, next_answer.text)
            followed.add(step)
    await api.close()
    known = {(name, target) for name, target in document.links() if not name.endswith("Alias")}
    assert {(name, target) for name, target in known - followed if name not in NOTHING_YET} == set()
