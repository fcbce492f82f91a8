"""The declarations of the operations on proof. All are open: they tell hashes, signatures and public keys."""

from __future__ import annotations

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.proof import Anchor, CheckpointQuery, KeySet, LogTimestamps, Proofs, Rotations, Verification
from edge.dialects.qmumma.requests import SignedAnswer
from edge.dialects.qmumma.verification import Verifier
from edge.operations import Example, Operation, Outcome, PathField

_TXID = PathField(
    name="txid",
    description="64 hexadecimal digits, or the whole `blockchain_anchor` percent-encoded "
    "(`vajra%3A%2F%2Ftxid%2F5dc9…`).",
    schema={"type": "string", "pattern": "^(vajra://txid/)?[0-9a-fA-F]{64}$"},
    example=examples.ANCHOR.removeprefix("vajra://txid/"),
)
_TILE = PathField(
    name="tile",
    description="`<level>/<number>` or `entries/<number>`, as tlog-tiles writes it: three digits a segment, all but "
    "the last after an `x`; `.p/<width>` follows where a tile is not full yet.",
    schema={"type": "string", "pattern": "^(entries|[0-9]{1,2})/(x[0-9]{3}/)*[0-9]{3}(\\.p/[1-9][0-9]{0,2})?$"},
    example="entries/000.p/5",
)
_TIMESTAMP = {
    "tree_size": 42,
    "calendar": "https://calendar.example",
    "digest": "sha256:" + 64 * "c",
    "status": "complete",
    "bitcoin_merkle_roots": {"912345": 64 * "d"},
    "ots": "AE9wZW5UaW1lc3RhbXBz",
}


def proof_operations(proofs: Proofs, verifier: Verifier) -> list[Operation]:
    """Anchors, keys, the log's checkpoint, and verification."""
    return [
        _anchor(proofs),
        _verify(verifier),
        _jwks(proofs),
        _checkpoint(proofs),
        _tile(proofs),
        _log_keys(proofs),
        _witnesses(proofs),
        _timestamps(proofs),
        _rotations(proofs),
    ]


def _anchor(proofs: Proofs) -> Operation:
    return Operation(
        id="getAnchor",
        method="GET",
        path="/v1/anchors/{txid}",
        handler=proofs.anchor,
        tag="Proof",
        summary="Look up an anchor in the transparency log",
        description="The entry behind a `blockchain_anchor`, with its inclusion proof (RFC 6962) in "
        "the newest checkpoint.",
        path_fields=(_TXID,),
        outcomes=(
            Outcome(
                status=200,
                description="The entry and its proof.",
                kind=Anchor,
                examples=one("An entry", examples.ANCHOR_FOUND),
            ),
        ),
        errors={404: "The log holds no such entry."},
        authenticated=False,
    )


def _verify(verifier: Verifier) -> Operation:
    return Operation(
        id="verifySignedAnswer",
        method="POST",
        path="/v1/verify",
        handler=verifier.verify,
        tag="Proof",
        summary="Check that a signed answer or document is genuine",
        description="Send a completed job, or anything else that was signed, exactly as it was answered. Every "
        "check is listed with what was found; one changed byte makes one fail. `qmumma verify` makes the same checks "
        "offline, trusting only the public keys.",
        body=SignedAnswer,
        documents={media_type: document.description for media_type, document in verifier.documents.items()},
        body_examples={
            "completed": Example(summary="A completed job", value=examples.COMPLETED),
            "proven": Example(summary="With its proof", value=examples.PROVEN),
        },
        outcomes=(
            Outcome(
                status=200,
                description="The checks, whether they hold or not.",
                kind=Verification,
                examples=one("An altered result", examples.VERIFIED),
            ),
        ),
        authenticated=False,
    )


def _jwks(proofs: Proofs) -> Operation:
    return Operation(
        id="getKeySet",
        method="GET",
        path="/.well-known/jwks.json",
        handler=proofs.jwks,
        tag="Proof",
        summary="Public keys of signatures",
        description="ML-DSA-65 public keys as JWK (RFC 9964). `key_id` of a result names one of them.",
        outcomes=(
            Outcome(
                status=200,
                description="The keys, newest first.",
                kind=KeySet,
                media_type="application/jwk-set+json",
                examples=one("One key", examples.KEY_SET),
            ),
        ),
        authenticated=False,
    )


def _checkpoint(proofs: Proofs) -> Operation:
    return Operation(
        id="getCheckpoint",
        method="GET",
        path="/v1/log/checkpoint",
        handler=proofs.checkpoint,
        tag="Proof",
        summary="Newest checkpoint of the transparency log",
        description="A signed note (C2SP tlog-checkpoint): origin, tree size, root hash, the log's signatures, and "
        "those of its witnesses (C2SP tlog-cosignature) as soon as they have looked.",
        query=CheckpointQuery,
        errors={404: "No witness has signed a checkpoint yet."},
        outcomes=(
            Outcome(
                status=200,
                description="The signed note.",
                media_type="text/plain",
                examples=one("A note", examples.ANCHOR_FOUND["checkpoint"]),
            ),
        ),
        authenticated=False,
    )


def _tile(proofs: Proofs) -> Operation:
    return Operation(
        id="getTile",
        method="GET",
        path="/v1/log/tile/{tile+}",
        handler=proofs.tile,
        tag="Proof",
        summary="A tile of the transparency log",
        description="The whole log as static files (C2SP tlog-tiles, with `/v1/log` as prefix): hashes of the tree, "
        "`0/000` and up, and the entries themselves, `entries/000`. `qmumma log monitor` reads them all.",
        path_fields=(_TILE,),
        outcomes=(
            Outcome(
                status=200,
                description="Hashes of 32 bytes, or entries, each after its length in two bytes. Never changes.",
                media_type="application/octet-stream",
                headers={"ETag": "Names the content."},
            ),
            Outcome(status=304, description="You have it already (`If-None-Match`)."),
        ),
        errors={404: "The log has no such tile, or not all of it yet."},
        authenticated=False,
    )


def _witnesses(proofs: Proofs) -> Operation:
    return Operation(
        id="getWitnessKeys",
        method="GET",
        path="/v1/log/witnesses",
        handler=proofs.witnesses,
        tag="Proof",
        summary="Public keys of the log's witnesses",
        description="C2SP vkeys, one a line, of those that have signed checkpoints so far. They come from the log "
        "here: whoever relies on a witness asks its operator for the key.",
        outcomes=(
            Outcome(
                status=200,
                description="The keys; none, where no witness has signed yet.",
                media_type="text/plain",
                examples=one("One key", "witness.example/w1+0a1b2c3d+BHNvbWUgRWQyNTUxOSBwdWJsaWMga2V5\n"),
            ),
        ),
        authenticated=False,
    )


def _rotations(proofs: Proofs) -> Operation:
    return Operation(
        id="getRotations",
        method="GET",
        path="/v1/log/rotations",
        handler=proofs.rotations,
        tag="Proof",
        summary="Rotations of the signing keys",
        description="Every new key of records was told to the log by the key before it. Each of these is a signed "
        "answer with its proof, which `qmumma verify` checks as any other.",
        outcomes=(
            Outcome(
                status=200,
                description="The rotations; none while the first key signs.",
                kind=Rotations,
                examples=one("The first key", {"rotations": []}),
            ),
        ),
        authenticated=False,
    )


def _timestamps(proofs: Proofs) -> Operation:
    return Operation(
        id="getTimestamps",
        method="GET",
        path="/v1/log/timestamps",
        handler=proofs.timestamps,
        tag="Proof",
        summary="Timestamps of the log's checkpoints",
        description="Proofs of OpenTimestamps calendars that a checkpoint was there at a time, where the operator has "
        "the log anchored outside.",
        outcomes=(
            Outcome(
                status=200,
                description="The newest hundred.",
                kind=LogTimestamps,
                examples=one("One timestamp", {"timestamps": [_TIMESTAMP]}),
            ),
        ),
        authenticated=False,
    )


def _log_keys(proofs: Proofs) -> Operation:
    return Operation(
        id="getLogKeys",
        method="GET",
        path="/v1/log/keys",
        handler=proofs.log_keys,
        tag="Proof",
        summary="Public keys of the transparency log",
        description="C2SP vkeys, one a line: `name+hash+key`, for Ed25519 and for ML-DSA-65.",
        outcomes=(
            Outcome(
                status=200,
                description="The keys.",
                media_type="text/plain",
                examples=one("One key", "qmumma.example/vajra+0a1b2c3d+AXNvbWUgRWQyNTUxOSBwdWJsaWMga2V5\n"),
            ),
        ),
        authenticated=False,
    )
