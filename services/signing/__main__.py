"""Signing: ML-DSA signatures over records, and the transparency log that holds them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path

from qm.signing.v1 import signing_pb2

from mesh.config import ConfigError
from mesh.process import Part, Process, run
from services.signing.config import KEY_ENVIRONMENT, PREVIOUS_KEY_ENVIRONMENT, SigningConfig
from services.signing.custodian import Custodian
from services.signing.custody import CustodyError, KeyEncryptionKey, Wrapping
from services.signing.keyring import Locksmith
from services.signing.mldsa import ProviderMissingError
from services.signing.note import BadNoteError
from services.signing.providers import choose_provider
from services.signing.reader import LogReader
from services.signing.service import SigningService
from services.signing.signer import RecordSigner
from services.signing.store import SigningStore
from services.signing.token import TokenConfig, TokenKey
from services.signing.writer import BrokenLogError, LogWriter


def utc_now() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


def wrapping(config: SigningConfig, environment: Mapping[str, str]) -> Wrapping:
    """What opens the seeds: a file, a token or the environment; CustodyError where it cannot be used."""
    found = _wrapping(config.key_encryption_key_file, config.key_encryption_token, environment, KEY_ENVIRONMENT)
    return found or KeyEncryptionKey.from_environment(KEY_ENVIRONMENT, environment)


def previous_wrapping(config: SigningConfig, environment: Mapping[str, str]) -> Wrapping | None:
    """What opened the seeds before, where the operator still has it configured."""
    file, token = config.previous_key_encryption_key_file, config.previous_key_encryption_token
    return _wrapping(file, token, environment, PREVIOUS_KEY_ENVIRONMENT)


def _wrapping(
    file: Path | None, token: TokenConfig | None, environment: Mapping[str, str], variable: str
) -> Wrapping | None:
    if file is not None and token is not None:
        message = "the key-encryption key is in a file or in a token, not in both"
        raise CustodyError(message)
    if token is not None:
        return TokenKey(token)
    if file is not None:
        return KeyEncryptionKey.from_file(file)
    return KeyEncryptionKey.from_environment(variable, environment) if variable in environment else None


async def wire(process: Process[SigningConfig], config: SigningConfig) -> None:
    """Put the service together; ConfigError where key, provider or log do not fit what is stored."""
    try:
        await _wire(process, config)
    except (CustodyError, ProviderMissingError, BadNoteError, BrokenLogError) as error:
        raise ConfigError(str(error)) from error


async def _wire(process: Process[SigningConfig], config: SigningConfig) -> None:
    provider = choose_provider(config.signature_provider, os.environ)
    previous = previous_wrapping(config, os.environ)
    locksmith = Locksmith(provider, wrapping(config, os.environ), config.origin, previous)
    store = SigningStore(await process.database())
    every = None if config.rotation_days is None else dt.timedelta(days=config.rotation_days)
    custodian = Custodian(store, locksmith, every=every, clock=utc_now)
    await custodian.begin()
    writer = LogWriter(store, config.origin, clock=utc_now)
    await writer.begin()
    reader = LogReader(store, config.origin, custodian.ring.log)
    await reader.head()  # signed from the first start on: the name in it is for ever
    process.on_close(writer.close)
    await custodian.try_to_look(writer)
    process.background(custodian.keep(writer), "keep the keys")
    signer = RecordSigner(custodian, clock=utc_now)
    process.on_close(signer.close)
    if config.timestamp_calendars:
        from services.signing.calendar import Calendars  # noqa: PLC0415 - only who asks calendars pays for an HTTP client

        calendars = Calendars(store, reader, config.timestamp_calendars, clock=utc_now)
        process.background(calendars.keep(config.timestamp_seconds), "anchor the log outside")
    service = SigningService(writer, signer, reader=reader, provider=provider, custodian=custodian, clock=utc_now)
    process.server.add(signing_pb2.DESCRIPTOR.services_by_name["SigningService"], service)


PART = Part("signing", SigningConfig, wire)

if __name__ == "__main__":
    run(PART)
