"""The commands `qmumma keys …`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from qmumma.access import EPILOG, EXIT_DONE, add_access, client_of, shown, table
from qmumma.report import printable


def add_keys_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `keys` and what it can do."""
    keys = commands.add_parser(
        "keys",
        help="make, list, rotate and revoke API keys",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    these = keys.add_subparsers(title="commands", required=True, metavar="COMMAND")
    plain = argparse.RawDescriptionHelpFormatter

    command = these.add_parser("list", help="list keys, newest first", epilog=EPILOG, formatter_class=plain)
    command.add_argument("--limit", type=int, default=20, help="keys on the page, 1 to 100 (%(default)s)")
    command.add_argument("--after", metavar="KEY", help="the last key of the page before")
    add_access(command, _list)

    command = these.add_parser("create", help="make a key", epilog=EPILOG, formatter_class=plain)
    command.add_argument("name", metavar="NAME", help="what to call it")
    command.add_argument("--environment", choices=("live", "test", "enterprise"), default="test", help="(%(default)s)")
    command.add_argument("--expires-in-days", metavar="DAYS", type=int, help="ends it by itself; without it, never")
    add_access(command, _create)

    command = these.add_parser("rotate", help="replace a key", epilog=EPILOG, formatter_class=plain)
    command.add_argument("key", metavar="KEY", help="the key's id, as `qmumma keys list` shows it")
    command.add_argument(
        "--grace-seconds",
        metavar="SECONDS",
        type=int,
        default=86_400,
        help="how long the old one goes on (%(default)s)",
    )
    add_access(command, _rotate)

    command = these.add_parser("revoke", help="end a key at once, for good", epilog=EPILOG, formatter_class=plain)
    command.add_argument("key", metavar="KEY", help="the key's id, as `qmumma keys list` shows it")
    add_access(command, _revoke)


def _list(options: argparse.Namespace) -> int:
    page = client_of(options).keys.list(limit=options.limit, after=options.after)
    if options.json:
        sys.stdout.write(shown(page))
        return EXIT_DONE
    rows = [["KEY", "ENVIRONMENT", "STARTS WITH", "ENDS", "LAST USED", "NAME"]]
    rows += [
        [
            key["key_id"],
            key["environment"],
            key["hint"],
            "revoked" if "revoked_at" in key else key.get("expires_at", "never")[:16],
            key.get("last_used_at", "never")[:16],
            printable(key["name"]),
        ]
        for key in page["keys"]
    ]
    sys.stdout.write(table(rows))
    if page["has_more"]:
        sys.stdout.write(f"There are more: add --after {page['keys'][-1]['key_id']}\n")
    return EXIT_DONE


def _create(options: argparse.Namespace) -> int:
    made = client_of(options).keys.create(options.name, options.environment, expires_in_days=options.expires_in_days)
    return _told(made, options)


def _rotate(options: argparse.Namespace) -> int:
    made = client_of(options).keys.rotate(options.key, grace_seconds=options.grace_seconds)
    return _told(made, options)


def _revoke(options: argparse.Namespace) -> int:
    gone = client_of(options).keys.revoke(options.key)
    sys.stdout.write(shown(gone) if options.json else f"{gone['key_id']} is revoked.\n")
    return EXIT_DONE


def _told(made: dict[str, Any], options: argparse.Namespace) -> int:
    """Show a secret: on standard output by itself, so that it can be put into a file."""
    if options.json:
        sys.stdout.write(shown(made))
        return EXIT_DONE
    sys.stderr.write(f"{made['key_id']} ({printable(made['name'])}). Keep the secret: it is not shown again.\n")
    if "replaces" in made:
        sys.stderr.write(f"{made['replaces']['key_id']} goes on until {made['replaces']['expires_at']}.\n")
    sys.stdout.write(f"{made['secret']}\n")
    return EXIT_DONE
