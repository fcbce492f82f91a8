"""A barrage of malformed requests, and what it found."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from deploy.local.mesh import LocalMesh
from tests.fuzz.mutations import mutate
from tests.fuzz.wire import Reply, Wire, requests_of, send
from tests.live import Api, Team

CLIENTS = 16
_KEYED = b"POST /v1/keys HTTP/1.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
SLOW = (b"G", b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-Slow: ", _KEYED + b"Content-Length: 50\r\n\r\n{")
"""Beginnings of requests whose rest never comes."""
MANY = 5000
"""From so many requests on, slow ones are sent besides."""
_SHOWN = 2000


@dataclass
class Found:
    """What a barrage found."""

    statuses: Counter[str] = field(default_factory=Counter)
    unavailable: Counter[str] = field(default_factory=Counter)
    """What was answered 503, and how often."""
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    shown: list[str] = field(default_factory=list)

    def note(self, number: int, wire: Wire, reply: Reply) -> None:
        """Count an answer, and complain where it is none that a client can expect."""
        self.statuses["none" if reply.status is None else str(reply.status)] += 1
        self.slowest = max(self.slowest, reply.seconds)
        what = f"request {number} ({wire.operation}: {', '.join(wire.how)})"
        if reply.hung:
            self.faults.append(f"{what} hung")
        elif reply.status is None and wire.is_whole and "lost_response" not in str(wire.headers):
            self.faults.append(f"{what} was not answered")
        elif reply.status is not None and reply.status >= 500 and reply.status != 503:
            self.faults.append(f"{what} was answered {reply.status}")
        elif reply.status == 503:
            self.unavailable[f"{wire.operation}: {_message(reply)}"] += 1
        self.shown.append(f"{wire.data()[:_SHOWN]!r}\n{reply.data[:_SHOWN]!r}")

    def text(self, *, verbose: bool) -> str:
        """The report."""
        counts = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        unavailable = [f"503, {count} times: {what}" for what, count in self.unavailable.items()]
        lines = [*(self.shown if verbose else ()), *unavailable, *self.faults]
        return "\n".join([*lines, f"{counts}; slowest {self.slowest:.1f} s; {len(self.faults)} faults"])


async def barrage(mesh: LocalMesh, team: Team, *, seed: int, numbers: Sequence[int]) -> Found:
    """Send the requests of those numbers, some slow ones besides, and see whether the mesh is well afterwards."""
    api = Api(mesh, team.secrets["test"])
    job_id = (await api.run())["job_id"]
    document = (await api.get("/v1/openapi.json")).json()
    valid = list(requests_of(document, team.secrets["test"], {"job_id": job_id}))
    host, _, port = mesh.layout.address("edge").partition(":")
    log = mesh.layout.log("edge")
    logged_before = len(_errors(log.read_text()))
    found, left = Found(), iter(numbers)

    async def client() -> None:
        for number in left:
            random = Random(f"{seed}/{number}")
            wire = mutate(copy.deepcopy(random.choice(valid)), random)
            found.note(number, wire, await send(host, int(port), wire))

    async def slow(start: bytes) -> None:
        start = start.replace(b"%s", team.secrets["test"].encode())
        wire = Wire(f"slow {start!r}", b"", b"", [], b"", raw=start, is_whole=False, stays_open=True)
        found.note(-1, wire, await send(host, int(port), wire))

    await asyncio.gather(*(client() for _ in range(CLIENTS)), *(map(slow, SLOW) if len(numbers) >= MANY else ()))
    if (await api.get("/readyz")).status_code != 200:
        found.faults.append("the mesh is not ready")
    if (await api.run())["status"] != "completed":
        found.faults.append("the mesh runs no jobs")
    found.faults += _errors(log.read_text())[logged_before:]
    await api.close()
    return found


def _message(reply: Reply) -> str:
    try:
        return str(json.loads(reply.data.partition(b"\r\n\r\n")[2])["error"]["message"])
    except (ValueError, KeyError):
        return "no error body"


def _errors(lines: str) -> list[str]:
    return [line for line in lines.splitlines() if '"level":"error"' in line.replace(" ", "")]
