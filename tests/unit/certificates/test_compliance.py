"""docs/compliance.md names code and tests, and all of them are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "compliance.md").read_text()
LINKS = sorted(set(re.findall(r"\]\(\.\./([^)#]+)\)", TEXT)))


@pytest.mark.parametrize("path", LINKS)
def test_what_the_document_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_clause_has_code_and_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if re.match(r"\| (11\.|\(f\)|A\.)", line)]
    assert len(rows) > 15
    for row in rows:
        _, _, _, code, test, _ = row.split("|")
        assert "](../" in code or "this repository" in code, row
        assert "](../tests/" in test, row
        for name in re.findall(r"\]\(\.\./(tests/[^)]+)\)", test):
            assert re.search(r"^(async )?def test_", (ROOT / name).read_text(), re.MULTILINE), name


def test_no_row_promises_to_certify_anybody() -> None:
    assert not re.search(r"\b(is|are) (certified|compliant|guaranteed)\b", TEXT)
