"""Proof over HTTP, open to all: log entries, checkpoints and public keys. None of them tells more than hashes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta
from qm.signing.v1 import signing_pb2 as pb

from edge.dialects.qmumma.ids import ANCHOR_PATTERN, leaf_hash_of, shown_anchor
from edge.errors import Refusal
from edge.exchange import Answer, Header, Request
from edge.operations import Nothing
from edge.values import encode

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

_TEXT = b"text/plain; charset=utf-8"
_KEYS_CACHE: Header = (b"cache-control", b"public, max-age=300")
_BRIEF_CACHE: Header = (b"cache-control", b"public, max-age=1")


class Anchor(msgspec.Struct, kw_only=True):
    """One entry of the transparency log, with the proof that the log holds it."""

    blockchain_anchor: Annotated[str, Meta(description="The entry's name.", pattern=ANCHOR_PATTERN)]
    leaf: Annotated[str, Meta(description="The canonical entry: SHA-256 of a zero byte and it is the name.")]
    leaf_index: Annotated[int, Meta(description="Entries before it.", ge=0, examples=[41])]
    tree_size: Annotated[int, Meta(description="Entries in the tree that the proof is for.", ge=1, examples=[42])]
    inclusion: Annotated[
        list[str], Meta(description="Base64 of the hashes from the leaf up to the root (RFC 6962, 2.1.1).")
    ]
    checkpoint: Annotated[str, Meta(description="The signed note of the tree (C2SP tlog-checkpoint).")]


class PublicKey(msgspec.Struct, kw_only=True):
    """An ML-DSA-65 public key as a JWK (RFC 9964)."""

    kty: Annotated[Literal["AKP"], Meta(description="Algorithm key pair.")] = "AKP"
    alg: Annotated[Literal["ML-DSA-65"], Meta(description="The one algorithm of the key.")] = "ML-DSA-65"
    use: Annotated[Literal["sig"], Meta(description="Signatures.")] = "sig"
    kid: Annotated[str, Meta(description="The key's id: `key_id` of a result.", examples=["vajra-2026-11"])]
    pub: Annotated[str, Meta(description="Base64url of the public key, 1952 bytes, without padding.")]


class KeySet(msgspec.Struct):
    """The public keys of results, newest first. Retired ones stay, so that old results can be checked."""

    keys: Annotated[list[PublicKey], Meta(description="The keys.")]


class Verification(msgspec.Struct, kw_only=True):
    """What holds and what does not."""

    valid: Annotated[bool, Meta(description="Whether every check holds.")]
    checks: Annotated[list[Check], Meta(description="The checks in the order they were made.")]


class Check(msgspec.Struct):
    """One thing that was looked at."""

    name: Annotated[str, Meta(description="What: a member, or a step of the proof.", examples=["signature"])]
    ok: Annotated[bool, Meta(description="Whether it holds.")]
    detail: Annotated[str, Meta(description="What was found, for people.")]


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
            raise Refusal(404, message, reason="ANCHOR_NOT_FOUND")
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

    async def checkpoint(self, _request: Request[Nothing, Nothing]) -> Answer:
        """Answer `GET /v1/log/checkpoint`."""
        response = await self._signing.GetCheckpoint(pb.GetCheckpointRequest())
        return Answer(200, response.checkpoint.encode(), _TEXT, [_BRIEF_CACHE])

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
            )
            for key in keys.keys
        ]
    )


def log_keys_text(keys: pb.ListKeysResponse) -> str:
    """The log's keys as vkeys, one a line."""
    return "".join(f"{key}\n" for key in keys.log_keys)
