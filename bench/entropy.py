"""Random bits: what SP 800-22 and 90B cost, beside the limits that the product promises and NIST's own program.

    python -m bench.entropy                       the tests alone
    python -m bench.entropy URL KEY               and a running mesh over REST

NIST's C program (sts-2.1.2) is not run here: 3.6 s for 10^6 bits is the better of the times measured for it on another
2-core machine (shared/facts.md, 3.6 to 4.4 s). Ratios are of the best round, since what else a machine does only adds;
above 1 they mean: within the limit.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from services.entropy.block import BlockId, Grade, produce
from services.entropy.statistics.assessment import assess
from services.entropy.statistics.outcome import unpack
from services.entropy.statistics.suite import run_suite

LIMITS_MS = {"SP 800-22, 10^6 bits": 120, "10^7 bits": 60, "10^7 bits, base64": 60, "10^7 bits, certified": 2000}
STS_MS = 3600
FULL_BITS = 2 * 10_485_760


def main() -> None:
    """Print one line for each measurement."""
    print(f"{'':34}{'best ms':>9}{'median ms':>11}{'own CPU ms':>12}   ratio")
    million, ten = unpack(os.urandom(125_000), 10**6), unpack(os.urandom(1_250_000), 10**7)
    _line("SP 800-22, 10^6 bits", lambda: run_suite(million), rounds=7)
    _line("  beside NIST's program elsewhere", lambda: run_suite(million), rounds=7, limit=STS_MS)
    _line("SP 800-22, 10^7 bits", lambda: run_suite(ten), rounds=3)
    _line("SP 800-90B, 10^6 bits", lambda: assess(million), rounds=3)
    seed = os.urandom(80)
    _line("CTR_DRBG, 10^7 bits", lambda: produce(_ID, Grade.DRBG, seed, 10**7), rounds=7)
    if len(sys.argv) > 2:
        _rest(sys.argv[1], sys.argv[2])


def _rest(url: str, key: str) -> None:
    # http.client, as it reads an answer in one piece: httpx takes longer over 2.5 MB than the mesh does.
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - any JSON value
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    def settle() -> None:
        """Wait for a full pool: what refills it would be measured too."""
        while json.loads(call("GET", "/v1/entropy/sources"))["sources"][0]["ready_bits"] < FULL_BITS:
            time.sleep(0.3)
        time.sleep(0.5)

    for name, body in (
        ("256 bits", {"bits": 256}),
        ("256 bits, certified", {"bits": 256, "certification": True}),
        ("10^7 bits", {"bits": 10**7}),
        ("10^7 bits, base64", {"bits": 10**7, "format": "base64"}),
        ("10^7 bits, certified", {"bits": 10**7, "certification": True}),
    ):
        _line(
            name,
            lambda body=body: call("POST", "/v1/entropy/generate", body),  # type: ignore[misc]
            before=settle,
            rounds=5,
        )


def _line(
    name: str,
    work: Callable[[], object],
    *,
    rounds: int,
    limit: float | None = None,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Warm up once, then print the best round and the medians."""
    work()
    walls, cpus = [], []
    for _ in range(rounds):
        before()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(1e3 * (time.perf_counter() - wall))
        cpus.append(1e3 * (time.process_time() - cpu))
    bound = limit or LIMITS_MS.get(name.strip())
    ratio = f"   {bound / min(walls):.1f} x the limit of {bound} ms" if bound else ""
    print(f"{name:34}{min(walls):9.1f}{statistics.median(walls):11.1f}{statistics.median(cpus):12.1f}{ratio}")


_ID = BlockId(uuid4())

if __name__ == "__main__":
    main()
