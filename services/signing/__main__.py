"""Signing: ML-DSA signatures over records, and the transparency log that holds them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping

from qm.signing.v1 import signing_pb2

from mesh.config import ConfigError
from mesh.process import Part, Process, run
from services.signing.config import KEY_ENVIRONMENT, SigningConfig
from services.signing.custody import CustodyError, KeyEncryptionKey
from services.signing.keyring import Locksmith
from services.signing.mldsa import ProviderMissingError
from services.signing.note import BadNoteError
from services.signing.providers import choose_provider
from services.signing.reader import LogReader
from services.signing.service import SigningService
from services.signing.signer import RecordSigner
from services.signing.store import SigningStore
from services.signing.writer import BrokenLogError, LogWriter


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


def key_encryption_key(config: SigningConfig, environment: Mapping[str, str]) -> KeyEncryptionKey:
    """The key that opens the seeds, from its file or the environment; CustodyError where it cannot be read."""
    if config.key_encryption_key_file is None:
        return KeyEncryptionKey.from_environment(KEY_ENVIRONMENT, environment)
    return KeyEncryptionKey.from_file(config.key_encryption_key_file)


async def wire(process: Process[SigningConfig], config: SigningConfig) -> None:
    """Put the service together; ConfigError where key, provider or log do not fit what is stored."""
    try:
        await _wire(process, config)
    except (CustodyError, ProviderMissingError, BadNoteError, BrokenLogError) as error:
        raise ConfigError(str(error)) from error


async def _wire(process: Process[SigningConfig], config: SigningConfig) -> None:
    provider = choose_provider(config.signature_provider, os.environ)
    locksmith = Locksmith(provider, key_encryption_key(config, os.environ), config.origin)
    store = SigningStore(await process.database())
    held = await store.settle_keys(lambda held: locksmith.missing(held, utc_now()))
    keys = locksmith.open(held, utc_now())
    writer = LogWriter(store, config.origin, clock=utc_now)
    await writer.begin()
    reader = LogReader(store, config.origin, keys.log)
    await reader.head()  # signed from the first start on: the name in it is for ever
    process.on_close(writer.close)
    signer = RecordSigner(keys, clock=utc_now)
    process.on_close(signer.close)
    service = SigningService(store, writer, signer, reader=reader, provider=provider, log_keys=keys.log_keys())
    process.server.add(signing_pb2.DESCRIPTOR.services_by_name["SigningService"], service)


PART = Part("signing", SigningConfig, wire)

if __name__ == "__main__":
    run(PART)
