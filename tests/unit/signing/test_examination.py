"""What a verification says when the log itself is not what it should be. The rest is in tests/mesh/test_signing.py."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from services.signing.anchor import Anchor
from services.signing.checkpoint import Checkpoint, SignedHead
from services.signing.examination import Claim, Evidence, examine
from services.signing.keys import NamedKey
from services.signing.mldsa import OpenSsl
from services.signing.note import Ed25519Signer
from services.signing.proofs import prove_inclusion
from services.signing.records import RESULT_TYPE, Record, sign_record
from services.signing.tree import Frontier

LOG = Ed25519Signer("qmumma.local/log", hashlib.sha256(b"log").digest())
OTHER = Ed25519Signer("qmumma.local/log", hashlib.sha256(b"other").digest())


@pytest.fixture
def case(signer: NamedKey) -> tuple[Claim, Evidence]:
    """A genuine record, leaf 2 of 3."""
    signed = sign_record(Record.of(RESULT_TYPE, {"shots": 1024}), signer)
    growth = Frontier().append([bytes(32), bytes(32), signed.leaf.hash()])
    root = growth.frontier.root()
    note = Checkpoint(LOG.key.name, 3, root).sign([LOG]).render()
    anchor = Anchor(signed.leaf.text(), 2, prove_inclusion(2, 3, dict(growth.rows)), SignedHead(3, root, note))
    audit_hash = hashlib.sha256(signed.record.canonical).digest()
    claim = Claim(signed.record.canonical, audit_hash, signed.signature, signer.kid, signed.leaf.hash(), 2)
    return claim, Evidence(signer.public_key(), anchor, [LOG.key])


def failed(claim: Claim, evidence: Evidence) -> dict[str, str]:
    return {check.name: check.detail for check in examine(claim, evidence, OpenSsl()) if not check.ok}


def with_head(evidence: Evidence, **changes: object) -> Evidence:
    assert evidence.anchor
    head = dataclasses.replace(evidence.anchor.head, **changes)  # type: ignore[arg-type] # the tests below name them
    return dataclasses.replace(evidence, anchor=dataclasses.replace(evidence.anchor, head=head))


def test_a_genuine_record_holds_in_every_check(case: tuple[Claim, Evidence]) -> None:
    assert failed(*case) == {}


def test_a_checkpoint_by_another_key_does_not_hold(case: tuple[Claim, Evidence]) -> None:
    claim, evidence = case
    assert failed(claim, dataclasses.replace(evidence, log_keys=[LOG.key, OTHER.key])) == {
        "checkpoint": "is not signed by every key of the log"
    }


def test_a_checkpoint_of_another_tree_does_not_hold(case: tuple[Claim, Evidence]) -> None:
    claim, evidence = case
    note = Checkpoint(LOG.key.name, 3, bytes(32)).sign([LOG]).render()
    assert failed(claim, with_head(evidence, note=note)) == {"checkpoint": "is of another tree"}


def test_a_checkpoint_that_is_no_note_does_not_hold(case: tuple[Claim, Evidence]) -> None:
    claim, evidence = case
    assert failed(claim, with_head(evidence, note="nonsense")).keys() == {"checkpoint"}


def test_a_path_that_leads_elsewhere_does_not_hold(case: tuple[Claim, Evidence]) -> None:
    claim, evidence = case
    assert failed(claim, with_head(evidence, root=bytes(32))).keys() == {"inclusion", "checkpoint"}
