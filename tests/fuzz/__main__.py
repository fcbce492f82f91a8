"""Malformed requests against the running mesh: none may give a 500, hang, or leave it unwell.

    python -m tests.fuzz [--requests 20000] [--seed 1] [--only NUMBER]

Starts a mesh of its own and sends so many requests, each a valid one of some operation that was spoiled in one to three
ways; the same seed sends the same. Exits 1 where one is answered with 500, or not at all though it could be, or late,
where the edge logs an error, and where the mesh does not run a job afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from deploy.local.mesh import LocalMesh
from tests.conformance import parts
from tests.fuzz.barrage import barrage
from tests.live import Team


async def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="how many (default 20000)")
    parser.add_argument("--seed", type=int, default=1, help="another one sends other requests")
    parser.add_argument("--only", type=int, help="send one of them alone, and show it")
    arguments = parser.parse_args()
    numbers = range(arguments.requests) if arguments.only is None else [arguments.only]
    with tempfile.TemporaryDirectory(prefix="qmumma-fuzz-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        async with LocalMesh(Path(folder) / "mesh", port=0, base_port=0, programs=parts()) as mesh:
            team = await Team.create(mesh, "enterprise")
            found = await barrage(mesh, team, seed=arguments.seed, numbers=numbers)
    print(found.text(verbose=arguments.only is not None))  # noqa: T201 - the report
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
