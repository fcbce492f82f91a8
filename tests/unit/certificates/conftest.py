"""A completed job as the services would tell it, its certificate, and who sealed it."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import pytest
import rfc8785
from qm.signing.v1 import signing_pb2
from qmumma.verification import Trust

from mesh.vault import Vault
from services.certificates.authority import Algorithm, Authority, Purpose, StoredKey, current, private_der, roots_pem
from services.certificates.framework import FRAMEWORKS_FILE, Framework, Frameworks
from services.certificates.printing import Order, Press, Seal
from services.certificates.proof import ANCHOR_PREFIX, proven_record
from services.certificates.roots import root_record
from services.certificates.sheet import Completed, Issue, SealFacts, Sheet, build_sheet
from services.signing.checkpoint import Checkpoint
from services.signing.keys import NamedKey, parse_key_id, render_jwks
from services.signing.mldsa import OpenSsl
from services.signing.note import Ed25519Signer, MlDsaSigner, NoteSigner
from services.signing.records import Record, sign_record

ORIGIN = "qmumma.test/log"
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
FRAMEWORKS = msgspec.toml.decode(FRAMEWORKS_FILE.read_bytes(), type=Frameworks)
LINK = "https://q.example/verify/qm_job_0199d1c27d3e7c559f5a3c0f5d2b7a10?t=0123456789abcdef"


def record_of(**changes: Any) -> dict[str, Any]:
    """The members of a record of a Bell pair on a machine's twin."""
    execution = {
        "engine": "qmumma-twin",
        "engine_version": "0.1.0+qiskit-aer.0.18.2",
        "method": "calibrated_noise",
        "simulated": True,
        "seed": "7",
        "calibration_id": "ibm_marrakesh@2025-02-26",
        "duration_ms": 12.5,
        "device_ms": 11.0,
        "circuits": 1,
        "shots_total": 1000,
        "stages": {
            "accepted_at": "2026-11-21T11:59:00.000000Z",
            "claimed_at": "2026-11-21T11:59:01.000000Z",
            "run_began_at": None,
            "run_ended_at": "2026-11-21T11:59:03.000000Z",
        },
        "transpiled": None,
        "versions": {"algorithm": "1.0.0", "qiskit": "2.6.2"},
    }
    members = {
        "type": "qmumma.result/v1",
        "job_id": "qm_job_0199d1c27d3e7c559f5a3c0f5d2b7a10",
        "status": "completed",
        "algorithm_id": "circuit.openqasm.v1",
        "parameters_hash": "sha256:" + hashlib.sha256(b'{"qasm":"OPENQASM 2.0;"}').hexdigest(),
        "hardware": "ibm_marrakesh",
        "shots": 1000,
        "priority": "standard",
        "created_at": "2026-11-21T11:59:00.000000Z",
        "executed_at": "2026-11-21T11:59:03.000000Z",
        "cost_usd": 0.1,
        "qubits": 156,
        "qubits_used": 2,
        "fidelity": "97.12%",
        "fidelity_method": "ideal_comparison",
        "result": {"counts": {"00": 512, "11": 480, "01": 8}, "shots": 1000, "openqasm_version": "2.0"},
        "execution": execution | changes.pop("execution", {}),
    }
    return members | changes


@dataclass(frozen=True)
class House:
    """A signing service, its log of one leaf, and the authority of the seals, all in memory."""

    jwks: bytes
    log_keys: str
    authority: Authority
    held: list[StoredKey]
    signer: NamedKey
    log: tuple[NoteSigner, ...]

    @cached_property
    def trust(self) -> Trust:
        """What a verifier keeps of it, read once."""
        return Trust.read(self.jwks, self.log_keys, roots=roots_pem(self.held))

    def job(self, parameters: bytes = b'{"qasm":"OPENQASM 2.0;"}', **changes: Any) -> tuple[Completed, bytes]:
        """A job's facts, and its record with what proves it."""
        members = record_of(parameters_hash="sha256:" + hashlib.sha256(parameters).hexdigest(), **changes)
        return self.proven(rfc8785.dumps(members), parameters)

    def proven(self, canonical: bytes, parameters: bytes = b"{}") -> tuple[Completed, bytes]:
        signed = sign_record(Record.read(canonical), self.signer)
        leaf_hash = signed.leaf.hash()
        anchor = signing_pb2.GetAnchorResponse(
            leaf=signed.leaf.text(),
            leaf_index=0,
            tree_size=1,
            checkpoint=self.checkpoint(leaf_hash),
        )
        seal = signing_pb2.Seal(
            audit_hash=hashlib.sha256(canonical).digest(),
            signature=signed.signature,
            key_id=self.signer.kid,
            leaf_hash=leaf_hash,
        )
        facts = Completed(
            record=canonical,
            parameters=parameters,
            team_id="0199d1c2-0000-7000-8000-000000000001",
            user_id="0199d1c2-0000-7000-8000-000000000003",
            key_id="0199d1c2-0000-7000-8000-000000000002",
            signature=signed.signature,
            signing_key_id=self.signer.kid,
            anchor=ANCHOR_PREFIX + leaf_hash.hex(),
            leaf_index=0,
            tree_size=1,
            checkpoint=anchor.checkpoint,
        )
        return facts, proven_record(canonical, seal, anchor)

    def roots(self) -> bytes:
        """The seals' roots, each alone in a log."""
        roots = [key for key in self.held if key.purpose is Purpose.ROOT]
        return b'{"roots":[' + b",".join(self.proven(root_record(root))[1] for root in roots) + b"]}"

    def checkpoint(self, root: bytes) -> str:
        return Checkpoint(ORIGIN, 1, root).sign(self.log).render()

    def seal(self, algorithm: Algorithm) -> Seal:
        key = current(self.held, algorithm)
        return Seal(key.certificate, private_der(self.authority.open(key)))

    def sheet(self, job: Completed, framework: Framework | None = None) -> Sheet:
        seals = tuple(
            SealFacts(algorithm=key.algorithm, subject=key.subject, fingerprint=key.fingerprint, expire_time=NOW)
            for key in (current(self.held, algorithm) for algorithm in Algorithm)
        )
        issue = Issue(issuer="Aumtrix", edition=1, moment=NOW, template_version=1, verify_url=LINK, seals=seals)
        return build_sheet(job, framework or FRAMEWORKS.frameworks[0], issue)

    def order(self, job: Completed, proven: bytes, framework: Framework | None = None) -> Order:
        return Order(
            sheet=msgspec.json.encode(self.sheet(job, framework)),
            link=LINK,
            result=proven,
            parameters=job.parameters,
            roots=self.roots(),
            moment=NOW,
            classical=self.seal(Algorithm.ECDSA),
            quantum_safe=self.seal(Algorithm.ML_DSA),
        )


@pytest.fixture(scope="session")
def house() -> House:
    return make_house()


def make_house(key: bytes = b"p" * 32) -> House:
    """A house whose seals' keys lie under `key`."""
    provider = OpenSsl()
    signer = NamedKey(parse_key_id("vajra-2026-01"), provider.signing_key(b"r" * 32))
    log = (Ed25519Signer(ORIGIN, b"e" * 32), MlDsaSigner(ORIGIN, provider.signing_key(b"m" * 32)))
    authority = Authority("Aumtrix", Vault(key))
    return House(
        jwks=render_jwks([signer.public_key()]),
        log_keys="".join(f"{key.key.vkey}\n" for key in log),
        authority=authority,
        held=authority.missing([], NOW),
        signer=signer,
        log=log,
    )


@pytest.fixture(scope="session")
def press() -> Press:
    return Press()
