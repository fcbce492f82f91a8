"""The declarations of the operations on API keys."""

from __future__ import annotations

from edge.dialects.qmumma.examples import one
from edge.dialects.qmumma.headers import IDEMPOTENCY_KEY, KEY_CONFLICT, REPLAYED
from edge.dialects.qmumma.ids import KEY_ID_PATTERN
from edge.dialects.qmumma.keys import (
    EXAMPLE_SECRET,
    CreateKey,
    Key,
    KeyPage,
    Keys,
    ListKeys,
    NewKey,
    RotatedKey,
    RotateKey,
)
from edge.dialects.qmumma.links import next_page, of_key
from edge.operations import Operation, Outcome, PathField

_ID = "qm_key_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"
_FACTS = {
    "key_id": _ID,
    "name": "nightly build",
    "environment": "live",
    "hint": EXAMPLE_SECRET[:15],
    "user_id": "qm_user_0199f0c2a4b87c1d9e5f3a2b1c0d4e60",
    "created_at": "2026-11-21T04:00:00.125000Z",
    "expires_at": "2027-02-19T04:00:00.125000Z",
}
_LISTED = {**_FACTS, "last_used_at": "2026-11-21T04:30:00.500000Z"}
_NEW = {**_FACTS, "secret": EXAMPLE_SECRET}
_OLD = {"key_id": "qm_key_0199f0c2a4b87c1d9e5f3a2b1c0d4e61", "expires_at": "2026-11-22T04:00:00.125000Z"}
_KEY_ID = PathField(
    name="key_id",
    description="The key's id, as `GET /v1/keys` lists it. A key of another team does not exist for you.",
    schema={"type": "string", "pattern": KEY_ID_PATTERN},
    example=_ID,
)
_NO_KEY = "There is no such key, or it belongs to another team."
_CONFLICT = (
    f"{KEY_CONFLICT} Or more than 24 h ago, for the secret is not kept longer. Or the team has 1000 keys that hold."
)
_REPEAT = (
    "For 24 h a repeat by the same user with the same `Idempotency-Key` answers the secret again; it is kept encrypted "
    "until then."
)
_ROLES = "Members manage their own keys, owners and admins all of the team's."


def key_operations(keys: Keys) -> list[Operation]:
    """Everything under `/v1/keys`."""
    return [_create(keys), _list(keys), _rotate(keys), _revoke(keys)]


def _create(keys: Keys) -> Operation:
    return Operation(
        id="createKey",
        method="POST",
        path="/v1/keys",
        handler=keys.create,
        tag="Keys",
        summary="Make an API key",
        description="The secret is in this answer and nowhere else: what is stored is a keyed hash. The key acts for "
        f"the user whose key asks. {_REPEAT}",
        body=CreateKey,
        body_examples=one("A key for 90 days", {"name": "nightly build", "environment": "live", "expires_in_days": 90}),
        header_fields=(IDEMPOTENCY_KEY,),
        outcomes=(
            Outcome(
                status=201,
                description="The key, with its secret.",
                kind=NewKey,
                headers=REPLAYED,
                examples=one("A new key", _NEW),
                links=of_key("/key_id"),
            ),
        ),
        errors={
            403: "The environment is above that of the key that asks, or the plan has no enterprise keys.",
            409: _CONFLICT,
        },
    )


def _list(keys: Keys) -> Operation:
    return Operation(
        id="listKeys",
        method="GET",
        path="/v1/keys",
        handler=keys.list,
        tag="Keys",
        summary="List API keys",
        description="Newest first, never with a secret. An owner or admin sees the team's, a member the own. For the "
        "next page, pass the last key's id as `after`.",
        query=ListKeys,
        outcomes=(
            Outcome(
                status=200,
                description="A page of keys.",
                kind=KeyPage,
                examples=one("A page of one", {"keys": [_LISTED], "has_more": False}),
                links=next_page("listKeys", "/keys/0/key_id"),
            ),
        ),
        errors={400: "A query parameter is wrong; `param` names it."},
    )


def _rotate(keys: Keys) -> Operation:
    return Operation(
        id="rotateKey",
        method="POST",
        path="/v1/keys/{key_id}/rotate",
        handler=keys.rotate,
        tag="Keys",
        summary="Replace an API key",
        description="Makes a key of the same name, user, environment and lifetime. The old one goes on for "
        f"`grace_seconds`, so that nothing stops while the new one is put in place. {_ROLES} The secret of a key that "
        f"acts for an owner is told to owners alone. {_REPEAT}",
        body=RotateKey,
        body_examples=one("A day to change over", {"grace_seconds": 86_400}),
        path_fields=(_KEY_ID,),
        header_fields=(IDEMPOTENCY_KEY,),
        outcomes=(
            Outcome(
                status=201,
                description="The new key, with its secret, and when the old one ends.",
                kind=RotatedKey,
                headers=REPLAYED,
                examples=one("A replaced key", {**_NEW, "replaces": _OLD}),
                links=of_key("/key_id"),
            ),
        ),
        errors={
            403: "The role, or the environment of the key that asks, does not allow it.",
            404: _NO_KEY,
            409: f"The key has ended or was rotated before. Or {_CONFLICT}",
        },
    )


def _revoke(keys: Keys) -> Operation:
    return Operation(
        id="revokeKey",
        method="DELETE",
        path="/v1/keys/{key_id}",
        handler=keys.revoke,
        tag="Keys",
        summary="Revoke an API key",
        description=f"The key is dead within a second, everywhere and for good; a repeat changes nothing. {_ROLES}",
        path_fields=(_KEY_ID,),
        outcomes=(
            Outcome(
                status=200,
                description="The key as it is now.",
                kind=Key,
                examples=one("Revoked", {**_FACTS, "revoked_at": "2026-11-21T05:00:00Z"}),
            ),
        ),
        errors={403: "The role, or the environment of the key that asks, does not allow it.", 404: _NO_KEY},
    )
