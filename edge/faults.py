"""`X-Test-Fault`: the faults that a test key scripts for one request, so that a client can be tried against them.

    X-Test-Fault: queue_delay=2.5, engine_crash

What concerns the job goes with its submission, and happens where the real fault would. Two happen here: an answer that
is lost on its way, and a rate limit.
"""

from __future__ import annotations

import re

import msgspec
from qm.type.v1.requester_pb2 import ENVIRONMENT_TEST, Requester

from edge.errors import Refusal

HEADER = b"x-test-fault"
ANYWHERE = frozenset({"lost_response", "rate_limited"})
"""What can befall any request with a key."""
OF_JOBS = frozenset({"queue_delay", "hardware_offline", "engine_crash"})
"""What can befall a submission besides."""
MOST_DELAY_SECONDS = 600
_DELAY = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3})?")


class Faults(msgspec.Struct, frozen=True):
    """What is to go wrong."""

    queue_delay: float = 0.0
    """Seconds that no worker sees the job."""
    hardware_offline: bool = False
    engine_crash: bool = False
    lost_response: bool = False
    """What was asked is done, and the connection ends without an answer; a repeat is answered."""
    rate_limited: bool = False


NO_FAULTS = Faults()


def faults_of(header: bytes | None, requester: Requester, possible: frozenset[str]) -> Faults:
    """The faults that a header scripts, of those that are possible; raises Refusal 400."""
    if header is None:
        return NO_FAULTS
    if requester.environment != ENVIRONMENT_TEST:
        raise _refused("only test keys (qm_test_…) script faults")
    scripted: dict[str, bool | float] = {}
    for script in header.decode("latin-1").split(","):
        name, sign, value = script.strip().partition("=")
        if name not in ANYWHERE | OF_JOBS:
            names = ", ".join(sorted(ANYWHERE | OF_JOBS))
            raise _refused(f"there is no fault {name[:40]!r}; there are {names}, separated by commas")
        if name not in possible:
            raise _refused(f"{name} befalls the submission of a job alone")
        if name in scripted:
            raise _refused(f"{name} is given twice")
        scripted[name] = _delay(value) if name == "queue_delay" else True
        if sign and name != "queue_delay":
            raise _refused(f"{name} takes no value")
    return Faults(**scripted)  # type: ignore[arg-type] # each by its name


def _delay(value: str) -> float:
    if not _DELAY.fullmatch(value) or float(value) > MOST_DELAY_SECONDS:
        raise _refused(f"queue_delay takes seconds, as in queue_delay=2.5, of at most {MOST_DELAY_SECONDS}")
    return float(value)


def _refused(why: str) -> Refusal:
    return Refusal(400, f"X-Test-Fault: {why}", param="X-Test-Fault", reason="INVALID_FIELD")
