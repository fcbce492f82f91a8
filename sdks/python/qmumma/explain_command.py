"""The command `qmumma explain`."""

from __future__ import annotations

import argparse
import sys
from urllib.parse import quote

from qmumma.access import EXIT_DONE, add_access, key_of
from qmumma.explain import decision_path, render
from qmumma.remote import fetch


def add_explain_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `explain` to the commands."""
    command = commands.add_parser(
        "explain",
        help="say why a job runs where it runs",
        description="Print the decision of the router for a job: what it knew of the program, every backend that it "
        "looked at with the predicted fidelity, time and cost, and why one was taken and the others were not.",
    )
    command.add_argument("job", metavar="JOB", help="the job's id")
    add_access(command, _explain)


def _explain(options: argparse.Namespace) -> int:
    body = fetch(options.url, decision_path(quote(options.job, safe="")), api_key=key_of(options))
    sys.stdout.write(body.decode("utf-8", "replace") + "\n" if options.json else render(body))
    return EXIT_DONE
