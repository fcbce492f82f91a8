"""The RPCs of accounts: check, decide, answer."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Callable

from qm.accounts.v1 import accounts_pb2 as pb
from uuid_utils import uuid7

from mesh.call import Call
from mesh.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from mesh.vault import SealedSecret, Vault
from services.accounts.actor import OPERATOR, Actor
from services.accounts.asking import actor_of, require_plain
from services.accounts.issuer import Issuer, no_key
from services.accounts.key import Environment, KeyPage
from services.accounts.messages import (
    authentication_message,
    key_id_of,
    key_message,
    rotation_message,
    secret_event_message,
    secret_message,
    team_id_of,
    team_message,
    user_id_of,
    user_message,
)
from services.accounts.name import require_name
from services.accounts.provider import PLACE, ProviderName
from services.accounts.provider_store import ProviderStore
from services.accounts.repetition import Repeatable
from services.accounts.right import RIGHTS, Right
from services.accounts.secret import Peppers, is_well_formed
from services.accounts.store import KeyStore
from services.accounts.team import Team, TeamId
from services.accounts.team_store import TeamStore
from services.accounts.user import Role, User, UserId
from services.accounts.uses import Uses

_MOST_LISTED = 100


class AccountsService:
    """Answers qm.accounts.v1.AccountsService."""

    def __init__(
        self,
        teams: TeamStore,
        keys: KeyStore,
        providers: ProviderStore,
        *,
        peppers: Peppers,
        vault: Vault,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep everything in the stores, credentials sealed by `vault`; `clock` tells the time in UTC."""
        self.uses = Uses(keys, peppers)
        self._teams = teams
        self._keys = keys
        self._providers = providers
        self._issuer = Issuer(keys, teams, peppers=peppers, vault=vault, clock=clock)
        self._peppers = peppers
        self._vault = vault
        self._clock = clock

    async def AuthenticateKey(self, request: pb.AuthenticateKeyRequest, _call: Call) -> pb.AuthenticateKeyResponse:
        """Tell whose key a secret is.

        Raises Unauthenticated (INVALID_KEY), the same for every cause, and PermissionDenied (TEAM_SUSPENDED).
        """
        if not is_well_formed(request.secret):
            raise _refused()
        digests = self._peppers.digests(request.secret)
        credential = await self._keys.find_credential(digests)
        if credential is None or not any(hmac.compare_digest(credential.digest, digest) for digest in digests):
            raise _refused()
        now = self._clock()
        if not credential.is_valid(now):
            raise _refused()
        if credential.team_suspended:
            raise PermissionDenied("The team is suspended: ask your operator.", reason="TEAM_SUSPENDED")
        self.uses.note(credential, request.secret, now)
        return authentication_message(credential)

    async def CreateTeam(self, request: pb.CreateTeamRequest, _call: Call) -> pb.CreateTeamResponse:
        """Make a team. Raises Conflict (REQUEST_ID_REUSED)."""
        require_plain(request_id=request.request_id)
        team = Team(TeamId(str(uuid7())), require_name("name", request.name), request.plan, self._clock())
        repeatable = Repeatable.of("CreateTeam", request.request_id, request)
        made = await self._teams.create_team(repeatable, team, OPERATOR)
        return pb.CreateTeamResponse(team=team_message(made))

    async def CreateUser(self, request: pb.CreateUserRequest, call: Call) -> pb.CreateUserResponse:
        """Make a user.

        Raises PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW), NotFound (TEAM_NOT_FOUND), and Conflict (EMAIL_TAKEN,
        REQUEST_ID_REUSED).
        """
        require_plain(request_id=request.request_id)
        actor = await actor_of(request, call, self._teams)
        role = Role(request.role)
        actor.require(Right.OWNERS if role is Role.OWNER else Right.MEMBERS)
        team_id = team_id_of(request.team_id)
        name = require_name("name", request.name)
        user = User(UserId(str(uuid7())), team_id, request.email, name, role, create_time=self._clock())
        repeatable = Repeatable.of(f"CreateUser/{team_id}", request.request_id, request)
        return pb.CreateUserResponse(user=user_message(await self._teams.create_user(repeatable, user, actor)))

    async def CreateKey(self, request: pb.CreateKeyRequest, call: Call) -> pb.CreateKeyResponse:
        """Make a key and tell its secret; for a day a repeat tells it again.

        Raises what `Issuer.create` raises, and InvalidArgument (EXPIRE_TIME_PAST, TIME_OUT_OF_RANGE).
        """
        require_plain(request_id=request.request_id)
        team_id, user_id = team_id_of(request.team_id), user_id_of(request.user_id)
        issued = await self._issuer.create(
            Repeatable.of(f"CreateKey/{team_id}/{user_id}", request.request_id, request),
            await actor_of(request, call, self._teams),
            team_id=team_id,
            user_id=user_id,
            name=require_name("name", request.name),
            environment=Environment(request.environment),
            end=lambda now: _end(request, now),
        )
        return pb.CreateKeyResponse(key=key_message(issued.key), secret=issued.secret, replayed=issued.replayed)

    async def ListKeys(self, request: pb.ListKeysRequest, call: Call) -> pb.ListKeysResponse:
        """List keys, newest first; none for a team that does not exist. Raises InvalidArgument (TWO_EDGES)."""
        actor = await actor_of(request, call, self._teams)
        if request.before_key_id and request.after_key_id:
            message = "before_key_id: cannot be given together with after_key_id"
            raise InvalidArgument(message, reason="TWO_EDGES", field="before_key_id")
        page = KeyPage(
            request.page_size or _MOST_LISTED,
            before=key_id_of(request.before_key_id) if request.before_key_id else None,
            after=key_id_of(request.after_key_id) if request.after_key_id else None,
        )
        user_id = None if actor.member is None or actor.sees_all_keys() else actor.member.user_id
        keys, has_more = await self._keys.list_keys(team_id_of(request.team_id), user_id, page)
        return pb.ListKeysResponse(keys=map(key_message, keys), has_more=has_more)

    async def RotateKey(self, request: pb.RotateKeyRequest, call: Call) -> pb.RotateKeyResponse:
        """Make a key in place of another. Raises what `Issuer.rotate` raises."""
        require_plain(request_id=request.request_id)
        team_id = team_id_of(request.team_id)
        actor = await actor_of(request, call, self._teams)
        asker = actor.member.user_id if actor.member else ""
        issued = await self._issuer.rotate(
            Repeatable.of(f"RotateKey/{team_id}/{asker}", request.request_id, request),
            actor,
            team_id=team_id,
            key_id=key_id_of(request.key_id),
            grace=request.grace.ToTimedelta(),
        )
        return rotation_message(issued)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, call: Call) -> pb.RevokeKeyResponse:
        """End a key for good; a repeat keeps the first time.

        Raises NotFound (KEY_NOT_FOUND) and PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW).
        """
        actor = await actor_of(request, call, self._teams)
        team_id, key_id = team_id_of(request.team_id), key_id_of(request.key_id)
        key = await self._keys.find_key(team_id, key_id)
        if key is None:
            raise no_key()
        actor.require_key(key)
        revoked = await self._keys.revoke_key(team_id, key_id, self._clock(), actor)
        return pb.RevokeKeyResponse(key=key_message(revoked or key))

    async def ListPeppers(self, _request: pb.ListPeppersRequest, _call: Call) -> pb.ListPeppersResponse:
        """Count the keys under each pepper."""
        counts = await self._keys.count_by_pepper(self._clock())
        known = self._peppers.ids
        return pb.ListPeppersResponse(
            peppers=[
                pb.Pepper(
                    pepper_id=pepper_id,
                    key_count=counts.get(pepper_id, 0),
                    current=pepper_id == known[0],
                    known=pepper_id in known,
                )
                for pepper_id in dict.fromkeys((*known, *counts))
            ]
        )

    async def SetProviderSecret(self, request: pb.SetProviderSecretRequest, call: Call) -> pb.SetProviderSecretResponse:
        """Keep credentials, encrypted. Raises PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW)."""
        actor = await actor_of(request, call, self._teams)
        team_id, user_id = await self._manager(request, actor)
        sealed = self._vault.seal(request.credentials.SerializeToString(), team_id, PLACE)
        provider = ProviderName(request.credentials.WhichOneof("provider") or "")
        secret = SealedSecret(sealed, self._vault.kid)
        made = await self._providers.set_secret(team_id, user_id, provider, secret, self._clock(), actor)
        return pb.SetProviderSecretResponse(secret=secret_message(made))

    async def ListProviderSecrets(
        self, request: pb.ListProviderSecretsRequest, call: Call
    ) -> pb.ListProviderSecretsResponse:
        """Tell of a team's credentials, and never them. Raises PermissionDenied (ROLE_TOO_LOW)."""
        team_id = team_id_of(request.team_id)
        if call.caller != "execution":
            (await actor_of(request, call, self._teams)).require_role(Right.PROVIDERS)
        return pb.ListProviderSecretsResponse(
            secrets=map(secret_message, await self._providers.list_secrets(team_id)),
            events=map(secret_event_message, await self._providers.secret_events(team_id)),
        )

    async def GetMember(self, request: pb.GetMemberRequest, call: Call) -> pb.GetMemberResponse:
        """Tell somebody's role. Raises PermissionDenied (NOT_A_MEMBER)."""
        member = (await actor_of(request, call, self._teams)).member
        return pb.GetMemberResponse(role=pb.Role.ValueType(member.role) if member else pb.ROLE_UNSPECIFIED)

    async def DeleteProviderSecret(
        self, request: pb.DeleteProviderSecretRequest, call: Call
    ) -> pb.DeleteProviderSecretResponse:
        """Forget credentials. Raises PermissionDenied (ROLE_TOO_LOW, KEY_TOO_LOW)."""
        actor = await actor_of(request, call, self._teams)
        team_id, user_id = await self._manager(request, actor)
        provider = ProviderName(request.provider)
        await self._providers.delete_secret(team_id, user_id, provider, self._clock(), actor)
        return pb.DeleteProviderSecretResponse()

    async def GetProviderSecret(
        self, request: pb.GetProviderSecretRequest, _call: Call
    ) -> pb.GetProviderSecretResponse:
        """Open credentials for execution. Raises NotFound (SECRET_NOT_FOUND)."""
        team_id, provider = team_id_of(request.team_id), ProviderName(request.provider)
        found = await self._providers.use_secret(team_id, provider, request.purpose, self._clock())
        if found is None:
            message = f"The team has no credentials for {provider}."
            raise NotFound(message, reason="SECRET_NOT_FOUND", field="provider")
        opened = self._vault.open(found.sealed, team_id, PLACE, found.kid)
        return pb.GetProviderSecretResponse(credentials=pb.ProviderCredentials.FromString(opened))

    async def _manager(
        self, request: pb.SetProviderSecretRequest | pb.DeleteProviderSecretRequest, actor: Actor
    ) -> tuple[TeamId, UserId]:
        """For which user of which team credentials are changed; that user and who asks must be allowed to."""
        team_id, user_id = team_id_of(request.team_id), user_id_of(request.user_id)
        actor.require(Right.PROVIDERS)
        role = await self._teams.role(team_id, user_id)
        if role is None or Right.PROVIDERS not in RIGHTS[role]:
            message = "Only an owner or an admin of the team manages its credentials."
            raise PermissionDenied(message, reason="ROLE_TOO_LOW", field="user_id")
        return team_id, user_id


def _refused() -> Unauthenticated:
    return Unauthenticated("The API key is not valid.", reason="INVALID_KEY")


def _end(request: pb.CreateKeyRequest, now: dt.datetime) -> dt.datetime | None:
    """When the key that is asked for ends by itself."""
    if request.HasField("lifetime"):
        return _future(lambda: now + request.lifetime.ToTimedelta(), now)
    if request.HasField("expire_time"):
        return _future(lambda: request.expire_time.ToDatetime(tzinfo=dt.UTC), now)
    return None


def _future(told: Callable[[], dt.datetime], now: dt.datetime) -> dt.datetime:
    try:
        time = told()
    except (ValueError, OverflowError):
        raise InvalidArgument(
            "expire_time: the years 1 to 9999 can be told.", reason="TIME_OUT_OF_RANGE", field="expire_time"
        ) from None
    if time <= now:
        raise InvalidArgument(
            "expire_time: a key cannot expire in the past.", reason="EXPIRE_TIME_PAST", field="expire_time"
        )
    return time
