"""The command `qmumma-admin` (also `python -m deploy.admin`)."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploy.admin.command import Command, Shown

DONE, REFUSED, MISUSED, UNREACHABLE, DECLINED = range(5)
_DESCRIPTION = """\
Administer a running Q-MUMMA mesh, under the identity of its operator.
"""
_EPILOG = """\
exit status:
  0  done
  1  refused, or what was checked does not hold
  2  wrong usage or configuration
  3  the mesh, or the service that was asked, does not answer
  4  not confirmed, and so not done

Without --config the mesh of `make up` in this folder is meant (QMUMMA_ADMIN_CONFIG names another file).
"""


def console() -> int:
    """Be the command `qmumma-admin`: what the mesh's runtime logs is a line of JSON on standard error."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from mesh.telemetry import configure_logging  # noqa: PLC0415 - after gRPC was told to be silent

    configure_logging("qmumma-admin", "error")
    return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status. Wrong usage ends in SystemExit(2), as argparse does."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from mesh.config import ConfigError  # noqa: PLC0415 - after gRPC was told to be silent

    given = build_parser().parse_args(arguments)
    command: Command = given.command
    if command.question and not given.yes and not _confirmed(command.question.format(**vars(given))):
        sys.stderr.write("qmumma-admin: nothing was done.\n")
        return DECLINED
    try:
        return asyncio.run(_run(command, given))
    except ConfigError as error:
        return _say(str(error), MISUSED)


async def _run(command: Command, given: argparse.Namespace) -> int:
    from deploy.admin.command import Failed  # noqa: PLC0415
    from deploy.admin.session import Session  # noqa: PLC0415
    from mesh.errors import DeadlineExceeded, MeshError, Unavailable  # noqa: PLC0415

    async with Session.read(given.config) as session:
        try:
            _show(await command.run(session, given), given)
        except Failed as failed:
            _show(failed.shown, given)
            return _say(str(failed), REFUSED)
        except (Unavailable, DeadlineExceeded) as error:
            advice = "Is the mesh up (`make status`), and is this its file (--config)?"
            return _say(f"{error.message} {advice}", UNREACHABLE)
        except MeshError as error:
            return _say(f"{error.message} ({error.reason})", REFUSED)
    return DONE


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from deploy.admin.catalogue import COMMANDS, GROUPS  # noqa: PLC0415 - after gRPC was told to be silent

    parser = _parser("qmumma-admin", _DESCRIPTION, _EPILOG)
    groups = parser.add_subparsers(title="groups", required=True, metavar="GROUP")
    for group, summary in GROUPS.items():
        made = groups.add_parser(group, help=summary, description=summary, formatter_class=_Formatter)
        names = made.add_subparsers(title="commands", required=True, metavar="COMMAND")
        for command in COMMANDS:
            if command.group == group:
                _add(names, command)
    return parser


def command_parsers(parser: argparse.ArgumentParser) -> dict[tuple[str, str], argparse.ArgumentParser]:
    """The parser of each command, by group and name."""
    groups = _children(parser)
    return {(group, name): made for group in groups for name, made in _children(groups[group]).items()}


def _children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [action] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001
    return dict(action.choices)


def _add(names: argparse._SubParsersAction[argparse.ArgumentParser], command: Command) -> None:
    examples = "\n".join(f"  qmumma-admin {example}" for example in command.examples)
    parser = names.add_parser(
        command.name,
        help=command.summary,
        description=command.summary,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=_Formatter,
    )
    for argument in command.arguments:
        parser.add_argument(argument.name, help=argument.help, **argument.settings)
    default = os.environ.get("QMUMMA_ADMIN_CONFIG", ".local/config/operator.toml")
    parser.add_argument("--config", type=Path, default=Path(default), metavar="FILE", help="the mesh and the operator")
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    if command.question:
        parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(command=command)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """The same width on every terminal, so that the help in docs/operators.md stays true."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=100)


def _parser(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=name, description=description, epilog=epilog, formatter_class=_Formatter)


def _confirmed(question: str) -> bool:
    """Whether the person at the terminal says yes; nobody there is a no."""
    if not sys.stdin.isatty():
        sys.stderr.write(f"qmumma-admin: {question} Give --yes to do it without being asked.\n")
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _show(shown: Shown, given: argparse.Namespace) -> None:
    from deploy.admin.output import to_json, to_text  # noqa: PLC0415

    sys.stdout.write(to_json(shown) if given.json else to_text(shown))


def _say(message: str, status: int) -> int:
    sys.stderr.write(f"qmumma-admin: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(console())
