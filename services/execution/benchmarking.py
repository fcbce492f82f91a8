"""Runs the benchmarks that routing plans, one now and then, as jobs of a team of their own that nobody pays.

A benchmark is taken on only while no job waits or runs. After a crash the same one is planned again, and its job's
request id finds the job that was made.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2

from mesh.errors import InvalidArgument, MeshError
from mesh.telemetry import log
from services.execution.intake import Intake
from services.execution.store import Store

if TYPE_CHECKING:
    from qm.routing.v1.routing_pb2_grpc import BenchmarkServiceAsyncStub

ALGORITHM = "circuit.openqasm.v1"
_LONGEST = Duration(seconds=20)
"""What a benchmark may take at the 90th percentile; one that may take longer is left out, or users would meet it."""
_NOBODY = "00000000-0000-0000-0000-00000000be4c"
"""The team, user and key of benchmarks: accounts makes no such id, so that no key reaches their jobs."""
REQUESTER = requester_pb2.Requester(
    team_id=_NOBODY, user_id=_NOBODY, key_id=_NOBODY, plan="student", environment=requester_pb2.ENVIRONMENT_TEST
)


class Benchmarking:
    """Asks routing what to measure, and submits it."""

    def __init__(self, intake: Intake, store: Store, routing: BenchmarkServiceAsyncStub) -> None:
        """Submit through `intake` while the queues of `store` are empty."""
        self._intake = intake
        self._store = store
        self._routing = routing

    async def run(self, every_seconds: float) -> None:
        """Look once in `every_seconds` until cancelled."""
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.step()
            except MeshError as error:
                log.warning("benchmark_postponed", reason=error.reason)

    async def step(self) -> bool:
        """Submit the next benchmark; False where jobs wait or everything is fresh. Raises MeshError."""
        if any((await self._store.queue_depths()).values()):
            return False
        response = await self._routing.PlanBenchmark(routing_pb2.PlanBenchmarkRequest())
        if not response.HasField("plan"):
            return False
        plan = response.plan
        try:
            job, _ = await self._intake.submit(_submission(plan))
            job_id = str(job.job_id)
        except InvalidArgument as error:  # it does not fit, or takes too long: so it will later
            log.warning("benchmark_refused", backend=plan.backend_id, family=plan.family, reason=error.reason)
            job_id = ""
        started = routing_pb2.StartBenchmarkRequest(benchmark_id=plan.benchmark_id, job_id=job_id)
        await self._routing.StartBenchmark(started)
        return True


def _submission(plan: routing_pb2.BenchmarkPlan) -> pb.SubmitJobRequest:
    parameters = Struct()
    parameters.update({"qasm": plan.openqasm})
    return pb.SubmitJobRequest(
        requester=REQUESTER,
        request_id=f"benchmark-{plan.benchmark_id}",
        fingerprint=hashlib.sha256(plan.SerializeToString(deterministic=True)).digest(),
        algorithm_id=ALGORITHM,
        hardware=plan.backend_id,
        shot_count=plan.shot_count,
        parameters=parameters,
        priority=pb.PRIORITY_STANDARD,
        objective=routing_pb2.Objective(deadline=_LONGEST),
    )
