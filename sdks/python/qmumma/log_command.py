"""The command `qmumma log monitor`."""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import hashlib
import json
import sys
import time
from pathlib import Path

from qmumma.exact import UnreadableError
from qmumma.memory import Memory, keep, load
from qmumma.monitor import Look, MisbehaviourError, look
from qmumma.note import LogKey, parse_log_keys, parse_witness_keys
from qmumma.remote import fetch
from qmumma.report import printable

EXIT_HONEST, EXIT_MISBEHAVES, EXIT_UNUSABLE, EXIT_UNSEEN = 0, 1, 2, 3
_PAUSE_MIN = 1.0
_BUNDLE_BYTES_MAX = 256 * (2 + 65535)

_DESCRIPTION = """\
Follow the transparency log of a Q-MUMMA cloud: fetch every entry, and check at each look that the log still holds all
that it held, in the same order, that it serves what it has signed for, and that its tiles are those of its entries.
What is known of it is kept in a file, so that nothing can be taken back between two runs either.
"""
_EPILOG = """\
exit status:
  0  the log was honest at the look (--once)
  1  the log misbehaves: forked, rolled_back, truncated, reordered, tampered, split_view or signature, and what exactly
  2  wrong usage, or a file that cannot be used
  3  the log did not answer (--once)

Without --log-key the keys are those that the log tells at the first look. Whoever wants to know that it is the right
log gets them in another way.
"""


def add_log_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `log monitor` to the commands of `qmumma`."""
    group = commands.add_parser("log", help="watch the transparency log")
    command = group.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser(
        "monitor",
        help="follow the log and tell when it misbehaves",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=monitor)
    option = command.add_argument
    option("url", metavar="URL", help="the cloud, such as https://api.qmumma.com")
    option("--state", metavar="FILE", type=Path, default=Path("qmumma-log.json"), help="keeps what is known of the log")
    option("--log-key", metavar="FILE", type=Path, help="the log's keys, a vkey on each line; all must have signed")
    option("--witness-key", metavar="FILE", type=Path, help="keys of witnesses that must have signed too")
    option("--all", action="store_true", help="fetch the entries that are known again, too")
    option("--once", action="store_true", help="look once and exit")
    option("--interval", metavar="SECONDS", type=float, default=60.0, help="between two looks (60)")
    option("--json", action="store_true", help="print each look as a JSON object on a line")


def monitor(options: argparse.Namespace) -> int:
    """Look once, or again and again until the log misbehaves; returns the exit status."""
    get = functools.partial(fetch, options.url, bytes_max=_BUNDLE_BYTES_MAX)
    try:
        memory, witnesses = _memory(options), _witnesses(options)
        while True:
            try:
                seen = look(get, memory, witnesses, everything=options.all)
            except UnreadableError as error:
                _say(options, "unseen", str(error), memory)
                if options.once:
                    return EXIT_UNSEEN
            else:
                _keep(options, memory, seen)
                memory = seen.memory
                if options.once:
                    return EXIT_HONEST
            time.sleep(max(options.interval, _PAUSE_MIN))
    except MisbehaviourError as fault:
        evidence = _evidence(options, memory, fault)
        _say(options, fault.kind, f"{fault}; the proof is in {evidence}", memory)
        return EXIT_MISBEHAVES
    except UnreadableError as error:
        sys.stderr.write(f"qmumma: {printable(str(error))}\n")
        return EXIT_UNUSABLE
    except OSError as error:
        sys.stderr.write(f"qmumma: {error.filename}: {error.strerror}\n")
        return EXIT_UNUSABLE


def _memory(options: argparse.Namespace) -> Memory | None:
    """What is known of the log; UnreadableError where it was another log, or a file cannot be used."""
    memory = load(options.state)
    if options.log_key is None:
        return memory
    text = options.log_key.read_text("utf-8")
    keys = parse_log_keys(text, str(options.log_key))
    if memory is not None and set(parse_log_keys(memory.log_keys, str(options.state))) != set(keys):
        message = f"{options.state}: is of a log with other keys; use another file"
        raise UnreadableError(message)
    return memory or Memory(log_keys=text)


def _witnesses(options: argparse.Namespace) -> tuple[LogKey, ...]:
    if options.witness_key is None:
        return ()
    return parse_witness_keys(options.witness_key.read_text("utf-8"), str(options.witness_key))


def _keep(options: argparse.Namespace, memory: Memory | None, seen: Look) -> None:
    known = 0 if memory is None else memory.size
    if memory is None or seen.memory.checkpoint != memory.checkpoint:
        keep(options.state, seen.memory, known)
    what = f"{seen.added} new entries" if seen.added else "nothing new"
    _say(options, "honest", f"{what}; all {seen.memory.size} are there, in the order they had", seen.memory)


def _evidence(options: argparse.Namespace, memory: Memory | None, fault: MisbehaviourError) -> Path:
    """Keep both checkpoints, the one that was seen and the one that contradicts it."""
    before = memory.checkpoint if memory else ""
    digest = hashlib.sha256((before + fault.note).encode()).hexdigest()[:16]
    file: Path = options.state.with_name(f"{options.state.name}.evidence-{digest}.json")
    proof = {"kind": fault.kind, "detail": str(fault), "before": before, "now": fault.note}
    file.write_text(json.dumps(proof, indent=1))
    return file


def _say(options: argparse.Namespace, event: str, detail: str, memory: Memory | None) -> None:
    moment = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if options.json:
        size, root = (memory.size, memory.root.hex()) if memory else (0, "")
        line = json.dumps({"time": moment, "event": event, "detail": detail, "size": size, "root": root})
    else:
        line = f"{moment} {event}: {printable(detail)}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
