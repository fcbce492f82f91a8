"""A worker killed by SIGKILL while its provider takes the circuit, and before it could note the provider's id."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.execution.job import LEASE, State
from services.execution.live.job import Stand
from services.execution.live.store import LiveStore
from services.execution.run import Verdict
from tests.conftest import RunningPostgres
from tests.mesh.executing import Parts, new_team
from tests.mesh.live_worker import MACHINE, reach, run_once
from tests.unit.execution.live.fakes import FakeIonq
from tests.unit.execution.live.serving import Answer, Request, serving

ROOT = Path(__file__).parents[2]


class Killer(FakeIonq):
    """Takes a circuit, and kills whoever sent it before it answers."""

    victim = 0

    def handle(self, request: Request) -> Answer:
        answer = super().handle(request)
        if self.victim and (request.method, request.path) == ("POST", "/jobs"):
            os.kill(self.victim, signal.SIGKILL)
        return answer


@pytest.fixture
def fake() -> Iterator[Killer]:
    with serving(fake := Killer()):
        yield fake


async def test_a_worker_killed_between_the_submission_and_its_note_costs_no_second_job(
    parts: Parts, fake: Killer, postgres: RunningPostgres
):
    parts.routing.backends = [MACHINE]
    team = new_team()
    reach(parts, team.team_id, fake.url, fake.KEY)
    job = await parts.accepted(team=team, hardware="ionq.aria")
    config = postgres.server.config("execution", await parts.database.fetchval("SELECT current_database()"))
    arguments = [config.url, str(config.password_file), str(job.job_id), team.team_id, fake.url, fake.KEY]
    path = os.pathsep.join([str(ROOT), str(ROOT / "protos")])
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.mesh.live_worker", *arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
    )
    fake.victim = worker.pid
    assert await worker.wait() == -signal.SIGKILL
    fake.victim = 0
    [circuit] = await LiveStore(parts.database, "a test").of_job(job.job_id)
    assert (circuit.stand, circuit.provider_job_id, len(fake.queue.jobs)) == (Stand.SUBMITTING, None, 1)

    parts.clock.ahead += LEASE + dt.timedelta(seconds=1)
    with capture_logs() as lines:
        assert await run_once(parts, job.job_id, "the next") is Verdict.DONE
    assert "provider_job_found" in [line["event"] for line in lines]
    assert ((await parts.read(job.job_id)).state, len(fake.queue.jobs)) == (State.COMPLETED, 1)
