"""A decision of the router, for people: who was looked at, what was predicted of each, and why one was taken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from qmumma.exact import UnreadableError
from qmumma.report import printable

_UNITS = ((172_800_000, 86_400_000, "days"), (7_200_000, 3_600_000, "h"), (120_000, 60_000, "min"), (1000, 1000, "s"))
_TOLD = 12
"""Candidates that stand in the table; those that could not run the job are listed below it."""


def decision_path(job_id: str) -> str:
    """Where the decision of a job is."""
    return f"/v1/jobs/{job_id}/decision"


def render(body: bytes) -> str:
    """The decision in an answer of `GET /v1/jobs/{id}/decision` as text. Raises UnreadableError."""
    try:
        decision = json.loads(body)
        return "\n".join(_lines(decision)) + "\n"
    except (ValueError, TypeError, KeyError) as error:
        message = f"the answer is no decision: {error}"
        raise UnreadableError(message) from None


def _lines(decision: dict[str, Any]) -> Iterable[str]:
    program, weights = decision["program"], decision["weights"]
    verb = "was to run" if decision["moved"] else "runs"
    yield f"{decision['job_id']} {verb} on {printable(decision['backend'])}."
    yield f"  {printable(decision['reason'])}"
    if decision["explored"]:
        yield "  It was taken to learn of it: another one looked better."
    if moved := decision["moved"]:
        yield f"  It was moved to {printable(moved['backend'])} ({moved['kind']}): {printable(moved['reason'])}"
    yield ""
    yield (
        f"program   {program['qubits']} qubits, depth {program['depth']}, {program['gates']} gates "
        f"({program['two_qubit_gates']} on two qubits), {program['shots']} shots"
    )
    yield (
        f"asked     prefer {decision['prefer']}: utility = {weights['fidelity']:g} fidelity "
        f"- {weights['time']:g} log10(1 + minutes) - {weights['cost']:g} dollars"
    )
    policy, model = printable(decision["policy_version"]), printable(decision["model_version"] or "none was needed")
    yield f"decided   {decision['decided_at']}, policy {policy}, model {model}"
    yield ""
    able = [each for each in decision["candidates"] if each["eligible"]]
    yield from _table([_row(each) for each in able[:_TOLD]])
    if len(able) > _TOLD:
        yield f"  and {len(able) - _TOLD} more with less"
    yield ""
    for each in able[1:_TOLD]:
        yield f"  {printable(each['backend'])}: {printable(each['reason'])}"
    if ruled_out := [each for each in decision["candidates"] if not each["eligible"]]:
        yield ""
        yield "ruled out"
        for each in ruled_out:
            yield f"  {printable(each['backend'])}: {printable(each['reason'])}"


def _row(candidate: dict[str, Any]) -> list[str]:
    fidelity, time, utility = candidate["predicted_fidelity"], candidate["estimated_ms"], candidate["utility"]
    interval = "" if fidelity["low"] == fidelity["high"] else f" ({fidelity['low']:.3f} to {fidelity['high']:.3f})"
    return [
        "→" if candidate["chosen"] else " ",
        printable(candidate["backend"]),
        candidate["kind"],
        f"{fidelity['value']:.3f}{interval}",
        f"{_span(time['p50'])}, 9 of 10 in {_span(time['p90'])}",
        f"${candidate['backend_cost_usd']:,.2f}",
        f"{utility['total']:.4f}",
    ]


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    whole = [["", "backend", "kind", "fidelity", "time", "adds", "utility"], *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(whole[0]))]
    for row in whole:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _span(milliseconds: float) -> str:
    for limit, unit, name in _UNITS:
        if milliseconds >= limit:
            return f"{milliseconds / unit:.3g} {name}"
    return f"{milliseconds:.3g} ms"
