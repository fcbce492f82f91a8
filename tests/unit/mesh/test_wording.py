import pytest

from mesh.wording import bytes_text, count_text, duration_text


@pytest.mark.parametrize(("bits", "text"), [(0, "1"), (2, "4"), (20, "1,048,576"), (21, "2^21"), (100, "2^100")])
def test_powers_are_written_in_full_while_they_can_be_read(bits: int, text: str):
    assert count_text(bits) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"), (4 * 2**30, "4 GiB"), (2**62, "4,096 PiB")],
)
def test_memory_is_told_in_binary_units(count: int, text: str):
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00081, "0.8 ms"),
        (0.0123, "12 ms"),
        (0.999, "999 ms"),
        (3.42, "3.4 s"),
        (119.0, "119 s"),
        (600.0, "10 min"),
        (18_000.0, "5 h"),
        (1_036_800.0, "12 days"),
    ],
)
def test_durations_have_two_digits_and_a_unit_that_fits(seconds: float, text: str):
    assert duration_text(seconds) == text
