"""What a verification found, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

_SHOWN_CHARACTERS_MAX = 300
_GREEN, _RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `name` is its place in the file, such as `result` or `proof.inclusion[3]`."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """Every check in order, and notes on what was not checked or has to be trusted."""

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there were checks and every one holds."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.ok)


def render_text(report: Report, *, colour: bool) -> str:
    """Write one line for each check and a verdict. Control characters from the file are shown escaped."""
    lines = [_line(check, colour=colour) for check in report.checks]
    lines += [f"  note: {printable(note)}" for note in report.notes]
    count = len(report.checks)
    verdict = f"all {count} checks hold" if report.ok else f"{len(report.failed)} of {count} checks do not hold"
    if report.notes:
        verdict += f"; {len(report.notes)} note{'s' if len(report.notes) > 1 else ''} on what was not checked, above"
    return "\n".join([*lines, verdict]) + "\n"


def render_json(report: Report) -> str:
    """Write the report as one JSON object: ok, checks, notes."""
    body = {"ok": report.ok, "checks": [asdict(check) for check in report.checks], "notes": report.notes}
    return json.dumps(body, indent=2) + "\n"


def _line(check: Check, *, colour: bool) -> str:
    mark = "✓" if check.ok else "✗"
    if colour:
        mark = f"{_GREEN if check.ok else _RED}{mark}{_PLAIN}"
    return f"{mark} {printable(check.name)}: {printable(check.detail)}"


def printable(text: str) -> str:
    """Escape what could steer a terminal, and shorten to 300 characters."""
    shown = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text[: _SHOWN_CHARACTERS_MAX + 1])
    return shown if len(text) <= _SHOWN_CHARACTERS_MAX else shown[:_SHOWN_CHARACTERS_MAX] + "…"
