"""Run jobs on a Q-MUMMA quantum cloud, and check, offline, what it ran and signed.

    from qmumma import QMummaClient, verify

    client = QMummaClient("qm_live_…")
    job = client.jobs.submit(algorithm_id="vqe.molecular.v2", parameters={"molecule": "H2O"})
    job = client.jobs.wait(job["job_id"])

    report = verify(result_bytes, jwks_bytes, log_keys_text)
    for check in report.checks:
        print(check.ok, check.name, check.detail)

This package shares no code with the service that signs. The little it needs of Merkle trees, signed notes and
canonical JSON is written a second time here, on the verifying side only, from the same public specifications, so
that a mistake in one of the two cannot vouch for itself.
"""

from __future__ import annotations

from qmumma.client import QMummaClient
from qmumma.documents import verify
from qmumma.exact import UnreadableError
from qmumma.exchange import ApiError, NoAnswerError
from qmumma.report import Check, Report

__all__ = ["ApiError", "Check", "NoAnswerError", "QMummaClient", "Report", "UnreadableError", "verify"]
