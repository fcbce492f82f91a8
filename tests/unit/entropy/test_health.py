import numpy as np

from services.entropy.conditioning import condition, full_entropy, full_entropy_input_bytes
from services.entropy.health import check_health
from tests.unit.entropy.sequences import fair


def test_a_fair_source_is_healthy():
    assert not check_health(fair(1 << 20), 0.8).failure


def test_a_run_as_long_as_the_cutoff_fails_and_a_shorter_one_does_not():
    bits = np.tile(np.array([0, 1], np.uint8), 2048)
    bits[1000:1038] = 1  # and the one before or after it: 39
    bits[999], bits[1038] = 1, 0
    assert "39 equal bits" in check_health(bits, 0.8).failure
    bits[999] = 0
    assert not check_health(bits, 0.8).failure


def test_a_window_full_of_its_first_bit_fails_wherever_it_is():
    bits = np.tile(np.array([0, 1], np.uint8), 4096)
    bits[2048:3072] = np.tile(np.array([1, 1, 1, 0], np.uint8), 256)
    assert "768 times" in check_health(bits, 0.8).failure
    assert not check_health(bits, 0.5).failure


def test_each_conditioned_output_has_a_key_of_its_own():
    keys = iter((b"a" * 64, b"b" * 64))
    assert condition(b"raw", lambda _: next(keys)) != condition(b"raw", lambda _: next(keys))


def test_full_entropy_takes_what_it_gives_and_64_bits_more():
    assert full_entropy_input_bytes(1.0) == 72
    assert full_entropy_input_bytes(0.5) == 144
    assert len(full_entropy(bytes(144 * 3 + 143), 0.5, bytes)) == 3 * 64
