"""The declarations of the operations on jobs."""

from __future__ import annotations

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.answers import Job, JobPage, JobSummary, SubmittedJob
from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.headers import IDEMPOTENCY_KEY, IF_NONE_MATCH, KEY_CONFLICT, REPLAYED
from edge.dialects.qmumma.ids import JOB_ID_PATTERN
from edge.dialects.qmumma.job_events import JobEvents
from edge.dialects.qmumma.jobs import Jobs
from edge.dialects.qmumma.links import next_page, of_job, of_record
from edge.dialects.qmumma.requests import ListJobs, ReadJob, SubmitJob
from edge.dialects.qmumma.results import Results
from edge.faults import ANYWHERE, OF_JOBS
from edge.operations import Example, HeaderField, Nothing, Operation, Outcome, PathField

JOB_ID = PathField(
    name="job_id",
    description="The job's id, as its submission answered it. A job of another team does not exist for you.",
    schema={"type": "string", "pattern": JOB_ID_PATTERN},
    example=examples.JOB_ID,
)
NO_JOB = "There is no such job, or it belongs to another team."
_SCRIPT = r"(queue_delay=[0-9]{1,3}(\.[0-9]{1,3})?|hardware_offline|engine_crash|lost_response|rate_limited)"
_TEST_FAULT = HeaderField(
    name="X-Test-Fault",
    description="With a test key, scripts faults for this request, separated by commas; 400 with any other key. "
    "`queue_delay=<seconds>`: the job waits so long before a worker can take it (at most 600). `hardware_offline`: the "
    "named hardware is offline (503), and for `auto` the first choice is. `engine_crash`: every engine that runs it is "
    "killed; the job is tried again, rerouted once where no hardware was named, and fails at no cost. `lost_response`: "
    "the job is accepted and the connection ends without an answer; send it again with the same `Idempotency-Key`. "
    "`rate_limited`: 429. The last two can be scripted for any request with a key.",
    schema={"type": "string", "pattern": f"^{_SCRIPT}( *, *{_SCRIPT}){{0,4}}$"},
    example="queue_delay=2.5, engine_crash",
)
_LAST_EVENT_ID = HeaderField(
    name="Last-Event-ID",
    description="The id of the last event you saw; the stream goes on after it. Browsers send it by themselves.",
    schema={"type": "string", "pattern": "^[0-9]{1,18}$"},
    example="3",
)


def job_operations(jobs: Jobs, events: JobEvents, results: Results) -> list[Operation]:
    """Everything under `/v1/jobs`."""
    return [_submit(jobs), _get(jobs), _result(results), _list(jobs), _cancel(jobs), _events(events)]


def _submit(jobs: Jobs) -> Operation:
    return Operation(
        id="submitJob",
        method="POST",
        path="/v1/jobs/submit",
        handler=jobs.submit,
        tag="Jobs",
        summary="Submit a quantum job",
        description="Validates the job, chooses its backend, holds its price and queues it. Nothing is stored or held "
        "before everything is valid. Answered before the job runs: poll its `Location`, wait with `?wait=`, or follow "
        "its events. Where much is sent at once a submission waits its turn, for up to 20 seconds; then it is 503, and "
        "can be repeated with its `Idempotency-Key`. Failed hardware jobs are never billed.",
        body=SubmitJob,
        body_examples={
            "vqe": Example(summary="Ground-state energy of water", value=examples.SUBMIT_VQE),
            "circuit": Example(summary="A Bell pair in OpenQASM 2", value=examples.SUBMIT_CIRCUIT),
            "sample": Example(summary="A circuit with two sets of inputs", value=examples.SUBMIT_SAMPLE),
            "estimate": Example(summary="An observable with its error bar", value=examples.SUBMIT_ESTIMATE),
        },
        header_fields=(IDEMPOTENCY_KEY, _TEST_FAULT),
        faults=ANYWHERE | OF_JOBS,
        outcomes=(
            Outcome(
                status=202,
                description="The job is queued.",
                kind=SubmittedJob,
                headers={"Location": "Where to read the job.", **REPLAYED},
                examples=one("A queued job", examples.SUBMITTED),
                links=of_job("/job_id"),
            ),
        ),
        errors={
            402: "The team's budget does not cover the job.",
            403: "The plan has no priority queue, or its jobs of the month are used up.",
            404: "`algorithm_id` is unknown.",
            409: f"{KEY_CONFLICT} Or `quote_id` has its job already, is for another body, or has expired.",
            503: "The named backend is offline, nothing can run the job now, or a part of the service does not answer.",
        },
    )


def _get(jobs: Jobs) -> Operation:
    return Operation(
        id="getJob",
        method="GET",
        path="/v1/jobs/{job_id}",
        handler=jobs.get,
        tag="Jobs",
        summary="Poll job status and result",
        description="Cheap to poll: send the `ETag` back as `If-None-Match`, and let `wait` hold the "
        "answer until there is news. A completed job carries its signature, audit hash and anchor; "
        "verify it offline with `qmumma verify`.",
        query=ReadJob,
        path_fields=(JOB_ID,),
        header_fields=(IF_NONE_MATCH,),
        outcomes=(
            Outcome(
                status=200,
                description="The job as it is.",
                kind=Job,
                headers={"ETag": "Changes with the job."},
                examples={
                    "completed": Example(summary="Completed", value=examples.COMPLETED),
                    "proven": Example(summary="With its proof", value=examples.PROVEN),
                    "large": Example(summary="With a large result, on a machine's twin", value=examples.LARGE),
                    "running": Example(summary="Running", value=examples.RUNNING),
                    "failed": Example(summary="Failed", value=examples.FAILED),
                },
                links=(*of_job("/job_id", "getJob"), *of_record()),
            ),
            Outcome(status=304, description="Nothing has changed since the `ETag` that was sent."),
        ),
        errors={400: "A query parameter is wrong; `param` names it.", 404: NO_JOB},
    )


def _result(results: Results) -> Operation:
    return Operation(
        id="getJobResult",
        method="GET",
        path="/v1/jobs/{job_id}/result",
        handler=results.download,
        tag="Jobs",
        summary="Download a result",
        description="The `result` of a completed job by itself, as canonical JSON (RFC 8785). Where the job has "
        "`result_object` instead of `result`, because the signed record would be longer than 1 MiB, this is the only "
        "way to it: check the SHA-256 of what you get against `result_object.digest`, which is signed. Such large "
        "results, of at most 64 MiB, are kept for 90 days unless the operator says otherwise; the signed record is "
        "kept with the job.",
        path_fields=(JOB_ID,),
        header_fields=(IF_NONE_MATCH,),
        outcomes=(
            Outcome(
                status=200,
                description="The result, by the algorithm's result schema.",
                headers={
                    "ETag": "The SHA-256 of the body, in hexadecimal.",
                    "Content-Length": "Its bytes; an answer that is shorter broke off.",
                },
                media_type="application/json",
                examples=one("Counts of a Bell pair", '{"counts":{"00":507,"11":517}}'),
            ),
            Outcome(status=304, description="You have it: the result of a completed job never changes."),
        ),
        errors={
            404: f"{NO_JOB} Or its large result is no longer kept.",
            409: "The job is not completed, and so has no result.",
        },
    )


def _list(jobs: Jobs) -> Operation:
    return Operation(
        id="listJobs",
        method="GET",
        path="/v1/jobs",
        handler=jobs.list,
        tag="Jobs",
        summary="List jobs",
        description="The team's jobs, newest first, without results. For the next page, pass the "
        "last job's id as `after`.",
        query=ListJobs,
        outcomes=(
            Outcome(
                status=200,
                description="A page of jobs.",
                kind=JobPage,
                examples=one("A page of one", {"jobs": [examples.RUNNING], "has_more": False}),
                links=next_page("listJobs", "/jobs/0/job_id"),
            ),
        ),
        errors={400: "A query parameter is wrong; `param` names it."},
    )


def _cancel(jobs: Jobs) -> Operation:
    return Operation(
        id="cancelJob",
        method="POST",
        path="/v1/jobs/{job_id}/cancel",
        handler=jobs.cancel,
        tag="Jobs",
        summary="Cancel a job",
        description="Ends a job that has not ended and gives back its hold. One that is running "
        "stays `running` until its worker has let go. The body may be empty.",
        body=Nothing,
        body_optional=True,
        body_examples=one("Nothing to say", {}),
        path_fields=(JOB_ID,),
        outcomes=(
            Outcome(
                status=202,
                description="The job as it is now.",
                kind=JobSummary,
                examples=one("Cancelled", examples.CANCELLED),
                links=of_job("/job_id", "cancelJob"),
            ),
        ),
        errors={404: NO_JOB, 409: "The job has already ended."},
    )


def _events(events: JobEvents) -> Operation:
    return Operation(
        id="streamJobEvents",
        method="GET",
        path="/v1/jobs/{job_id}/events",
        handler=events.stream,
        tag="Jobs",
        summary="Follow a job",
        description="Server-sent events: the job's whole history from its acceptance on, then each change as it comes, "
        "until it has ended. `event` is `job.<status>`, or `job.rerouted` where it is queued for another backend; "
        "`data` is the job as it was then, without progress, and at the end what `GET /v1/jobs/{job_id}` answers. `id` "
        "is for `Last-Event-ID`: whoever comes back with it gets what follows, nothing twice and nothing left out. In "
        "between, `job.progress` without an `id` tells how far a running job is. A comment every 15 seconds keeps the "
        "connection open; where it breaks, come back after `retry` milliseconds.",
        path_fields=(JOB_ID,),
        header_fields=(_LAST_EVENT_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The stream.",
                media_type="text/event-stream",
                examples=one("Two events", 'id: 2\nevent: job.running\ndata: {"job_id":"qm_job_0199…"}\n\n'),
            ),
            Outcome(
                status=204, description="The job has ended and `Last-Event-ID` is its last event: do not come back."
            ),
        ),
        errors={400: "`Last-Event-ID` is no id of an event.", 404: NO_JOB},
    )
