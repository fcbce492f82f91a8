"""How a result leaves: from its record, or in pieces from where it is stored apart."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from qm.execution.v1 import execution_pb2 as pb

from mesh.errors import MUTE, Conflict, Internal
from mesh.telemetry import log
from services.execution.job import JobId, State, job_not_found
from services.execution.record import MEDIA_TYPE, ResultObject, read_result
from services.execution.results.result_store import ResultKey, ResultStore
from services.execution.store import Store

PIECE_BYTES = 256 * 1024


class Downloads:
    """Sends results."""

    def __init__(self, store: Store, results: ResultStore) -> None:
        """Read jobs in `store`, and large results in `results`."""
        self._store = store
        self._results = results

    async def send(self, job_id: JobId, team_id: str) -> AsyncIterator[pb.GetJobResultResponse]:
        """What the result is, then its bytes.

        Raises NotFound, Conflict (NO_RESULT) and Unavailable; bytes that are not those of the record's digest end in
        Internal after the last of them.
        """
        job = await self._store.get(job_id, team_id)
        if job is None:
            raise job_not_found()
        if job.state is not State.COMPLETED or job.record is None:
            message = f"the job is {job.state.word} and has no result; only a completed job has one"
            raise Conflict(message, reason="NO_RESULT", field="job_id")
        result = read_result(job.record)
        if isinstance(result, bytes):
            told = ResultObject(f"sha256:{hashlib.sha256(result).hexdigest()}", len(result), MEDIA_TYPE)
            pieces = _pieces(result)
        else:
            told, pieces = result, self._results.get(ResultKey(job_id, result.sha256))
        digest, first = hashlib.sha256(), True
        async for piece in pieces:
            if first:  # only now: what is gone is an error, and no empty answer
                yield pb.GetJobResultResponse(info=_info(told))
                first = False
            digest.update(piece)
            yield pb.GetJobResultResponse(data=piece)
        if digest.hexdigest() != told.sha256:
            log.error("result_corrupt", job_id=str(job_id))
            raise Internal(MUTE, reason="RESULT_CORRUPT")


def _info(told: ResultObject) -> pb.ResultInfo:
    sha256 = bytes.fromhex(told.sha256)
    return pb.ResultInfo(media_type=told.media_type, size_bytes=told.size_bytes, sha256=sha256)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]
