"""Raw bits from a backend: H on all of its qubits and every shot's outcome, as a job of this service's own team."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import uuid_utils.compat
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from qm.execution.v1 import execution_pb2 as pb
from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2

from mesh.errors import Unavailable
from services.entropy.chunk import RawChunk
from services.entropy.source import SourceKey

if TYPE_CHECKING:
    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

ALGORITHM = "circuit.openqasm.v1"
MOST_QUBITS = 1024
MOST_TWIN_QUBITS = 10
"""Of a machine that is simulated with its noise: what a density matrix takes easily."""
PLAN = "enterprise"


class Collector:
    """Draws from backends through execution."""

    def __init__(self, execution: ExecutionServiceAsyncStub, *, team_id: str, chunk_bits: int, seconds: float) -> None:
        """Submit as `team_id`; a job that takes longer than `seconds` has failed."""
        self._execution = execution
        self._team_id = team_id
        self._chunk_bits = chunk_bits
        self._seconds = seconds

    async def backends(self) -> Mapping[str, routing_pb2.Backend]:
        """The backends of execution, by name."""
        listed = await self._execution.ListAlgorithms(pb.ListAlgorithmsRequest())
        return {backend.backend_id: backend for backend in listed.backends}

    async def collect(self, source: SourceKey) -> RawChunk:
        """One chunk; raises Unavailable (HARDWARE_UNAVAILABLE) where the backend is unknown, or its job fails."""
        backend = (await self.backends()).get(source.source_id)
        if backend is None:
            raise Unavailable(f"There is no backend {source.source_id}.", reason="HARDWARE_UNAVAILABLE", field="source")
        simulator = backend.kind == routing_pb2.BACKEND_KIND_SIMULATOR or source.live
        qubits = min(backend.qubit_count, MOST_QUBITS if simulator else MOST_TWIN_QUBITS)
        circuit = hadamards(qubits)
        job = await self._run(source, circuit, -(-self._chunk_bits // qubits))
        record = msgspec.json.decode(job.record)
        made = record["execution"]
        return RawChunk(
            source,
            pack(await self._outcomes(source, job), self._chunk_bits),
            UUID(job.job_id),
            # What the record does not call real is simulated.
            simulated=made.get("simulated") is not False,
            engine=f"{made['engine']} {made['engine_version']}",
            calibration_id=made.get("calibration_id") or "",
            circuit_sha256=hashlib.sha256(circuit.encode()).digest(),
            collect_time=job.end_time.ToDatetime(dt.UTC),
        )

    async def _run(self, source: SourceKey, circuit: str, shots: int) -> pb.Job:
        parameters = ParseDict({"qasm": circuit, "memory": True}, Struct())
        submitted = await self._execution.SubmitJob(
            pb.SubmitJobRequest(
                requester=self._requester(source),
                request_id=f"entropy-{uuid_utils.compat.uuid7().hex}",
                fingerprint=hashlib.sha256(circuit.encode()).digest(),
                algorithm_id=ALGORITHM,
                hardware=source.source_id,
                shot_count=shots,
                parameters=parameters,
                priority=pb.PRIORITY_STANDARD,
                seed=secrets.randbits(63),  # a simulator's own would follow from the job's id
            ),
            timeout=self._seconds,
        )
        job: pb.Job = submitted.job
        watched = self._execution.WatchJob(
            pb.WatchJobRequest(requester=self._requester(source), job_id=job.job_id), timeout=self._seconds
        )
        async for response in watched:
            job = response.job
        if job.state != pb.JOB_STATE_COMPLETED:
            reason = job.error.message or "it did not complete"
            message = f"The job for raw bits on {source.source_id} failed: {reason}"
            raise Unavailable(message, reason="HARDWARE_UNAVAILABLE", field="source")
        return job

    async def _outcomes(self, source: SourceKey, job: pb.Job) -> list[str]:
        request = pb.GetJobResultRequest(requester=self._requester(source), job_id=job.job_id)
        parts = [part.data async for part in self._execution.GetJobResult(request, timeout=self._seconds)]
        return msgspec.json.decode(b"".join(parts), type=_Result).memory

    def _requester(self, source: SourceKey) -> requester_pb2.Requester:
        """This service as a customer of execution. Only a live source may reach a machine, and cost something."""
        live, test = requester_pb2.ENVIRONMENT_LIVE, requester_pb2.ENVIRONMENT_TEST
        return requester_pb2.Requester(
            team_id=self._team_id,
            user_id=self._team_id,
            key_id=self._team_id,
            plan=PLAN,
            environment=live if source.live else test,
        )


class _Result(msgspec.Struct):
    memory: list[str]


def hadamards(qubits: int) -> str:
    """H on every qubit and measure, as OpenQASM 2."""
    return f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{qubits}];\ncreg c[{qubits}];\nh q;\nmeasure q -> c;\n'


def pack(outcomes: list[str], bit_count: int) -> bytes:
    """The first bits of all shots, one shot after the other; raises Unavailable where there are fewer."""
    text = "".join(outcomes)
    if len(text) < bit_count:
        message = f"The job gave {len(text):,} raw bits and not {bit_count:,}."
        raise Unavailable(message, reason="HARDWARE_UNAVAILABLE", field="source")
    size = -(-bit_count // 8)
    return int(text[:bit_count].ljust(8 * size, "0"), 2).to_bytes(size, "big")
