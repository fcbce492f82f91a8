"""The fitted numbers, and the bounds that they give."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.prediction.model import MODEL, MODEL_FILE, Method, Model

METHODS = st.sampled_from(list(Method))


@given(st.floats(0, 1), METHODS, st.booleans())
@settings(deadline=None)
def test_bounds_hold_the_prediction_and_stay_within_0_and_1(value: float, method: Method, stale: bool):  # noqa: FBT001 - hypothesis draws it
    low, high = MODEL.bounds(value, method, stale=stale)
    assert 0 <= low <= value <= high <= 1


def test_the_rougher_the_method_the_wider_the_bounds():
    widths = []
    for method in Method:
        low, high = MODEL.bounds(0.8, method, stale=False)
        widths.append(high - low)
    assert widths == sorted(widths)


def test_a_stale_calibration_widens_the_bounds_downwards():
    for value in (0.99, 0.9, 0.5):
        fresh, stale = (MODEL.bounds(value, Method.IDEAL_MIXTURE, stale=each) for each in (False, True))
        assert stale[0] < fresh[0]


def test_a_model_without_a_band_for_a_method_is_refused():
    whole = msgspec.json.decode(MODEL_FILE.read_bytes())
    whole["bands"] = [band for band in whole["bands"] if band["method"] != "summary"]
    with pytest.raises(msgspec.ValidationError, match="no band for summary"):
        msgspec.convert(whole, Model)
