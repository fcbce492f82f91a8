"""Accounts: teams, users and their API keys."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt

from qm.accounts.v1 import accounts_pb2, limits_pb2, teams_pb2

from mesh.errors import MeshError
from mesh.events import Events
from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from mesh.streams import KEYS_TOLD, recall_subject
from mesh.vault import Vault
from services.accounts.bucket_store import BucketStore
from services.accounts.config import AccountsConfig
from services.accounts.issuer import REPEAT_SECONDS
from services.accounts.limits_service import LimitsService
from services.accounts.provider_store import ProviderStore
from services.accounts.secret import Peppers
from services.accounts.service import AccountsService
from services.accounts.store import KeyStore
from services.accounts.team import TeamId
from services.accounts.team_service import TeamsService
from services.accounts.team_store import TeamStore

TOLD_SECONDS = 0.3
"""Between two signs that revocations are told; edges that miss them for a second ask for every key anew."""
TIDY_SECONDS = 600.0


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


async def wire(process: Process[AccountsConfig], config: AccountsConfig) -> None:
    """Put the service together."""
    peppers = Peppers.read(config.pepper_file, config.older_pepper_files)
    vault = Vault.read(config.key_encryption_key_file)
    database, events = await process.database(), await process.events()
    outbox = Outbox(database, events)
    outbox.start()
    process.on_close(outbox.close)
    teams, keys = TeamStore(database, outbox), KeyStore(database, outbox)
    providers = ProviderStore(database, outbox)
    service = AccountsService(teams, keys, providers, peppers=peppers, vault=vault, clock=utc_now)
    process.server.add(accounts_pb2.DESCRIPTOR.services_by_name["AccountsService"], service)
    administration = TeamsService(teams, clock=utc_now)
    process.server.add(teams_pb2.DESCRIPTOR.services_by_name["TeamsService"], administration)
    buckets = BucketStore(database)
    limits = LimitsService(buckets, lambda team_id: recall(events, team_id))
    process.server.add(limits_pb2.DESCRIPTOR.services_by_name["LimitsService"], limits)
    process.on_close(limits.close)
    process.on_close(service.uses.write)
    process.background(service.uses.keep_written(), "write uses of keys")
    process.background(tell(events), "tell that revocations are told")
    process.background(tidy(keys, buckets), "forget what is not needed again")


async def tell(events: Events) -> None:
    """Tell the edges, for as long as NATS is there, that they would hear of a revoked key."""
    while True:
        with contextlib.suppress(MeshError):
            await events.tell(KEYS_TOLD)
        await asyncio.sleep(TOLD_SECONDS)


async def recall(events: Events, team_id: TeamId) -> bool:
    """Ask every edge to give back what it holds of a team's tokens; False while NATS is away."""
    try:
        await events.tell(recall_subject(team_id))
    except MeshError:
        return False
    return True


async def tidy(keys: KeyStore, buckets: BucketStore) -> None:
    """Forget sealed secrets that are not told again any more, and buckets that nobody takes from."""
    while True:
        with contextlib.suppress(MeshError):
            await keys.forget_secrets(utc_now() - dt.timedelta(seconds=REPEAT_SECONDS))
            await buckets.forget_idle()
        await asyncio.sleep(TIDY_SECONDS)


PART = Part("accounts", AccountsConfig, wire)

if __name__ == "__main__":
    run(PART)
