"""Records, leaves and anchors."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.keys import NamedKey
from services.signing.mldsa import OpenSsl
from services.signing.records import PROOF_MEMBERS, BadRecordError, Leaf, Record, parse_anchor, sign_record

RESULT = "qmumma.result/v1"
MEMBERS: dict[str, Any] = {
    "job_id": "qm_job_1",
    "shots": 4096,
    "result": {"energy": -1.137306, "counts": {"00": 512}},
    "qubits": None,
}

scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, width=64)
names = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    scalars.filter(lambda value: value not in (float("inf"), float("-inf"))) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def test_a_record_is_canonical_and_names_its_type() -> None:
    record = Record.of(RESULT, MEMBERS)
    assert record.canonical == (
        b'{"job_id":"qm_job_1","qubits":null,"result":{"counts":{"00":512},"energy":-1.137306},'
        b'"shots":4096,"type":"qmumma.result/v1"}'
    )
    assert record.audit_hash == "sha256:" + hashlib.sha256(record.canonical).hexdigest()


@given(st.dictionaries(names.filter(lambda name: name not in {"type", *PROOF_MEMBERS}), values, max_size=4))
def test_reading_back_a_record_gives_the_same_record(members: dict[str, Any]) -> None:
    record = Record.of(RESULT, members)
    assert Record.read(record.canonical) == record


def test_the_order_of_members_does_not_matter() -> None:
    assert Record.of(RESULT, dict(reversed(list(MEMBERS.items())))) == Record.of(RESULT, MEMBERS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"type": "qmumma.result/v1"}', "RFC 8785"),
        (b'{"a":1,"a":2,"type":"qmumma.result/v1"}', "RFC 8785"),
        (b'{"a":9007199254740993,"type":"qmumma.result/v1"}', "RFC 8785"),
        (b'{"a":NaN,"type":"qmumma.result/v1"}', "no canonical JSON"),
        (b'{"a":"\\ud800","type":"qmumma.result/v1"}', "no canonical JSON"),
        (b"[1]", "JSON object"),
        (b'{"type":', "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"audit_hash":"x","type":"qmumma.result/v1"}', "audit_hash"),
        (b'{"a":1}', "type looks like"),
        (b'{"type":"result"}', "type looks like"),
    ],
)
def test_bytes_that_are_no_canonical_record_are_refused(text: bytes, why: str) -> None:
    with pytest.raises(BadRecordError, match=why):
        Record.read(text)


@pytest.mark.parametrize("name", ["type", "pqc_signature", "key_id", "audit_hash", "blockchain_anchor", "proof"])
def test_a_record_cannot_bring_its_own_proof_members(name: str) -> None:
    with pytest.raises(BadRecordError, match=name):
        Record.of(RESULT, {name: "x"})


@pytest.mark.parametrize("value", [2**53, float("inf"), float("nan"), "\ud800"])
def test_what_json_cannot_carry_exactly_is_not_signed(value: Any) -> None:
    with pytest.raises(BadRecordError, match="no canonical JSON"):
        Record.of(RESULT, {"a": value})


def test_digests_name_every_member() -> None:
    digests = Record.of(RESULT, MEMBERS).digests()
    assert digests.keys() == {*MEMBERS, "type"}
    assert digests["shots"] == "sha256:" + hashlib.sha256(b"4096").hexdigest()
    assert digests["result"] == "sha256:" + hashlib.sha256(b'{"counts":{"00":512},"energy":-1.137306}').hexdigest()


def test_a_signed_record_holds_for_its_own_type_only(signer: NamedKey) -> None:
    signed = sign_record(Record.of(RESULT, MEMBERS), signer)
    key = OpenSsl().verifying_key(signer.key.public)
    assert signed.record.signed_by(key, signed.signature)
    assert not Record.of("qmumma.entropy/v1", MEMBERS).signed_by(key, signed.signature)
    assert not Record.of(RESULT, {**MEMBERS, "shots": 4097}).signed_by(key, signed.signature)


def test_a_leaf_binds_record_signature_and_key(signer: NamedKey) -> None:
    signed = sign_record(Record.of(RESULT, MEMBERS), signer)
    assert json.loads(signed.leaf.text()) == {
        "v": 1,
        "type": RESULT,
        "audit_hash": signed.record.audit_hash,
        "kid": "vajra-2026-01",
        "sig_sha256": "sha256:" + hashlib.sha256(signed.signature).hexdigest(),
    }
    assert signed.leaf.hash() == hashlib.sha256(b"\x00" + signed.leaf.text()).digest()
    assert signed.leaf.anchor == "vajra://txid/" + signed.leaf.hash().hex()
    assert parse_anchor(signed.leaf.anchor) == signed.leaf.hash()
    assert Leaf.read(signed.leaf.text()) == signed.leaf


def test_a_leaf_in_any_other_form_is_refused(signer: NamedKey) -> None:
    text = sign_record(Record.of(RESULT, MEMBERS), signer).leaf.text()
    for bad in (text + b" ", text.replace(b'"v":1', b'"v":2'), text[:-1] + b',"w":1}', b"[]", b'{"v":1}', b"{"):
        with pytest.raises(BadRecordError):
            Leaf.read(bad)


@pytest.mark.parametrize(
    "anchor", ["", "vajra://txid/", "0" * 64, "vajra://txid/" + "A" * 64, "vajra://txid/" + "0" * 63]
)
def test_a_malformed_anchor_is_refused(anchor: str) -> None:
    with pytest.raises(BadRecordError, match="64 hex digits"):
        parse_anchor(anchor)
