"""The words of the page behind a certificate's QR code. Pure: all that is shown comes in, and goes out escaped."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from qmumma.certificate import certificate_number

_STYLE = (files("edge.dialects.qmumma") / "verify.css").read_text("utf-8")
STYLE_HASH = f"sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode('ascii')}"
"""What the Content-Security-Policy allows: this style and nothing else."""

_MEANINGS = {
    "record": (
        "The record is unchanged",
        "Job, hardware, parameters, result and times are what the platform wrote when the job ended, to the last byte.",
    ),
    "signature": (
        "It carries a post-quantum signature",
        (
            "The platform signed the record with its key for ML-DSA-65 (FIPS 204), which quantum computers are not "
            "expected to break. The signature attests what the platform recorded; it is not the signature of a person."
        ),
    ),
    "log": (
        "It is in the public log",
        (
            "The record's fingerprint is an entry of an append-only log. It cannot be removed or backdated without "
            "every later entry changing."
        ),
    ),
    "checkpoint": (
        "The log has signed its state",
        (
            "The log's operator has put both of its keys under the number of entries and their common fingerprint. "
            "Two different states of one size, both signed, would prove that it cheats."
        ),
    ),
    "witness": (
        "A witness has seen the log grow",
        (
            "A second process with its own key and memory signs the log's state only if it contains all that it saw "
            "before. How independent it is depends on who runs it."
        ),
    ),
}
_METHODS = {
    "ideal_comparison": "compared with the ideal distribution",
    "calibration_estimate": "estimated from the calibration",
    "exact": "exact: computed without noise or sampling",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """What is told of a job: nothing of its result, and nothing of whose it is."""

    job_id: str
    algorithm: str
    hardware: str
    simulated: bool | None
    engine: str
    calibration: str
    shots: str
    qubits: str
    fidelity: str
    fidelity_method: str
    executed_at: str
    key_id: str
    audit_hash: str
    anchor: str
    signature: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is about, whether it holds (None: not yet known), and what was found."""

    subject: str
    holds: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All lines together."""

    findings: tuple[Finding, ...]

    @property
    def genuine(self) -> bool:
        """Whether nothing speaks against the record."""
        return all(finding.holds is not False for finding in self.findings)


def verdict_html(viewed: Viewed, verdict: Verdict) -> bytes:
    """The page of a job."""
    if verdict.genuine:
        heading, kind = "This result is genuine", "good"
        told = "What is listed below was signed by this platform and has not been changed since."
    else:
        heading, kind = "This result does not hold", "bad"
        told = "At least one of the checks below fails. Do not rely on this result; ask whoever gave it to you."
    body = f"""<div class="verdict {kind}" role="status"><h1>{heading}</h1><p>{told}</p></div>
{_simulated(viewed)}
<h2>What ran</h2>
<dl class="card">{"".join(_row(*row) for row in _facts(viewed) if row[1])}</dl>
<h2>What was checked, just now</h2>
<ul class="card">{"".join(map(_line, verdict.findings))}</ul>
{_by_yourself(viewed)}"""
    return _page(heading, body)


def not_found_html() -> bytes:
    """The page for a link that opens nothing."""
    return _page(
        "Nothing to see here",
        "<h1>This link opens nothing</h1><p>No completed job has this number and this token. Scan the code again, or "
        "copy the whole address: it ends in <code>?t=</code> and 22 characters.</p>",
    )


def _simulated(viewed: Viewed) -> str:
    if viewed.simulated is True:
        what = "with the noise of a machine's calibration" if viewed.calibration else "without the noise of any machine"
        return (
            f'<p class="notice"><strong>Simulated.</strong> A classical computer simulated the circuit {what}. '
            "No quantum hardware took part.</p>"
        )
    if viewed.simulated is False:
        return '<p class="notice"><strong>Quantum hardware.</strong> The circuit ran on the machine named below.</p>'
    return '<p class="notice">The record does not say whether this was simulated.</p>'


def _facts(viewed: Viewed) -> list[tuple[str, str]]:
    method = _METHODS.get(viewed.fidelity_method, viewed.fidelity_method)
    twin = f" (simulated, calibration {viewed.calibration})" if viewed.simulated and viewed.calibration else ""
    of_what = ", of the simulation" if viewed.simulated else ""
    return [
        ("Job", viewed.job_id),
        ("Certificate", f"{certificate_number(viewed.job_id, viewed.audit_hash)}, if one was issued"),
        ("Algorithm", viewed.algorithm),
        ("Hardware", viewed.hardware + twin),
        ("Engine", viewed.engine),
        ("Shots", viewed.shots),
        ("Qubits used", viewed.qubits),
        ("Fidelity", f"{viewed.fidelity}, {method}{of_what}" if viewed.fidelity else ""),
        ("Executed", viewed.executed_at.replace("T", " ").removesuffix("Z") + " UTC" if viewed.executed_at else ""),
        ("Record", viewed.audit_hash),
        ("Log entry", viewed.anchor),
        ("Signing key", viewed.key_id),
        ("Signature", f"{viewed.signature} (3309 bytes, ML-DSA-65)"),
    ]


def _row(name: str, value: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


def _line(finding: Finding) -> str:
    title, meaning = _MEANINGS[finding.subject]
    marks = {True: ("good", "✓", ""), False: ("bad", "✗", "Fails: "), None: ("open", "○", "Not yet: ")}
    kind, mark, word = marks[finding.holds]
    return (
        f'<li><p class="mark"><span class="{kind}"><span aria-hidden="true">{mark}</span> {word}{title}</span></p>'
        f'<p>{meaning}</p><p class="soft">Found: {escape(finding.detail)}</p></li>'
    )


def _by_yourself(viewed: Viewed) -> str:
    return f"""<h2>Check it yourself</h2>
<p>This page comes from the server that it speaks of, so it proves as much as you trust that server. The record and its
proof are attached to the certificate as <code>result.json</code>, and can be checked without it, offline:</p>
<pre><code>qmumma verify result.json --jwks jwks.json --log-key log.vkey</code></pre>
<p>Keys: <a href="/.well-known/jwks.json">signing keys</a>, <a href="/v1/log/keys">the log's keys</a>,
<a href="/v1/log/witnesses">witnesses</a>. Log: <a href="/v1/log/checkpoint">newest checkpoint</a>,
<a href="/v1/anchors/{escape(viewed.anchor.removeprefix("vajra://txid/"))}">this entry with its proof</a>.</p>
"""


def _page(title: str, body: str) -> bytes:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} · Q-MUMMA</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<header><p class="brand">Q-MUMMA</p></header>
{body}
</main>
</body>
</html>
""".encode()
