"""The month in which a growing mailbox is full."""

from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.model.quota import GIB, UNKNOWN, UNLIMITED, Month, Outlook, Quota
from mailmig.rules.quota_growth import Growth, month_of

NOW = Month(2026, 11)
TEN = Growth(10, NOW)


@pytest.mark.parametrize(
    ("used", "quota", "answer"),
    [
        (GIB, GIB, Outlook.ALREADY_FULL),
        (2 * GIB, GIB, Outlook.ALREADY_FULL),
        (0, 0, Outlook.ALREADY_FULL),
        (0, GIB, Outlook.NEVER),
        (GIB, UNLIMITED, Outlook.NEVER),
        (UNKNOWN, GIB, Outlook.UNKNOWN),
        (UNKNOWN, UNLIMITED, Outlook.UNKNOWN),
        (GIB, UNKNOWN, Outlook.UNKNOWN),
        (1, 2**60, Outlook.BEYOND),
        (GIB, GIB + 1, Month(2026, 12)),
        (10 * GIB, 11 * GIB, Month(2027, 11)),
        (100 * GIB, 121 * GIB, Month(2028, 11)),
        (1000 * GIB, 1331 * GIB, Month(2029, 11)),
        (1000 * GIB, 1331 * GIB + 1, Month(2029, 12)),
        (1000 * GIB, 1331 * GIB - 1, Month(2029, 11)),
    ],
)
def test_at_ten_per_cent_a_year(used: Quota, quota: Quota, answer: Month | Outlook) -> None:
    assert TEN.full(used, quota) == answer


def test_without_growth_nobody_is_ever_full_who_is_not_full_already() -> None:
    still = Growth(0, NOW)
    assert still.full(GIB - 1, GIB) is Outlook.NEVER
    assert still.full(GIB, GIB) is Outlook.ALREADY_FULL


def test_negative_growth_is_refused() -> None:
    with pytest.raises(ValueError, match="never fills a mailbox"):
        Growth(-1, NOW)


@given(
    st.integers(1, 2**40),
    st.integers(1, 2**40),
    st.fractions(Fraction(1, 10), 300, max_denominator=10),
)
@settings(deadline=None)
def test_the_month_is_the_first_in_which_the_quota_is_reached(
    used: int, quota: int, percent: Fraction
) -> None:
    answer = Growth(percent, NOW).full(used, quota)
    factor = 1 + percent / 100
    if isinstance(answer, Month):
        months = (answer.year - NOW.year) * 12 + answer.month - NOW.month
        assert 1 <= months <= 1200
        assert used**12 * factor**months >= quota**12
        assert used**12 * factor ** (months - 1) < quota**12
    elif answer is Outlook.BEYOND:
        assert used**12 * factor**1200 < quota**12
    else:
        assert answer is Outlook.ALREADY_FULL
        assert used >= quota


@given(st.integers(-600, 600))
@settings(deadline=None)
def test_months_count_through_the_years(months: int) -> None:
    there = NOW.plus(months)
    assert 1 <= there.month <= 12
    assert there.plus(-months) == NOW
    assert (there > NOW) == (months > 0)


def test_a_month_prints_as_it_sorts() -> None:
    assert str(Month(2031, 4)) == "2031-04"
    assert month_of(datetime(2026, 12, 31, 23, tzinfo=ZoneInfo("Europe/Berlin"))) == (2026, 12)
