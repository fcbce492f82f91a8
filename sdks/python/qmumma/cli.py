"""The command `qmumma`."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from qmumma.documents import verify
from qmumma.exact import UnreadableError
from qmumma.explain_command import add_explain_command
from qmumma.jobs_command import add_jobs_commands
from qmumma.keys_command import add_keys_commands
from qmumma.log_command import add_log_commands
from qmumma.remote import JWKS_PATH, LOG_KEYS_PATH, ROOTS_PATH, fetch
from qmumma.report import Report, printable, render_json, render_text

_DESCRIPTION = """\
Check that an answer is what a Q-MUMMA cloud signed and logged: every field against its digest, the audit hash, the
ML-DSA-65 signature, the entry in the transparency log, the path from that entry to the log's root, and the log's
signatures on it. Each check is printed on a line and named after the place in the file that it is about.

RESULT is the answer of GET /v1/jobs/{id}?include=proof, or another that was signed, or - for standard input. What it
is, its `type` tells. It may also be a certificate (PDF), an evidence bundle (ZIP) or an export of the audit trail; the
first two need --roots, too. A result that is too large to be in the answer comes from GET /v1/jobs/{id}/result: give
that file with --download.
"""
_EPILOG = """\
exit status:
  0  every check holds
  1  at least one does not
  2  wrong usage, or a file that cannot be read: no JSON, or keys that are none

examples:
  qmumma verify result.json --jwks jwks.json --log-key log.vkey     offline, with keys you trust
  qmumma verify result.json --url http://127.0.0.1:8080             with the keys that this server gives
"""

SEALED = (b"%PDF-", b"PK")
"""How documents with digital seals begin."""
EXIT_HOLDS, EXIT_FAILS, EXIT_UNREADABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status. Wrong usage ends in SystemExit(2), as argparse does."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return int(options.run(options))


def verify_command(options: argparse.Namespace) -> int:
    """`qmumma verify`: returns the exit status."""
    if (options.url is None) == (options.jwks is None and options.log_key is None):
        options.usage.error("give either --url, or both --jwks and --log-key")
    if options.url is None and (options.jwks is None or options.log_key is None):
        options.usage.error("--jwks and --log-key go together")
    try:
        report = _verify(options)
    except UnreadableError as error:
        if options.json:
            sys.stdout.write(json.dumps({"ok": False, "error": str(error)}) + "\n")
        sys.stderr.write(f"qmumma: {printable(str(error))}\n")
        return EXIT_UNREADABLE
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write(render_json(report) if options.json else render_text(report, colour=_coloured(sys.stdout)))
    return EXIT_HOLDS if report.ok else EXIT_FAILS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qmumma", description="Run jobs on a Q-MUMMA quantum cloud, and check what it ran and signed."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "verify",
        help="check a result's signature and its place in the transparency log",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=verify_command, usage=command)
    command.add_argument("result", metavar="RESULT", help="the result with its proof, a JSON file")
    command.add_argument("--download", metavar="FILE", help="the result by itself, as it was downloaded")
    command.add_argument("--jwks", metavar="FILE", help="the signing keys, a JSON Web Key Set")
    command.add_argument("--log-key", metavar="FILE", help="the log's keys, a vkey on each line; all must have signed")
    command.add_argument(
        "--witness-key", metavar="FILE", help="keys of witnesses, a vkey on each line, that must sign too"
    )
    command.add_argument("--roots", metavar="FILE", help="roots of the digital seals of a certificate or bundle, PEM")
    command.add_argument("--url", metavar="URL", help="fetch every kind of keys from this server, and trust it")
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    add_log_commands(commands)
    add_explain_command(commands)
    add_jobs_commands(commands)
    add_keys_commands(commands)
    return parser


def _verify(options: argparse.Namespace) -> Report:
    result = sys.stdin.buffer.read() if options.result == "-" else _read(options.result)
    download = None if options.download is None else _read(options.download)
    witness = options.witness_key
    witness_keys = None if witness is None else _text(_read(witness), witness)
    roots = None if options.roots is None else _read(options.roots)
    if options.url is None:
        log_keys = _text(_read(options.log_key), options.log_key)
        return verify(result, _read(options.jwks), log_keys, download, witness_keys=witness_keys, roots=roots)
    if roots is None and result.startswith(SEALED):
        roots = fetch(options.url, ROOTS_PATH)
    report = verify(
        result,
        fetch(options.url, JWKS_PATH),
        _text(fetch(options.url, LOG_KEYS_PATH), options.url + LOG_KEYS_PATH),
        download,
        witness_keys=witness_keys,
        roots=roots,
    )
    trusted = f"the keys came from {options.url}: this proves as much as you trust that server"
    return Report(report.checks, (*report.notes, trusted))


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise UnreadableError(message) from None


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"{name}: byte {error.start} is not UTF-8"
        raise UnreadableError(message) from None


def _coloured(stream: TextIO) -> bool:
    """Colours are for people: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
