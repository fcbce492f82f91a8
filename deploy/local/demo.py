"""The main job, end to end, as a client sees it: over REST, then checked offline with nothing but public keys."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qm.accounts.v1 import accounts_pb2
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.billing.v1 import billing_pb2
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qmumma import verify
from qmumma.report import render_text

from deploy.local.console import Console
from deploy.local.programs import POSTGRES_OFFSET
from mesh.channel import MeshChannel
from mesh.identity import Identity

if TYPE_CHECKING:
    from deploy.local.mesh import LocalMesh

REQUEST = {"algorithm_id": "vqe.molecular.v2", "parameters": {"molecule": "H2"}, "shots": 4096, "hardware": "auto"}
PATIENCE_SECONDS = 120.0
WAIT_SECONDS = 5
_MICROS = 1_000_000
_TERMINAL = ("completed", "failed", "cancelled")


class DemoError(Exception):
    """The demo did not reach its end; the message says where it stopped."""


class Client:
    """Just enough of an HTTP client, so that one can see that no SDK is needed."""

    def __init__(self, base_url: str, key: str) -> None:
        """Talk to `base_url` with an API key."""
        self._base_url = base_url
        self._key = key

    def get(self, path: str) -> bytes:
        """The body of a GET."""
        return self._send(urllib.request.Request(self._base_url + path, headers=self._headers()))  # noqa: S310

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The decoded body of a POST."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(self._base_url + path, data=data, headers=self._headers())  # noqa: S310
        answer: dict[str, Any] = json.loads(self._send(request))
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}

    def _send(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own edge
            body: bytes = response.read()
            return body


async def run_demo(mesh: LocalMesh, console: Console) -> None:
    """Run REQUEST over REST, show each answer, verify the result offline; raises DemoError."""
    client = Client(mesh.base_url, mesh.credentials.qmumma.live)
    folder = mesh.layout.state / "demo"
    folder.mkdir(exist_ok=True)
    job = await asyncio.to_thread(_run_job, client, console, folder)
    await asyncio.to_thread(_verify, client, console, folder)
    await asyncio.to_thread(_certify, client, console, folder, job["job_id"])
    await _show_money(mesh, console, job["job_id"])
    _show_next_steps(mesh, console, folder, job["job_id"])


def _run_job(client: Client, console: Console, folder: Path) -> dict[str, Any]:
    console.title("\n1. Send a molecule: POST /v1/jobs/submit")
    console.line(f"   {json.dumps(REQUEST)}")
    accepted = client.post("/v1/jobs/submit", REQUEST)
    console.line("   202 Accepted")
    for name in ("job_id", "status", "hardware", "estimated_ms", "cost_usd"):
        console.line(f"   {name:<13} {accepted[name]}")
    console.line(f"   {'why there':<13} {accepted['routing']['reason']}")

    console.title(f"\n2. Follow it: GET /v1/jobs/{{id}}?wait={WAIT_SECONDS}, which answers at the next change")
    job = _follow(client, console, accepted["job_id"])
    if job["status"] != "completed":
        error = job.get("error", {})
        raise DemoError(f"the job {job['status']}: {error.get('message', 'no reason was given')}")

    console.title("\n3. Read the result: GET /v1/jobs/{id}?include=proof")
    body = client.get(f"/v1/jobs/{job['job_id']}?include=proof")
    (folder / "result.json").write_bytes(body)
    completed: dict[str, Any] = json.loads(body)
    _show_result(console, completed)
    return completed


def _certify(client: Client, console: Console, folder: Path, job_id: str) -> None:
    """Save the certificate and the roots of its seals, and check every byte of it offline; raises DemoError."""
    console.title("\n5. Keep the certificate: GET /v1/jobs/{id}/certificate")
    file = folder / "certificate.pdf"
    file.write_bytes(client.get(f"/v1/jobs/{job_id}/certificate"))
    (folder / "roots.pem").write_bytes(client.get("/v1/certificates/roots"))
    keys = ((folder / "jwks.json").read_bytes(), (folder / "log.vkey").read_text())
    report = verify(file.read_bytes(), *keys, roots=(folder / "roots.pem").read_bytes())
    if not report.ok:
        raise DemoError(f"the certificate does not hold: {'; '.join(check.name for check in report.failed)}")
    console.line(f"   {_shown(file)}: sealed with ECDSA and ML-DSA-65, all {len(report.checks)} checks hold")


def _follow(client: Client, console: Console, job_id: str) -> dict[str, Any]:
    waited = 0.0
    path = f"/v1/jobs/{job_id}"
    seen = ""
    while waited < PATIENCE_SECONDS:
        job: dict[str, Any] = json.loads(client.get(path))
        progress = job.get("progress") or {}
        words = " ".join(str(word) for word in (job["status"], progress.get("message", "")) if word)
        if words != seen:
            console.line(f"   {words}")
            seen = words
        if job["status"] in _TERMINAL:
            return job
        path = f"/v1/jobs/{job_id}?wait={WAIT_SECONDS}"
        waited += 0.5
    raise DemoError(f"the job {job_id} did not end within {PATIENCE_SECONDS:.0f} s")


def _show_result(console: Console, job: Mapping[str, Any]) -> None:
    result, execution = job["result"], job["execution"]
    reference = result["reference"]
    simulated = "simulated" if execution["simulated"] else "real hardware"
    rows = {
        "energy": f"{result['energy_hartree']:.6f} ± {result['standard_error_hartree'] or 0:.6f} Ha "
        "(sampled; the error bar is one standard error)",
        "full CI": f"{reference['fci_hartree']:.6f} Ha (the exact answer in this basis, by classical means)",
        "fidelity": f"{job['fidelity']} ({job['fidelity_method']})",
        "ran on": f"{job['hardware']}: {execution['engine']} {execution['engine_version']}, {simulated}",
        "took": f"{execution['duration_ms']:.0f} ms, seed {execution['seed']}",
        "signature": f"{job['pqc_signature'][:44]}… (ML-DSA-65, key {job['key_id']})",
        "audit hash": job["audit_hash"],
        "anchor": job["blockchain_anchor"],
    }
    for name, value in rows.items():
        console.line(f"   {name:<11} {value}")


def _verify(client: Client, console: Console, folder: Path) -> None:
    console.title("\n4. Check it offline: qmumma verify result.json --jwks jwks.json --log-key log.vkey")
    console.line(
        "   jwks.json is GET /.well-known/jwks.json, log.vkey is GET /v1/log/keys: public keys, the same for all jobs"
    )
    (folder / "jwks.json").write_bytes(client.get("/.well-known/jwks.json"))
    (folder / "log.vkey").write_bytes(client.get("/v1/log/keys"))
    report = verify(
        (folder / "result.json").read_bytes(),
        (folder / "jwks.json").read_bytes(),
        (folder / "log.vkey").read_text(),
    )
    for line in render_text(report, colour=False).splitlines():
        console.line(f"   {line}")
    if not report.ok:
        raise DemoError("the result does not verify")


async def _show_money(mesh: LocalMesh, console: Console, public_id: str) -> None:
    console.title("\n6. Follow the money: the ledger's entries for this job")
    operator = Identity.at(mesh.layout.identities / "operator", "operator")
    job_id = str(uuid.UUID(public_id.removeprefix("qm_job_")))
    async with (
        MeshChannel(mesh.layout.address("accounts"), operator, "accounts") as accounts,
        MeshChannel(mesh.layout.address("billing"), operator, "billing") as billing,
    ):
        owner = await AccountsServiceStub(accounts).AuthenticateKey(
            accounts_pb2.AuthenticateKeyRequest(secret=mesh.credentials.qmumma.live)
        )
        ledger = BillingServiceStub(billing)
        response = await ledger.GetHold(billing_pb2.GetHoldRequest(job_id=job_id, team_id=owner.requester.team_id))
        laws = await ledger.CheckLedger(billing_pb2.CheckLedgerRequest())
    for entry in response.entries:
        console.line(f"   {entry.amount.micros / _MICROS:>+10.2f} USD   {entry.account}")
    state = billing_pb2.HoldState.Name(response.hold.state).removeprefix("HOLD_STATE_").lower()
    console.line(f"   the hold of {response.hold.amount.micros / _MICROS:.2f} USD is {state}")
    console.line(f"   all {laws.entry_count} entries of the ledger sum to {laws.sum.micros} micro-dollars")
    console.line(f"   That is the list price of {REQUEST['algorithm_id']}; the simulators add nothing to it.")
    console.line("   The demo team (plan enterprise, no budget) pays afterwards, so its `available` may go below zero.")


def _show_next_steps(mesh: LocalMesh, console: Console, folder: Path, job_id: str) -> None:
    """Commands that can be copied: they name the files and the port of this run."""
    files = {name: _shown(folder / name) for name in ("result.json", "jwks.json", "log.vkey")}
    program = f"import json; print(json.load(open({str(mesh.layout.credentials)!r}))['qmumma']['live'])"
    steps = {
        "Keep the mesh up, in another terminal; it is up when it says Ready": (_make_up(mesh),),
        f"Read the API at {mesh.base_url}/docs, and this job again": (
            f'KEY=$(python3 -c "{program}")',
            f'curl -s -H "Authorization: Bearer $KEY" {mesh.base_url}/v1/jobs/{job_id}',
        ),
        "Change a byte of result.json and check it again, with no server; it names the field": (
            f"{_shown(Path(sys.executable).with_name('qmumma'))} verify {files['result.json']} \\",
            f"    --jwks {files['jwks.json']} --log-key {files['log.vkey']}",
        ),
    }
    console.title("\nWhere to go next")
    for what, commands in steps.items():
        console.line(f"   {what}:")
        for command in commands:
            console.line(f"      {command}")


def _make_up(mesh: LocalMesh) -> str:
    """The command that starts the mesh of this run: what differs from the Makefile's own settings is said."""
    ports = mesh.layout.ports
    said = {"STATE": _shown(mesh.layout.state), "PORT": ports["edge"], "BASE_PORT": ports["postgres"] - POSTGRES_OFFSET}
    usual = {"STATE": ".local", "PORT": 8080, "BASE_PORT": 7100}
    return " ".join(["make up", *(f"{name}={value}" for name, value in said.items() if value != usual[name])])


def _shown(path: Path) -> str:
    """A path as it is typed from here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
