"""API keys over HTTP: make, list, rotate, revoke. Who may do what, accounts decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from google.protobuf.duration_pb2 import Duration
from msgspec import UNSET, Meta, UnsetType
from qm.accounts.v1 import accounts_pb2 as pb
from qm.type.v1 import requester_pb2

from edge.dialects.qmumma.idempotency import idempotency_key, own_key
from edge.dialects.qmumma.ids import KEY_ID_PATTERN, key_id_of, shown_key_id, shown_user_id
from edge.dialects.qmumma.rendering import moment
from edge.dialects.qmumma.scalars import Moment, Name
from edge.errors import Refusal
from edge.exchange import REPLAYED, Answer, Request, json_answer
from edge.operations import Nothing

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub

KeyEnvironment = Literal["live", "test", "enterprise"]
ENVIRONMENTS: dict[KeyEnvironment, requester_pb2.Environment.ValueType] = {
    "live": requester_pb2.ENVIRONMENT_LIVE,
    "test": requester_pb2.ENVIRONMENT_TEST,
    "enterprise": requester_pb2.ENVIRONMENT_ENTERPRISE,
}
_WORDS = {number: word for word, number in ENVIRONMENTS.items()}
_DAY_SECONDS = 86_400
EXAMPLE_SECRET = "qm_live_sk_" + "EXAMPLE" * 6 + "0"
"""Of the form of a secret, and plainly none."""
_KEY_ID = Annotated[
    str,
    Meta(
        description="The key's id, which is no secret.",
        pattern=KEY_ID_PATTERN,
        examples=["qm_key_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"],
    ),
]
_PAGE_EDGE = Annotated[
    str, Meta(pattern=KEY_ID_PATTERN, max_length=39, examples=["qm_key_0199f0c2a4b87c1d9e5f3a2b1c0d4e5f"])
]


class CreateKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A key to make, for the user whose key asks."""

    name: Annotated[
        str,
        Meta(
            description="What to call it, for people: one line that shows, without control characters.",
            min_length=1,
            max_length=200,
            examples=["nightly build"],
        ),
    ]
    environment: Annotated[
        KeyEnvironment,
        Meta(
            description="`live` keys are billed; `test` keys run on simulators and are never billed; `enterprise` keys "
            "are of that plan alone. A key makes keys of its own environment and below (enterprise, live, test)."
        ),
    ]
    expires_in_days: (
        Annotated[
            int,
            Meta(description="Ends it by itself after as many days; without it, never.", ge=1, le=3650, examples=[90]),
        ]
        | UnsetType
    ) = UNSET


class RotateKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How to replace a key."""

    grace_seconds: Annotated[
        int,
        Meta(
            description="How long the old key goes on beside the new one, then it is dead; 0 ends it at once.",
            ge=0,
            le=604_800,
            examples=[86_400],
        ),
    ]


class ListKeys(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which page of keys to list, newest first."""

    limit: Annotated[int, Meta(description="Keys on the page.", ge=1, le=100, examples=[20])] = 20
    before: (
        Annotated[_PAGE_EDGE, Meta(description="Only keys newer than this one, the nearest; not with `after`.")]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[_PAGE_EDGE, Meta(description="Only keys older than this one: the last of the page before.")]
        | UnsetType
    ) = UNSET


class _KeyFacts(msgspec.Struct, kw_only=True):
    key_id: _KEY_ID
    name: Annotated[str, Meta(description="What it is called.", examples=["nightly build"], max_length=200)]
    environment: Annotated[KeyEnvironment, Meta(description="What it may touch.")]
    hint: Annotated[Name, Meta(description="The start of its secret.", examples=[EXAMPLE_SECRET[:15]])]
    user_id: Annotated[str, Meta(description="The user for whom it acts.", pattern="^qm_user_[0-9a-f]{32}$")]
    created_at: Annotated[Moment, Meta(description="When it was made.")]


class Key(_KeyFacts, kw_only=True):
    """A key, without its secret, which nobody can read again."""

    expires_at: (
        Annotated[Moment, Meta(description="When it ends or ended by itself; absent where it does not.")] | UnsetType
    ) = UNSET
    revoked_at: Annotated[Moment, Meta(description="When it was revoked; absent where it was not.")] | UnsetType = UNSET
    last_used_at: (
        Annotated[Moment, Meta(description="When it was last seen in use, to half a minute; absent where never.")]
        | UnsetType
    ) = UNSET


class NewKey(_KeyFacts, kw_only=True):
    """A key that was just made, with its secret. A repeat with the same `Idempotency-Key` answers just this again."""

    expires_at: Annotated[Moment, Meta(description="When it ends by itself; absent where it does not.")] | UnsetType = (
        UNSET
    )
    secret: Annotated[
        str,
        Meta(
            description="What to send as `Authorization: Bearer <secret>`. Keep it: it is not shown again.",
            pattern="^qm_(live|test|ent)_sk_[0-9A-Za-z]{43}$",
            examples=[EXAMPLE_SECRET],
        ),
    ]


class OldKey(msgspec.Struct, kw_only=True):
    """The key that was replaced."""

    key_id: _KEY_ID
    expires_at: Annotated[Moment, Meta(description="When it ends.")]


class RotatedKey(NewKey, kw_only=True):
    """The key that takes the place of another: same name, user, environment and lifetime."""

    replaces: Annotated[OldKey, Meta(description="The old key.")]


class KeyPage(msgspec.Struct):
    """Keys, newest first: for an owner or admin the team's, for a member the own."""

    keys: Annotated[list[Key], Meta(description="The keys of the page, ended ones included.", max_length=100)]
    has_more: Annotated[bool, Meta(description="Whether there are more in the direction that was asked for.")]


class Keys:
    """The operations on keys."""

    def __init__(self, accounts: AccountsServiceAsyncStub) -> None:
        """Call `accounts`, which keeps them."""
        self._accounts = accounts

    async def create(self, request: Request[CreateKey, Nothing]) -> Answer:
        """Answer `POST /v1/keys`."""
        body, requester = request.body, request.requester
        days = body.expires_in_days
        response = await self._accounts.CreateKey(
            pb.CreateKeyRequest(
                request_id=idempotency_key(request.headers) or own_key(),
                team_id=requester.team_id,
                user_id=requester.user_id,
                name=body.name,
                environment=ENVIRONMENTS[body.environment],
                lifetime=None if days is UNSET else Duration(seconds=days * _DAY_SECONDS),
                requester=requester,
            )
        )
        made = NewKey(**_facts(response.key), **_end(response.key, "expire_time"), secret=response.secret)
        return _made(made, request, replayed=response.replayed)

    async def list(self, request: Request[Nothing, ListKeys]) -> Answer:
        """Answer `GET /v1/keys`."""
        query = request.query
        if query.before is not UNSET and query.after is not UNSET:
            message = "before: cannot be given together with after"
            raise Refusal(400, message, param="before", reason="INVALID_FIELD")
        response = await self._accounts.ListKeys(
            pb.ListKeysRequest(
                team_id=request.requester.team_id,
                page_size=query.limit,
                before_key_id="" if query.before is UNSET else key_id_of(query.before) or "",
                after_key_id="" if query.after is UNSET else key_id_of(query.after) or "",
                requester=request.requester,
            )
        )
        return json_answer(KeyPage([_key(key) for key in response.keys], response.has_more))

    async def rotate(self, request: Request[RotateKey, Nothing]) -> Answer:
        """Answer `POST /v1/keys/{key_id}/rotate`."""
        response = await self._accounts.RotateKey(
            pb.RotateKeyRequest(
                request_id=idempotency_key(request.headers) or own_key(),
                team_id=request.requester.team_id,
                key_id=_path_key_id(request),
                grace=Duration(seconds=request.body.grace_seconds),
                requester=request.requester,
            )
        )
        made = RotatedKey(
            **_facts(response.key),
            **_end(response.key, "expire_time"),
            secret=response.secret,
            replaces=OldKey(key_id=shown_key_id(response.old_key_id), expires_at=moment(response.retire_time)),
        )
        return _made(made, request, replayed=response.replayed)

    async def revoke(self, request: Request[Nothing, Nothing]) -> Answer:
        """Answer `DELETE /v1/keys/{key_id}`."""
        response = await self._accounts.RevokeKey(
            pb.RevokeKeyRequest(
                team_id=request.requester.team_id, key_id=_path_key_id(request), requester=request.requester
            )
        )
        return json_answer(_key(response.key))


def _path_key_id(request: Request[Any, Any]) -> str:
    """The canonical id of the key in the path; what cannot be a key's id is one that does not exist."""
    key_id = key_id_of(request.path["key_id"])
    if key_id is None:
        message = "There is no such key. Ids look like qm_key_ and 32 hexadecimal digits."
        raise Refusal(404, message, param="key_id", reason="KEY_NOT_FOUND")
    return key_id


def _made(made: NewKey, request: Request[Any, Any], *, replayed: bool) -> Answer:
    repeated = replayed and b"idempotency-key" in request.headers
    return json_answer(made, status=201, headers=[REPLAYED] if repeated else None)


def _key(key: pb.Key) -> Key:
    ends = [*_end(key, "expire_time").values(), *_end(key, "retire_time").values()]
    return Key(
        **_facts(key),
        expires_at=min(ends, default=UNSET),
        revoked_at=moment(key.revoke_time) if key.HasField("revoke_time") else UNSET,
        last_used_at=moment(key.last_use_time) if key.HasField("last_use_time") else UNSET,
    )


def _facts(key: pb.Key) -> dict[str, Any]:
    return {
        "key_id": shown_key_id(key.key_id),
        "name": key.name,
        "environment": _WORDS[key.environment],
        "hint": key.hint,
        "user_id": shown_user_id(key.user_id),
        "created_at": moment(key.create_time),
    }


def _end(key: pb.Key, field: Literal["expire_time", "retire_time"]) -> dict[str, Any]:
    return {"expires_at": moment(getattr(key, field))} if key.HasField(field) else {}
