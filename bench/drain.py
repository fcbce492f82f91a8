"""Jobs a second of one worker with a full queue: Bell pairs that wait, until the last is signed and settled.

    .venv/bin/python -m bench.drain [--jobs 2000]        about a minute

The jobs are accepted while there is no worker, half of them of one team, the others of ten teams; then the mesh is
started again with one. What is told begins when a tenth of them have ended, by the clock of the jobs themselves. CPU
is that of every process of the mesh from then on, from /proc. The order in which the teams are served is told beside.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from bench.processes import cpu_seconds, loads
from bench.submit import load, pid_of
from deploy.local.mesh import LocalMesh
from deploy.local.postgres import Postgres
from deploy.local.programs import every_program
from tests.live import Team, without_own_jobs

SMALL_TEAMS = 10
CLIENTS = 32
POLL_SECONDS = 0.05
_ENDED = "SELECT count(*) FROM execution.jobs WHERE state > 2"


async def accept(state: Path, jobs: int) -> list[str]:
    """Submit the jobs to a mesh without a worker; returns the teams, the big one first."""
    async with LocalMesh(state, port=0, base_port=0, programs=without_own_jobs(every_program(workers=0))) as mesh:
        teams = [await Team.create(mesh, "enterprise") for _ in range(SMALL_TEAMS + 1)]
        for team in teams:
            count = jobs // 2 if team is teams[0] else jobs // 2 // SMALL_TEAMS
            await load(mesh.layout.ports["edge"], team.secrets["live"], count, CLIENTS, seconds=math.inf)
    return [team.team_id for team in teams]


async def ended(connection: asyncpg.Connection, count: int) -> None:
    """Wait until so many jobs have ended."""
    while await connection.fetchval(_ENDED) < count:  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(POLL_SECONDS)


async def drain(state: Path, teams: Sequence[str]) -> None:
    """Let a worker run them, and print what it took."""
    async with LocalMesh(state, port=0, base_port=0, programs=without_own_jobs(every_program(workers=1))) as mesh:
        layout = mesh.layout
        postgres = Postgres(layout.state / "postgres", layout.ports["postgres"], layout.log("postgres"))
        connection = await postgres.connect()
        jobs = await connection.fetchval("SELECT count(*) FROM execution.jobs")
        await ended(connection, jobs // 10)
        before = {name: cpu_seconds(pid_of(child)) for name, child in mesh.children.items()}
        at_first = await connection.fetchval(_ENDED)
        await ended(connection, jobs)
        spent = {name: cpu_seconds(pid_of(child)) - before[name] for name, child in mesh.children.items()}
        seconds = await connection.fetchval(
            "SELECT extract(epoch FROM max(end_time) - min(end_time))::float8 FROM"
            " (SELECT end_time FROM execution.jobs ORDER BY end_time OFFSET $1) AS later",
            jobs // 10,
        )
        behind = await connection.fetchval(
            "SELECT count(*) FROM execution.jobs WHERE team_id = $1 AND end_time >"
            " (SELECT max(end_time) FROM execution.jobs WHERE team_id <> $1)",
            teams[0],
        )
        await connection.close()
    count = jobs - jobs // 10
    print(f"  {count} jobs in {seconds:.1f} s: {count / seconds:.0f} jobs/s")
    small = jobs // 2 // SMALL_TEAMS
    print(f"  a team of {jobs // 2} jobs had {behind} left when {SMALL_TEAMS} teams of {small} had none")
    print("  CPU µs per job")
    for name, total in sorted(spent.items(), key=lambda each: -each[1]):
        print(f"    {name:<20}{1e6 * total / (jobs - at_first):8.0f}")
    print(f"    {'all':<20}{1e6 * sum(spent.values()) / (jobs - at_first):8.0f}")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000, help="jobs that wait (default 2000)")
    jobs = parser.parse_args().jobs
    print(loads())
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        state = Path(folder) / "mesh"
        await drain(state, await accept(state, jobs))
    print(loads())


if __name__ == "__main__":
    asyncio.run(main())
