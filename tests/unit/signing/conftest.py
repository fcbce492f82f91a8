"""Providers, keys and known answers for the signing tests."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from services.signing.keys import NamedKey, parse_key_id
from services.signing.liboqs import LibOqs
from services.signing.mldsa import OpenSsl, Provider, ProviderMissingError

GOLDEN = Path(__file__).parents[2] / "golden" / "mldsa"


@pytest.fixture(params=["openssl", "oqs"])
def provider(request: pytest.FixtureRequest) -> Provider:
    """Every provider that this machine has."""
    if request.param == "openssl":
        return OpenSsl()
    try:
        return LibOqs(os.environ)
    except ProviderMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def signer() -> NamedKey:
    """A record-signing key from a fixed seed."""
    return NamedKey(parse_key_id("vajra-2026-01"), OpenSsl().signing_key(hashlib.sha256(b"record key").digest()))


def acvp(name: str) -> list[dict[str, Any]]:
    """The cases of one ACVP file, hex strings decoded."""
    groups = json.loads(gzip.decompress((GOLDEN / f"acvp_{name}.json.gz").read_bytes()))["testGroups"]
    return [
        {key: bytes.fromhex(value) if isinstance(value, str) else value for key, value in case.items()}
        for group in groups
        for case in group["tests"]
    ]


@pytest.fixture(scope="session")
def acvp_key_generation() -> list[dict[str, Any]]:
    """25 seeds with their public keys."""
    return acvp("keyGen")


@pytest.fixture(scope="session")
def acvp_signing() -> list[dict[str, Any]]:
    """60 signatures with expanded private keys: half hedged (`rnd`), half over hashes (`mu`) for messages."""
    return acvp("sigGen")


@pytest.fixture(scope="session")
def acvp_verification() -> list[dict[str, Any]]:
    """30 signatures, good and bad, over messages and over hashes (`mu`)."""
    return acvp("sigVer")
