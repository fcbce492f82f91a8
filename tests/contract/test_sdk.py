"""The package `qmumma` against the running mesh: its commands, as a user types them, and the client of the source."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import qmumma.cli
from qmumma import QMummaClient

from deploy.local.mesh import LocalMesh
from tests.live import BELL, Team


class Command:
    """`qmumma`, with a key of the team."""

    def __init__(self, mesh: LocalMesh, team: Team, capsys: pytest.CaptureFixture[str]) -> None:
        self._url = mesh.base_url
        self._key = team.secrets["test"]
        self._capsys = capsys

    async def __call__(self, *words: str, status: int = 0) -> str:
        """What is printed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("QMUMMA_API_KEY", self._key)
            found = await asyncio.to_thread(qmumma.cli.main, [*words, "--url", self._url])
        said = self._capsys.readouterr()
        assert found == status, said.err
        return said.out

    async def told(self, *words: str) -> Any:
        """The answer as JSON."""
        return json.loads(await self(*words, "--json"))


@pytest.fixture
def command(mesh: LocalMesh, big: Team, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(mesh, big, capsys)


async def test_a_job_is_submitted_watched_read_and_listed(command: Command) -> None:
    words = ("jobs", "submit", "circuit.openqasm.v1", "-p", f"qasm={BELL}", "--shots", "1024")
    assert "completed" in await command(*words, "--watch")
    job_id = (await command(*words)).strip()
    done = await command.told("jobs", "watch", job_id)
    assert (done["status"], sum(done["result"]["counts"].values())) == ("completed", 1024)
    assert (await command.told("jobs", "get", job_id)) == done
    assert "proof" in json.loads(await command("jobs", "get", job_id, "--proof"))
    assert job_id in await command("jobs", "list", "--status", "completed", "--limit", "1")
    assert await command("jobs", "cancel", job_id, status=1) == ""


async def test_a_key_is_made_listed_rotated_and_revoked(command: Command) -> None:
    made = await command.told("keys", "create", "from the command line", "--expires-in-days", "1")
    new = await command.told("keys", "rotate", made["key_id"], "--grace-seconds", "0")
    listed = await command("keys", "list", "--limit", "5")
    assert made["key_id"] in listed
    assert new["key_id"] in listed
    assert new["secret"] not in listed
    assert "is revoked" in await command("keys", "revoke", new["key_id"])
    assert (await command("keys", "create", "secret alone")).startswith("qm_test_sk_")


async def test_the_client_is_used_as_the_source_shows(mesh: LocalMesh, big: Team) -> None:
    def run() -> dict[str, Any]:
        client = QMummaClient(big.secrets["test"], base_url=f"{mesh.base_url}/v1")
        result = client.jobs.submit(algorithm_id="vqe.molecular.v2", shots=4096, parameters={"molecule": "H2"})
        return client.jobs.wait(result["job_id"])

    job = await asyncio.to_thread(run)
    assert (job["status"], job["shots"]) == ("completed", 4096)
    assert job["result"]["energy_hartree"] == pytest.approx(-1.137, abs=0.05)
