"""Jobs over HTTP: submit, read, list, cancel. Each converts, calls one RPC, and converts back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from msgspec import UNSET
from qm.execution.v1 import execution_pb2 as pb
from qm.signing.v1.signing_pb2 import GetAnchorRequest
from qm.type.v1.money_pb2 import Money
from qm.type.v1.requester_pb2 import Environment, Requester

from edge.dialects.qmumma.answers import JobPage
from edge.dialects.qmumma.idempotency import fingerprint, idempotency_key, own_key
from edge.dialects.qmumma.ids import job_id_of, quote_id_of, shown_job_id
from edge.dialects.qmumma.objectives import objective_of
from edge.dialects.qmumma.parameters import parameters_of
from edge.dialects.qmumma.rendering import (
    PRIORITY_BY_WORD,
    STATE_BY_STATUS,
    etag,
    has_ended,
    job_body,
    known_version,
    proof_of,
    submitted,
    summary,
)
from edge.dialects.qmumma.requests import ListJobs, QuoteJob, ReadJob, SubmitJob
from edge.dialects.qmumma.watching import WatchEnded, while_heard
from edge.errors import Refusal
from edge.exchange import JSON, REPLAYED, REVALIDATE, Answer, Request, etag_matches, json_answer
from edge.faults import Faults
from edge.limits import OpenStreams
from edge.operations import Nothing
from mesh.callables import DEFAULT_TIMEOUT
from mesh.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub


SUBMIT_SECONDS = 20.0
"""How long a submission may take: longer than its program may be analysed, and wait for its turn."""


class Jobs:
    """The operations on jobs, except the stream of events."""

    def __init__(
        self,
        execution: ExecutionServiceAsyncStub,
        signing: SigningServiceAsyncStub,
        *,
        streams: OpenStreams,
    ) -> None:
        """Call `execution` for jobs and `signing` for proofs."""
        self._execution = execution
        self._signing = signing
        self._streams = streams

    async def submit(self, request: Request[SubmitJob, Nothing]) -> Answer:
        """Answer `POST /v1/jobs/submit`."""
        key = idempotency_key(request.headers)
        message = submission(request.body)
        _script(request.faults, message)
        message.requester.CopyFrom(request.requester)
        message.request_id = key or own_key()
        message.fingerprint = fingerprint(_asked(request.requester), request.parsed_body)
        response = await self._execution.SubmitJob(message, timeout=SUBMIT_SECONDS)
        location = f"/v1/jobs/{shown_job_id(response.job.job_id)}".encode()
        headers = [(b"location", location)]
        if key is not None and response.replayed:
            headers.append(REPLAYED)
        return json_answer(submitted(response), status=202, headers=headers)

    async def get(self, request: Request[Nothing, ReadJob]) -> Answer:
        """Answer `GET /v1/jobs/{job_id}`."""
        with_proof = request.query.include == "proof"
        known = request.headers.get(b"if-none-match")

        def is_news(job: pb.Job) -> bool:
            return has_ended(job) or (known is not None and not etag_matches(known, etag(job, with_proof=with_proof)))

        version = known_version(known, with_proof=with_proof)
        job = await (self._awaited(request, version, is_news) if request.query.wait else self.find(request, version))
        tag = etag(job, with_proof=with_proof)
        headers = [(b"etag", tag), REVALIDATE]
        if etag_matches(known, tag):
            return Answer(304, headers=headers)
        proof = None
        if with_proof and job.state == pb.JOB_STATE_COMPLETED:
            anchor = await self._signing.GetAnchor(GetAnchorRequest(leaf_hash=job.seal.leaf_hash))
            proof = proof_of(job.record, anchor)
        return Answer(200, job_body(job, proof), JSON, headers)

    async def list(self, request: Request[Nothing, ListJobs]) -> Answer:
        """Answer `GET /v1/jobs`."""
        query = request.query
        if query.before is not UNSET and query.after is not UNSET:
            message = "before: cannot be given together with after"
            raise Refusal(400, message, param="before", reason="INVALID_FIELD")
        response = await self._execution.ListJobs(
            pb.ListJobsRequest(
                requester=request.requester,
                page_size=query.limit,
                before_job_id="" if query.before is UNSET else _known_form(query.before),
                after_job_id="" if query.after is UNSET else _known_form(query.after),
                state=pb.JOB_STATE_UNSPECIFIED if query.status is UNSET else STATE_BY_STATUS[query.status],
            )
        )
        return json_answer(JobPage([summary(job) for job in response.jobs], response.has_more))

    async def cancel(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `POST /v1/jobs/{job_id}/cancel`."""
        message = pb.CancelJobRequest(requester=request.requester, job_id=path_job_id(request))
        response = await self._execution.CancelJob(message)
        return json_answer(summary(response.job), status=202)

    async def find(self, request: Request[Any, Any], known_version: int = 0) -> pb.Job:
        """The job in the path, its id and version alone where that is known; raises Refusal or MeshError."""
        message = pb.GetJobRequest(
            requester=request.requester, job_id=path_job_id(request), known_version=known_version
        )
        return (await self._execution.GetJob(message)).job

    def states(self, request: Request[Any, Any], after_version: int) -> AsyncIterator[pb.WatchJobResponse]:
        """The states of the job in the path that come after a version."""
        message = pb.WatchJobRequest(
            requester=request.requester, job_id=path_job_id(request), after_version=after_version
        )
        return aiter(self._execution.WatchJob(message))

    async def _awaited(
        self, request: Request[Nothing, ReadJob], version: int, is_news: Callable[[pb.Job], bool]
    ) -> pb.Job:
        """The job as it is where that is news, else once it has changed, or when the wait is over before that."""
        team_id = request.requester.team_id
        is_full = self._streams.full(team_id)
        if is_full or (version == 0 and b"if-none-match" in request.headers):
            job = await self.find(request)
            if is_news(job):
                return job
            if is_full:
                self._streams.check(team_id)
            version = job.version
        message = pb.AwaitJobRequest(
            requester=request.requester,
            job_id=path_job_id(request),
            known_version=version,
            wait=Duration(seconds=request.query.wait),
        )
        seconds = request.query.wait + DEFAULT_TIMEOUT
        # A service that was away meanwhile has begun to wait anew.
        with self._streams.hold(team_id), suppress(WatchEnded, DeadlineExceeded):
            return (await while_heard(self._execution.AwaitJob(message, timeout=seconds), request)).job
        return await self.find(request)


def submission(body: QuoteJob) -> pb.SubmitJobRequest:
    """The message of a job. Raises Refusal."""
    max_cost = None
    if body.max_cost_usd is not UNSET:
        max_cost = Money(currency_code="USD", micros=body.max_cost_usd.micros)
    return pb.SubmitJobRequest(
        algorithm_id=body.algorithm_id,
        hardware=body.hardware,
        shot_count=body.shots,
        parameters=parameters_of(body.parameters),
        priority=PRIORITY_BY_WORD[body.priority],
        seed=None if body.seed is UNSET else body.seed,
        max_cost=max_cost,
        allow_twin=body.allow_twin,
        webhook_url="" if body.webhook_url is UNSET else body.webhook_url,
        objective=None if body.routing is UNSET else objective_of(body.routing, body.max_cost_usd),
        quote_id=quote_id_of(body.quote_id) or "" if isinstance(body, SubmitJob) and body.quote_id is not UNSET else "",
    )


def _script(faults: Faults, message: pb.SubmitJobRequest) -> None:
    """Send the faults along that befall a job."""
    if faults.queue_delay:
        message.test_faults.queue_delay.FromMilliseconds(round(faults.queue_delay * 1000))
    if faults.hardware_offline:
        message.test_faults.hardware_offline = True
    if faults.engine_crash:
        message.test_faults.engine_crash = True


def _asked(requester: Requester) -> str:
    """What a submission is besides its body: one by a test key is another than one by a live key."""
    return f"POST /v1/jobs/submit {Environment.Name(requester.environment)}"


def path_job_id(request: Request[Any, Any]) -> str:
    """The canonical id of the job in the path; what cannot be a job's id is one that does not exist."""
    job_id = job_id_of(request.path["job_id"])
    if job_id is None:
        message = "There is no such job. Ids look like qm_job_ and 32 hexadecimal digits."
        raise Refusal(404, message, param="job_id", reason="JOB_NOT_FOUND")
    return job_id


def _known_form(shown: str) -> str:
    job_id = job_id_of(shown)
    assert job_id is not None  # noqa: S101 - the query's pattern has seen to it
    return job_id
