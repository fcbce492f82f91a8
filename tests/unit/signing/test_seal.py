"""A page of the log: one seal a subject, whatever comes in a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import Conflict
from services.signing.keys import NamedKey
from services.signing.records import RESULT_TYPE, Record, SignedRecord, sign_record
from services.signing.seal import Entry, Page, Seal, Subject
from services.signing.tree import Frontier


@pytest.fixture(scope="module")
def signed(signer: NamedKey) -> list[SignedRecord]:
    """Three records, each signed twice: the second three repeat the first."""
    records = [Record.of(RESULT_TYPE, {"shots": shots}) for shots in (1, 2, 3)]
    return [sign_record(record, signer) for record in records * 2]


def test_a_new_subject_becomes_the_next_leaf(signed: list[SignedRecord]) -> None:
    frontier = Frontier().append([bytes(32)] * 5).frontier
    page = Page(frontier, [])
    seals = [page.take(Entry(Subject(f"job/{number}"), signed[number])) for number in range(2)]
    assert seals == page.new
    assert [seal.leaf_index for seal in page.new] == [5, 6]
    assert [seal.leaf_hash for seal in page.new] == [one.leaf.hash() for one in signed[:2]]
    assert page.growth() == frontier.append([one.leaf.hash() for one in signed[:2]])


def test_a_repeat_keeps_the_first_signature_and_adds_no_leaf(signed: list[SignedRecord]) -> None:
    assert signed[0].signature != signed[3].signature
    page = Page(Frontier(), [])
    first, again = (page.take(Entry(Subject("job/1"), one)) for one in (signed[0], signed[3]))
    assert first is again
    assert len(page.new) == 1


def test_a_seal_that_stands_is_returned_or_is_in_the_way(signed: list[SignedRecord]) -> None:
    page = Page(Frontier(), [])
    page.take(Entry(Subject("job/1"), signed[0]))
    later = Page(page.growth().frontier, page.new)
    assert later.take(Entry(Subject("job/1"), signed[3])) == page.new[0]
    refused = later.take(Entry(Subject("job/1"), signed[1]))
    assert isinstance(refused, Conflict)
    assert refused.reason == "SUBJECT_ALREADY_SIGNED"
    assert later.new == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=30), st.data())
def test_however_records_are_cut_into_batches_each_subject_keeps_its_first_one(
    signed: list[SignedRecord], asked: list[tuple[int, int]], data: st.DataObject
) -> None:
    log: dict[Subject, Seal] = {}
    frontier = Frontier()
    first: dict[int, bytes] = {}
    while asked:
        cut = data.draw(st.integers(1, len(asked)))
        batch, asked = asked[:cut], asked[cut:]
        page = Page(frontier, log.values())
        for subject, number in batch:
            answer = page.take(Entry(Subject(f"job/{subject}"), signed[number]))
            kept = first.setdefault(subject, signed[number].record.canonical)
            assert isinstance(answer, Seal) == (kept == signed[number].record.canonical)
        log |= {seal.subject: seal for seal in page.new}
        frontier = page.growth().frontier
    assert sorted(seal.leaf_index for seal in log.values()) == list(range(len(first)))
    assert frontier.size == len(log) == len(first)
