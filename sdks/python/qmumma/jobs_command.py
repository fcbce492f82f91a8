"""The commands `qmumma jobs …`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from qmumma.access import EPILOG, EXIT_DONE, EXIT_REFUSED, add_access, client_of, shown, table
from qmumma.client import ENDED
from qmumma.exact import UnreadableError
from qmumma.report import printable

_PLAIN = argparse.RawDescriptionHelpFormatter
_EXAMPLES = f"""\
examples:
  qmumma jobs submit vqe.molecular.v2 -p molecule=H2O --watch
  qmumma jobs submit circuit.openqasm.v1 -p qasm=@bell.qasm --shots 1024
  qmumma jobs submit qaoa.maxcut.v1 --parameters '{{"edges": [[0, 1], [1, 2]]}}'

{EPILOG}"""


def add_jobs_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `jobs` and what it can do."""
    jobs = commands.add_parser(
        "jobs", help="submit, read, list, cancel and watch jobs", epilog=EPILOG, formatter_class=_PLAIN
    )
    these = jobs.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_submit(these)

    command = these.add_parser("get", help="read a job", epilog=EPILOG, formatter_class=_PLAIN)
    _add_job(command)
    command.add_argument("--wait", metavar="SECONDS", type=int, help="hold the answer so long for a change, 0 to 30")
    command.add_argument("--proof", action="store_true", help="with its proof, for `qmumma verify`; prints JSON")
    add_access(command, _get)

    command = these.add_parser("list", help="list jobs, newest first", epilog=EPILOG, formatter_class=_PLAIN)
    command.add_argument("--limit", type=int, default=20, help="jobs on the page, 1 to 100 (%(default)s)")
    command.add_argument("--status", choices=("queued", "running", *sorted(ENDED)), help="only jobs of this status")
    command.add_argument("--after", metavar="JOB", help="the last job of the page before")
    add_access(command, _list)

    command = these.add_parser("cancel", help="cancel a job that has not ended", epilog=EPILOG, formatter_class=_PLAIN)
    _add_job(command)
    add_access(command, _cancel)

    command = these.add_parser("watch", help="follow a job to its end", epilog=EPILOG, formatter_class=_PLAIN)
    _add_job(command)
    add_access(command, _watch)


def _add_job(command: argparse.ArgumentParser) -> None:
    command.add_argument("job", metavar="JOB", help="the job's id, as `qmumma jobs list` shows it")


def _add_submit(these: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = these.add_parser("submit", help="submit a job", epilog=_EXAMPLES, formatter_class=_PLAIN)
    command.add_argument("algorithm", metavar="ALGORITHM", help="its id; GET /v1/marketplace/algorithms lists them")
    command.add_argument(
        "-p", "--parameter", metavar="NAME=VALUE", action="append", default=[], dest="parameter",
        help="a parameter: JSON where that is what the value is, else text; @FILE for the text of a file",
    )  # fmt: skip
    command.add_argument("--parameters", metavar="JSON", help="all parameters as a JSON object, or @FILE")
    command.add_argument("--shots", type=int, help="how often each circuit is measured, 1024 to 131072")
    command.add_argument("--hardware", metavar="ID", help="a backend; the router chooses one otherwise")
    command.add_argument("--priority", choices=("standard", "priority"))
    command.add_argument("--seed", type=int, help="makes a simulation repeat bit for bit")
    command.add_argument("--max-cost-usd", metavar="USD", type=float, help="refuse the job rather than spend more")
    command.add_argument("--quote-id", metavar="ID", help="a quote for this very job")
    command.add_argument("--webhook-url", metavar="URL", help="is called when the job ends or is moved")
    command.add_argument("--idempotency-key", metavar="KEY", help="a repeat with the same key makes no second job")
    command.add_argument("--watch", action="store_true", help="follow the job to its end")
    add_access(command, _submit)


def _submit(options: argparse.Namespace) -> int:
    client = client_of(options)
    names = ("shots", "hardware", "priority", "seed", "max_cost_usd", "quote_id", "webhook_url")
    job = client.jobs.submit(
        algorithm_id=options.algorithm,
        idempotency_key=options.idempotency_key,
        parameters=_parameters(options),
        **{name: getattr(options, name) for name in names},
    )
    if options.watch:
        options.job = job["job_id"]
        return _watch(options)
    if options.json:
        sys.stdout.write(shown(job))
        return EXIT_DONE
    sys.stdout.write(f"{job['job_id']}\n")
    told = f"{job['status']} on {job['hardware']}, about {job['estimated_ms']} ms, ${job['cost_usd']:.2f}"
    sys.stderr.write(f"{told}. Follow it: qmumma jobs watch {job['job_id']}\n")
    return EXIT_DONE


def _get(options: argparse.Namespace) -> int:
    include = "proof" if options.proof else None
    job = client_of(options).jobs.get(options.job, wait=options.wait, include=include)
    sys.stdout.write(shown(job) if options.json or options.proof else _told(job))
    return EXIT_DONE


def _list(options: argparse.Namespace) -> int:
    page = client_of(options).jobs.list(limit=options.limit, status=options.status, after=options.after)
    if options.json:
        sys.stdout.write(shown(page))
        return EXIT_DONE
    rows = [["JOB", "STATUS", "ALGORITHM", "HARDWARE", "COST", "CREATED"]]
    rows += [
        [
            job["job_id"],
            job["status"],
            job["algorithm_id"],
            job["hardware"],
            f"${job['cost_usd']:.2f}",
            job["created_at"][:19],
        ]
        for job in page["jobs"]
    ]
    sys.stdout.write(table([[printable(cell) for cell in row] for row in rows]))
    if page["has_more"]:
        sys.stdout.write(f"There are more: add --after {page['jobs'][-1]['job_id']}\n")
    return EXIT_DONE


def _cancel(options: argparse.Namespace) -> int:
    job = client_of(options).jobs.cancel(options.job)
    sys.stdout.write(shown(job) if options.json else f"{job['job_id']} is {job['status']}.\n")
    return EXIT_DONE


def _watch(options: argparse.Namespace) -> int:
    job: dict[str, Any] = {}
    for job in client_of(options).jobs.watch(options.job):
        if job["status"] not in ENDED:
            progress = job.get("progress", {})
            part = f", {progress['fraction']:.0%} {progress['message']}" if progress else ""
            sys.stderr.write(f"{job['status']} on {printable(job['hardware'])}{printable(part)}\n")
    sys.stdout.write(shown(job) if options.json else _told(job))
    return EXIT_DONE if job["status"] == "completed" else EXIT_REFUSED


def _told(job: dict[str, Any]) -> str:
    """A job for people: what it is, and of its result what is short."""
    names = (
        "job_id",
        "status",
        "algorithm_id",
        "hardware",
        "shots",
        "cost_usd",
        "created_at",
        "executed_at",
        "fidelity",
    )
    lines = {name: str(job[name]) for name in names if name in job}
    if "error" in job:
        lines["error"] = f"{job['error']['type']}: {job['error']['message']}"
    lines |= {f"result.{name}": _short(value) for name, value in job.get("result", {}).items()}
    width = max(len(name) for name in lines)
    return "".join(f"{printable(name).ljust(width)}  {printable(text)}\n" for name, text in lines.items())


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}…"  # noqa: PLR2004 - a line


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if options.parameters is not None:
        try:
            parameters = json.loads(_text(options.parameters))
        except ValueError as error:
            message = f"--parameters: no JSON: {error}"
            raise UnreadableError(message) from None
        if not isinstance(parameters, dict):
            message = '--parameters: must be a JSON object, as in \'{"molecule": "H2O"}\''
            raise UnreadableError(message)
    for each in options.parameter:
        name, sign, value = each.partition("=")
        if not sign or not name:
            options.usage.error(f"-p {each}: write it as NAME=VALUE")
        parameters[name] = _text(value) if value.startswith("@") else _json_or_text(value)
    return parameters


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _text(value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{value[1:]}: {error}"
        raise UnreadableError(message) from None
