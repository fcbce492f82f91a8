"""The result with its proof, as `GET /v1/jobs/{id}?include=proof` answers it: the file inside a certificate. Pure."""

from __future__ import annotations

import base64
import hashlib

import msgspec
from qm.signing.v1.signing_pb2 import GetAnchorResponse, Seal

ANCHOR_PREFIX = "vajra://txid/"


def proven_record(record: bytes, seal: Seal, anchor: GetAnchorResponse) -> bytes:
    """The signed record with the members that prove it, as JSON; the record's own bytes stay as they were signed."""
    members = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    told = {
        "pqc_signature": _base64(seal.signature),
        "key_id": seal.key_id,
        "audit_hash": f"sha256:{seal.audit_hash.hex()}",
        "blockchain_anchor": ANCHOR_PREFIX + seal.leaf_hash.hex(),
        "proof": {
            "leaf": anchor.leaf.decode(),
            "leaf_index": anchor.leaf_index,
            "tree_size": anchor.tree_size,
            "inclusion": [_base64(node) for node in anchor.inclusion],
            "inclusion_digests": [_digest(node) for node in anchor.inclusion],
            "checkpoint": anchor.checkpoint,
            # The record is canonical already, so each member's text is its own RFC 8785 form.
            "digests": {name: _digest(bytes(raw)) for name, raw in members.items()},
        },
    }
    return b"".join((record[:-1], b",", msgspec.json.encode(told)[1:]))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
