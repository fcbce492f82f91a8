"""What schemathesis should not try: rules that no OpenAPI document can say, and what would end its own session."""

from __future__ import annotations

import os
import uuid
from typing import Any

import schemathesis

FRAMEWORKS = ("generic", "fda-21cfr11", "sec-17a-4", "iso-27001")


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Whether to send a request."""
    query = case.query if isinstance(case.query, dict) else {}
    both_ways = "before" in query and "after" in query  # "not both" is beyond a list of parameters
    framework = query.get("framework", "generic") not in FRAMEWORKS  # an operator may add some
    body = case.body if isinstance(case.body, dict) else {}
    entropy = body.get("grade") == "full_entropy"  # which a simulator does not have
    key = (case.path_parameters or {}).get("key_id", "")
    return not (both_ways or framework or entropy) and uuid.UUID(os.environ["OWN_KEY"]).hex not in str(key)
