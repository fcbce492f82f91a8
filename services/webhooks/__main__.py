"""Webhooks: calls the URLs that teams gave with their jobs."""

from __future__ import annotations

import ssl

from qm.webhooks.v1 import webhooks_pb2

from mesh.config import ConfigError
from mesh.identity import now
from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from mesh.vault import Vault
from services.webhooks.config import WebhooksConfig
from services.webhooks.dispatch import Dispatcher
from services.webhooks.filing import Filing
from services.webhooks.mail import Postman
from services.webhooks.resolver import Resolver
from services.webhooks.secrets import Secrets
from services.webhooks.sender import Sender
from services.webhooks.service import WebhooksService
from services.webhooks.store import WebhooksStore


async def wire(process: Process[WebhooksConfig], config: WebhooksConfig) -> None:
    """Put the service together."""
    vault, context = Vault.read(config.key_encryption_key_file), _context(config)
    database, events = await process.database(), await process.events()
    outbox = Outbox(database, events)
    outbox.start()
    process.on_close(outbox.close)
    store = WebhooksStore(database, outbox)
    secrets = Secrets(store, vault, clock=now)
    resolver = Resolver(config.destinations)
    sender = Sender(resolver, context)
    dispatcher = Dispatcher(store, secrets, sender, Postman(config.mail), config, clock=now)

    async def close() -> None:
        await dispatcher.close()
        sender.close()
        resolver.close()

    process.on_close(close)
    process.background(dispatcher.run(), "dispatcher")
    process.background(dispatcher.look(), "look")
    process.background(Filing(events, store, secrets, dispatcher.wake, clock=now).run(), "filing")
    service = WebhooksService(store, secrets, dispatcher.wake, clock=now)
    process.server.add(webhooks_pb2.DESCRIPTOR.services_by_name["WebhooksService"], service)


def _context(config: WebhooksConfig) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if config.authority_file is not None:
        try:
            context.load_verify_locations(config.authority_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot read the certificates in {config.authority_file}: {error}") from None
    return context


PART = Part("webhooks", WebhooksConfig, wire)

if __name__ == "__main__":
    run(PART)
