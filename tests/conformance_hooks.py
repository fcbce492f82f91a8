"""What schemathesis should not try: rules that no OpenAPI document can say, and what would end its own session."""

from __future__ import annotations

import os
import uuid
from typing import Any

import schemathesis

FRAMEWORKS = ("generic", "fda-21cfr11", "sec-17a-4", "iso-27001")
"""What is shipped; an operator may add some."""
SUBMISSIONS = ("POST /v1/jobs/submit", "POST /v1/jobs/quote")


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Keep to what goes together, and leave the key alone by which everything is sent."""
    if "before" in (case.query or {}) and "after" in case.query:  # a list of parameters cannot say "not both"
        del case.query["after"]
    if "framework" in (case.query or {}) and case.query["framework"] not in FRAMEWORKS:
        del case.query["framework"]
    if uuid.UUID(os.environ["OWN_KEY"]).hex in str((case.path_parameters or {}).get("key_id", "")):
        case.path_parameters["key_id"] = f"qm_key_{uuid.UUID(int=0).hex}"
    meta = case.meta
    if meta is not None and meta.phase.name.value == "stateful" and meta.generation.mode.is_positive:
        begin_chain(case)


def begin_chain(case: Any) -> None:
    """Make what chains begin with succeed: which parameters an algorithm takes, no document of all of them says."""
    if case.operation.label in SUBMISSIONS:
        media = case.operation.definition.raw["requestBody"]["content"]["application/json"]
        shots = case.body.get("shots", 4096) if isinstance(case.body, dict) else 4096
        example = list(media["examples"].values())[shots % len(media["examples"])]["value"]
        case.body = {**example, "shots": shots, "webhook_url": os.environ["WEBHOOK_URL"]}
        (case.headers or {}).pop("X-Test-Fault", None)
    elif case.operation.label == "GET /v1/webhooks/deliveries":
        case.query = {}  # what is drawn for its filters leaves nothing
    elif case.operation.label == "POST /v1/entropy/generate" and isinstance(case.body, dict):
        case.body = {"bits": 2048, "format": case.body.get("format", "hex"), "certification": True}
