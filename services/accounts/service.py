"""The RPCs of accounts: check, decide, answer."""

from __future__ import annotations

import datetime as dt
import hmac
import re
import secrets
from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp
from qm.accounts.v1 import accounts_pb2 as pb
from uuid_utils import uuid7

from mesh.call import Call
from mesh.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from mesh.vault import Vault
from services.accounts.key import Environment, Key, KeyId
from services.accounts.messages import (
    authentication_message,
    key_id_of,
    key_message,
    secret_event_message,
    secret_message,
    team_id_of,
    team_message,
    user_id_of,
    user_message,
)
from services.accounts.provider import MANAGERS, PLACE, ProviderName, SealedSecret
from services.accounts.repetition import Repeatable
from services.accounts.secret import Pepper, hint, is_well_formed, make_secret
from services.accounts.store import AccountsStore
from services.accounts.team import Team, TeamId
from services.accounts.user import Role, User, UserId

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class AccountsService:
    """Answers qm.accounts.v1.AccountsService."""

    def __init__(self, store: AccountsStore, pepper: Pepper, vault: Vault, *, clock: Callable[[], dt.datetime]) -> None:
        """Keep everything in `store`, credentials sealed by `vault`; `clock` tells the time in UTC."""
        self._store = store
        self._pepper = pepper
        self._vault = vault
        self._clock = clock

    async def AuthenticateKey(self, request: pb.AuthenticateKeyRequest, _call: Call) -> pb.AuthenticateKeyResponse:
        """Tell whose key a secret is. Raises Unauthenticated (INVALID_KEY), the same for every cause."""
        if not is_well_formed(request.secret):
            raise _refused()
        digest = self._pepper.digest(request.secret)
        credential = await self._store.find_credential(digest)
        if credential is None or not hmac.compare_digest(credential.digest, digest):
            raise _refused()
        if credential.team_suspended or not credential.key.is_valid(self._clock()):
            raise _refused()
        return authentication_message(credential)

    async def CreateTeam(self, request: pb.CreateTeamRequest, _call: Call) -> pb.CreateTeamResponse:
        """Make a team. Raises Conflict (REQUEST_ID_REUSED)."""
        _require_plain(name=request.name, request_id=request.request_id)
        team = Team(TeamId(str(uuid7())), request.name, request.plan, self._clock())
        made = await self._store.create_team(Repeatable.of("CreateTeam", request.request_id, request), team)
        return pb.CreateTeamResponse(team=team_message(made))

    async def CreateUser(self, request: pb.CreateUserRequest, _call: Call) -> pb.CreateUserResponse:
        """Make a user. Raises NotFound (TEAM_NOT_FOUND), and Conflict (EMAIL_TAKEN, REQUEST_ID_REUSED)."""
        _require_plain(name=request.name, request_id=request.request_id)
        team_id = team_id_of(request.team_id)
        user = User(
            UserId(str(uuid7())), team_id, request.email, request.name, Role(request.role), create_time=self._clock()
        )
        repeatable = Repeatable.of(f"CreateUser/{team_id}", request.request_id, request)
        return pb.CreateUserResponse(user=user_message(await self._store.create_user(repeatable, user)))

    async def CreateKey(self, request: pb.CreateKeyRequest, _call: Call) -> pb.CreateKeyResponse:
        """Make a key and tell its secret, once: a repeat returns the key alone.

        Raises NotFound (USER_NOT_FOUND) where the user is not of the team, InvalidArgument (EXPIRE_TIME_PAST), and
        Conflict (REQUEST_ID_REUSED).
        """
        _require_plain(name=request.name, request_id=request.request_id)
        now = self._clock()
        secret = make_secret(Environment(request.environment), secrets.token_bytes)
        key = Key(
            key_id=KeyId(str(uuid7())),
            team_id=team_id_of(request.team_id),
            user_id=user_id_of(request.user_id),
            name=request.name,
            environment=Environment(request.environment),
            hint=hint(secret),
            create_time=now,
            expire_time=_future(request.expire_time, now) if request.HasField("expire_time") else None,
        )
        repeatable = Repeatable.of(f"CreateKey/{key.team_id}", request.request_id, request)
        made = await self._store.create_key(repeatable, key, self._pepper.digest(secret))
        return pb.CreateKeyResponse(key=key_message(made), secret=secret if made.key_id == key.key_id else "")

    async def ListKeys(self, request: pb.ListKeysRequest, _call: Call) -> pb.ListKeysResponse:
        """List a team's keys, newest first; none for a team that does not exist."""
        keys = await self._store.list_keys(team_id_of(request.team_id))
        return pb.ListKeysResponse(keys=map(key_message, keys))

    async def RevokeKey(self, request: pb.RevokeKeyRequest, _call: Call) -> pb.RevokeKeyResponse:
        """End a key for good; a repeat keeps the first time. Raises NotFound (KEY_NOT_FOUND)."""
        key = await self._store.revoke_key(team_id_of(request.team_id), key_id_of(request.key_id), self._clock())
        if key is None:
            raise NotFound(f"There is no key {request.key_id}.", reason="KEY_NOT_FOUND", field="key_id")
        return pb.RevokeKeyResponse(key=key_message(key))

    async def SetProviderSecret(
        self, request: pb.SetProviderSecretRequest, _call: Call
    ) -> pb.SetProviderSecretResponse:
        """Keep credentials, encrypted. Raises PermissionDenied (ROLE_TOO_LOW)."""
        team_id, user_id = await self._manager(request.team_id, request.user_id)
        sealed = self._vault.seal(request.credentials.SerializeToString(), team_id, PLACE)
        provider = ProviderName(request.credentials.WhichOneof("provider") or "")
        secret = SealedSecret(sealed, self._vault.kid)
        made = await self._store.set_secret(team_id, user_id, provider, secret, self._clock())
        return pb.SetProviderSecretResponse(secret=secret_message(made))

    async def ListProviderSecrets(
        self, request: pb.ListProviderSecretsRequest, _call: Call
    ) -> pb.ListProviderSecretsResponse:
        """Tell of a team's credentials, and never them."""
        team_id = team_id_of(request.team_id)
        return pb.ListProviderSecretsResponse(
            secrets=map(secret_message, await self._store.list_secrets(team_id)),
            events=map(secret_event_message, await self._store.secret_events(team_id)),
        )

    async def DeleteProviderSecret(
        self, request: pb.DeleteProviderSecretRequest, _call: Call
    ) -> pb.DeleteProviderSecretResponse:
        """Forget credentials. Raises PermissionDenied (ROLE_TOO_LOW)."""
        team_id, user_id = await self._manager(request.team_id, request.user_id)
        await self._store.delete_secret(team_id, user_id, ProviderName(request.provider), self._clock())
        return pb.DeleteProviderSecretResponse()

    async def GetProviderSecret(
        self, request: pb.GetProviderSecretRequest, _call: Call
    ) -> pb.GetProviderSecretResponse:
        """Open credentials for execution. Raises NotFound (SECRET_NOT_FOUND)."""
        team_id, provider = team_id_of(request.team_id), ProviderName(request.provider)
        found = await self._store.use_secret(team_id, provider, request.purpose, self._clock())
        if found is None:
            message = f"The team has no credentials for {provider}."
            raise NotFound(message, reason="SECRET_NOT_FOUND", field="provider")
        opened = self._vault.open(found.sealed, team_id, PLACE, found.kid)
        return pb.GetProviderSecretResponse(credentials=pb.ProviderCredentials.FromString(opened))

    async def _manager(self, team: str, user: str) -> tuple[TeamId, UserId]:
        team_id, user_id = team_id_of(team), user_id_of(user)
        if await self._store.role(team_id, user_id) not in MANAGERS:
            message = "Only an owner or an admin of the team manages its credentials."
            raise PermissionDenied(message, reason="ROLE_TOO_LOW", field="user_id")
        return team_id, user_id


def _refused() -> Unauthenticated:
    return Unauthenticated("The API key is not valid.", reason="INVALID_KEY")


def _require_plain(**texts: str) -> None:
    """Refuse control characters, which no name needs and PostgreSQL does not keep (INVALID_CHARACTER)."""
    for field, text in texts.items():
        if _CONTROL.search(text):
            raise InvalidArgument(
                f"{field}: control characters are not allowed.", reason="INVALID_CHARACTER", field=field
            )


def _future(expire_time: Timestamp, now: dt.datetime) -> dt.datetime:
    try:
        time = expire_time.ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            "expire_time: the years 1 to 9999 can be told.", reason="TIME_OUT_OF_RANGE", field="expire_time"
        ) from None
    if time <= now:
        raise InvalidArgument(
            "expire_time: a key cannot expire in the past.", reason="EXPIRE_TIME_PAST", field="expire_time"
        )
    return time
