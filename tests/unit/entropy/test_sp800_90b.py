"""SP 800-90B's estimators against NIST's own program."""

import json

import numpy as np
import pytest

from services.entropy.statistics.assessment import assess
from tests.unit.entropy.sequences import GOLDEN, every_sequence

NIST = json.loads((GOLDEN / "sp800_90b.json").read_text())


def test_every_estimate_is_that_of_nists_program():
    for name, bits in every_sequence().items():
        estimates = assess(bits).estimates
        assert estimates == pytest.approx(NIST[name], abs=1e-6), name


@pytest.mark.parametrize("bits", [np.zeros(10_000, np.uint8), np.tile(np.array([0, 1], np.uint8), 5_000)])
def test_what_never_changes_has_no_entropy(bits: np.ndarray):
    assert assess(bits).min_entropy < 1e-3
