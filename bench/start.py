"""Cold start of the whole mesh and what it holds when idle, beside the targets of 6 s and 1.5 GB.

    python -m bench.start [--rounds 3]

The first start makes everything (data, keys, certificates); it is shown and does not count. Each further round starts
the same state by the same command that a person types, `python -m deploy.local up`, with no process left and the
files in the page cache. "first result" is a Bell job submitted the moment the mesh says that it is ready, until its
signed result is there: what readiness is worth. Memory is PSS, summed over every process, PostgreSQL, NATS and the
engines included, after a pause; then everything is stopped.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.processes import cpu_seconds, descendants, loads, pss_bytes

TARGET_SECONDS = 6.0
TARGET_BYTES = 1_500_000_000
IDLE_SECONDS = 3.0
BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
_STEP = re.compile(r"✓ (.+?)\s+([0-9.]+) s")


@dataclass(frozen=True)
class Start:
    """One start: seconds from the command, CPU seconds until ready, bytes when idle by process."""

    steps: dict[str, float]
    seconds: float
    cpu: float
    first_result: float
    memory: dict[str, int]


def start(state: Path) -> Start:
    """Start the mesh, look at it, stop it; raises SystemExit where it does not come up."""
    command = [sys.executable, "-m", "deploy.local", "up", "--state", str(state), "--port", "0", "--base-port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as mesh:
        try:
            steps = _until_ready(mesh)
            seconds = time.perf_counter() - began
            cpu = cpu_seconds(mesh.pid)
            first_result = _first_result(state)
            time.sleep(IDLE_SECONDS)
            memory = {_name(pid): pss_bytes(pid) for pid in descendants(mesh.pid)}
        finally:
            mesh.send_signal(signal.SIGTERM)
            mesh.wait()
    return Start(steps, seconds, cpu, first_result, memory)


def _until_ready(mesh: subprocess.Popen[str]) -> dict[str, float]:
    assert mesh.stderr is not None
    steps: dict[str, float] = {}
    said = []
    for line in mesh.stderr:
        said.append(line)
        if found := _STEP.search(line):
            steps[found[1]] = float(found[2])
        if line.startswith("Ready in"):
            return steps
    raise SystemExit("".join(said))


def _first_result(state: Path) -> float:
    """Seconds from the submission of a job to its signed result."""
    credentials = json.loads((state / "credentials.json").read_text())
    headers = {"Authorization": f"Bearer {credentials['qmumma']['test']}", "Content-Type": "application/json"}
    body = {"algorithm_id": "circuit.openqasm.v1", "shots": 1024, "parameters": {"qasm": BELL}}

    def ask(path: str, data: bytes | None = None) -> dict[str, object]:
        request = urllib.request.Request(credentials["base_url"] + path, data, headers)  # noqa: S310 - our own URL
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own URL
            return dict(json.load(answer))

    began = time.perf_counter()
    job = ask("/v1/jobs/submit", json.dumps(body).encode())
    while not job.get("pqc_signature"):
        job = ask(f"/v1/jobs/{job['job_id']}?wait=10")
        if job["status"] in {"failed", "cancelled"}:
            raise SystemExit(f"the first job ended as {job['status']}: {job}")
    return time.perf_counter() - began


def _name(pid: int) -> str:
    """What a process is for, from its command line, with its id."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    module = words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name
    return f"{module} {pid}"


def show(title: str, done: Start) -> None:
    """Print one start."""
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in done.steps.items())
    print(
        f"{title}: ready in {done.seconds:.1f} s, {done.cpu:.1f} s of CPU; first result {done.first_result:.2f} s later"
    )
    print(f"    {steps}")


def show_memory(memory: dict[str, int]) -> None:
    """Print idle memory, what runs the same module in one line."""
    groups: dict[str, list[int]] = {}
    for name, size in memory.items():
        groups.setdefault(name.rpartition(" ")[0], []).append(size)
    for name, sizes in sorted(groups.items(), key=lambda group: -sum(group[1])):
        count = f" ({len(sizes)} processes)" if len(sizes) > 1 else ""
        print(f"    {sum(sizes) / 1e6:7.0f} MB  {name}{count}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="starts that count (default 3)")
    rounds = parser.parse_args().rounds
    print(loads())
    with tempfile.TemporaryDirectory(prefix="qmumma-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own
        state = Path(folder) / "mesh"
        show("first start", start(state))
        starts = [start(state) for _ in range(rounds)]
    for number, done in enumerate(starts, 2):
        show(f"start {number}", done)
    seconds = statistics.median(done.seconds for done in starts)
    middle = sorted(starts, key=lambda done: sum(done.memory.values()))[rounds // 2].memory
    show_memory(middle)
    size = sum(middle.values())
    print(f"start: median {seconds:.2f} s, target {TARGET_SECONDS:.0f} s: {seconds / TARGET_SECONDS:.2f} of it")
    print(f"idle: {size / 1e6:.0f} MB, target {TARGET_BYTES / 1e6:.0f} MB: {size / TARGET_BYTES:.2f} of it")
    print(loads())
    return 0


if __name__ == "__main__":
    sys.exit(main())
