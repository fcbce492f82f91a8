"""The command `qmumma explain`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from urllib.parse import quote

from qmumma.exact import UnreadableError
from qmumma.explain import decision_path, render
from qmumma.remote import fetch
from qmumma.report import printable

_KEY_VARIABLE = "QMUMMA_API_KEY"
_UNREADABLE = 2


def add_explain_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `explain` to the commands."""
    command = commands.add_parser(
        "explain",
        help="say why a job runs where it runs",
        description="Print the decision of the router for a job: what it knew of the program, every backend that it "
        "looked at with the predicted fidelity, time and cost, and why one was taken and the others were not.",
    )
    command.set_defaults(run=_explain, usage=command)
    command.add_argument("job", metavar="JOB", help="the job's id")
    command.add_argument("--url", metavar="URL", default="http://127.0.0.1:8080", help="the server (%(default)s)")
    command.add_argument("--key-file", metavar="FILE", help=f"holds an API key; else {_KEY_VARIABLE} does")
    command.add_argument("--json", action="store_true", help="print the answer as it came")


def _explain(options: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        key = _key(options)
        if not key:
            options.usage.error(f"set {_KEY_VARIABLE} to an API key, or give --key-file")
        body = fetch(options.url, decision_path(quote(options.job, safe="")), api_key=key)
        sys.stdout.write(body.decode("utf-8", "replace") + "\n" if options.json else render(body))
    except UnreadableError as error:
        sys.stderr.write(f"qmumma: {printable(str(error))}\n")
        return _UNREADABLE
    return 0


def _key(options: argparse.Namespace) -> str:
    if options.key_file is None:
        return os.environ.get(_KEY_VARIABLE, "")
    try:
        return Path(options.key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{options.key_file}: {error}"
        raise UnreadableError(message) from None
