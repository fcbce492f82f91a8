import datetime as dt

import pytest

from services.billing.period import Period, end_of, month_bounds, name_of, names_of


def test_a_moment_is_in_a_month_and_on_a_day():
    assert names_of(dt.datetime(2026, 3, 4, 5, tzinfo=dt.UTC)) == ("2026-03", "2026-03-04")


@pytest.mark.parametrize(
    ("day", "next_month", "next_day"),
    [((2026, 12, 31), (2027, 1, 1), (2027, 1, 1)), ((2028, 2, 28), (2028, 3, 1), (2028, 2, 29))],
)
def test_a_period_ends_where_the_next_begins(
    day: tuple[int, int, int], next_month: tuple[int, int, int], next_day: tuple[int, int, int]
):
    last = dt.datetime(*day, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    for period, end in ((Period.MONTH, next_month), (Period.DAY, next_day)):
        assert end_of(period, last) == dt.datetime(*end, tzinfo=dt.UTC)
        assert name_of(period, end_of(period, last)) > name_of(period, last)


def test_months_in_order_of_time_are_in_order_of_their_names():
    months = [dt.datetime(year, month, 1, tzinfo=dt.UTC) for year in (900, 2026) for month in range(1, 13)]
    names = [name_of(Period.MONTH, month) for month in months]
    assert names == sorted(names)
    assert [month_bounds(name)[0] for name in names] == months


@pytest.mark.parametrize("month", ["0000-01", "2026-13", "9999-12", "2026"])
def test_a_month_that_cannot_be_is_refused(month: str):
    with pytest.raises((ValueError, OverflowError)):
        month_bounds(month)
