"""Benchmarks and the scoreboard over the whole mesh: a job that ends is counted, and pictures are drawn of it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.live import BELL_JOB, Api

PATIENCE = 30.0


async def test_a_job_that_ended_is_on_the_scoreboard_soon(api: Api, anyone: Api) -> None:
    before = (await anyone.get("/v1/benchmarks/routing?last=10000")).json()
    done = await api.run({**BELL_JOB, "hardware": "ibm_fez", "shots": 4096})
    assert done["status"] == "completed"
    async with asyncio.timeout(PATIENCE):
        while True:
            board: dict[str, Any] = (await anyone.get("/v1/benchmarks/routing?last=10000")).json()
            if board["fidelity"]["count"] > before["fidelity"]["count"] and board["time"]["count"]:
                break
            await asyncio.sleep(0.1)
    assert board["jobs"] > before["jobs"]
    assert 0 <= board["fidelity"]["coverage"] <= 1
    assert board["since"] <= board["until"]


async def test_benchmarks_are_open_and_strict(anyone: Api) -> None:
    listed = await anyone.get("/v1/benchmarks?family=ghz&hardware=ibm_fez")
    assert listed.status_code == 200
    assert {each["family"] for each in listed.json()["benchmarks"]} <= {"ghz"}
    nowhere = await anyone.get("/v1/benchmarks?hardware=nowhere")
    assert nowhere.json() == {"benchmarks": []}
    assert (await anyone.get("/v1/benchmarks?backend=ibm_fez")).status_code == 400
    for path in ("/v1/benchmarks/plot.svg", "/v1/benchmarks/routing/plot.svg"):
        picture = await anyone.get(path)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
        assert picture.text.startswith("<svg ")
