"""What every command that asks a server takes: its address and an API key; and how it says that it was refused."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from qmumma.client import DEFAULT_URL, QMummaClient
from qmumma.exact import UnreadableError
from qmumma.exchange import ApiError
from qmumma.report import printable

KEY_VARIABLE = "QMUMMA_API_KEY"
EXIT_DONE, EXIT_REFUSED, EXIT_UNREADABLE = 0, 1, 2
EPILOG = f"""\
The API key comes from {KEY_VARIABLE} or --key-file, the server from QMUMMA_URL or --url.

exit status:
  0  done
  1  the server refused, or the job failed or was cancelled
  2  wrong usage, no key, or no answer
"""
_ADVICE = {
    401: f"Check {KEY_VARIABLE} or --key-file: the key is unknown, expired or revoked.",
    402: "Ask for less, or ask your operator for a larger budget.",
    403: "Ask an owner of the team: the plan, the role or the key does not allow it.",
    404: "Check the id; what belongs to another team does not exist for this key.",
    429: "Wait, then go on more slowly.",
    503: "Try again in a while, or without naming the hardware.",
}


def add_access(command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    """Add the options, and `run` as what the command does; ApiError and UnreadableError are told by `guarded`."""
    command.set_defaults(run=guarded(run), usage=command)
    url = os.environ.get("QMUMMA_URL") or DEFAULT_URL
    command.add_argument("--url", metavar="URL", default=url, help="the server (%(default)s)")
    command.add_argument("--key-file", metavar="FILE", help=f"holds an API key; else {KEY_VARIABLE} does")
    command.add_argument("--json", action="store_true", help="print the answer as it came")


def guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The same command, which says what was refused, and what to do, instead of raising."""

    def command(options: argparse.Namespace) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return run(options)
        except ApiError as error:
            _refused(error, as_json=options.json)
            return EXIT_REFUSED
        except UnreadableError as error:
            sys.stderr.write(f"qmumma: {printable(str(error))}\n")
            return EXIT_UNREADABLE
        except KeyboardInterrupt:
            return 130

    return command


def client_of(options: argparse.Namespace) -> QMummaClient:
    """A client for the options; ends the program where there is no key."""
    return QMummaClient(key_of(options), base_url=options.url)


def key_of(options: argparse.Namespace) -> str:
    """The API key; ends the program with what to do where there is none."""
    if options.key_file is None:
        key = os.environ.get(KEY_VARIABLE, "")
    else:
        try:
            key = Path(options.key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            message = f"{options.key_file}: {error}"
            raise UnreadableError(message) from None
    if not key:
        options.usage.error(f"set {KEY_VARIABLE} to an API key, or give --key-file")
    if not (key.isascii() and key.isprintable()) or " " in key:
        message = f"the API key holds characters that no key has; look at {options.key_file or KEY_VARIABLE}"
        raise UnreadableError(message)
    return key


def shown(value: object) -> str:
    """An answer as JSON for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def table(rows: list[list[str]]) -> str:
    """Rows as columns; the first is the head."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _refused(error: ApiError, *, as_json: bool) -> None:
    if as_json:
        told = {"type": error.type, "message": error.message, "param": error.param, "request_id": error.request_id}
        sys.stdout.write(shown({"error": told}))
    sys.stderr.write(f"qmumma: {printable(str(error))}\n")
    advice = _ADVICE.get(error.status)
    if advice is not None:
        sys.stderr.write(f"{advice}\n")
    if error.status >= 500:  # noqa: PLR2004 - where the server is to blame
        sys.stderr.write(f"Tell your operator the request id if it stays: {printable(error.request_id)}\n")
