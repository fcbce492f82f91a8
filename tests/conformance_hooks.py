"""What schemathesis should not try: rules that no OpenAPI document can say, and what would end its own session."""

from __future__ import annotations

import os
import uuid
from typing import Any

import schemathesis

FRAMEWORKS = ("generic", "fda-21cfr11", "sec-17a-4", "iso-27001")
"""What is shipped; an operator may add some."""


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Keep to what goes together, and leave the key alone by which everything is sent."""
    if "before" in (case.query or {}) and "after" in case.query:  # a list of parameters cannot say "not both"
        del case.query["after"]
    if "framework" in (case.query or {}) and case.query["framework"] not in FRAMEWORKS:
        del case.query["framework"]
    if uuid.UUID(os.environ["OWN_KEY"]).hex in str((case.path_parameters or {}).get("key_id", "")):
        case.path_parameters["key_id"] = f"qm_key_{uuid.UUID(int=0).hex}"
