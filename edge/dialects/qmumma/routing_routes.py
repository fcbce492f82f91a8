"""The declarations of the operations on quotes and decisions."""

from __future__ import annotations

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.decisions import Decision, Decisions
from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.headers import IDEMPOTENCY_KEY, KEY_CONFLICT, REPLAYED
from edge.dialects.qmumma.job_routes import JOB_ID, NO_JOB
from edge.dialects.qmumma.links import of_record
from edge.dialects.qmumma.quotes import Quote, Quotes
from edge.dialects.qmumma.requests import QuoteJob
from edge.operations import Example, Operation, Outcome


def routing_operations(quotes: Quotes, decisions: Decisions) -> list[Operation]:
    """What a job would be like, and why it runs where it runs."""
    return [_quote(quotes), _decision(decisions)]


def _quote(quotes: Quotes) -> Operation:
    return Operation(
        id="quoteJob",
        method="POST",
        path="/v1/jobs/quote",
        handler=quotes.quote,
        tag="Jobs",
        summary="Ask what a job would cost",
        description="Takes the body of a submission, chooses the backend and asks for the price, and spends nothing. "
        "The answer is signed and logged: check it at `POST /v1/verify`. Send the same body with its `quote_id` to "
        "`POST /v1/jobs/submit` before it expires, and the job runs on that backend and never costs more. A quote is "
        "for one job: with another `Idempotency-Key`, or none, a second submission by it is 409. The times "
        "are predictions; how often they hold is on `GET /v1/benchmarks/routing`.",
        body=QuoteJob,
        body_examples={
            "twin": Example(summary="Which machine would be best for a Bell pair?", value=examples.QUOTE_TWIN),
            "vqe": Example(summary="Ground-state energy of water", value=examples.SUBMIT_VQE),
        },
        header_fields=(IDEMPOTENCY_KEY,),
        outcomes=(
            Outcome(
                status=201,
                description="The quote.",
                kind=Quote,
                headers=REPLAYED,
                examples=one("A quote for a Bell pair", examples.QUOTED),
                links=of_record(),
            ),
        ),
        errors={
            402: "The team's budget does not cover the job.",
            403: "The plan has no priority queue, or its jobs of the month are used up.",
            404: "`algorithm_id` is unknown.",
            409: KEY_CONFLICT,
            503: "The named backend is offline, nothing can run the job now, or a part of the service does not answer.",
        },
    )


def _decision(decisions: Decisions) -> Operation:
    return Operation(
        id="getJobDecision",
        method="GET",
        path="/v1/jobs/{job_id}/decision",
        handler=decisions.get,
        tag="Jobs",
        summary="Explain where a job runs",
        description="The choice of the job's backend as it was made when the job was accepted: every candidate with "
        "what was predicted of it, its utility term by term, and the reason. `qmumma explain` prints it as a table. A "
        "job that was moved after a fault keeps this decision, and `moved` says where it went on and why.",
        path_fields=(JOB_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The decision.",
                kind=Decision,
                examples=one("A Bell pair on a simulator", examples.DECISION),
            ),
        ),
        errors={404: NO_JOB},
    )
