"""Checkpoints and the signed notes that carry them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from services.signing.checkpoint import Checkpoint, parse_checkpoint
from services.signing.mldsa import OpenSsl
from services.signing.note import (
    BadNoteError,
    Ed25519Signer,
    MlDsaSigner,
    NoteKey,
    parse_note,
    sign_note,
)

ORIGIN = "localhost/vajra"
ROOT = hashlib.sha256(b"root").digest()
CHECKPOINT = Checkpoint(ORIGIN, 20852163, ROOT)
SEED = hashlib.sha256(b"log").digest()
ED25519 = Ed25519Signer(ORIGIN, SEED)
MLDSA = MlDsaSigner(ORIGIN, OpenSsl().signing_key(SEED))

PUBLISHED_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
PUBLISHED_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def test_a_published_note_verifies_under_its_published_key() -> None:
    key = NoteKey("example.com/foo", b"\x01", base64.b64decode(PUBLISHED_VKEY.split("+", 2)[2])[1:])
    assert key.vkey == PUBLISHED_VKEY
    assert parse_note(PUBLISHED_NOTE).signed_by(key, OpenSsl())
    assert not parse_note(PUBLISHED_NOTE.replace("example m", "Example m")).signed_by(key, OpenSsl())


def test_a_checkpoint_is_signed_on_two_lines() -> None:
    note = CHECKPOINT.sign([ED25519, MLDSA])
    origin, size, root, blank, first, second, rest = note.render().split("\n")
    assert (origin, size, root) == (ORIGIN, "20852163", base64.b64encode(ROOT).decode())
    assert blank == rest == ""
    assert len(base64.b64decode(first.split(" ")[2])) == 4 + 64
    assert len(base64.b64decode(second.split(" ")[2])) == 4 + 3309
    read = parse_note(note.render())
    assert read == note
    assert parse_checkpoint(read.text) == CHECKPOINT
    assert read.signed_by(ED25519.key, OpenSsl())
    assert read.signed_by(MLDSA.key, OpenSsl())


def test_key_ids_are_the_hash_of_name_type_and_key() -> None:
    public = OpenSsl().signing_key(SEED).public
    expected = hashlib.sha256(ORIGIN.encode() + b"\n\xffqmumma/ML-DSA-65" + public).digest()[:4]
    assert MLDSA.key.id == expected
    name, key_id, key = MLDSA.key.vkey.split("+", 2)
    assert (name, key_id) == (ORIGIN, expected.hex())
    assert base64.b64decode(key) == b"\xffqmumma/ML-DSA-65" + public


def test_a_witness_adds_its_line_and_leaves_the_others() -> None:
    witness = Ed25519Signer("localhost/witness", bytes(32))
    note = CHECKPOINT.sign([ED25519]).with_signature(witness)
    assert parse_note(note.render()).signed_by(ED25519.key, OpenSsl())
    assert parse_note(note.render()).signed_by(witness.key, OpenSsl())


def test_a_note_is_not_signed_by_a_key_without_a_line() -> None:
    assert not CHECKPOINT.sign([ED25519]).signed_by(MLDSA.key, OpenSsl())


def test_a_second_line_of_a_known_key_must_hold_too() -> None:
    good = CHECKPOINT.sign([ED25519])
    forged = sign_note(ORIGIN + "\n1\n" + base64.b64encode(ROOT).decode() + "\n", [ED25519])
    both = parse_note(good.render() + forged.signatures[0].render())
    assert not both.signed_by(ED25519.key, OpenSsl())


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\n- name AAAAAAAA\n",
        "text\n\n— name AAAAAAAA",
        "text\n\n— name AAAAAAA!\n",
        "text\n\n— name AAAAAAB=\n",
        "text\n\n— name  AAAAAAAA\n",
        "te\txt\n\n— name AAAAAAAA\n",
        "text\r\n\r\n— name AAAAAAAA\r\n",
    ],
)
def test_what_is_no_signed_note_is_refused(note: str) -> None:
    with pytest.raises(BadNoteError):
        parse_note(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n5\n",
        f"\n5\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n05\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n-5\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n\u0665\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n5\n{base64.b64encode(ROOT[1:]).decode()}\n",
        f"{ORIGIN}\n5\n{base64.b64encode(ROOT).decode()[:-1]}\n",
        f"{ORIGIN}\n5\n{base64.b64encode(ROOT).decode()}",
        f"{ORIGIN}\n5\n{base64.b64encode(ROOT).decode()}\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNoteError):
        parse_checkpoint(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b"])
def test_a_name_that_could_not_stand_in_a_line_is_refused(name: str) -> None:
    with pytest.raises(BadNoteError, match="cannot name a key"):
        Ed25519Signer(name, SEED)
