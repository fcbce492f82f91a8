"""The faults that a test key scripts for one job. Each goes the way of a real one, from where it would happen."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from qm.execution.v1 import execution_pb2 as pb
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST

from mesh.errors import InvalidArgument, MeshError, Unavailable
from mesh.telemetry import log
from services.execution.store import Store

LOOK_SECONDS = 0.5
"""Between two looks for jobs whose delay is over."""


def require_test_key(request: pb.SubmitJobRequest) -> None:
    """Raise InvalidArgument where a key that is billed scripts a fault."""
    scripted = request.HasField("test_faults") and request.test_faults != pb.TestFaults()
    if scripted and request.requester.environment != ENVIRONMENT_TEST:
        message = "X-Test-Fault: only test keys script faults"
        raise InvalidArgument(message, reason="NO_TEST_KEY", field="test_faults")


def release_time(request: pb.SubmitJobRequest, now: dt.datetime) -> dt.datetime | None:
    """Until when workers shall not see the job; None for at once."""
    delay = request.test_faults.queue_delay.ToTimedelta()
    return now + delay if delay else None


def offline(backend_id: str) -> Unavailable:
    """What routing says of a backend that is offline, asked for by name."""
    message = f"{backend_id} could run the program, but it is offline."
    metadata = {"backend": backend_id}
    return Unavailable(message, reason="HARDWARE_UNAVAILABLE", field="hardware", metadata=metadata)


async def release_held(store: Store, clock: Callable[[], dt.datetime]) -> None:
    """Let workers have the jobs whose delay is over, until cancelled."""
    while True:
        try:
            await store.release(clock())
        except MeshError as error:
            log.warning("release_postponed", reason=error.reason)
        await asyncio.sleep(LOOK_SECONDS)
