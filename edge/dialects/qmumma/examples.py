"""Examples of the document. Tests hold each to the type that it stands beside."""

from __future__ import annotations

from typing import Any

from edge.operations import Example

JOB_ID = "qm_job_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"
ANCHOR = "vajra://txid/5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
_HASH = "sha256:2f4a0c1f7a4c8e6a5b3d9f0e1c2b3a4958676a5b4c3d2e1f00112233445566aa"
_SIGNATURE = "TUwtRFNBLTY1IHNpZ25hdHVyZSwgMzMwOSBieXRlcw=="
_CHECKPOINT = "qmumma.example/vajra\n42\nXcnaeacGWamtVZy3Ad7Zoqudgjqtb0lgz+Nw7/RgQyg=\n\n— qmumma.example/vajra …\n"

SUBMIT_VQE = {
    "algorithm_id": "vqe.molecular.v2",
    "hardware": "auto",
    "shots": 4096,
    "parameters": {"molecule": "H2O"},
    "priority": "standard",
}
SUBMIT_CIRCUIT = {
    "algorithm_id": "circuit.openqasm.v1",
    "shots": 1024,
    "parameters": {
        "qasm": 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
    },
    "seed": 7,
    "max_cost_usd": 1.25,
}
_PAIR = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit[2] q; ry(a) q[0]; cx q[0], q[1];'
SUBMIT_SAMPLE = {
    "algorithm_id": "circuit.sample.v1",
    "shots": 1024,
    "parameters": {"circuits": [{"qasm": _PAIR, "inputs": [{"a": 0.5}, {"a": 1.0}]}], "memory": True},
}
SUBMIT_ESTIMATE = {
    "algorithm_id": "circuit.estimate.v1",
    "parameters": {
        "qasm": _PAIR,
        "inputs": [{"a": 0.5}],
        "observables": [{"terms": [{"pauli": "ZZ", "coefficient": -1.0}, {"pauli": "XI", "coefficient": 0.5}]}],
    },
}
SUBMITTED = {
    "job_id": JOB_ID,
    "status": "queued",
    "hardware": "sim.statevector",
    "estimated_ms": 8400,
    "cost_usd": 50.0,
    "routing": {
        "backend": "sim.statevector",
        "kind": "simulator",
        "reason": "It can run the program exactly and has the shortest predicted wait.",
        "alternatives": [
            {"backend": "sim.mps", "eligible": True, "reason": "Slower.", "estimated_ms": 21000},
            {"backend": "sim.stabilizer", "eligible": False, "reason": "It runs Clifford circuits alone."},
        ],
    },
}
_ALWAYS: dict[str, Any] = {
    "job_id": JOB_ID,
    "algorithm_id": "vqe.molecular.v2",
    "hardware": "sim.statevector",
    "shots": 4096,
    "priority": "standard",
    "created_at": "2026-11-21T04:00:00.125000Z",
}
RUNNING = {
    **_ALWAYS,
    "status": "running",
    "cost_usd": 50.0,
    "progress": {"fraction": 0.4, "message": "iteration 12"},
}
FAILED = {
    **_ALWAYS,
    "status": "failed",
    "cost_usd": 0.0,
    "error": {"type": "hardware_unavailable", "message": "The backend went offline, and no other can run the job."},
}
CANCELLED = {**_ALWAYS, "status": "cancelled", "cost_usd": 0.0}
COMPLETED = {
    **_ALWAYS,
    "type": "qmumma.result/v1",
    "status": "completed",
    "cost_usd": 50.0,
    "qubits": 27,
    "qubits_used": 4,
    "parameters_hash": _HASH,
    "result": {"energy_hartree": -74.9705},
    "fidelity": "100.00%",
    "fidelity_method": "exact",
    "executed_at": "2026-11-21T04:00:01.250000Z",
    "execution": {
        "engine": "aer",
        "engine_version": "0.18.2",
        "simulated": True,
        "method": "statevector",
        "seed": "7",
        "calibration_id": None,
        "duration_ms": 312,
        "device_ms": 58.5,
        "circuits": 1,
        "shots_total": 4096,
        "stages": {
            "accepted_at": "2026-11-21T04:00:00.125000Z",
            "claimed_at": "2026-11-21T04:00:00.131000Z",
            "run_began_at": "2026-11-21T04:00:00.937000Z",
            "run_ended_at": "2026-11-21T04:00:01.250000Z",
        },
        "transpiled": None,
        "versions": {"algorithm": "2.0.0", "qiskit": "2.6.2", "qmumma": "0.1.0"},
    },
    "pqc_signature": _SIGNATURE,
    "key_id": "vajra-2026-11",
    "audit_hash": _HASH,
    "blockchain_anchor": ANCHOR,
    "completed_at": "2026-11-21T04:00:01.262000Z",
}
ANCHOR_FOUND = {
    "blockchain_anchor": ANCHOR,
    "leaf": '{"audit_hash":"sha256:2f4a…","kid":"vajra-2026-11","sig_sha256":"sha256:91c0…",'
    '"type":"qmumma.result/v1","v":1}',
    "leaf_index": 41,
    "tree_size": 42,
    "inclusion": ["XcnaeacGWamtVZy3Ad7Zoqudgjqtb0lgz+Nw7/RgQyg="],
    "checkpoint": _CHECKPOINT,
}
_PROOF = {name: value for name, value in ANCHOR_FOUND.items() if name != "blockchain_anchor"} | {
    "inclusion_digests": [_HASH],
    "digests": {"shots": _HASH},
}
PROVEN = {name: value for name, value in COMPLETED.items() if name != "completed_at"} | {"proof": _PROOF}
_ON_TWIN = {
    **COMPLETED["execution"],
    "engine": "qmumma-twin",
    "calibration_id": "iqm_garnet@2026-09-01",
    "transpiled": {
        "layout": [3, 8, None],
        "depth": 31,
        "gates": 57,
        "two_qubit_gates": 9,
        "optimization_level": 2,
        "openqasm": 'OPENQASM 3.0; include "stdgates.inc"; sx $3; cz $3, $8;',
    },
}
LARGE = {name: value for name, value in COMPLETED.items() if name != "result"} | {
    "hardware": "iqm_garnet",
    "execution": _ON_TWIN,
    "result_object": {"digest": _HASH, "size_bytes": 2_097_152, "media_type": "application/json"},
}
KEY_SET = {
    "keys": [
        {
            "kty": "AKP",
            "alg": "ML-DSA-65",
            "use": "sig",
            "kid": "vajra-2026-11",
            "pub": "ML-DSA-65_public_key",
            "status": "active",
            "not_before": "2026-11-01T00:00:00Z",
            "expires": "2027-11-01T00:00:00Z",
        }
    ]
}
VERIFIED = {
    "valid": False,
    "checks": [
        {"name": "audit_hash", "ok": False, "detail": "the record hashes to sha256:77ab…, not to sha256:2f4a…"},
        {"name": "signature", "ok": False, "detail": "vajra-2026-11 did not sign this record"},
        {"name": "anchor", "ok": True, "detail": "entry 41 of the log"},
    ],
}
_ALGORITHM = {
    "id": "vqe.molecular.v2",
    "name": "VQE Molecular Simulation",
    "category": "drug_discovery",
    "version": "2.0.0",
    "description": "Ground-state energy of a small molecule by the variational quantum eigensolver.",
    "max_qubits": 8,
    "cost_usd": 50.0,
    "hardware": ["sim.statevector", "sim.stabilizer", "sim.mps"],
    "required_parameters": ["molecule"],
}
ALGORITHMS = {"algorithms": [_ALGORITHM]}
ALGORITHM = {
    **_ALGORITHM,
    "parameters": {
        "type": "object",
        "properties": {"molecule": {"type": "string", "enum": ["H2", "LiH", "H2O"]}},
        "required": ["molecule"],
    },
    "result": {"type": "object", "properties": {"energy_hartree": {"type": "number"}}},
    "availability": [
        {"hardware": backend, "status": "online", "queue_depth": 0, "estimated_wait_ms": 0}
        for backend in ("sim.statevector", "sim.stabilizer", "sim.mps")
    ],
    "queue_depth": 0,
    "example": {"request": SUBMIT_VQE, "result": {"energy_hartree": -74.9705}},
}


QUOTE_TWIN = {**SUBMIT_CIRCUIT, "routing": {"kinds": ["twin"], "prefer": "fidelity", "min_fidelity": 0.9}}
_EXACT = {"value": 1.0, "low": 1.0, "high": 1.0, "method": "exact", "calibration_id": None}
_REASON = "Circuit of 2 qubits: the state vector of 4 amplitudes is exact and takes qulacs 0.1 ms."
_NOISY = {
    "value": 0.91,
    "low": 0.88,
    "high": 0.93,
    "method": "ideal_mixture",
    "calibration_id": "iqm_garnet@2026-09-01",
}
QUOTED = {
    "type": "qmumma.quote/v1",
    "quote_id": "qm_quote_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f",
    "created_at": "2026-11-21T18:00:00.000000Z",
    "expires_at": "2026-11-21T18:10:00.000000Z",
    "algorithm_id": "circuit.openqasm.v1",
    "parameters_hash": _HASH,
    "shots": 1024,
    "priority": "standard",
    "hardware": "sim.statevector",
    "kind": "simulator",
    "cost_usd": 1.0,
    "estimated_ms": {"p50": 18.4, "p90": 44.1},
    "predicted_fidelity": _EXACT,
    "reason": _REASON,
    "alternatives": [
        {
            "hardware": "sim.mps",
            "kind": "simulator",
            "eligible": True,
            "reason": "Just as exact, but needs 19 ms instead of 18 ms.",
            "estimated_ms": {"p50": 19.2, "p90": 45.3},
            "predicted_fidelity": _EXACT,
            "backend_cost_usd": 0,
        },
        {
            "hardware": "iqm_garnet",
            "kind": "twin",
            "eligible": False,
            "reason": "Only simulators were asked for.",
            "estimated_ms": {"p50": 160.5, "p90": 410.0},
            "predicted_fidelity": _NOISY,
            "backend_cost_usd": 0,
        },
    ],
    "decision_id": "0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e60",
    "pqc_signature": _SIGNATURE,
    "key_id": "vajra-2026-11",
    "audit_hash": _HASH,
    "blockchain_anchor": ANCHOR,
}
DECISION = {
    "job_id": JOB_ID,
    "decision_id": "0199f0c2-a4b8-7c1d-9e5f-3a2b1c0d4e60",
    "decided_at": "2026-11-21T18:00:00.000000Z",
    "backend": "sim.statevector",
    "reason": _REASON,
    "prefer": "balanced",
    "weights": {"fidelity": 1.0, "time": 0.03, "cost": 0.02},
    "explored": False,
    "policy_version": "3/1/2026-11-21.7",
    "model_version": "2026-11-21.2",
    "program": {"qubits": 2, "depth": 3, "gates": 2, "two_qubit_gates": 1, "circuits": 1, "shots": 1024},
    "candidates": [
        {
            "backend": "sim.statevector",
            "kind": "simulator",
            "chosen": True,
            "eligible": True,
            "reason": _REASON,
            "estimated_ms": {"p50": 19, "p90": 45},
            "queue_ms": 18,
            "predicted_fidelity": _EXACT,
            "backend_cost_usd": 0,
            "utility": {"total": 0.999996, "fidelity": 1.0, "time": -0.000004, "cost": 0.0},
        },
        {
            "backend": "sim.stabilizer",
            "kind": "simulator",
            "chosen": False,
            "eligible": False,
            "reason": "The program has gates outside the Clifford group.",
        },
    ],
    "moved": None,
}


def one(summary: str, value: Any) -> dict[str, Example]:  # noqa: ANN401 - any JSON value
    """A single example, under the name that OpenAPI asks for."""
    return {"example": Example(summary=summary, value=value)}
