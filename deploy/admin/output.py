"""How answers are shown: lines, tables, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qm.type.v1.money_pb2 import Money

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from deploy.admin.command import Shown, Thing

_MICROS = 10**6


def to_json(shown: Shown) -> str:
    """The whole answer, for programs."""
    return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"


def to_text(shown: Shown) -> str:
    """The answer for people: a table for a list, a line for each member of a thing."""
    if isinstance(shown, list):
        return _table(shown)
    parts = {name: value for name, value in shown.items() if isinstance(value, list)}
    width = max((len(name) for name in shown if name not in parts), default=0)
    lines = [f"{name:<{width}}  {_cell(value)}\n" for name, value in shown.items() if name not in parts]
    return "".join(lines) + "".join(f"\n{name}\n{_table(rows)}" for name, rows in parts.items())


def time(timestamp: Timestamp) -> str:
    """A moment as RFC 3339 says it, to the second."""
    return timestamp.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")


def dollars(money: Money | int) -> str:
    """An exact amount, from micro-dollars."""
    micros = money.micros if isinstance(money, Money) else money
    whole, fraction = divmod(abs(micros), _MICROS)
    text = f"{fraction:06d}"
    return f"{'-' if micros < 0 else ''}{whole}.{text[:2] if text.endswith('0000') else text}"


def _table(rows: list[Thing]) -> str:
    if not rows:
        return "none\n"
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[name.upper() for name in columns]] + [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in cells)


def _cell(value: Any) -> str:  # noqa: ANN401 - any plain value
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    # Names come from users: what would move the cursor is shown, not done.
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(value))
