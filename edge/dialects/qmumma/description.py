"""What the Q-MUMMA document says besides its operations."""

from __future__ import annotations

from typing import Any

from edge.dialects.qmumma.errors import KIND_BY_STATUS, KINDS, ErrorBody, statuses_text
from edge.openapi import Document

_INTRODUCTION = """\
Run quantum algorithms on simulators, on twins of real machines, and on the machines themselves where your team has \
an account; get results that anyone can verify.

## Keys
Jobs and the marketplace need a key: send `Authorization: Bearer <key>`. Benchmarks, proof, health and this \
document need none. `qm_live_` keys are billed, `qm_test_` keys run the same \
pipeline on simulators and are never billed, `qm_ent_` keys have extended limits and a queue of their own. A revoked \
or expired key answers 401 within a second, every key of a suspended team 403.

Users have a role: members manage their own keys, admins the team's keys, members, budget and accounts at providers, \
owners everything.

## Money
A plan includes some jobs a month; later ones cost their algorithm's price, with a surcharge for \
`"priority": "priority"`. The price is held when a job is accepted, charged when it delivers, and given back when it \
does not: failed hardware is never billed, and neither is anything of a test key. `max_cost_usd` bounds one job, a \
quote binds its price, and `PUT /v1/billing/budget` bounds the team's month: past it everything that costs is 402.

## A job's life
`POST /v1/jobs/submit` answers at once; the job then goes `queued` → `running` → `completed`, `failed` or `cancelled`. \
Failed hardware jobs are never billed. Results tell what made them: engine, version, seed, whether it was simulated.

## What is proven
A completed job is signed with ML-DSA-65 over its RFC 8785 form, and its hash is an entry of an append-only log. Keep \
the answer of `GET /v1/jobs/{job_id}?include=proof`: `qmumma verify` checks it offline.

## Limits
Each team has a bucket of requests, which all its keys share: `X-RateLimit-Limit` is what it holds (the plan's burst), \
and it is refilled at the plan's rate. Every request with a key takes one, whatever comes of it; an empty bucket \
answers 429, and `Retry-After` is when there is one again. The limits hold for all servers together. Where a plan has \
none, both numbers are 2147483647. Operations without a key are limited by address. \
Bodies: 4 MiB.

## Conventions
Times are RFC 3339 in UTC. Money is an exact decimal number in US dollars. Numbers with a zero fraction are integers \
(`4096.0` is 4096). Unknown fields, duplicate fields and malformed UTF-8 are refused. Counts are bit strings with \
qubit 0 on the right.

## Errors
Every error has a `type` to branch on, a message for people, and the request id.

"""


def document(public_url: str, version: str) -> Document:
    """The document of an edge that clients reach at `public_url`."""
    kinds = "".join(f"- **{kind.type}** ({statuses_text(kind)}): {kind.meaning} {kind.advice}\n" for kind in KINDS)
    meanings = {status: kind.meaning for status, kind in KIND_BY_STATUS.items()}
    return Document(
        title="Q-MUMMA",
        version=version,
        description=_INTRODUCTION + kinds,
        servers=[{"url": public_url, "description": "This server"}],
        tags=[
            {"name": "Jobs", "description": "Submit, follow, read and cancel jobs."},
            {"name": "Keys", "description": "Make, list, rotate and revoke API keys."},
            {"name": "Billing", "description": "The team's budget, what it has spent, and monthly statements."},
            {"name": "Providers", "description": "The team's own accounts at providers of quantum hardware."},
            {"name": "Marketplace", "description": "What can be run, on what, for how much."},
            {
                "name": "Benchmarks",
                "description": "What backends achieved, and how right routing was. No key needed.",
            },
            {
                "name": "Webhooks",
                "description": "Be called when a job has ended or was moved: what was sent, and how it is signed.",
            },
            {"name": "Entropy", "description": "Random bits with their provenance, and the public beacon."},
            {"name": "Proof", "description": "Check that a result is genuine. No key needed."},
            {"name": "Certificates", "description": "Documents that prove a job, and who did what in your team."},
            {"name": "Health", "description": "Whether this server runs, and what it needs answers. No key needed."},
        ],
        error=ErrorBody,
        error_examples=_error_examples(public_url),
        common_errors={
            400: meanings[400],
            404: meanings[404],
            405: meanings[405],
            429: meanings[429],
            500: meanings[500],
            503: "A part of the service does not answer; try again after `Retry-After` seconds.",
        },
        key_errors={401: meanings[401]},
        body_errors={
            408: "The body did not arrive within 10 seconds (`bad_request`).",
            413: meanings[413],
            415: meanings[415],
        },
        security={
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: `qm_live_…`, `qm_test_…` or `qm_ent_…`.",
        },
        security_name="key",
    )


def _error_examples(public_url: str) -> dict[int, dict[str, Any]]:
    return {
        status: {
            "error": {
                "type": kind.type,
                "message": kind.meaning,
                "request_id": "req_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f",
                "doc_url": f"{public_url}/docs/errors#{kind.type}",
            }
        }
        for status, kind in KIND_BY_STATUS.items()
    }
