"""The fitted numbers, and the bounds that they give."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.prediction.model import MODEL, MODEL_FILE, Method, Model

METHODS = st.sampled_from(list(Method))


@given(st.floats(0, 1), METHODS, st.floats(0, 1))
@settings(deadline=None)
def test_bounds_hold_the_prediction_and_stay_within_0_and_1(value: float, method: Method, staleness: float):
    low, high = MODEL.bounds(value, method, staleness=staleness)
    assert 0 <= low <= value <= high <= 1


def test_the_rougher_the_method_the_wider_the_bounds():
    widths = []
    for method in Method:
        low, high = MODEL.bounds(0.8, method, staleness=0)
        widths.append(high - low)
    assert widths == sorted(widths)


def test_the_older_the_calibration_the_lower_the_lower_bound():
    for value in (0.99, 0.9, 0.5):
        lows = [MODEL.bounds(value, Method.IDEAL_MIXTURE, staleness=each / 4)[0] for each in range(5)]
        assert lows == sorted(set(lows), reverse=True)


def test_a_model_without_a_band_for_a_method_is_refused():
    whole = msgspec.json.decode(MODEL_FILE.read_bytes())
    whole["bands"] = [band for band in whole["bands"] if band["method"] != "summary"]
    with pytest.raises(msgspec.ValidationError, match="no band for summary"):
        msgspec.convert(whole, Model)
