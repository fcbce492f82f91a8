"""Proof over HTTP, open to all: log entries, checkpoints and public keys. None of them tells more than hashes."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta
from qm.signing.v1 import signing_pb2 as pb

from edge.dialects.qmumma.ids import ANCHOR_PATTERN, leaf_hash_of, shown_anchor
from edge.dialects.qmumma.rendering import moment, proof_of, seal_members
from edge.dialects.qmumma.scalars import Count, Document, Moment, Name, Node, Positive, Sentence
from edge.errors import Refusal
from edge.exchange import Answer, Header, Request, etag_matches
from edge.operations import Nothing
from edge.values import encode

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

_TEXT = b"text/plain; charset=utf-8"
_LONGEST_TILE_PATH = 64
_KEYS_CACHE: Header = (b"cache-control", b"public, max-age=300")
_BRIEF_CACHE: Header = (b"cache-control", b"public, max-age=1")
_FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")
_STATUS: dict[int, Literal["pending", "active", "retired"]] = {
    pb.KEY_STATE_PENDING: "pending",
    pb.KEY_STATE_ACTIVE: "active",
    pb.KEY_STATE_RETIRED: "retired",
}


class Anchor(msgspec.Struct, kw_only=True):
    """One entry of the transparency log, with the proof that the log holds it."""

    blockchain_anchor: Annotated[str, Meta(description="The entry's name.", pattern=ANCHOR_PATTERN)]
    leaf: Annotated[Document, Meta(description="The canonical entry: SHA-256 of a zero byte and it is the name.")]
    leaf_index: Annotated[Count, Meta(description="Entries before it.", examples=[41])]
    tree_size: Annotated[Positive, Meta(description="Entries in the tree that the proof is for.", examples=[42])]
    inclusion: Annotated[
        list[Node],
        Meta(description="Base64 of the hashes from the leaf up to the root (RFC 6962, 2.1.1).", max_length=64),
    ]
    checkpoint: Annotated[Document, Meta(description="The signed note of the tree (C2SP tlog-checkpoint).")]


class PublicKey(msgspec.Struct, kw_only=True):
    """An ML-DSA-65 public key as a JWK (RFC 9964). The last three members are ours (RFC 7517, section 4)."""

    kty: Annotated[Literal["AKP"], Meta(description="Algorithm key pair.")] = "AKP"
    alg: Annotated[Literal["ML-DSA-65"], Meta(description="The one algorithm of the key.")] = "ML-DSA-65"
    use: Annotated[Literal["sig"], Meta(description="Signatures.")] = "sig"
    kid: Annotated[Name, Meta(description="The key's id: `key_id` of a result.", examples=["vajra-2026-11"])]
    pub: Annotated[
        str,
        Meta(
            description="Base64url of the public key, 1952 bytes, without padding.", pattern="^[A-Za-z0-9_-]{1,4096}$"
        ),
    ]
    status: Annotated[
        Literal["pending", "active", "retired"],
        Meta(description="Whether it signs at the moment. What a retired key signed holds."),
    ]
    not_before: Annotated[Moment, Meta(description="From when it signs.")]
    expires: Annotated[Moment, Meta(description="Until when it signs.")]


class Rotations(msgspec.Struct):
    """What the log was told of new keys, oldest first."""

    rotations: Annotated[
        list[dict[str, Any]],
        Meta(
            description="Records of the type `qmumma.key/v1`, each with its seal and proof, as `POST /v1/verify` takes "
            "them: the new key (`jwk`), `not_before`, `expires`, the key that it `replaces` and signs this, `reason`.",
            max_length=10_000,
        ),
    ]


class LogTimestamp(msgspec.Struct, kw_only=True):
    """What a calendar outside said of one checkpoint of the log."""

    tree_size: Annotated[Positive, Meta(description="Entries in the checkpoint's tree.")]
    calendar: Annotated[Sentence, Meta(description="The OpenTimestamps calendar.")]
    digest: Annotated[
        str,
        Meta(
            description="SHA-256 of the checkpoint's first three lines, with their ends: what was stamped.",
            pattern="^sha256:[0-9a-f]{64}$",
        ),
    ]
    status: Annotated[
        Literal["pending", "complete"], Meta(description="Whether the proof leads to a block of Bitcoin yet.")
    ]
    bitcoin_merkle_roots: Annotated[
        dict[str, str],
        Meta(
            description="The Merkle root that each block must have for the proof to hold, by height. Nobody here has "
            "looked: ask a Bitcoin node."
        ),
    ]
    ots: Annotated[Document, Meta(description="Base64 of the proof as an `.ots` file, for the public tools.")]


class LogTimestamps(msgspec.Struct):
    """The newest timestamps, newest first; none where this log is not anchored outside."""

    timestamps: Annotated[list[LogTimestamp], Meta(description="The timestamps.", max_length=100)]


class CheckpointQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which checkpoint is wanted."""

    witnessed: Annotated[
        bool, Meta(description="The newest one that a witness has signed too, in place of the newest; 404 for none.")
    ] = False


class KeySet(msgspec.Struct):
    """The public keys of records, newest first. Retired ones stay, so that old results can be checked."""

    keys: Annotated[list[PublicKey], Meta(description="The keys.", max_length=10_000)]


class Verification(msgspec.Struct, kw_only=True):
    """What holds and what does not."""

    valid: Annotated[bool, Meta(description="Whether every check holds.")]
    checks: Annotated[list[Check], Meta(description="The checks in the order they were made.", max_length=100_000)]


class Check(msgspec.Struct):
    """One thing that was looked at."""

    name: Annotated[Sentence, Meta(description="What: a member, or a step of the proof.", examples=["signature"])]
    ok: Annotated[bool, Meta(description="Whether it holds.")]
    detail: Annotated[Sentence, Meta(description="What was found, for people.")]


class Proofs:
    """The operations on the log and its keys."""

    def __init__(self, signing: SigningServiceAsyncStub) -> None:
        """Call `signing`, which owns them."""
        self._signing = signing

    async def anchor(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/anchors/{txid}`."""
        leaf_hash = leaf_hash_of(request.path["txid"])
        if leaf_hash is None:
            message = "There is no such anchor. Anchors are 64 hexadecimal digits, or vajra://txid/ and these."
            raise Refusal(404, message, param="txid", reason="ANCHOR_NOT_FOUND")
        found = await self._signing.GetAnchor(pb.GetAnchorRequest(leaf_hash=leaf_hash))
        anchor = Anchor(
            blockchain_anchor=shown_anchor(leaf_hash),
            leaf=found.leaf.decode(),
            leaf_index=found.leaf_index,
            tree_size=found.tree_size,
            inclusion=[base64.b64encode(node).decode("ascii") for node in found.inclusion],
            checkpoint=found.checkpoint,
        )
        return Answer(200, encode(anchor), headers=[_BRIEF_CACHE])

    async def jwks(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /.well-known/jwks.json`."""
        return Answer(200, encode(key_set(await self._keys())), b"application/jwk-set+json", [_KEYS_CACHE])

    async def checkpoint(self, request: Request[Nothing, CheckpointQuery]) -> Answer:
        """Answer `GET /v1/log/checkpoint`."""
        message = pb.GetCheckpointRequest(witnessed=request.query.witnessed)
        response = await self._signing.GetCheckpoint(message)
        return Answer(200, response.checkpoint.encode(), _TEXT, [_BRIEF_CACHE])

    async def tile(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/log/tile/{tile}`: once it is there, a tile never changes."""
        path = f"tile/{request.path['tile']}"
        if len(path) > _LONGEST_TILE_PATH:
            raise Refusal(404, "The log has no such tile.", param="tile", reason="TILE_NOT_FOUND")
        data = (await self._signing.GetTile(pb.GetTileRequest(path=path))).data
        tag = b'"%s"' % hashlib.sha256(data).hexdigest()[:32].encode()
        headers = [(b"etag", tag), _FOR_EVER]
        if etag_matches(request.headers.get(b"if-none-match"), tag):
            return Answer(304, headers=headers)
        return Answer(200, data, b"application/octet-stream", headers)

    async def witnesses(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/log/witnesses`."""
        keys = "".join(f"{key}\n" for key in (await self._keys()).witness_keys)
        return Answer(200, keys.encode(), _TEXT, [_BRIEF_CACHE])

    async def rotations(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/log/rotations`."""
        found = await self._signing.ListRotations(pb.ListRotationsRequest())
        told = []
        for rotation in found.rotations:
            anchor = await self._signing.GetAnchor(pb.GetAnchorRequest(leaf_hash=rotation.seal.leaf_hash))
            members = msgspec.json.decode(rotation.record)
            proof = proof_of(rotation.record, anchor)
            told.append({**members, **seal_members(rotation.seal), "proof": proof})
        return Answer(200, encode(Rotations(told)), headers=[_KEYS_CACHE])

    async def timestamps(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/log/timestamps`."""
        found = await self._signing.ListTimestamps(pb.ListTimestampsRequest())
        shown = LogTimestamps(
            [
                LogTimestamp(
                    tree_size=each.size,
                    calendar=each.calendar,
                    digest=f"sha256:{each.digest.hex()}",
                    status="complete" if each.bitcoin_roots else "pending",
                    bitcoin_merkle_roots={str(block): root for block, root in each.bitcoin_roots.items()},
                    ots=base64.b64encode(each.file).decode("ascii"),
                )
                for each in found.timestamps
            ]
        )
        return Answer(200, encode(shown), headers=[_BRIEF_CACHE])

    async def log_keys(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/log/keys`."""
        return Answer(200, log_keys_text(await self._keys()).encode(), _TEXT, [_KEYS_CACHE])

    async def _keys(self) -> pb.ListKeysResponse:
        return await self._signing.ListKeys(pb.ListKeysRequest())


def key_set(keys: pb.ListKeysResponse) -> KeySet:
    """The public keys of results as a JWK set."""
    return KeySet(
        [
            PublicKey(
                kid=key.key_id,
                pub=base64.urlsafe_b64encode(key.public_key).rstrip(b"=").decode("ascii"),
                status=_STATUS[key.state],
                not_before=moment(key.not_before),
                expires=moment(key.expire_time),
            )
            for key in keys.keys
        ]
    )


def log_keys_text(keys: pb.ListKeysResponse) -> str:
    """The log's keys as vkeys, one a line."""
    return "".join(f"{key}\n" for key in keys.log_keys)
