"""Liveness and readiness: whether this process runs, and whether what it depends on answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edge.exchange import Answer, Request, json_answer
from edge.operations import Example, Operation, Outcome

PROBE_SECONDS = 1.0
State = Literal["ok", "unavailable", "timeout"]
Probe = Callable[[], Awaitable[None]]
"""Returns when a dependency answers; raises anything where it does not."""


class Liveness(msgspec.Struct):
    """A server that runs."""

    status: Annotated[Literal["ok"], Meta(description="Always `ok`.")] = "ok"


class Readiness(msgspec.Struct):
    """Whether a server can do its work."""

    status: Annotated[
        Literal["ok", "unavailable", "draining"],
        Meta(description="`draining`: it is about to stop, and finishes what it has begun."),
    ]
    dependencies: Annotated[
        dict[str, State],
        Meta(description="How each part of the service stands, by name; empty while draining."),
    ]


class Health:
    """Answers the two questions of whoever supervises this process."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        """Take a probe for each dependency, by name."""
        self._probes = probes
        self._running: asyncio.Task[dict[str, State]] | None = None

    async def live(self, _request: Request[Any, Any]) -> Answer:
        """Answer `GET /healthz`: 200 whenever this process can answer at all."""
        return json_answer(Liveness())

    async def ready(self, request: Request[Any, Any]) -> Answer:
        """Answer `GET /readyz`: 200 when every dependency answers within a second, else 503 with their names."""
        if request.draining.is_set():
            return json_answer(Readiness("draining", {}), status=503)
        # Whoever asks while the probes run gets their answer too: probing cannot be multiplied from outside.
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._probe())
        found = await asyncio.shield(self._running)
        ready = all(state == "ok" for state in found.values())
        return json_answer(Readiness("ok" if ready else "unavailable", found), status=200 if ready else 503)

    async def _probe(self) -> dict[str, State]:
        states = await asyncio.gather(*(_state(probe) for probe in self._probes.values()))
        return dict(zip(self._probes, states, strict=True))


async def _state(probe: Probe) -> State:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe()
    except TimeoutError:
        return "timeout"
    except Exception:  # noqa: BLE001 - whatever a probe raises means the same
        return "unavailable"
    return "ok"


def health_operations(health: Health) -> list[Operation]:
    """The two routes that supervisors ask."""
    return [_liveness(health), _readiness(health)]


def _liveness(health: Health) -> Operation:
    return Operation(
        id="getLiveness",
        method="GET",
        path="/healthz",
        handler=health.live,
        tag="Health",
        summary="Whether this server runs",
        description="200 whenever it can answer at all.",
        outcomes=(
            Outcome(status=200, description="It runs.", kind=Liveness, examples=_one("It runs", {"status": "ok"})),
        ),
        authenticated=False,
        limited=False,
    )


def _readiness(health: Health) -> Operation:
    ready = {"status": "ok", "dependencies": {"accounts": "ok", "execution": "ok"}}
    unready = {"status": "unavailable", "dependencies": {"accounts": "ok", "execution": "timeout"}}
    return Operation(
        id="getReadiness",
        method="GET",
        path="/readyz",
        handler=health.ready,
        tag="Health",
        summary="Whether all that this server needs answers",
        description="Asks each part of the service, for a second at most. Send no requests here while it is 503.",
        outcomes=(
            Outcome(status=200, description="All answer.", kind=Readiness, examples=_one("Ready", ready)),
            Outcome(
                status=503,
                description="One does not answer, or this server is about to stop.",
                kind=Readiness,
                examples=_one("Not ready", unready),
            ),
        ),
        authenticated=False,
        limited=False,
    )


def _one(summary: str, value: object) -> dict[str, Example]:
    return {"example": Example(summary=summary, value=value)}
