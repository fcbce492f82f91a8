"""The RPCs of execution: check, call, answer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

from qm.execution.v1 import execution_pb2 as pb

from mesh.call import Call
from mesh.errors import InvalidArgument
from services.execution.cancel import Cancellations
from services.execution.download import Downloads
from services.execution.intake import Intake
from services.execution.job import JobId, State, job_not_found
from services.execution.live.accounts import ProviderAccounts
from services.execution.market import Market
from services.execution.messages import job_message, quote_message
from services.execution.quoting import Quotes
from services.execution.store import Store
from services.execution.view import may_view
from services.execution.watch import Watchers


class ExecutionService:
    """Jobs and the marketplace."""

    def __init__(  # noqa: PLR0913 - the parts of the service, wired once
        self,
        store: Store,
        intake: Intake,
        market: Market,
        watchers: Watchers,
        cancellations: Cancellations,
        downloads: Downloads,
        *,
        quotes: Quotes,
        accounts: ProviderAccounts,
    ) -> None:
        """Serve what is in `store`."""
        self._store = store
        self._intake = intake
        self._quotes = quotes
        self._market = market
        self._watchers = watchers
        self._cancellations = cancellations
        self._downloads = downloads
        self._accounts = accounts

    async def SubmitJob(self, request: pb.SubmitJobRequest, _call: Call) -> pb.SubmitJobResponse:
        """Accept a job, once."""
        job, replayed = await self._intake.submit(request)
        return pb.SubmitJobResponse(job=job_message(job), replayed=replayed)

    async def QuoteJob(self, request: pb.QuoteJobRequest, _call: Call) -> pb.QuoteJobResponse:
        """Say what a job would be like, once."""
        quote, replayed = await self._quotes.quote(request.job)
        return pb.QuoteJobResponse(quote=quote_message(quote), replayed=replayed)

    async def GetJob(self, request: pb.GetJobRequest, _call: Call) -> pb.GetJobResponse:
        """Return a job of the team, or next to nothing of one that the caller has already."""
        if request.known_version:
            version = await self._store.version(_job_id(request.job_id), request.requester.team_id)
            if version == request.known_version:
                return pb.GetJobResponse(job=pb.Job(job_id=request.job_id, version=version))
        job = await self._store.get(_job_id(request.job_id), request.requester.team_id)
        if job is None:
            raise job_not_found()
        if request.with_parameters:
            return pb.GetJobResponse(job=job_message(job), parameters=job.parameters, submitter=job.requester)
        return pb.GetJobResponse(job=job_message(job))

    async def AwaitJob(self, request: pb.AwaitJobRequest, _call: Call) -> pb.AwaitJobResponse:
        """Return a job of the team as soon as it is another than the caller knows, or when the wait is over."""
        job_id, team_id = _job_id(request.job_id), request.requester.team_id
        seconds = request.wait.ToTimedelta().total_seconds()
        job = await self._watchers.another(self._store, job_id, team_id, request.known_version, seconds)
        job = job or await self._store.get(job_id, team_id)
        if job is None:
            raise job_not_found()
        return pb.AwaitJobResponse(job=job_message(job))

    async def ViewJob(self, request: pb.ViewJobRequest, _call: Call) -> pb.ViewJobResponse:
        """Return a completed job to whoever holds its view token."""
        job = await self._store.get(_job_id(request.job_id))
        if job is None or not may_view(job, request.token):
            raise job_not_found()
        return pb.ViewJobResponse(job=job_message(job))

    async def ListJobs(self, request: pb.ListJobsRequest, _call: Call) -> pb.ListJobsResponse:
        """Return a page of the team's jobs, newest first."""
        state = _state(request.state)
        team_id, size = request.requester.team_id, request.page_size
        if request.before_job_id:
            than = _job_id(request.before_job_id)
            jobs, more = await self._store.newer(team_id, than=than, state=state, size=size)
        else:
            older = _job_id(request.after_job_id) if request.after_job_id else None
            jobs, more = await self._store.older(team_id, than=older, state=state, size=size)
        return pb.ListJobsResponse(jobs=map(job_message, jobs), has_more=more)

    async def CancelJob(self, request: pb.CancelJobRequest, _call: Call) -> pb.CancelJobResponse:
        """End a job that waits; ask the worker of one that runs to let go."""
        job = await self._cancellations.cancel(_job_id(request.job_id), request.requester)
        return pb.CancelJobResponse(job=job_message(job))

    async def WatchJob(self, request: pb.WatchJobRequest, _call: Call) -> AsyncIterator[pb.WatchJobResponse]:
        """Send the job on every change until it has ended."""
        found = False
        job_id, team_id = _job_id(request.job_id), request.requester.team_id
        async for job in self._watchers.follow(self._store, job_id, team_id, request.after_version):
            found = True
            yield pb.WatchJobResponse(job=job_message(job))
        if not found and await self._store.get(job_id, team_id) is None:
            raise job_not_found()

    async def GetJobResult(
        self, request: pb.GetJobResultRequest, _call: Call
    ) -> AsyncIterator[pb.GetJobResultResponse]:
        """Send the result of a completed job."""
        async for part in self._downloads.send(_job_id(request.job_id), request.requester.team_id):
            yield part

    async def ListAlgorithms(self, _request: pb.ListAlgorithmsRequest, _call: Call) -> pb.ListAlgorithmsResponse:
        """Return the marketplace."""
        return await self._market.summary()

    async def TestProviderSecret(
        self, request: pb.TestProviderSecretRequest, _call: Call
    ) -> pb.TestProviderSecretResponse:
        """Ask a provider about a team's credentials."""
        ok, detail = await self._accounts.test(request.requester.team_id, request.provider)
        return pb.TestProviderSecretResponse(ok=ok, detail=detail)

    async def GetAlgorithm(self, request: pb.GetAlgorithmRequest, _call: Call) -> pb.GetAlgorithmResponse:
        """Return one algorithm with its schemas and where it can run."""
        return await self._market.get(request.algorithm_id, request.requester)


def _job_id(text: str) -> JobId:
    try:
        return JobId(uuid.UUID(text))
    except ValueError:
        raise InvalidArgument(f"{text[:64]!r} is no job id", reason="INVALID_FIELD", field="job_id") from None


def _state(number: int) -> State | None:
    try:
        return State(number) if number else None
    except ValueError:
        raise InvalidArgument(f"there is no state {number}", reason="INVALID_FIELD", field="state") from None
