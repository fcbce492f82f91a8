"""A team's money over HTTP: exact amounts, strict input, and lines that a spreadsheet does not execute."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import httpx
import pytest
from qm.billing.v1 import billing_pb2

from tests.unit.edge.conftest import LIVE_SECRET, UNLIMITED_SECRET, World

BUDGET = "/v1/billing/budget"
STATEMENT = "/v1/billing/statements/2026-11"
LINE = "qm_job_00000000000000000000000000000001"


async def test_usage_tells_what_is_left_and_what_becomes_of_the_rest(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/billing/usage")
    assert json.loads(answer.text, parse_float=Decimal) == {
        "month": "2026-11",
        "resets_at": "2026-12-01T00:00:00Z",
        "plan": "commercial",
        "spent_usd": Decimal("4.50"),
        "held_usd": Decimal("0.000001"),
        "included_jobs": {
            "per": "month",
            "total": 5,
            "used": 7,
            "left": 0,
            "resets_at": "2026-12-01T00:00:00Z",
            "then": "refused",
        },
    }


async def test_unlimited_jobs_have_no_number(world: World) -> None:
    async with world.client(UNLIMITED_SECRET) as client:
        included = (await client.get("/v1/billing/usage")).json()["included_jobs"]
    assert {"total", "left"} & set(included) == set()


async def test_a_budget_is_set_exactly_read_and_removed(world: World) -> None:
    async with world.client(LIVE_SECRET) as client:
        put = await client.put(BUDGET, json={"budget_usd": 4.500002})
        told = json.loads(put.text, parse_float=Decimal)
        assert (put.status_code, told["budget_usd"], told["remaining_usd"]) == (
            200,
            Decimal("4.500002"),
            Decimal("0.000001"),
        )
        assert (await client.get(BUDGET)).json() == put.json()
        assert (await client.delete(BUDGET)).status_code == 204
        assert "budget_usd" not in (await client.get(BUDGET)).json()
    asked = world.billing.asked[0]
    assert (asked.budget.micros, asked.requester.team_id, asked.team_id) == (4_500_002, *[asked.team_id] * 2)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        '{"budget_usd": null}',
        '{"budget_usd": -0.01}',
        '{"budget_usd": "5"}',
        '{"budget_usd": true}',
        '{"budget_usd": NaN}',
        '{"budget_usd": Infinity}',
        '{"budget_usd": 1e400}',
        '{"budget_usd": 1e-400}',
        '{"budget_usd": 1e99999999999999999999}',
        '{"budget_usd": 0.0000001}',
        '{"budget_usd": 1000000000.01}',
        '{"budget_usd": 1, "currency": "EUR"}',
        '{"budget_usd": 1, "budget_usd": 2}',
        "[]",
    ],
)
async def test_a_budget_that_is_none_is_refused_by_its_name(client: httpx.AsyncClient, world: World, body: str) -> None:
    answer = await client.put(BUDGET, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "bad_request")
    assert world.billing.asked == []


@pytest.mark.parametrize(
    ("budget", "micros"), [("0", 0), ("-0", 0), ("1e2", 100_000_000), ("1000000000", 10**15), ("0.10", 100_000)]
)
async def test_a_budget_may_be_written_in_any_way_of_json(
    client: httpx.AsyncClient, world: World, budget: str, micros: int
) -> None:
    content = f'{{"budget_usd": {budget}}}'
    answer = await client.put(BUDGET, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert world.billing.asked[0].budget.micros == micros


async def test_a_statement_has_totals_lines_and_what_is_never_billed(client: httpx.AsyncClient, world: World) -> None:
    statement = (await client.get(STATEMENT, params={"limit": 2})).json()
    assert [(line["id"], line["type"], line["reason"]) for line in statement["lines"]] == [
        ("qm_job_00000000000000000000000000000000", "job", "included"),
        (LINE, "job", "price"),
    ]
    assert (statement["opening_usd"], statement["charged_usd"], statement["closing_usd"]) == (1e-06, 4.5, 4.500001)
    assert (statement["test_count"], statement["not_billed_count"], statement["has_more"]) == (6, 4, True)
    assert [total["amount_usd"] for total in statement["totals"]] == [4.5]
    rest = (await client.get(STATEMENT, params={"after": LINE})).json()
    assert ([line["id"][:8] for line in rest["lines"]], rest["has_more"]) == (["qm_hold_"], False)
    assert world.billing.asked[-1].after_job_id == "00000000-0000-0000-0000-000000000001"


async def test_a_csv_has_every_line_of_the_month_and_no_formula(client: httpx.AsyncClient) -> None:
    answer = await client.get(STATEMENT, params={"limit": 1}, headers={"accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="statement-2026-11.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["item"], row["amount_usd"], row["charged_at"]) for row in rows] == [
        ("vqe.molecular.v2", "0.00", "2026-11-21T04:00:01.000000Z"),
        ("'=1+1", "1.50", "2026-11-21T04:00:01.000000Z"),
        ("entropy, 60 bits", "3.00", "2026-11-21T04:00:01.000000Z"),
    ]


async def test_months_are_listed(client: httpx.AsyncClient, world: World) -> None:
    page = (await client.get("/v1/billing/statements", params={"after": "2026-12", "limit": 1})).json()
    assert page == {
        "statements": [{"month": "2026-11", "status": "final", "charged_usd": 4.5, "line_count": 3}],
        "has_more": True,
    }
    asked = world.billing.asked[0]
    assert isinstance(asked, billing_pb2.ListStatementsRequest)
    assert (asked.after_month, asked.page_size) == ("2026-12", 1)


@pytest.mark.parametrize(
    "month", ["2026-13", "2026-00", "2026-1", "0000-01", "9999-12", "2026-11-01", "november", "2026-11%00", "٢٠٢٦-11"]
)
async def test_what_is_no_month_has_no_statement(client: httpx.AsyncClient, world: World, month: str) -> None:
    answer = await client.get(f"/v1/billing/statements/{month}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    assert world.billing.asked == []


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/billing/statements?limit=0", "limit"),
        ("/v1/billing/statements?limit=101", "limit"),
        ("/v1/billing/statements?after=2026", "after"),
        ("/v1/billing/statements?month=2026-11", "month"),
        (f"{STATEMENT}?limit=1001", "limit"),
        (f"{STATEMENT}?after=qm_key_00000000000000000000000000000001", "after"),
        ("/v1/billing/usage?team=1", "team"),
        ("/v1/billing/budget?team=1", "team"),
    ],
)
async def test_a_wrong_query_is_refused_by_its_name(client: httpx.AsyncClient, path: str, param: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
