"""Check, offline, what a Q-MUMMA quantum cloud ran and signed.

    from qmumma import verify

    report = verify(result_bytes, jwks_bytes, log_keys_text)
    for check in report.checks:
        print(check.ok, check.name, check.detail)

This package shares no code with the service that signs. The little it needs of Merkle trees, signed notes and
canonical JSON is written a second time here, on the verifying side only, from the same public specifications, so
that a mistake in one of the two cannot vouch for itself.
"""

from __future__ import annotations

from qmumma.documents import verify
from qmumma.exact import UnreadableError
from qmumma.report import Check, Report

__all__ = ["Check", "Report", "UnreadableError", "verify"]
