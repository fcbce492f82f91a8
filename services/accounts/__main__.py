"""Accounts: teams, users and their API keys."""

from __future__ import annotations

import datetime as dt

from qm.accounts.v1 import accounts_pb2

from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from mesh.vault import Vault
from services.accounts.config import AccountsConfig
from services.accounts.secret import Pepper
from services.accounts.service import AccountsService
from services.accounts.store import AccountsStore


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


async def wire(process: Process[AccountsConfig], config: AccountsConfig) -> None:
    """Put the service together."""
    pepper, vault = Pepper.read(config.pepper_file), Vault.read(config.key_encryption_key_file)
    database = await process.database()
    outbox = Outbox(database, await process.events())
    outbox.start()
    process.on_close(outbox.close)
    service = AccountsService(AccountsStore(database, outbox), pepper, vault, clock=utc_now)
    process.server.add(accounts_pb2.DESCRIPTOR.services_by_name["AccountsService"], service)


PART = Part("accounts", AccountsConfig, wire)

if __name__ == "__main__":
    run(PART)
