"""Proofs of OpenTimestamps calendars: followed to their end, or refused."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.timestamp import PROOF_BYTES_MAX, Attestation, BadTimestampError, Timestamp, extended

DIGEST = hashlib.sha256(b"a checkpoint").digest()
ADDRESS = b"https://calendar.example"
PENDING = b"\x00" + bytes.fromhex("83dfe30d2ef90c8e") + bytes([len(ADDRESS) + 1, len(ADDRESS)]) + ADDRESS
BITCOIN = b"\x00" + bytes.fromhex("0588960d73d71901") + b"\x03\xa0\xf7\x36"  # block 900,000
OTHER = b"\x00" + bytes(8) + b"\x01x"
APPENDED = b"\xf0\x02ab\x08"
COMMITMENT = hashlib.sha256(DIGEST + b"ab").digest()


def test_a_pending_proof_leads_to_its_calendars_commitment() -> None:
    timestamp = Timestamp(DIGEST, APPENDED + PENDING)
    assert timestamp.attestations() == (Attestation(COMMITMENT, calendar=ADDRESS.decode()),)
    assert timestamp.bitcoin_roots() == {}
    assert timestamp.file().startswith(
        b"\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94\x01\x08" + DIGEST
    )


def test_every_branch_is_followed_from_where_it_forks() -> None:
    timestamp = Timestamp(DIGEST, b"\xf0\x02ab\xff\x08" + PENDING + b"\xf1\x01c\x08\x08" + BITCOIN)
    root = hashlib.sha256(hashlib.sha256(b"c" + DIGEST + b"ab").digest()).digest()
    assert timestamp.attestations() == (
        Attestation(COMMITMENT, calendar=ADDRESS.decode()),
        Attestation(root, block=900_000),
    )
    assert timestamp.bitcoin_roots() == {900_000: root[::-1].hex()}


def test_a_pending_proof_goes_on_with_what_the_calendar_has_later() -> None:
    rest = b"\xf1\x01z\x08" + BITCOIN
    whole = extended(Timestamp(DIGEST, b"\xff" + OTHER + APPENDED + PENDING), COMMITMENT, rest)
    assert whole.proof == b"\xff" + OTHER + APPENDED + rest
    assert whole.bitcoin_roots() == {900_000: hashlib.sha256(b"z" + COMMITMENT).digest()[::-1].hex()}
    with pytest.raises(BadTimestampError, match="no such pending"):
        extended(Timestamp(DIGEST, APPENDED + PENDING), bytes(32), rest)
    with pytest.raises(BadTimestampError, match="ends in the middle"):
        extended(Timestamp(DIGEST, APPENDED + PENDING), COMMITMENT, rest[:-1])


@pytest.mark.parametrize(
    "proof",
    [
        b"",
        APPENDED,
        PENDING + b"\x08",
        PENDING[:-1],
        b"\x67" + PENDING,
        b"\xff" * 300 + PENDING * 301,
        b"\xf0" + b"\xff" * 12 + PENDING,
        b"\xf0\x81\x20" + bytes(4097) + PENDING,
        b"\x08" * PROOF_BYTES_MAX + PENDING,
        b"\xff" + PENDING,
    ],
)
def test_what_is_no_proof_is_refused(proof: bytes) -> None:
    with pytest.raises(BadTimestampError):
        Timestamp(DIGEST, proof).attestations()


@given(st.binary(max_size=200))
def test_no_bytes_whatever_do_more_than_be_refused(proof: bytes) -> None:
    with contextlib.suppress(BadTimestampError):
        assert Timestamp(DIGEST, proof).attestations()
