"""From a REST submit to a signed result, beside the same circuit on Aer alone: target, a p50 within 15 ms of it.

    python -m bench.latency [--jobs 300]

A Bell pair, 1,024 shots. One client, one job after the other over one connection: `POST /v1/jobs/submit`, then
`GET …?wait=` until the answer carries its signature. In turn with them, so that all meet the same machine, this
process runs the parsed circuit on its own warm AerSimulator: as it is, and after every tenth job transpiled too, as
Qiskit's users do. "CPU" is what the whole mesh spent on a job, supervisor, PostgreSQL and NATS included.

The target was set on a machine where Aer alone, one run right after the other, takes 0.85 to 1.1 ms. That loop runs
here too, before and after: the ratio says how much slower this machine is, and what the target is in its milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator

from bench.processes import cpu_seconds, loads
from deploy.local.mesh import LocalMesh
from deploy.local.programs import every_program
from tests.live import BELL, BELL_JOB, Team, without_own_jobs

TARGET_MS = 15.0
LOOP_MS = 0.98
"""Of Aer's loop on the machine that the target was set on."""
LOOPS = 150
WARM_UP = 30
SHOTS = 1024
TRANSPILE_EVERY = 10
BODY = json.dumps(BELL_JOB).encode()


class Client:
    """One connection to the REST API; what it costs itself is a fraction of a millisecond."""

    def __init__(self, port: int, secret: str) -> None:
        """Speak as the holder of `secret`."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """The answer to a request; raises SystemExit where it is a refusal."""
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status not in (200, 202):
            raise SystemExit(f"refused: {response.status} {answer}")
        return dict(answer)


def over_rest(client: Client) -> tuple[float, float]:
    """Milliseconds from submit to the signed result, and those until the job was accepted."""
    began = time.perf_counter()
    job = client.ask("POST", "/v1/jobs/submit", BODY)
    taken = time.perf_counter()
    path = f"/v1/jobs/{job['job_id']}?wait=10"
    while job["status"] in {"queued", "running"}:
        job = client.ask("GET", path)
    if not job.get("pqc_signature"):
        raise SystemExit(f"no signature: {job}")
    return 1e3 * (time.perf_counter() - began), 1e3 * (taken - began)


def timed(run: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - began)


def measure(client: Client, jobs: int) -> dict[str, list[float]]:
    """Milliseconds by way, one for each job."""
    circuit, simulator = QuantumCircuit.from_qasm_str(BELL), AerSimulator()

    def run() -> None:
        simulator.run(circuit, shots=SHOTS).result().get_counts()

    loop = [timed(run) for _ in range(LOOPS)]

    def transpile_and_run() -> None:
        simulator.run(transpile(circuit, simulator), shots=SHOTS).result().get_counts()

    found: dict[str, list[float]] = {"accepted": [], "REST → signed": [], "Aer": [], "transpile + Aer": []}
    for number in range(-WARM_UP, jobs):
        signed, accepted = over_rest(client)
        sample = {
            "accepted": accepted,
            "REST → signed": signed,
            "Aer": timed(run),
        }
        if number % TRANSPILE_EVERY == 0:
            sample["transpile + Aer"] = timed(transpile_and_run)
        if number >= 0:
            for way, milliseconds in sample.items():
                found[way].append(milliseconds)
    return found | {"Aer in a loop": loop + [timed(run) for _ in range(LOOPS)]}


def mesh_cpu(mesh: LocalMesh, client: Client, jobs: int) -> float:
    """CPU milliseconds that the mesh spends on a job, with nothing else in between."""
    pids = [child.pid for child in mesh.children.values() if child.pid is not None]
    before = sum(map(cpu_seconds, pids))
    for _ in range(jobs):
        over_rest(client)
    return 1e3 * (sum(map(cpu_seconds, pids)) - before) / jobs


async def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=300, help="jobs that count (default 300)")
    jobs = parser.parse_args().jobs
    print(loads())
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        programs = without_own_jobs(every_program(workers=1))
        async with LocalMesh(Path(folder) / "mesh", port=0, base_port=0, programs=programs) as mesh:
            team = await Team.create(mesh, "enterprise")
            client = Client(mesh.layout.ports["edge"], team.secrets["live"])
            found = measure(client, jobs)
            spent = mesh_cpu(mesh, client, jobs)
    medians = {way: statistics.median(sample) for way, sample in found.items()}
    for way, sample in found.items():
        print(f"  {way:<16} p50 {medians[way]:7.2f} ms   p90 {statistics.quantiles(sample, n=10)[-1]:7.2f} ms")
    print(f"  {'CPU':<16} {spent:11.2f} ms for a job")
    slower = medians["Aer in a loop"] / LOOP_MS
    target = TARGET_MS * slower
    print(f"  machine {slower:5.2f} times as slow as where the target was set: its 15 ms are {target:.1f} here")
    for rival in ("Aer", "transpile + Aer"):
        more = medians["REST → signed"] - medians[rival]
        print(
            f"  p50 is {more:6.2f} ms above {rival:<15}: {more / target:.2f} of that, {more / TARGET_MS:.2f} of 15 ms"
        )
    print(loads())
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
