"""CTR_DRBG against NIST's vectors."""

import json

import pytest

from services.entropy.drbg import MOST_BYTES_A_REQUEST, RESEED_INTERVAL, CtrDrbg, DrbgError
from tests.unit.entropy.sequences import GOLDEN

VECTORS = json.loads((GOLDEN / "ctr_drbg.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["tcId"]))
def test_it_gives_what_nist_says(vector: dict):
    entropy, nonce, personal = (bytes.fromhex(vector[name]) for name in ("entropyInput", "nonce", "persoString"))
    generator = CtrDrbg(entropy, nonce, personal)
    for given in vector["otherInput"]:
        if given["entropyInput"]:  # prediction resistance: a new seed before every request
            generator.reseed(bytes.fromhex(given["entropyInput"]), bytes.fromhex(given["additionalInput"]))
        output = generator.generate(len(vector["returnedBits"]) // 2)
    assert output.hex().upper() == vector["returnedBits"]


def test_its_state_changes_with_every_request():
    generator = CtrDrbg(bytes(32), bytes(16))
    first = generator._key, generator._value
    generator.generate(16)
    assert generator._key != first[0]
    assert generator._value != first[1]


def test_it_refuses_too_much_and_too_little():
    with pytest.raises(DrbgError, match="32 bytes"):
        CtrDrbg(bytes(31), bytes(16))
    with pytest.raises(DrbgError, match="16 bytes"):
        CtrDrbg(bytes(32), bytes(15))
    generator = CtrDrbg(bytes(32), bytes(16))
    with pytest.raises(DrbgError, match="65536"):
        generator.generate(MOST_BYTES_A_REQUEST + 1)
    generator._reseed_counter = RESEED_INTERVAL + 1
    with pytest.raises(DrbgError, match="new seed"):
        generator.generate(1)
    generator.reseed(bytes(32))
    assert len(generator.generate(1)) == 1


def test_it_does_not_show_its_state():
    assert repr(CtrDrbg(bytes(32), bytes(16))) == "CtrDrbg(…)"
