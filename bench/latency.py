"""From a REST submit to a signed result, beside the same circuit on Aer alone: target, a p50 within 15 ms.

    python -m bench.latency [--jobs 300]

A Bell pair, 1,024 shots. One client, one job after the other over one connection: `POST /v1/jobs/submit`, then
`GET …?wait=` until the answer carries its signature. In turn with them, so that all meet the same machine, this
process runs the parsed circuit on its own warm AerSimulator: as it is, and transpiled anew each time, as Qiskit's
users do.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator

from bench.processes import loads
from deploy.local.mesh import LocalMesh
from tests.live import BELL, BELL_JOB, Team

TARGET_MS = 15.0
WARM_UP = 30
SHOTS = 1024


async def over_rest(http: httpx.AsyncClient) -> tuple[float, float]:
    """Milliseconds from submit to the signed result, and those until the job was accepted."""
    began = time.perf_counter()
    accepted = await http.post("/v1/jobs/submit", json=BELL_JOB)
    accepted.raise_for_status()
    taken = time.perf_counter()
    path = f"{accepted.headers['location']}?wait=10"
    job = {"status": "queued"}
    while job["status"] in {"queued", "running"}:
        job = (await http.get(path)).json()
    if not job.get("pqc_signature"):
        raise SystemExit(f"no signature: {job}")
    return 1e3 * (time.perf_counter() - began), 1e3 * (taken - began)


def timed(run: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - began)


async def measure(mesh: LocalMesh, jobs: int) -> dict[str, list[float]]:
    """Milliseconds by way, one for each job."""
    team = await Team.create(mesh, "enterprise")
    circuit, simulator = QuantumCircuit.from_qasm_str(BELL), AerSimulator()

    def run() -> None:
        simulator.run(circuit, shots=SHOTS).result().get_counts()

    def transpile_and_run() -> None:
        simulator.run(transpile(circuit, simulator), shots=SHOTS).result().get_counts()

    found: dict[str, list[float]] = {"accepted": [], "REST → signed": [], "Aer": [], "transpile + Aer": []}
    async with httpx.AsyncClient(
        base_url=mesh.base_url, headers={"Authorization": f"Bearer {team.secrets['live']}"}, timeout=40
    ) as http:
        for number in range(-WARM_UP, jobs):
            signed, accepted = await over_rest(http)
            sample = {
                "accepted": accepted,
                "REST → signed": signed,
                "Aer": timed(run),
                "transpile + Aer": timed(transpile_and_run),
            }
            if number >= 0:
                for way, milliseconds in sample.items():
                    found[way].append(milliseconds)
    return found


async def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=300, help="jobs that count (default 300)")
    jobs = parser.parse_args().jobs
    print(loads())
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        async with LocalMesh(Path(folder) / "mesh", port=0, base_port=0) as mesh:
            found = await measure(mesh, jobs)
    medians = {way: statistics.median(sample) for way, sample in found.items()}
    for way, sample in found.items():
        print(f"  {way:<16} p50 {medians[way]:7.2f} ms   p90 {statistics.quantiles(sample, n=10)[-1]:7.2f} ms")
    for rival in ("Aer", "transpile + Aer"):
        more = medians["REST → signed"] - medians[rival]
        print(f"  p50 is {more:6.2f} ms above {rival:<15}; target {TARGET_MS:.0f} ms: {more / TARGET_MS:.2f} of it")
    print(loads())
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
