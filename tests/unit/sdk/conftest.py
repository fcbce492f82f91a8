"""A genuine result with its proof, made by the signing service's own code, and the keys to check it with."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pytest

from services.signing.checkpoint import Checkpoint
from services.signing.keys import NamedKey, parse_key_id, render_jwks
from services.signing.mldsa import OpenSsl
from services.signing.note import Ed25519Signer, MlDsaSigner, NoteSigner
from services.signing.proofs import prove_inclusion
from services.signing.records import RESULT_TYPE, Record, sign_record
from services.signing.tree import Frontier, hash_leaf

ORIGIN = "qmumma.local/log"
SIZE, INDEX = 21, 13
FIELDS: dict[str, Any] = {
    "job_id": "qm_job_0192f0c1d2e37abc8def0123456789ab",
    "status": "completed",
    "algorithm_id": "vqe.molecular.v2",
    "parameters_hash": "sha256:3f0f76beaa5bd7c4bfb4409a88799072bbfad40dcad287db538e7846d42eefca",
    "hardware": "sim.statevector",
    "priority": "standard",
    "shots": 4096,
    "cost_usd": 50,
    "result": {"energy": -1.1397651036759782, "molecule": "H₂", "counts": {"00": 2071, "11": 2025}, "converged": True},
    "fidelity": "99.24%",
    "fidelity_method": "ideal_comparison",
    "qubits": None,
    "qubits_used": 4,
    "created_at": "2026-11-21T16:53:22.114367Z",
    "executed_at": "2026-11-21T16:53:22.678530Z",
    "execution": {"engine": "qiskit-aer", "simulated": True, "seed": "7732371278", "duration_ms": 312.5},
}


@dataclass(frozen=True)
class Bundle:
    """A result as the edge answers it, and the keys a user keeps."""

    body: dict[str, Any]
    jwks: bytes
    log_keys: str

    @property
    def result(self) -> bytes:
        """The file."""
        return encode(self.body)

    def altered(self, path: str, value: Any) -> bytes:
        """The file with one member replaced; `path` is like `proof.inclusion.2`."""
        body = copy.deepcopy(self.body)
        *parents, last = path.split(".")
        place: Any = body
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place[name]
        place[int(last) if isinstance(place, list) else last] = value
        return encode(body)


def encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, indent=1, ensure_ascii=False).encode()


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def build(fields: dict[str, Any], record_type: str = RESULT_TYPE) -> Bundle:
    provider = OpenSsl()
    signer = NamedKey(parse_key_id("vajra-2026-01"), provider.signing_key(hashlib.sha256(b"record key").digest()))
    other = NamedKey(parse_key_id("vajra-2026-02"), provider.signing_key(hashlib.sha256(b"other key").digest()))
    log_seed = hashlib.sha256(b"log key").digest()
    log_signers: list[NoteSigner] = [
        Ed25519Signer(ORIGIN, log_seed),
        MlDsaSigner(ORIGIN, provider.signing_key(log_seed)),
    ]
    signed = sign_record(Record.of(record_type, fields), signer)
    leaves = [hash_leaf(b"another entry %d" % number) for number in range(SIZE)]
    leaves[INDEX] = signed.leaf.hash()
    growth = Frontier().append(leaves)
    path = prove_inclusion(INDEX, SIZE, dict(growth.rows))
    body = {
        **fields,
        "type": record_type,
        "pqc_signature": text_of(signed.signature),
        "key_id": signer.kid,
        "audit_hash": signed.record.audit_hash,
        "blockchain_anchor": signed.leaf.anchor,
        "proof": {
            "leaf": signed.leaf.text().decode(),
            "leaf_index": INDEX,
            "tree_size": SIZE,
            "inclusion": [text_of(node) for node in path],
            "inclusion_digests": ["sha256:" + hashlib.sha256(node).hexdigest() for node in path],
            "checkpoint": Checkpoint(ORIGIN, SIZE, growth.frontier.root()).sign(log_signers).render(),
            "digests": signed.record.digests(),
        },
    }
    jwks = render_jwks([signer.public_key(), other.public_key()])
    return Bundle(body, jwks, "".join(log_signer.key.vkey + "\n" for log_signer in log_signers))


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return build(FIELDS)


@pytest.fixture(scope="session")
def bundle_signed_again() -> Bundle:
    """The same record under another signature: ML-DSA signatures are hedged."""
    return build(FIELDS)


@pytest.fixture(scope="session")
def other_bundle() -> Bundle:
    """Another genuine result."""
    return build({**FIELDS, "shots": 8192})
