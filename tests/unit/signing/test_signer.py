"""Signatures made ahead of their seals, and what is signed on a thread."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from mesh.errors import InvalidArgument
from services.signing.keys import NamedKey, parse_key_id
from services.signing.mldsa import OpenSsl
from services.signing.records import RESULT_TYPE, Record
from services.signing.signer import MOST_READY, SMALL_BYTES, RecordSigner

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


class CountingKey:
    """Counts its signatures, by thread."""

    def __init__(self) -> None:
        self.key = OpenSsl().signing_key(bytes(32))
        self.public = self.key.public
        self.threads: list[int] = []

    def sign(self, message: bytes, context: bytes) -> bytes:
        self.threads.append(threading.get_ident())
        return self.key.sign(message, context)


class Keys:
    """Has the key of the moment."""

    def __init__(self) -> None:
        self.counting = CountingKey()
        self.kid = "vajra-2026-01"

    def record_key(self, _now: dt.datetime) -> NamedKey:
        return NamedKey(parse_key_id(self.kid), self.counting)


def record(number: int = 1, padding: int = 0) -> bytes:
    return Record.of(RESULT_TYPE, {"number": number, "padding": "x" * padding}).canonical


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest_asyncio.fixture
async def signer(keys: Keys) -> AsyncIterator[RecordSigner]:
    signer = RecordSigner(keys, clock=lambda: NOW)
    yield signer
    await signer.close()


async def test_what_was_signed_ahead_is_not_signed_again_but_once(signer: RecordSigner, keys: Keys):
    await signer.prepare(RESULT_TYPE, record())
    signed = await signer.sign(RESULT_TYPE, record())
    assert signed.record.signed_by(OpenSsl().verifying_key(keys.counting.public), signed.signature)
    assert len(keys.counting.threads) == 1
    assert (await signer.sign(RESULT_TYPE, record())).signature != signed.signature


async def test_a_signature_of_a_key_that_has_retired_meanwhile_is_made_anew(signer: RecordSigner, keys: Keys):
    await signer.prepare(RESULT_TYPE, record())
    keys.kid = "vajra-2026-02"
    assert (await signer.sign(RESULT_TYPE, record())).leaf.kid == "vajra-2026-02"


async def test_what_cannot_be_signed_is_refused_ahead(signer: RecordSigner):
    with pytest.raises(InvalidArgument) as refusal:
        await signer.prepare("qmumma.other/v1", record())
    assert refusal.value.reason == "TYPE_MISMATCH"


async def test_no_more_than_some_signatures_wait_and_no_large_one(signer: RecordSigner, keys: Keys):
    await signer.prepare(RESULT_TYPE, record(padding=SMALL_BYTES))
    for number in range(MOST_READY + 1):
        await signer.prepare(RESULT_TYPE, record(number))
    made = len(keys.counting.threads)
    for again in (record(padding=SMALL_BYTES), record(0)):
        await signer.sign(RESULT_TYPE, again)
    await signer.sign(RESULT_TYPE, record(MOST_READY))
    assert len(keys.counting.threads) == made + 2


async def test_a_lone_small_record_is_signed_in_place_and_others_on_threads(signer: RecordSigner, keys: Keys):
    here = threading.get_ident()
    await signer.sign(RESULT_TYPE, record())
    await signer.sign(RESULT_TYPE, record(padding=SMALL_BYTES))
    await asyncio.gather(*(signer.sign(RESULT_TYPE, record(number)) for number in range(4)))
    assert [thread == here for thread in keys.counting.threads] == [True] + [False] * 5
