"""Who reaches which providers: teams by what they set at accounts, everybody by what the operator has configured."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from qm.accounts.v1 import accounts_pb2
from qm.routing.v1 import routing_pb2
from qm.type.v1 import requester_pb2

from mesh.errors import NotFound
from services.execution.live.connecting import connected
from services.execution.live.credentials import Credentials, credentials_of, read_operator_credentials
from services.execution.live.errors import NotAdmitted, ProviderError
from services.execution.live.provider import Provider

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub

KNOWN_FOR = dt.timedelta(seconds=30)
"""How long it is remembered where a team has credentials."""
OPEN_FOR = dt.timedelta(minutes=10)
"""How long a connection is used before its credentials are asked for again."""
TEST_SECONDS = 10.0
_PROBES = {"ibm": "", "aws": "", "azure": "ionq.simulator", "ionq": "simulator"}
"""A device for a connection that only asks about the account."""

Connect = Callable[[Credentials, str, int, Callable[[], dt.datetime]], Provider]


@dataclass(frozen=True, slots=True)
class _Open:
    provider: Provider
    until: dt.datetime


class ProviderAccounts:
    """The accounts at providers, and connections through them."""

    def __init__(
        self,
        accounts: AccountsServiceAsyncStub,
        operator: Mapping[str, Credentials],
        clock: Callable[[], dt.datetime],
        connect: Connect = connected,
    ) -> None:
        """Ask `accounts` for teams' credentials; `operator` are those of the operator, by provider."""
        self._accounts = accounts
        self._operator = operator
        self._clock = clock
        self._connect = connect
        self._known: dict[str, tuple[dt.datetime, list[str]]] = {}
        self._open: dict[tuple[str, str, str], _Open] = {}

    @classmethod
    def of(
        cls, accounts: AccountsServiceAsyncStub, operator_file: Path | None, clock: Callable[[], dt.datetime]
    ) -> Self:
        """The accounts of teams, and those of the operator in a file; raises ConfigError."""
        return cls(accounts, read_operator_credentials(operator_file) if operator_file else {}, clock)

    @property
    def operator_providers(self) -> frozenset[str]:
        """The providers at which the operator has an account."""
        return frozenset(self._operator)

    async def reach(self, requester: requester_pb2.Requester) -> list[routing_pb2.ProviderAccount]:
        """The accounts that a requester may use, a team's own first; none for a test key. Raises Unavailable."""
        if requester.environment == requester_pb2.ENVIRONMENT_TEST:
            return []
        account = routing_pb2.ProviderAccount
        own = [account(provider=name, owner=routing_pb2.ACCOUNT_OWNER_TEAM) for name in await self._of(requester)]
        return own + [account(provider=name, owner=routing_pb2.ACCOUNT_OWNER_OPERATOR) for name in self._operator]

    async def provider(self, backend: routing_pb2.Backend, team_id: str, purpose: str) -> Provider:
        """The way to a live backend, through the account that was decided on; `purpose` is for the audit.

        Raises NotAdmitted where the credentials are gone, and Unavailable.
        """
        owner = team_id if backend.account_owner == routing_pb2.ACCOUNT_OWNER_TEAM else ""
        key = (owner, backend.provider, backend.provider_device)
        now = self._clock()
        self._open = {each: kept for each, kept in self._open.items() if kept.until >= now}
        found = self._open.get(key)
        if found is None:
            credentials = await self._credentials(owner, backend.provider, purpose)
            made = self._connect(credentials, backend.provider_device, backend.qubit_count, self._clock)
            found = self._open[key] = _Open(made, now + OPEN_FOR)
        return found.provider

    def forget(self, provider: Provider) -> None:
        """Ask for the credentials again the next time: these were not accepted."""
        self._open = {key: each for key, each in self._open.items() if each.provider is not provider}

    async def test(self, team_id: str, name: str) -> tuple[bool, str]:
        """Whether a provider accepts a team's credentials, and its answer in words. Raises NotFound, Unavailable."""
        request = accounts_pb2.GetProviderSecretRequest(team_id=team_id, provider=name, purpose="test")
        credentials = credentials_of((await self._accounts.GetProviderSecret(request)).credentials)
        provider = self._connect(credentials, _PROBES[name], 1, self._clock)
        try:
            async with asyncio.timeout(TEST_SECONDS):
                return True, await provider.check()
        except TimeoutError:
            return False, f"{name} did not answer in {TEST_SECONDS:.0f} s"
        except ProviderError as error:
            return False, str(error)
        finally:
            await provider.close()

    async def _of(self, requester: requester_pb2.Requester) -> list[str]:
        now = self._clock()
        if requester.team_id in self._known and self._known[requester.team_id][0] > now:
            return self._known[requester.team_id][1]
        request = accounts_pb2.ListProviderSecretsRequest(team_id=requester.team_id)
        names = [secret.provider for secret in (await self._accounts.ListProviderSecrets(request)).secrets]
        self._known = {team: known for team, known in self._known.items() if known[0] > now}
        self._known[requester.team_id] = now + KNOWN_FOR, names
        return names

    async def _credentials(self, owner: str, name: str, purpose: str) -> Credentials:
        if not owner:
            if name not in self._operator:
                raise NotAdmitted(f"the operator has no credentials for {name} any more")
            return self._operator[name]
        request = accounts_pb2.GetProviderSecretRequest(team_id=owner, provider=name, purpose=purpose)
        try:
            return credentials_of((await self._accounts.GetProviderSecret(request)).credentials)
        except NotFound:
            raise NotAdmitted(f"the team has no credentials for {name} any more") from None
