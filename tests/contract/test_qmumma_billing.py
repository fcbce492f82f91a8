"""Money over the whole mesh: budgets, usage and statements, and a thousand submissions at once at a cap."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from qm.accounts.v1 import accounts_pb2
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.billing.v1 import billing_pb2
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qm.type.v1.requester_pb2 import ENVIRONMENT_LIVE

from deploy.local.mesh import LocalMesh
from edge.bodies import parse_text
from tests.live import BELL_JOB, Api, Team, error_of, operator_channel

if TYPE_CHECKING:
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub

BUDGET = "/v1/billing/budget"
PRICE = Decimal("0.1")


@pytest.fixture
async def billing(mesh: LocalMesh) -> AsyncIterator[BillingServiceAsyncStub]:
    """The books, as the operator sees them; their laws hold after every test."""
    async with operator_channel(mesh, "billing") as channel:
        stub: BillingServiceAsyncStub = BillingServiceStub(channel)  # type: ignore[assignment]
        yield stub
        checked = await stub.CheckLedger(billing_pb2.CheckLedgerRequest())
        assert (checked.sum.micros, list(checked.violations)) == (0, [])


@pytest.fixture
async def payer(mesh: LocalMesh) -> AsyncIterator[Api]:
    """A team of its own that pays for every job, with its live key."""
    api = Api(mesh, (await Team.create(mesh, "enterprise")).secrets["live"])
    yield api
    await api.close()


async def told(api: Api, path: str) -> dict[str, Any]:
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = parse_text(answer.content)
    return value


async def set_budget(api: Api, budget: str) -> dict[str, Any]:
    answer = await api.http.put(
        BUDGET, content=f'{{"budget_usd": {budget}}}', headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = parse_text(answer.content)
    return value


async def nothing_held(api: Api) -> dict[str, Any]:
    """The usage, once every job has ended."""
    async with asyncio.timeout(120):
        while (usage := await told(api, "/v1/billing/usage"))["held_usd"]:
            await asyncio.sleep(0.1)
    return usage


def this_month() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()[:7]


async def test_a_thousand_submissions_at_once_take_every_included_job_and_the_budget_to_the_last_cent(
    mesh: LocalMesh, billing: BillingServiceAsyncStub
) -> None:
    team = await Team.create(mesh, "enterprise")
    keys = [team.secrets["live"], team.secrets["ent"]]
    api = Api(mesh, keys[0])
    await billing.SetTerms(billing_pb2.SetTermsRequest(team_id=team.team_id, included_job_count=8))
    await set_budget(api, "0.599999")
    answers = await submit_at_once(mesh, keys, 1000)
    assert Counter(status for status, _ in answers) == {202: 13, 402: 987}
    assert sorted(body["cost_usd"] for status, body in answers if status == 202) == [0] * 8 + [PRICE] * 5
    refused = next(body["error"] for status, body in answers if status == 402)
    assert refused["type"] == "payment_required"
    for words in ("costs $0.10", "has $0.099999 left", "owner or admin of the team can raise it"):
        assert words in refused["message"]
    usage = await told(api, "/v1/billing/usage")
    assert (usage["spent_usd"] + usage["held_usd"], usage["remaining_usd"]) == (5 * PRICE, Decimal("0.099999"))
    assert usage["included_jobs"] | {"resets_at": ""} == {
        "per": "month",
        "total": 8,
        "used": 8,
        "left": 0,
        "resets_at": "",
        "then": "billed",
    }
    assert (await nothing_held(api))["spent_usd"] == 5 * PRICE
    await api.close()


async def submit_at_once(mesh: LocalMesh, secrets: list[str], count: int) -> list[tuple[int, dict[str, Any]]]:
    """Status and body of as many submissions, by the keys in turn; a 503 is sent again, as clients do.

    All of them are on their way, over 40 connections, before the first is answered.
    """
    answers: dict[int, tuple[int, dict[str, Any]]] = {}
    body, run = json.dumps(BELL_JOB).encode(), uuid.uuid4().hex
    while missing := [number for number in range(count) if answers.get(number, (503,))[0] == 503]:
        lanes = [missing[first::40] for first in range(min(40, len(missing)))]
        ways = [await asyncio.open_connection("127.0.0.1", mesh.layout.ports["edge"]) for _ in lanes]
        for (_, writer), lane in zip(ways, lanes, strict=True):
            for number in lane:
                writer.write(
                    b"POST /v1/jobs/submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    b"Authorization: Bearer %s\r\nIdempotency-Key: %s-%d\r\nContent-Length: %d\r\n\r\n%s"
                    % (secrets[number % len(secrets)].encode(), run.encode(), number, len(body), body)
                )
        read = [read_answers(reader, lane) for (reader, _), lane in zip(ways, lanes, strict=True)]
        for lane_answers in await asyncio.gather(*read):
            answers |= lane_answers
        for _, writer in ways:
            writer.close()
    return [answers[number] for number in range(count)]


async def read_answers(reader: asyncio.StreamReader, lane: list[int]) -> dict[int, tuple[int, dict[str, Any]]]:
    answers = {}
    for number in lane:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answers[number] = int(head[9:12]), parse_text(await reader.readexactly(length))
    return answers


async def test_a_budget_that_changes_among_submissions_counts_from_its_answer_on(
    payer: Api, billing: BillingServiceAsyncStub
) -> None:
    del billing
    await set_budget(payer, "0.2")
    submitting = [asyncio.create_task(payer.submit()) for _ in range(12)]
    raised = await set_budget(payer, "0.3")
    assert {(await each).status_code for each in submitting} <= {202, 402}
    while (await payer.submit()).status_code == 202:
        pass
    usage = await told(payer, "/v1/billing/usage")
    assert usage["spent_usd"] + usage["held_usd"] == raised["budget_usd"] == 3 * PRICE
    await set_budget(payer, "100")
    submitting = [asyncio.create_task(payer.submit()) for _ in range(12)]
    await asyncio.wait(submitting, return_when=asyncio.FIRST_COMPLETED)
    lowered = await set_budget(payer, "0.5")
    await asyncio.wait(submitting)
    usage = await told(payer, "/v1/billing/usage")
    known = lowered["spent_usd"] + lowered["held_usd"]
    assert usage["spent_usd"] + usage["held_usd"] == max(known, 5 * PRICE)
    await set_budget(payer, "0")
    assert (await payer.submit()).status_code == 402
    assert (await nothing_held(payer))["spent_usd"] == max(known, 5 * PRICE), "what was held goes on"


async def test_owners_and_admins_change_the_budget_members_and_test_keys_read_it(mesh: LocalMesh) -> None:
    team = await Team.create(mesh, "enterprise")
    secrets = await keys_of_roles(mesh, team)
    for role, secret in secrets.items():
        api = Api(mesh, secret)
        answers = [
            await api.http.put(BUDGET, json={"budget_usd": 7}),
            await api.http.delete(BUDGET),
            await api.get(BUDGET),
            await api.get("/v1/billing/usage"),
            await api.get("/v1/billing/statements"),
        ]
        changes = [200, 204] if role in {"owner", "admin"} else [403, 403]
        assert [answer.status_code for answer in answers] == [*changes, 200, 200, 200], role
        await api.close()


async def test_another_team_sees_nothing_of_it(mesh: LocalMesh, payer: Api) -> None:
    await set_budget(payer, "1")
    job = await payer.run()
    other = Api(mesh, (await Team.create(mesh, "enterprise")).secrets["live"])
    assert "budget_usd" not in await told(other, BUDGET)
    assert (await told(other, "/v1/billing/statements"))["statements"] == []
    path = f"/v1/billing/statements/{this_month()}"
    assert (await told(other, path))["lines"] == []
    stranger = await other.get(f"{path}?after={job['job_id']}")
    assert error_of(stranger) == (404, "not_found", "after")
    await other.close()


async def test_a_tier_of_qcos_counts_jobs_by_the_day_and_bounds_their_size(mesh: LocalMesh) -> None:
    api = Api(mesh, (await Team.create(mesh, "qcos_free")).secrets["live"])
    chain = "".join(f"cx q[{number}],q[{number + 1}];" for number in range(20))
    wide = f'OPENQASM 2.0; include "qelib1.inc"; qreg q[21]; creg c[21]; h q[0]; {chain} measure q -> c;'
    refused = await api.submit({**BELL_JOB, "parameters": {"qasm": wide}})
    assert error_of(refused)[:2] == (403, "forbidden")
    assert "at most 20 qubits; this one has 21" in refused.json()["error"]["message"]
    many = {**BELL_JOB, "shots": 1025}
    quoted = await api.http.post("/v1/jobs/quote", json=many)
    assert error_of(await api.submit(many)) == error_of(quoted) == (403, "forbidden", "shots")
    assert parse_text((await api.submit()).content)["cost_usd"] == 0
    included = (await told(api, "/v1/billing/usage"))["included_jobs"]
    assert [included[name] for name in ("per", "total", "used", "left", "then")] == ["day", 10, 1, 9, "refused"]
    await api.close()


@pytest.mark.parametrize("plan", ["academic", "commercial"])
async def test_a_paid_plan_bills_the_job_after_its_included_ones(
    mesh: LocalMesh, billing: BillingServiceAsyncStub, plan: str
) -> None:
    team = await Team.create(mesh, plan)
    await billing.SetTerms(billing_pb2.SetTermsRequest(team_id=team.team_id, included_job_count=1))
    api = Api(mesh, team.secrets["live"])
    assert [parse_text((await api.submit()).content)["cost_usd"] for _ in range(2)] == [0, PRICE]
    await api.close()


async def test_who_changed_a_budget_is_in_the_audit_trail(payer: Api) -> None:
    await set_budget(payer, "12.5")
    assert (await payer.http.delete(BUDGET)).status_code == 204
    async with asyncio.timeout(20):
        while len(entries := await budget_changes(payer)) < 2:
            await asyncio.sleep(0.1)
    assert [(each["action"], each["details"]) for each in entries] == [
        ("budget.set", {"before": "none", "after": "$12.50"}),
        ("budget.removed", {"before": "$12.50", "after": "none"}),
    ]
    assert all(each["service"] == "billing" and each["key_id"] for each in entries)


async def budget_changes(api: Api) -> list[dict[str, Any]]:
    entries = [each["entry"] for each in (await api.get("/v1/audit")).json()["entries"]]
    return [entry for entry in entries if entry["action"].startswith("budget.")]


async def keys_of_roles(mesh: LocalMesh, team: Team) -> dict[str, str]:
    """A live key of a user of each role, and the owner's test key."""
    secrets = {"owner": team.secrets["live"], "owner's test key": team.secrets["test"]}
    async with operator_channel(mesh, "accounts") as channel:
        accounts = AccountsServiceStub(channel)
        for role in (accounts_pb2.ROLE_ADMIN, accounts_pb2.ROLE_MEMBER):
            word = accounts_pb2.Role.Name(role).removeprefix("ROLE_").lower()
            name = uuid.uuid4().hex
            user = await accounts.CreateUser(
                accounts_pb2.CreateUserRequest(
                    request_id=name, team_id=team.team_id, email=f"{name}@example.org", name=word, role=role
                )
            )
            key = await accounts.CreateKey(
                accounts_pb2.CreateKeyRequest(
                    request_id=name,
                    team_id=team.team_id,
                    user_id=user.user.user_id,
                    name=word,
                    environment=ENVIRONMENT_LIVE,
                )
            )
            secrets[word] = key.secret
    return secrets


async def test_a_cancelled_job_is_never_billed_and_a_purchase_past_the_budget_draws_nothing(
    payer: Api, billing: BillingServiceAsyncStub
) -> None:
    del billing
    await set_budget(payer, "0.005")
    refused = await payer.patient_post("/v1/entropy/generate", {"bits": 1})
    assert error_of(refused)[:2] == (402, "payment_required")
    await set_budget(payer, "5")
    slow = {"algorithm_id": "vqe.molecular.v2", "parameters": {"molecule": "H2O"}}
    assert (await payer.submit(slow)).status_code == 402
    await set_budget(payer, "50")
    job = (await payer.submit(slow)).json()["job_id"]
    assert (await payer.submit(slow)).status_code == 402, "what is held counts"
    cancelled = await payer.http.post(f"/v1/jobs/{job}/cancel")
    if cancelled.status_code == 202:
        ended = await payer.finished(job)
        usage = await nothing_held(payer)
        assert (usage["spent_usd"] == 0) == (ended["status"] == "cancelled")


async def test_a_statement_has_a_line_for_all_that_was_bought_and_adds_up(
    mesh: LocalMesh, billing: BillingServiceAsyncStub
) -> None:
    team = await Team.create(mesh, "enterprise")
    live, test = Api(mesh, team.secrets["live"]), Api(mesh, team.secrets["test"])
    await set_budget(live, "1000")
    plain, urgent = await asyncio.gather(live.run(), live.run({**BELL_JOB, "priority": "priority"}))
    bits = await live.patient_post("/v1/entropy/generate", {"bits": 10_001})
    assert (plain["cost_usd"], urgent["cost_usd"], bits.json()["cost_usd"]) == (0.1, 0.15, 0.02)
    free = await test.run()
    assert free["cost_usd"] == 0
    await nothing_held(live)
    path = f"/v1/billing/statements/{this_month()}"
    statement = await told(live, path)
    assert {
        line["id"]: (line["item"], line["amount_usd"], line["surcharge_usd"]) for line in statement["lines"][:2]
    } == {
        plain["job_id"]: ("circuit.openqasm.v1", PRICE, 0),
        urgent["job_id"]: ("circuit.openqasm.v1", Decimal("0.15"), Decimal("0.05")),
    }
    last = statement["lines"][2]
    assert (last["type"], last["item"], last["amount_usd"]) == ("entropy", "entropy, 10001 bits", Decimal("0.02"))
    assert (statement["opening_usd"], statement["charged_usd"], statement["closing_usd"]) == (
        0,
        Decimal("0.27"),
        Decimal("0.27"),
    )
    assert sum(line["amount_usd"] for line in statement["lines"]) == statement["charged_usd"]
    assert sum(total["amount_usd"] for total in statement["totals"]) == statement["charged_usd"]
    assert (statement["test_count"], statement["status"]) == (1, "open")
    funds = await billing.GetFunds(billing_pb2.GetFundsRequest(team_id=team.team_id))
    assert -(funds.available.micros + funds.held.micros) == statement["closing_usd"] * 10**6
    page = await told(live, f"{path}?limit=1")
    rest = await told(live, f"{path}?after={page['lines'][0]['id']}")
    assert page["lines"] + rest["lines"] == statement["lines"]
    rows = list(csv.DictReader(io.StringIO((await live.get(path, accept="text/csv")).text)))
    assert [(row["id"], Decimal(row["amount_usd"])) for row in rows] == [
        (line["id"], line["amount_usd"]) for line in statement["lines"]
    ]
    months = (await told(live, "/v1/billing/statements"))["statements"]
    assert [(month["month"], month["charged_usd"], month["line_count"]) for month in months] == [
        (this_month(), Decimal("0.27"), 3)
    ]
    for each in (live, test):
        await each.close()
