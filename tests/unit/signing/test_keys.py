"""Key ids and JWKs."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from services.signing.keys import BadKeyIdError, KeyId, NamedKey, PublicKey, next_key_id, parse_key_id, render_jwks


@pytest.mark.parametrize("text", ["vajra-2026-1", "vajra-26-01", "vajra-2026-00", "Vajra-2026-01", "vajra-2026-01\n"])
def test_a_malformed_key_id_is_refused(text: str) -> None:
    with pytest.raises(BadKeyIdError, match="vajra-YYYY-NN"):
        parse_key_id(text)


def test_key_ids_count_up_within_a_year() -> None:
    existing = [KeyId("vajra-2025-07"), KeyId("vajra-2026-01"), KeyId("vajra-2026-02")]
    assert next_key_id(2026, existing) == "vajra-2026-03"
    assert next_key_id(2027, existing) == "vajra-2027-01"
    with pytest.raises(BadKeyIdError, match="all 99"):
        next_key_id(2026, [KeyId("vajra-2026-99")])


def test_the_jwks_document_has_the_members_of_rfc_9964(signer: NamedKey) -> None:
    (jwk,) = json.loads(render_jwks([signer.public_key()]))["keys"]
    assert {name: jwk[name] for name in ("kty", "alg", "kid", "use")} == {
        "kty": "AKP",
        "alg": "ML-DSA-65",
        "kid": "vajra-2026-01",
        "use": "sig",
    }
    assert "=" not in jwk["pub"]
    assert base64.urlsafe_b64decode(jwk["pub"] + "=") == signer.key.public


def test_the_thumbprint_hashes_alg_kty_and_pub_in_that_order(signer: NamedKey) -> None:
    """RFC 7638, section 3: required members only, sorted, no white space. Neither kid nor use matter."""
    jwk = signer.public_key().jwk()
    text = f'{{"alg":"ML-DSA-65","kty":"AKP","pub":"{jwk.pub}"}}'
    digest = hashlib.sha256(text.encode()).digest()
    assert jwk.thumbprint() == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_a_public_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1952 bytes"):
        PublicKey(KeyId("vajra-2026-01"), b"short")
