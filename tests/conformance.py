"""The OpenAPI document against the running mesh: schemathesis tries what it promises, and what it forbids.

    python -m tests.conformance [--max-examples 6] [--seed 1]

Starts a mesh of its own, makes a team, and sends some thousand requests with a key that may do everything: the
document's examples, values at and past every bound, fuzzed ones, and chains of them along links. Exits 1 where an
answer breaks the document, and at any status of 500.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from deploy.local.mesh import LocalMesh
from deploy.local.ports import free_ports
from deploy.local.programs import Program, every_program
from tests.live import Team, without_own_jobs

PHASES = "examples,coverage,fuzzing,stateful"


def parts() -> list[Program]:
    """A mesh whose edge does not count requests without a key: a client that tries so many is no guesser here."""
    told = {"anonymous": {"requests_per_minute": 0}}
    return [
        replace(each, told={**each.told, **told}) if each.name == "edge" else each
        for each in without_own_jobs(every_program(workers=1, local_webhooks=True))
    ]


async def main() -> int:
    """Run it; the exit status of schemathesis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-examples", type=int, default=6, help="fuzzed requests for each operation (default 6)")
    parser.add_argument("--seed", type=int, default=1, help="of what is fuzzed; another one tries other requests")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qmumma-conformance-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        async with LocalMesh(Path(folder) / "mesh", port=0, base_port=0, programs=parts()) as mesh:
            team = await Team.create(mesh, "enterprise")
            process = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("schemathesis"),
                *("--config-file", str(Path(__file__).with_suffix(".toml"))),
                *("run", f"{mesh.base_url}/v1/openapi.json", "--phases", PHASES, "--continue-on-failure"),
                *("--max-examples", str(arguments.max_examples), "--request-timeout", "40"),
                *("--seed", str(arguments.seed)),
                *("--header", f"Authorization: Bearer {team.secrets['ent']}"),
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    "SCHEMATHESIS_HOOKS": "tests.conformance_hooks",
                    "OWN_KEY": team.key_ids["ent"],
                    "WEBHOOK_URL": f"http://127.0.0.1:{free_ports(1)[0]}/nobody",
                },
            )
            return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
