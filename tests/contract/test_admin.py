"""`qmumma-admin` on a running mesh: what an operator types, and what comes of it."""

from __future__ import annotations

import asyncio
import json
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest

from deploy.admin import __main__ as admin
from deploy.local.mesh import LocalMesh
from mesh.callables import UnaryCall
from mesh.events import Events, Message
from mesh.identity import Identity
from mesh.streams import dead_subject
from tests.live import Api


class Admin:
    """The command line, with the file that the mesh wrote."""

    def __init__(self, mesh: LocalMesh, capsys: pytest.CaptureFixture[str]) -> None:
        self._config = str(mesh.layout.configuration("operator"))
        self._capsys = capsys

    async def status(self, *words: str) -> tuple[int, str]:
        """The exit status and what was said about it."""
        arguments = [*words, "--config", self._config]
        status = await asyncio.to_thread(admin.main, arguments)
        return status, self._capsys.readouterr().err

    async def __call__(self, *words: str) -> Any:
        """The answer of a command that must succeed."""
        status = await asyncio.to_thread(admin.main, [*words, "--json", "--config", self._config])
        said = self._capsys.readouterr()
        assert status == 0, said.err
        return json.loads(said.out)


@pytest.fixture
def qmumma_admin(mesh: LocalMesh, capsys: pytest.CaptureFixture[str]) -> Admin:
    return Admin(mesh, capsys)


async def statuses(mesh: LocalMesh, secret: str, wanted: int) -> None:
    """The key comes to be answered so within a second."""
    api = Api(mesh, secret)
    async with asyncio.timeout(1):
        while (await api.get("/v1/keys")).status_code != wanted:
            await asyncio.sleep(0.02)
    await api.close()


async def test_a_team_lives_from_its_making_to_its_suspension(mesh: LocalMesh, qmumma_admin: Admin) -> None:
    name, owner = f"Lab {uuid.uuid4().hex}", f"{uuid.uuid4().hex}@example.org"
    made = await qmumma_admin("teams", "create", name, "--plan", "academic", "--owner", owner)
    team = made["team_id"]
    assert [each["team_id"] for each in await qmumma_admin("teams", "list", "--query", owner)] == [team]
    key = await qmumma_admin("keys", "create", team, "--user", owner, "--name", "ci", "--environment", "live")
    await statuses(mesh, key["secret"], 200)
    assert "secret" not in (await qmumma_admin("keys", "list", team))[0]
    assert (await qmumma_admin("teams", "suspend", team, "--reason", "unpaid", "--yes"))["suspended"]
    await statuses(mesh, key["secret"], 403)
    await qmumma_admin("teams", "resume", team)
    await statuses(mesh, key["secret"], 200)
    await qmumma_admin("keys", "revoke", team, key["key_id"], "--yes")
    await statuses(mesh, key["secret"], 401)
    assert (await qmumma_admin("teams", "set-plan", team, "student", "--yes"))["plan"] == "student"
    status, said = await qmumma_admin.status("teams", "set-plan", team, "gold", "--yes")
    assert (status, "There is no plan 'gold'; there are student, academic" in said) == (1, True)


async def test_users_come_change_roles_and_go_but_never_the_last_owner(qmumma_admin: Admin) -> None:
    owner, other = [f"{uuid.uuid4().hex}@example.org" for _ in range(2)]
    team = (await qmumma_admin("teams", "create", "Lab", "--plan", "student", "--owner", owner))["team_id"]
    await qmumma_admin("users", "add", team, other)
    status, said = await qmumma_admin.status("users", "remove", team, owner, "--yes")
    assert (status, "LAST_OWNER" in said) == (1, True)
    await qmumma_admin("users", "set-role", team, other, "owner")
    await qmumma_admin("users", "remove", team, owner, "--yes")
    shown = await qmumma_admin("teams", "show", team)
    assert [(user["email"], user["role"]) for user in shown["users"]] == [(other, "owner")]


async def test_the_ledger_is_checked_and_a_teams_money_adds_up(mesh: LocalMesh, qmumma_admin: Admin) -> None:
    api = Api(mesh, mesh.credentials.qmumma.live)
    job = await api.run()
    [team] = await qmumma_admin("teams", "list", "--query", "demo@qmumma.example")
    shown = await qmumma_admin("jobs", "show", team["team_id"], job["job_id"])
    cost = shown["cost_usd"]
    assert (shown["state"], float(cost)) == ("completed", job["cost_usd"])
    assert sorted(line["amount_usd"] for line in shown["money"]) == sorted([f"-{cost}", cost] * 2)
    month = shown["created_at"][:7]
    statement = await qmumma_admin("ledger", "statement", team["team_id"], month)
    charged = sum(float(line["amount_usd"]) for line in statement["lines"])
    assert float(statement["owed_after_usd"]) - float(statement["owed_before_usd"]) == pytest.approx(charged)
    assert charged >= float(cost)
    assert (await qmumma_admin("ledger", "show", team["team_id"]))["entries"][0]["account"] == "held"
    checked = await qmumma_admin("ledger", "check")
    assert (checked["sum_usd"], checked["violations"]) == ("0.00", [])
    status, said = await qmumma_admin.status("jobs", "cancel", team["team_id"], job["job_id"], "--yes")
    assert (status, "has ended" in said or "already" in said) == (1, True), said
    await api.close()


async def test_a_decision_is_shown_and_replayed_as_it_was_and_by_another_policy(
    mesh: LocalMesh, qmumma_admin: Admin
) -> None:
    api = Api(mesh, mesh.credentials.qmumma.live)
    job = await api.run()
    await api.close()
    [team] = await qmumma_admin("teams", "list", "--query", "demo@qmumma.example")
    decision = (await qmumma_admin("jobs", "show", team["team_id"], job["job_id"]))["decision_id"]
    shown = await qmumma_admin("decisions", "show", decision)
    assert (shown["backend"], shown["prefer"]) == (job["hardware"], "balanced")
    assert shown["candidates"][0]["backend"] == job["hardware"]
    same = await qmumma_admin("decisions", "replay", decision)
    assert (same["would_be"], same["identical"], same["same_policy"]) == (job["hardware"], True, True)
    other = await qmumma_admin("decisions", "replay", decision, "--prefer", "time", "--max-cost", "0")
    assert (other["prefer"], other["identical"], other["same_policy"]) == ("time", False, False)
    by_weights = await qmumma_admin("decisions", "replay", decision, "--weights", "0", "1", "0")
    assert by_weights["weights"] == "0 fidelity - 1 log10(1 + minutes) - 0 dollars"
    status, said = await qmumma_admin.status("decisions", "replay", decision, "--residency", "mars")
    assert (status, "mars" in said) == (1, True)
    status, said = await qmumma_admin.status("decisions", "replay", str(uuid.uuid4()))
    assert (status, "DECISION_NOT_FOUND" in said) == (1, True)
    status, said = await qmumma_admin.status("decisions", "replay", decision, "--min-fidelity", "2")
    assert (status, "min_fidelity" in said) == (1, True)


async def test_a_calibration_is_shown_kept_from_a_file_and_refused_where_it_is_wrong(
    qmumma_admin: Admin, tmp_path: Path
) -> None:
    [shipped] = await qmumma_admin("calibrations", "list", "ibm_fez")
    assert await qmumma_admin("calibrations", "show", shipped["calibration_id"]) == shipped
    file, newer = tmp_path / "newer.json", {**shipped, "calibration_id": "ibm_fez@newer", "two_qubit_error": 0.2}
    newer["measured_at"] = shipped["kept_at"]  # as of now, and so the newest
    file.write_text(json.dumps(newer))
    for _ in range(2):
        assert (await qmumma_admin("calibrations", "add", str(file)))["two_qubit_error"] == 0.2
    history = [each["calibration_id"] for each in await qmumma_admin("calibrations", "list", "ibm_fez")]
    assert history == ["ibm_fez@newer", shipped["calibration_id"]]
    for text, says in (
        (json.dumps({**newer, "two_qubit_error": 0.3}), "CALIBRATION_ID_TAKEN"),
        (json.dumps({**newer, "calibration_id": "another", "backend": "ibm_mars"}), "there is no backend 'ibm_mars'"),
        (json.dumps({**newer, "two_qubit_error": 1.5}), "two_qubit_error"),
        (json.dumps({**newer, "readout_error": "small"}), "$.readout_error"),
        (json.dumps({**newer, "t1": 5}), "unknown field `t1`"),
        (json.dumps({**newer, "measured_at": "2026-11-20T06:00:00"}), "has no time zone"),
        (json.dumps({**newer, "working_qubits": 2**40}), "out of range"),
        ("{", "is not JSON"),
    ):
        file.write_text(text)
        status, said = await qmumma_admin.status("calibrations", "add", str(file))
        assert (status, says in said) == (1, True), said
    status, said = await qmumma_admin.status("calibrations", "add", str(tmp_path / "nothing.json"))
    assert (status, "cannot be read: No such file" in said) == (1, True)
    status, said = await qmumma_admin.status("calibrations", "show", "nothing")
    assert (status, "CALIBRATION_NOT_FOUND" in said) == (1, True)


async def test_a_budget_and_agreed_jobs_are_set_shown_and_removed(qmumma_admin: Admin) -> None:
    owner = f"{uuid.uuid4().hex}@example.org"
    team = (await qmumma_admin("teams", "create", "Payers", "--plan", "enterprise", "--owner", owner))["team_id"]
    shown = await qmumma_admin("budgets", "set", team, "12.345678")
    assert (shown["budget_usd"], shown["remaining_usd"]) == ("12.345678", "12.345678")
    agreed = await qmumma_admin("plans", "set-terms", team, "--included-jobs", "5000")
    assert (agreed["included_jobs"], agreed["included_agreed"], agreed["budget_usd"]) == (5000, True, "12.345678")
    assert (await qmumma_admin("plans", "set-terms", team, "--included-jobs", "plan"))["included_jobs"] == 0
    assert (await qmumma_admin("budgets", "remove", team, "--yes"))["budget_usd"] is None
    assert (await qmumma_admin("budgets", "show", team))["plan"] == "enterprise"
    status, said = await qmumma_admin.status("budgets", "set", str(uuid.uuid4()), "5")
    assert (status, "TEAM_NOT_FOUND" in said) == (1, True)
    assert "qcos_professional" in {plan["plan"] for plan in await qmumma_admin("plans", "list")}


async def test_a_dead_letter_is_shown_queued_again_and_dropped(mesh: LocalMesh, qmumma_admin: Admin) -> None:
    subject = f"accounts.key.nothing.{uuid.uuid4()}"
    identity = Identity.at(mesh.layout.identities / "operator", "operator")
    events = await Events.connect(f"tls://{mesh.layout.address('nats')}", identity)
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(_subject: str, payload: bytes) -> None:
        heard.put_nowait(payload)

    await events.subscribe(subject, hear)
    headers = {"Dead-Reason": "delivered 5 times", "Dead-Attempts": "6", "traceparent": "x"}
    for number in range(2):
        await events.publish(Message(f"{subject}-{number}", dead_subject("KEYS", subject), b"payload", headers))
    letters = [each for each in await qmumma_admin("dead-letters", "list") if each["subject"] == subject]
    assert [(each["stream"], each["reason"], each["attempts"]) for each in letters] == [
        ("KEYS", "delivered 5 times", "6")
    ] * 2
    first, second = [str(each["number"]) for each in letters]
    assert (await qmumma_admin("dead-letters", "show", first))["payload_base64"] == "cGF5bG9hZA=="
    await qmumma_admin("dead-letters", "requeue", first)
    assert await asyncio.wait_for(heard.get(), 5) == b"payload"
    await qmumma_admin("dead-letters", "drop", second, "--yes")
    assert not [each for each in await qmumma_admin("dead-letters", "list") if each["subject"] == subject]
    assert (await qmumma_admin.status("dead-letters", "drop", second, "--yes"))[0] == 1
    await events.close()


async def test_keys_of_records_and_the_authority_are_shown(qmumma_admin: Admin) -> None:
    assert "active" in {key["state"] for key in await qmumma_admin("signing-keys", "list")}
    assert [authority["issued_ours"] for authority in (await qmumma_admin("authority", "show"))["authorities"]] == [
        True
    ]
    assert [pepper["current"] for pepper in await qmumma_admin("keys", "peppers")] == [True]


async def test_a_mesh_that_does_not_answer_is_told_apart(
    mesh: LocalMesh, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UnaryCall.__call__.__kwdefaults__, "timeout", 0.5)
    config = tmp_path / "operator.toml"
    identity = mesh.layout.identities / "operator"
    config.write_text(f'identity_folder = "{identity}"\n[peers]\nbilling = "127.0.0.1:1"\n')
    assert await asyncio.to_thread(admin.main, ["plans", "list", "--config", str(config)]) == 3
    assert "Is the mesh up" in capsys.readouterr().err
    assert await asyncio.to_thread(admin.main, ["teams", "list", "--config", str(config)]) == 2
    assert "the address of accounts is missing" in capsys.readouterr().err


def test_only_who_started_the_mesh_can_read_its_first_keys(mesh: LocalMesh) -> None:
    assert stat.S_IMODE(mesh.layout.credentials.stat().st_mode) == 0o600
    secrets = mesh.credentials.qmumma
    assert secrets.live.startswith("qm_live_sk_")
    assert secrets.test.startswith("qm_test_sk_")


async def test_a_quarantine_that_is_none_is_not_lifted(qmumma_admin: Admin) -> None:
    sources = await qmumma_admin("entropy", "sources")
    assert {"sim.stabilizer"} <= {source["source"] for source in sources if source["simulated"]}
    never = next(source["source"] for source in sources if source["state"] == "idle")
    status, said = await qmumma_admin.status("entropy", "lift", never, "--reason", "a try", "--yes")
    assert (status, "was never drawn from" in said) == (1, True)
    assert await qmumma_admin("entropy", "lifts") == []
