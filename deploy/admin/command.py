"""What a command is: its words, its arguments, what it does, and what it shows.

A command answers one thing or a list of things, each a dictionary of plain values: printed as lines or as a table, or
as JSON. One that destroys asks first, unless `--yes` is given.
"""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.admin.session import Session

Thing = dict[str, Any]
Shown = Thing | list[Thing]


class Failed(Exception):
    """What was asked for was found not to hold: shown, with exit status 1."""

    def __init__(self, shown: Shown, message: str) -> None:
        """Fail with what there is to show."""
        super().__init__(message)
        self.shown = shown


@dataclass(frozen=True)
class Argument:
    """One argument of a command, as argparse takes it."""

    name: str
    """"team" for a positional one, "--plan" for an option."""
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: `qmumma-admin <group> <name>`."""

    group: str
    name: str
    summary: str
    run: Callable[[Session, argparse.Namespace], Awaitable[Shown]]
    arguments: tuple[Argument, ...] = ()
    examples: tuple[str, ...] = ()
    """What to type after `qmumma-admin`."""
    question: str = ""
    """Asked before, with the arguments filled in; empty where nothing is destroyed."""


def argument(name: str, text: str, **settings: Any) -> Argument:  # noqa: ANN401 - argparse's own
    """An argument."""
    return Argument(name, text, settings)


def identifier(text: str) -> str:
    """A UUID, or the public id that shows one ("qm_job_0199…"), in its canonical spelling."""
    try:
        return str(uuid.UUID(text.rpartition("_")[2]))
    except ValueError:
        message = f"{text!r} is no id: give a UUID, or an id such as qm_job_ and 32 hexadecimal digits"
        raise argparse.ArgumentTypeError(message) from None


TEAM = argument("team", "the team's id", type=identifier)
