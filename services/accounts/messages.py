"""Accounts' nouns as protobuf messages, and what is published of them."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from qm.accounts.v1 import accounts_pb2 as pb
from qm.accounts.v1.events_pb2 import KeyRevoked, KeyRotated, TeamChanged
from qm.type.v1 import requester_pb2
from uuid_utils import uuid7

from mesh.events import Message
from mesh.streams import key_revoked_subject, key_rotated_subject, team_changed_subject
from mesh.timestamps import timestamp
from services.accounts.key import Credential, Issued, Key, KeyId
from services.accounts.provider import ProviderSecret, SecretEvent
from services.accounts.team import Team, TeamId
from services.accounts.user import User, UserId


def team_id_of(text: str) -> TeamId:
    """A team id in its canonical spelling."""
    return TeamId(str(UUID(text)))


def user_id_of(text: str) -> UserId:
    """A user id in its canonical spelling."""
    return UserId(str(UUID(text)))


def key_id_of(text: str) -> KeyId:
    """A key id in its canonical spelling."""
    return KeyId(str(UUID(text)))


def team_message(team: Team) -> pb.Team:
    """A team on the wire."""
    return pb.Team(
        team_id=team.team_id,
        name=team.name,
        plan=team.plan,
        suspended=team.suspended,
        create_time=timestamp(team.create_time),
    )


def user_message(user: User) -> pb.User:
    """A user on the wire."""
    return pb.User(
        user_id=user.user_id,
        team_id=user.team_id,
        email=user.email,
        name=user.name,
        role=pb.Role.ValueType(user.role),
        create_time=timestamp(user.create_time),
    )


def key_message(key: Key) -> pb.Key:
    """A key on the wire, without its secret."""
    return pb.Key(
        key_id=key.key_id,
        team_id=key.team_id,
        user_id=key.user_id,
        name=key.name,
        environment=requester_pb2.Environment.ValueType(key.environment),
        hint=key.hint,
        create_time=timestamp(key.create_time),
        expire_time=timestamp(key.expire_time) if key.expire_time else None,
        revoke_time=timestamp(key.revoke_time) if key.revoke_time else None,
        retire_time=timestamp(key.retire_time) if key.retire_time else None,
        last_use_time=timestamp(key.last_use_time) if key.last_use_time else None,
    )


def rotation_message(issued: Issued) -> pb.RotateKeyResponse:
    """A key that took the place of another, with its secret, on the wire."""
    assert issued.old is not None  # noqa: S101 - tells the type checker
    assert issued.old.retire_time is not None  # noqa: S101
    return pb.RotateKeyResponse(
        key=key_message(issued.key),
        secret=issued.secret,
        old_key_id=issued.old.key_id,
        retire_time=timestamp(issued.old.retire_time),
        replayed=issued.replayed,
    )


def authentication_message(credential: Credential) -> pb.AuthenticateKeyResponse:
    """Who a key speaks for, on the wire."""
    key = credential.key
    requester = requester_pb2.Requester(
        team_id=key.team_id,
        user_id=key.user_id,
        key_id=key.key_id,
        plan=credential.plan,
        environment=requester_pb2.Environment.ValueType(key.environment),
    )
    expire_time = timestamp(key.end) if key.end else None
    return pb.AuthenticateKeyResponse(requester=requester, expire_time=expire_time)


def secret_message(secret: ProviderSecret) -> pb.ProviderSecret:
    """What is told of credentials, on the wire."""
    return pb.ProviderSecret(
        provider=secret.provider,
        set_time=timestamp(secret.set_time),
        set_by_user_id=secret.set_by,
        last_use_time=timestamp(secret.last_use_time) if secret.last_use_time else None,
    )


def secret_event_message(event: SecretEvent) -> pb.SecretEvent:
    """A line of the audit, on the wire."""
    return pb.SecretEvent(
        provider=event.provider,
        action=pb.SecretAction.ValueType(event.action),
        user_id=event.user_id or "",
        purpose=event.purpose,
        create_time=timestamp(event.create_time),
    )


def revocation(key_id: KeyId, time: dt.datetime) -> Message:
    """The event that tells every edge to forget a key. A key is revoked once, so its id is the message's too."""
    event = KeyRevoked(key_id=key_id, create_time=timestamp(time))
    return Message(key_id, key_revoked_subject(key_id), event.SerializeToString())


def rotation(key_id: KeyId, retire_time: dt.datetime, time: dt.datetime) -> Message:
    """The event that tells every edge that a key ends at a time."""
    event = KeyRotated(key_id=key_id, retire_time=timestamp(retire_time), create_time=timestamp(time))
    return Message(str(uuid7()), key_rotated_subject(key_id), event.SerializeToString())


def team_change(team_id: TeamId, time: dt.datetime) -> Message:
    """The event that tells every edge to ask for the keys of a team again."""
    event = TeamChanged(team_id=team_id, create_time=timestamp(time))
    return Message(str(uuid7()), team_changed_subject(team_id), event.SerializeToString())
