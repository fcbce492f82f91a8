"""A job's result by itself: streamed, whatever its size, under the digest that the signed job has for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from qm.execution.v1 import execution_pb2 as pb

from edge.dialects.qmumma.jobs import path_job_id
from edge.exchange import REVALIDATE, Answer, Request, etag_matches
from edge.limits import OpenStreams
from edge.operations import Nothing
from mesh.errors import MUTE, Internal

if TYPE_CHECKING:
    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

Parts = AsyncGenerator[pb.GetJobResultResponse, None]


class Results:
    """Downloads."""

    def __init__(self, execution: ExecutionServiceAsyncStub, *, streams: OpenStreams) -> None:
        """Call `execution`; a download counts among the open streams of its team."""
        self._execution = execution
        self._streams = streams

    async def download(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/jobs/{job_id}/result`."""
        team_id = request.requester.team_id
        self._streams.check(team_id)
        message = pb.GetJobResultRequest(requester=request.requester, job_id=path_job_id(request))
        parts = cast("Parts", aiter(self._execution.GetJobResult(message)))
        first = await anext(parts, None)
        if first is None or first.WhichOneof("part") != "info":
            raise Internal(MUTE, reason="RESULT_WITHOUT_INFO")
        info = first.info
        tag = b'"%s"' % info.sha256.hex().encode()
        headers = [(b"etag", tag), REVALIDATE]
        if etag_matches(request.headers.get(b"if-none-match"), tag):
            await parts.aclose()
            return Answer(304, headers=headers)
        # With a length an answer that breaks off is seen to be short.
        headers.append((b"content-length", b"%d" % info.size_bytes))
        return Answer(200, self._pieces(parts, team_id), info.media_type.encode(), headers)

    async def _pieces(self, parts: Parts, team_id: str) -> AsyncIterator[bytes]:
        with self._streams.hold(team_id):
            async with aclosing(parts):
                async for part in parts:
                    yield part.data
