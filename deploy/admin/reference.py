"""Every command as docs/operators.md lists it: `python -m deploy.admin.reference` writes that part anew."""

from __future__ import annotations

from pathlib import Path

from deploy.admin.__main__ import build_parser, command_parsers
from deploy.admin.catalogue import COMMANDS, GROUPS

FILE = Path(__file__).parents[2] / "docs" / "operators.md"
_BEGIN, _END = "<!-- commands -->\n", "<!-- end of commands -->\n"


def reference() -> str:
    """The commands by group: what each does, and how it is called."""
    parsers = command_parsers(build_parser())
    text = ""
    for group, summary in GROUPS.items():
        text += f"### {group}: {summary}\n\n```text\n"
        for command in COMMANDS:
            if command.group == group:
                text += f"{parsers[command.group, command.name].format_usage()}    {command.summary}\n"
        text += "```\n\n"
    return text


def with_reference(document: str) -> str:
    """The document with its list of commands as it is now."""
    before, rest = document.split(_BEGIN)
    return f"{before}{_BEGIN}\n{reference()}{_END}{rest.split(_END)[1]}"


if __name__ == "__main__":
    FILE.write_text(with_reference(FILE.read_text()))
