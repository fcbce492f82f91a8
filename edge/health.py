"""Liveness and readiness: whether this process runs, and whether what it depends on answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edge.exchange import Answer, Request, json_answer
from edge.operations import Operation

PROBE_SECONDS = 1.0
Probe = Callable[[], Awaitable[None]]
"""Returns when a dependency answers; raises anything where it does not."""


class Health:
    """Answers the two questions of whoever supervises this process."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        """Take a probe for each dependency, by name."""
        self._probes = probes
        self._running: asyncio.Task[dict[str, str]] | None = None

    async def live(self, _request: Request[Any, Any]) -> Answer:
        """Answer `GET /healthz`: 200 whenever this process can answer at all."""
        return json_answer({"status": "ok"})

    async def ready(self, request: Request[Any, Any]) -> Answer:
        """Answer `GET /readyz`: 200 when every dependency answers within a second, else 503 with their names."""
        if request.draining.is_set():
            return json_answer({"status": "draining", "dependencies": {}}, status=503)
        # Whoever asks while the probes run gets their answer too: probing cannot be multiplied from outside.
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._probe())
        found = await asyncio.shield(self._running)
        ready = all(state == "ok" for state in found.values())
        status = "ok" if ready else "unavailable"
        return json_answer({"status": status, "dependencies": found}, status=200 if ready else 503)

    async def _probe(self) -> dict[str, str]:
        states = await asyncio.gather(*(_state(probe) for probe in self._probes.values()))
        return dict(zip(self._probes, states, strict=True))


async def _state(probe: Probe) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe()
    except TimeoutError:
        return "timeout"
    except Exception:  # noqa: BLE001 - whatever a probe raises means the same
        return "unavailable"
    return "ok"


def health_operations(health: Health) -> list[Operation]:
    """The two routes; supervisors know them, the public document leaves them out."""
    common = {"method": "GET", "authenticated": False, "limited": False, "documented": False}
    return [
        Operation(id="getLiveness", path="/healthz", handler=health.live, **common),  # type: ignore[arg-type]
        Operation(id="getReadiness", path="/readyz", handler=health.ready, **common),  # type: ignore[arg-type]
    ]
