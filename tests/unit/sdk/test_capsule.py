from __future__ import annotations

import gzip
import hashlib
import random
from contextlib import suppress
from typing import Any

import pytest
import rfc8785
from qmumma import UnreadableError, verify
from qmumma.documents import verify_trusting
from qmumma.verification import Trust

from tests.unit.sdk.conftest import Bundle, build, encode

MANIFEST: dict[str, Any] = {
    "version": "1.0.0",
    "name": "bell",
    "lifecycle_state": "sealed",
    "checksums_digest": "sha256:" + 64 * "c",
    "sealed_at": "2026-11-21T17:00:00Z",
    "sealed_by": "alice",
    "task_executions": [{"cost_usd": 0.1, "status": "success"}],
}


def sealed(manifest: dict[str, Any] | None = None, **changes: Any) -> Bundle:
    """A capsule's seal, as it would be answered, around another manifest where one is given."""
    record = {
        "capsule_id": f"mqc:1:{hashlib.sha256(rfc8785.dumps(MANIFEST)).hexdigest()}",
        "checksums_digest": MANIFEST["checksums_digest"],
        "sealed_at": MANIFEST["sealed_at"],
        "sealed_by": MANIFEST["sealed_by"],
    }
    made = build(record | changes, "qmumma.capsule/v1")
    return Bundle({**made.body, "manifest": MANIFEST if manifest is None else manifest}, made.jwks, made.log_keys)


def failed(bundle: Bundle) -> set[str]:
    return {check.name for check in verify(bundle.result, bundle.jwks, bundle.log_keys).failed}


def test_a_genuine_capsule_holds_with_and_without_its_manifest() -> None:
    bundle = sealed()
    assert failed(bundle) == set()
    alone = {name: value for name, value in bundle.body.items() if name != "manifest"}
    assert verify(encode(alone), bundle.jwks, bundle.log_keys).ok


def test_a_manifest_that_was_changed_and_a_record_that_was_are_named() -> None:
    assert failed(sealed({**MANIFEST, "name": "another"})) == {"manifest"}
    assert failed(sealed({**MANIFEST, "added": 1})) == {"manifest"}
    bundle = sealed()
    report = verify(bundle.altered("sealed_by", "mallory"), bundle.jwks, bundle.log_keys)
    assert {check.name for check in report.failed} >= {"sealed_by", "manifest.sealed_by", "pqc_signature"}


def test_a_record_that_disagrees_with_its_manifest_is_named_although_it_is_signed() -> None:
    assert failed(sealed(checksums_digest="sha256:" + 64 * "d")) == {"manifest.checksums_digest"}


def test_a_sample_of_the_bytes_of_a_seal_is_named_when_it_changes() -> None:
    bundle = sealed()
    whole, trust = rfc8785.dumps(bundle.body), Trust.read(bundle.jwks, bundle.log_keys)
    chance = random.Random(3)
    for place in (chance.randrange(len(whole)) for _ in range(150)):
        for mask in (1, 0x20):
            changed = whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :]
            with suppress(UnreadableError):  # no JSON any more
                assert not verify_trusting(changed, trust).ok, (place, mask)


def test_a_package_is_refused_with_what_to_do() -> None:
    bundle = sealed()
    with pytest.raises(UnreadableError, match="check its files with marqov-capsule, and give its seal"):
        verify(gzip.compress(b"capsule"), bundle.jwks, bundle.log_keys)
