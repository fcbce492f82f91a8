"""A worker of live jobs in a process of its own, for a test that kills it: python -m tests.mesh.live_worker.

Arguments: the database's URL, the file of its password, the job, its team, the provider's URL and the key for it. Its
engine is played: it asks for one circuit, and then has a result.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Any, cast

from qm.routing.v1 import routing_pb2

from mesh.config import DatabaseConfig
from mesh.database import Database
from services.execution import task
from services.execution.job import JobId
from services.execution.live.ionq import IonqProvider
from services.execution.live.store import LiveStore
from services.execution.live.story import LiveStory
from services.execution.live.target import Compiled
from services.execution.messages import money
from tests.mesh.executing import BELL_OUTCOME, Parts

MACHINE = routing_pb2.Backend(
    backend_id="ionq.aria",
    kind=routing_pb2.BACKEND_KIND_LIVE,
    status=routing_pb2.BACKEND_STATUS_ONLINE,
    qubit_count=11,
    engine="ionq",
    price=money(0),
    pool="live",
    provider="ionq",
    provider_device="qpu.aria-1",
    account_owner=routing_pb2.ACCOUNT_OWNER_TEAM,
)
BELL = Compiled(
    text='[{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]',
    qubit_count=2,
    readout=((0, 0), (1, 1)),
    clbit_count=2,
    digest="bell",
    shots=1024,
    fidelity=None,
    depth=2,
    two_qubit_gates=1,
)


class OneCircuit:
    """Engines that need one circuit of a machine."""

    async def start(self) -> None:
        """Be ready at once."""

    async def call(self, request: task.Replay, *, timeout: float) -> task.Circuits | task.Outcome:
        assert timeout > 0
        return BELL_OUTCOME if request.readings else task.Circuits((BELL,))


async def run_once(parts: Parts, job_id: JobId, name: str) -> Any:
    """One step of a job by a worker called `name`."""
    runner = parts.runner(name)
    store, children = LiveStore(parts.database, name), cast("Any", OneCircuit())
    runner._live = LiveStory(store, parts.provider_accounts, children, run_seconds=30, clock=parts.clock)
    return await runner.run_job(job_id)


def reach(parts: Parts, team_id: str, url: str, key: str) -> None:
    """Give a team credentials for the provider at a URL."""
    parts.accounts.teams[team_id] = key

    def connect(credentials: Any, device: str, qubits: int, clock: Any) -> IonqProvider:
        return IonqProvider(credentials, device, qubits, clock, url=url)

    parts.provider_accounts._connect = connect


async def main() -> None:
    database_url, password_file, job_id, team_id, url, key = sys.argv[1:]
    config = DatabaseConfig(url=database_url, password_file=Path(password_file))
    database = await Database.connect(config, schema="execution")
    parts = Parts(database, cast("Any", None))
    reach(parts, team_id, url, key)
    await run_once(parts, JobId(uuid.UUID(job_id)), "the one that is killed")


if __name__ == "__main__":
    asyncio.run(main())
