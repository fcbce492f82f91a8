"""Jobs of a team, with their money. Work that lost its queue message is queued again by the sweeper itself."""

from __future__ import annotations

import argparse
import uuid

from qm.billing.v1 import billing_pb2
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qm.execution.v1 import execution_pb2 as pb
from qm.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from qm.type.v1.requester_pb2 import ENVIRONMENT_LIVE, Requester

from deploy.admin.command import TEAM, Command, Shown, Thing, argument, identifier
from deploy.admin.output import dollars, time
from deploy.admin.session import Session
from mesh.errors import NotFound

_NOBODY = str(uuid.UUID(int=0))


async def _list(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.ListJobsRequest(requester=_operator(given.team), page_size=given.limit)
    return [_thing(job) for job in (await ExecutionServiceStub(session.channel("execution")).ListJobs(request)).jobs]


async def _show(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.GetJobRequest(requester=_operator(given.team), job_id=given.job)
    job = (await ExecutionServiceStub(session.channel("execution")).GetJob(request)).job
    return {**_thing(job), "decision_id": job.decision.decision_id, "money": await _money(session, given)}


async def _cancel(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.CancelJobRequest(requester=_operator(given.team), job_id=given.job)
    return _thing((await ExecutionServiceStub(session.channel("execution")).CancelJob(request)).job)


async def _money(session: Session, given: argparse.Namespace) -> list[Thing]:
    request = billing_pb2.GetHoldRequest(team_id=given.team, job_id=given.job)
    try:
        answer = await BillingServiceStub(session.channel("billing")).GetHold(request)
    except NotFound:
        return []
    return [
        {"at": time(entry.create_time), "account": entry.account, "amount_usd": dollars(entry.amount)}
        for entry in answer.entries
    ]


def _operator(team_id: str) -> Requester:
    """The operator asks for the team, and for nobody in it."""
    return Requester(team_id=team_id, user_id=_NOBODY, key_id=_NOBODY, plan="operator", environment=ENVIRONMENT_LIVE)


def _thing(job: pb.Job) -> Thing:
    return {
        "job_id": job.job_id,
        "state": pb.JobState.Name(job.state).removeprefix("JOB_STATE_").lower(),
        "algorithm": job.algorithm_id,
        "backend": job.backend_id,
        "shots": job.shot_count,
        "cost_usd": dollars(job.cost),
        "created_at": time(job.create_time),
        "failure": job.error.message if job.HasField("error") else None,
    }


_JOB = argument("job", "the job's id", type=identifier)
COMMANDS = (
    Command(
        group="jobs",
        name="list",
        summary="list a team's jobs, newest first",
        run=_list,
        arguments=(TEAM, argument("--limit", "at most as many (20)", type=int, default=20)),
    ),
    Command(
        group="jobs", name="show", summary="one job and what happened to its money", run=_show, arguments=(TEAM, _JOB)
    ),
    Command(
        group="jobs",
        name="cancel",
        summary="end a job that is stuck, and give back what is held for it",
        run=_cancel,
        arguments=(TEAM, _JOB),
        question="End the job {job}?",
    ),
)
