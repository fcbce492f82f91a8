"""Everything that a certificate says, as text that is ready to be set. Pure: the template only lays it out."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from services.certificates.distribution import find_distribution
from services.certificates.framework import Framework
from services.certificates.number import certificate_number
from services.certificates.wording import clock, grouped, label, shown, spaced, told

Row = tuple[str, str]
SHEET_TYPE = "qmumma.certificate/v1"
MOST_LINES = 10
"""Of the result's values on the page above a histogram, in two columns; the attached record has all."""
MOST_LINES_ALONE = 40
_LABEL_CHARACTERS, _VALUE_CHARACTERS = 22, 26
"""What fits on a line of half the page."""
MOST_PARAMETERS = 14
_METHODS = {
    "ideal_comparison": "Hellinger fidelity between the sampled and the ideal distribution, which was computed",
    "calibration_estimate": "Estimated from the device's calibration; the ideal distribution was not computed",
    "exact": "No noise was present: the result is exact up to sampling",
    "unknown": "Could not be determined for this program",
}
_NEVER_SHOWN = frozenset({"picture", "notes", "counts", "memory", "statevector", "probabilities", "registers"})
_COVERS = {"covered": "Covered", "partly": "In part", "customer": "Yours"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A completed job as the other services tell of it."""

    record: bytes
    """The signed record, canonical JSON."""
    parameters: bytes
    """Canonical JSON; its SHA-256 is in the record."""
    team_id: str
    user_id: str
    key_id: str
    signature: bytes
    signing_key_id: str
    anchor: str
    leaf_index: int
    tree_size: int
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealFacts:
    """One of the two digital seals."""

    algorithm: str
    subject: str
    fingerprint: str
    """SHA-256 of its X.509 certificate, hexadecimal."""
    expire_time: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """This issue of the certificate."""

    issuer: str
    edition: int
    moment: dt.datetime
    template_version: int
    verify_url: str
    seals: tuple[SealFacts, ...]


class Bar(msgspec.Struct):
    """A bar of the histogram; `share` is 0 to 1."""

    label: str
    share: float
    value: str
    percent: str


class Sheet(msgspec.Struct, kw_only=True):
    """What the template is given. Rows are a label and a value."""

    type: str = SHEET_TYPE
    issuer: str
    number: str
    edition: int
    issued_at: str
    job_id: str
    team_id: str
    template: str
    framework: str
    title: str
    statement: str
    items: list[tuple[str, str, str, str]]
    """Clause, what it asks, how far it is covered, how."""
    simulated: bool
    origin: str
    origin_detail: str
    execution: list[Row]
    fidelity: str
    fidelity_detail: str
    values: list[Row]
    values_note: str
    bars: list[Bar]
    bars_note: str
    parameters: list[Row]
    parameters_note: str
    timeline: list[Row]
    environment: list[Row]
    requester: list[Row]
    proof: list[Row]
    seals: list[Row]
    checkpoint: list[str]
    verify_url: str


def build_sheet(job: Completed, framework: Framework, issue: Issue) -> Sheet:
    """The certificate of a completed job, for a framework."""
    record: dict[str, Any] = msgspec.json.decode(job.record)
    execution: dict[str, Any] = record["execution"]
    simulated = bool(execution["simulated"])
    origin, detail = _origin(record, execution)
    bars, bars_note = _bars(record)
    values, values_note = _values(record, MOST_LINES if bars else MOST_LINES_ALONE)
    parameters, parameters_note = _parameters(job, record)
    return Sheet(
        issuer=shown(issue.issuer, 60),
        number=certificate_number(record["job_id"], _audit_hash(job)),
        edition=issue.edition,
        issued_at=clock(issue.moment, milliseconds=False),
        job_id=record["job_id"],
        team_id=job.team_id,
        template=f"{framework.id}/{issue.template_version}",
        framework=framework.name,
        title=framework.title,
        statement=framework.statement,
        items=[(item.clause, item.asks, _COVERS[item.cover], item.how) for item in framework.items],
        simulated=simulated,
        origin=origin,
        origin_detail=detail,
        execution=_execution(record, execution),
        fidelity="not known" if record["fidelity_method"] == "unknown" else shown(record["fidelity"], 12),
        fidelity_detail=_fidelity_detail(record["fidelity_method"], simulated=simulated),
        values=values,
        values_note=values_note,
        bars=bars,
        bars_note=bars_note,
        parameters=parameters,
        parameters_note=parameters_note,
        timeline=_timeline(record, execution),
        environment=_environment(execution),
        requester=[
            ("Team", shown(job.team_id, 40)),
            ("User", shown(job.user_id, 40)),
            ("API key", shown(job.key_id, 40)),
        ],
        proof=_proof(job),
        seals=[
            (seal.algorithm, f"{seal.subject}; SHA-256 {spaced(seal.fingerprint)}; until {seal.expire_time:%Y-%m-%d}")
            for seal in issue.seals
        ],
        checkpoint=[shown(line, 90) for line in job.checkpoint.split("\n\n")[0].splitlines()],
        verify_url=issue.verify_url,
    )


def _origin(record: dict[str, Any], execution: dict[str, Any]) -> Row:
    """Whether a machine or a simulator gave the result, unmistakably."""
    hardware, calibration = shown(record["hardware"], 48), execution["calibration_id"]
    if not execution["simulated"]:
        return "QUANTUM HARDWARE", f"Executed on {hardware}, a quantum processor with {record['qubits']} qubits."
    if calibration:
        detail = f"No quantum hardware was used. A digital twin of {hardware} ran the program: a classical simulation"
        return "SIMULATED", f"{detail} with the noise of the calibration {shown(calibration, 60)}."
    return "SIMULATED", f"No quantum hardware was used. {hardware} is a classical simulator without device noise."


def _fidelity_detail(method: str, *, simulated: bool) -> str:
    """How the fidelity was got, and of what it is one."""
    detail = _METHODS.get(method, shown(method))
    return f"{detail}. It is that of a simulation, not of a machine" if simulated and method != "unknown" else detail


def _execution(record: dict[str, Any], execution: dict[str, Any]) -> list[Row]:
    simulated = "simulated" if execution["simulated"] else "quantum hardware"
    return [
        ("Algorithm", f"{shown(record['algorithm_id'], 60)}, version {_version(execution)}"),
        ("Backend", f"{shown(record['hardware'], 48)} ({simulated})"),
        ("Engine", f"{shown(execution['engine'], 30)} {shown(execution['engine_version'], 40)}"),
        ("Method", shown(str(execution["method"] or "as the device runs"), 40)),
        ("Shots", grouped(record["shots"])),
        ("Qubits", f"{record['qubits_used']} used, of {record['qubits']}"),
        ("Seed", shown(str(execution["seed"]), 24)),
        ("Calibration", shown(execution["calibration_id"] or "none: there is no device noise", 60)),
    ]


def _version(execution: dict[str, Any]) -> str:
    return shown(str((execution.get("versions") or {}).get("algorithm", "not recorded")), 20)


def _values(record: dict[str, Any], most: int) -> tuple[list[Row], str]:
    """The principal values: scalars at the top of the result, then those one level below."""
    if "result" not in record:
        apart = record["result_object"]
        rows = [
            ("Size", f"{grouped(apart['size_bytes'])} bytes"),
            ("SHA-256", spaced(apart["digest"][7:])),
        ]
        return rows, "The result is too large for the signed record, which holds its hash instead."
    result = record["result"]
    found = [(name, value) for name, value in result.items() if _is_scalar(name, value)]
    for outer, inner in result.items():
        if isinstance(inner, dict) and outer not in _NEVER_SHOWN:
            found += [(f"{outer} {name}", value) for name, value in inner.items() if _is_scalar(name, value)]
    rows = _fitting([(label(name), told(value, 44)) for name, value in found], most)
    more = len(found) - len(rows)
    said = "One further value is" if more == 1 else f"{more} further values are"
    return rows, f"{said} in the attached record." if more else ""


def _fitting(rows: list[Row], lines: int) -> list[Row]:
    """The first rows that take at most so many lines together."""
    taken = 0
    for number, (name, value) in enumerate(rows):
        taken += max(-(-len(name) // _LABEL_CHARACTERS), -(-len(value) // _VALUE_CHARACTERS))
        if taken > lines:
            return rows[:number]
    return rows


def _is_scalar(name: str, value: object) -> bool:
    return name not in _NEVER_SHOWN and isinstance(value, str | int | float) and value != ""


def _bars(record: dict[str, Any]) -> tuple[list[Bar], str]:
    found = find_distribution(record["result"]) if "result" in record else None
    if found is None:
        return [], "This result has no distribution of bit strings."
    bars = [
        Bar(shown(bar.outcome, 44), bar.share, "" if bar.count is None else str(bar.count), f"{100 * bar.share:.2f}%")
        for bar in found.bars
    ]
    rest = found.outcome_count - len(bars)
    note = f"{found.place}: {found.outcome_count} outcomes, qubit 0 rightmost. Bars are relative to the longest."
    if rest:
        note += f" Shown are the {len(bars)} likeliest; the other {rest} have {100 * found.rest_share:.2f}% together."
    return bars, shown(note, 220)


def _parameters(job: Completed, record: dict[str, Any]) -> tuple[list[Row], str]:
    parameters: dict[str, Any] = msgspec.json.decode(job.parameters)
    rows = [(label(name), told(value, 300)) for name, value in list(parameters.items())[:MOST_PARAMETERS]]
    more = len(parameters) - len(rows)
    note = f"Complete in the attachment parameters.json, {spaced(record['parameters_hash'][7:])} (SHA-256)."
    return rows, f"{more} more are not shown. {note}" if more else note


def _timeline(record: dict[str, Any], execution: dict[str, Any]) -> list[Row]:
    stages = execution["stages"]
    return [
        ("Accepted", clock(record["created_at"])),
        ("Claimed by a worker", clock(stages["claimed_at"])),
        ("Run began", clock(stages["run_began_at"])),
        ("Run ended", clock(stages["run_ended_at"])),
        ("Duration of the run", f"{grouped(execution['duration_ms'], 1)} ms"),
    ]


def _environment(execution: dict[str, Any]) -> list[Row]:
    versions = {**(execution.get("versions") or {}), execution["engine"]: execution["engine_version"]}
    fitted = execution["transpiled"]
    rows = [(shown(name, 30), shown(str(version), 50)) for name, version in sorted(versions.items())[:8]]
    if fitted is not None:
        size = f"depth {fitted['depth']}, {fitted['gates']} gates, {fitted['two_qubit_gates']} on two qubits"
        rows.append(("Circuit on the device", size))
    return rows


def _proof(job: Completed) -> list[Row]:
    return [
        ("Audit hash", f"sha256: {spaced(_audit_hash(job)[7:])}"),
        ("ML-DSA-65 signature", f"key {shown(job.signing_key_id, 30)}, sha256: {spaced(_sha256(job.signature))}"),
        ("Anchor", job.anchor),
        ("Log entry", f"number {job.leaf_index}, counted from 0, of the {job.tree_size} in the checkpoint overleaf"),
    ]


def _audit_hash(job: Completed) -> str:
    return f"sha256:{_sha256(job.record)}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
