"""Quotes and decisions over the real mesh: what is promised is signed, kept, and explained."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

from deploy.local.mesh import LocalMesh
from tests.live import Api, Team

GHZ = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; creg c[3]; h q[0]; cx q[0],q[1]; cx q[1],q[2]; measure q -> c;'
BODY: dict[str, Any] = {"algorithm_id": "circuit.openqasm.v1", "shots": 2048, "parameters": {"qasm": GHZ}}
BEST_TWIN = {**BODY, "routing": {"kinds": ["twin"], "prefer": "fidelity", "min_fidelity": 0.5, "explore": False}}


async def test_a_quote_is_verifiable_and_the_job_that_names_it_runs_where_it_says(
    mesh: LocalMesh, team: Team, api: Api, anyone: Api
) -> None:
    quoted = await api.http.post("/v1/jobs/quote", json=BEST_TWIN, timeout=60)
    assert quoted.status_code == 201, quoted.text
    quote = quoted.json()
    assert (quote["kind"], quote["cost_usd"]) == ("twin", 0)
    fidelity = quote["predicted_fidelity"]
    assert 0.5 < fidelity["low"] < fidelity["value"] < fidelity["high"] <= 1
    assert fidelity["method"] not in ("exact", "medians", "unknown")
    assert quote["estimated_ms"]["p50"] <= quote["estimated_ms"]["p90"]
    verified = await anyone.http.post(
        "/v1/verify", content=quoted.content, headers={"Content-Type": "application/json"}
    )
    assert verified.json()["valid"] is True, verified.text
    forged = quoted.content.replace(b'"cost_usd":0', b'"cost_usd":1')
    verified = await anyone.http.post("/v1/verify", content=forged, headers={"Content-Type": "application/json"})
    assert verified.json()["valid"] is False
    named = {**BEST_TWIN, "quote_id": quote["quote_id"]}
    other_body = await api.submit({**named, "shots": 1024})
    assert (other_body.status_code, other_body.json()["error"]["param"]) == (409, "quote_id")
    stranger = Api(mesh, (await Team.create(mesh, "commercial")).secrets["test"])
    assert (await stranger.submit(named)).status_code == 404
    done, decided = await asyncio.gather(api.run(named), stranger.http.get("/v1/jobs/qm_job_" + "0" * 32 + "/decision"))
    await stranger.close()
    assert decided.status_code == 404
    second = await api.submit(named)
    assert (second.status_code, second.json()["error"]["param"]) == (409, "quote_id")
    assert f"was used for {done['job_id']}" in second.json()["error"]["message"]
    assert (done["hardware"], done["cost_usd"]) == (quote["hardware"], quote["cost_usd"])
    assert done["execution"]["calibration_id"] == fidelity["calibration_id"]
    measured = float(done["fidelity"].rstrip("%")) / 100
    assert abs(measured - fidelity["value"]) < 0.1
    decision = (await api.get(f"/v1/jobs/{done['job_id']}/decision")).json()
    assert decision["decision_id"] == quote["decision_id"]
    best, *others = decision["candidates"]
    assert best["backend"] == quote["hardware"]
    assert best["utility"]["total"] >= max(each["utility"]["total"] for each in others if each["eligible"])
    command = [sys.executable, "-m", "qmumma", "explain", done["job_id"], "--url", str(api.http.base_url)]
    environment = {**os.environ, "QMUMMA_API_KEY": team.secrets["test"]}
    told = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, check=True)
    assert f"{done['job_id']} runs on {quote['hardware']}." in told.stdout
    assert "prefer fidelity" in told.stdout


async def test_limits_that_nothing_keeps_are_told_with_the_nearest(api: Api) -> None:
    strict = {**BODY, "routing": {"kinds": ["twin"], "min_fidelity": 1.0}}
    for path in ("/v1/jobs/submit", "/v1/jobs/quote"):
        answer = await api.http.post(path, json=strict, timeout=60)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["param"] == "routing.min_fidelity"
        assert "The nearest is " in error["message"]
        assert "Ruled out as well: " in error["message"]
    live = await api.submit({**BODY, "routing": {"kinds": ["live"]}})
    assert live.status_code == 503
    assert "test keys run on simulators and twins alone" in live.json()["error"]["message"]
