"""The declarations of the operations on proof. All are open: they tell hashes, signatures and public keys."""

from __future__ import annotations

from edge.dialects.qmumma import examples
from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.proof import Anchor, KeySet, Proofs, Verification
from edge.dialects.qmumma.requests import SignedAnswer
from edge.dialects.qmumma.verification import Verifier
from edge.operations import Operation, Outcome, PathField

_TXID = PathField(
    name="txid",
    description="64 hexadecimal digits, or the whole `blockchain_anchor` percent-encoded "
    "(`vajra%3A%2F%2Ftxid%2F5dc9…`).",
    schema={"type": "string", "pattern": "^(vajra://txid/)?[0-9a-fA-F]{64}$"},
    example=examples.ANCHOR.removeprefix("vajra://txid/"),
)


def proof_operations(proofs: Proofs, verifier: Verifier) -> list[Operation]:
    """Anchors, keys, the log's checkpoint, and verification."""
    return [_anchor(proofs), _verify(verifier), _jwks(proofs), _checkpoint(proofs), _log_keys(proofs)]


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
        body_examples=one("A completed job", examples.COMPLETED),
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
        description="A signed note (C2SP tlog-checkpoint): origin, tree size, root hash, and the log's signatures.",
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
