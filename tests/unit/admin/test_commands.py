"""The command line by itself: every command is documented, says what it wants, and shows what it is given."""

from __future__ import annotations

import argparse
import json
import shlex

import pytest

from deploy.admin import __main__ as admin
from deploy.admin.budgets import amount
from deploy.admin.catalogue import COMMANDS, GROUPS
from deploy.admin.command import identifier
from deploy.admin.decisions import number, seconds
from deploy.admin.output import dollars, to_json, to_text
from deploy.admin.reference import FILE, with_reference

JOB = "0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e5f"


def test_the_document_lists_every_command_as_it_is() -> None:
    assert FILE.read_text() == with_reference(FILE.read_text()), "run: python -m deploy.admin.reference"


def test_every_command_has_help_and_json_and_its_examples_parse() -> None:
    parsers = admin.command_parsers(admin.build_parser())
    assert {command.group for command in COMMANDS} == GROUPS.keys()
    for command in COMMANDS:
        text = parsers[command.group, command.name].format_help()
        assert command.summary in text
        assert "--json" in text
        assert ("--yes" in text) == bool(command.question)
        for example in command.examples:
            given = admin.build_parser().parse_args(shlex.split(example))
            assert given.command is command
            assert "{" not in command.question.format(**vars(given))


@pytest.mark.parametrize("text", [JOB, JOB.upper(), f"qm_job_{JOB.replace('-', '')}", f"qm_key_{JOB.replace('-', '')}"])
def test_an_id_may_be_given_as_it_is_shown_anywhere(text: str) -> None:
    assert identifier(text) == JOB


@pytest.mark.parametrize(
    ("text", "micros"), [("0", 0), ("500", 500_000_000), ("0.000001", 1), ("1e3", 10**9), ("1000000000", 10**15)]
)
def test_an_amount_is_taken_exactly(text: str, micros: int) -> None:
    assert amount(text) == micros


@pytest.mark.parametrize("text", ["-1", "-0.000001", "nan", "1e400", "inf", "0.0000001", "1000000000.01", "$5", ""])
def test_what_is_no_amount_is_said_so(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no amount: give dollars"):
        amount(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e300", "soon", ""])
def test_what_is_no_time_is_said_so(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no time: give seconds"):
        seconds(text)


@pytest.mark.parametrize("text", ["nan", "inf", "much"])
def test_what_is_no_number_is_said_so(text: str) -> None:
    assert number("-1e3") == -1000
    with pytest.raises(argparse.ArgumentTypeError, match="is no number"):
        number(text)


def test_what_is_no_id_is_said_so() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="'nonsense' is no id"):
        identifier("nonsense")


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "0.00"), (50_000_000, "50.00"), (-100_000, "-0.10"), (1, "0.000001"), (-1, "-0.000001")]
)
def test_money_is_exact(micros: int, text: str) -> None:
    assert dollars(micros) == text


def test_a_list_is_a_table_and_names_cannot_move_the_cursor() -> None:
    rows = [{"name": "a", "on": True}, {"name": "\x1b[2J", "on": None}]
    assert to_text(rows) == "NAME     ON\na        yes\n\\x1b[2J  -\n"
    assert (
        to_text({"team": "x", "users": rows[:1], "keys": []}) == "team  x\n\nusers\nNAME  ON\na     yes\n\nkeys\nnone\n"
    )
    assert json.loads(to_json(rows)) == rows


def test_without_a_terminal_nothing_is_destroyed_unless_yes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.main(["keys", "revoke", JOB, JOB]) == admin.DECLINED
    assert f"End the key {JOB} for good? Give --yes" in capsys.readouterr().err


def test_a_missing_configuration_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.main(["plans", "list", "--config", "/nowhere.toml"]) == admin.MISUSED
    assert "there is no /nowhere.toml: start the mesh with `make up`" in capsys.readouterr().err
