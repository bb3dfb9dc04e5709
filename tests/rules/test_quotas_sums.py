"""Sums, averages and percentiles of gains."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.model.quota import GIB, KIB, MIB, UNKNOWN, UNLIMITED, Change, Limit, Quota
from mailmig.rules.quota_sums import byte_spread, percentile, spread, sums, sums_by
from mailmig.rules.quotas import PersonGain, compare
from tests.rules.quota_people import AFTER, mailbox, snapshot, town

QUOTAS = st.integers(0, 2**31 - 1).map(lambda kib: kib * KIB) | st.sampled_from(Limit)
PAIRS = st.lists(st.tuples(QUOTAS, QUOTAS, st.sampled_from(["", "A", "B"])), max_size=12)


def people(pairs: Sequence[tuple[Quota, Quota, str]]) -> tuple[PersonGain, ...]:
    """Somebody with quotas of his own before and after, for each pair."""
    befores = [mailbox(n, own=one, department=where) for n, (one, _, where) in enumerate(pairs)]
    afters = [mailbox(n, own=other, department=where) for n, (_, other, where) in enumerate(pairs)]
    return compare(snapshot(*befores), snapshot(*afters, id="b2", taken_at=AFTER)).people


def test_only_people_with_finite_quotas_on_both_sides_are_in_the_averages() -> None:
    total = sums(
        people(
            [
                (100 * MIB, 300 * MIB, ""),
                (100 * MIB, 200 * MIB, ""),
                (100 * MIB, UNLIMITED, ""),
                (UNLIMITED, 100 * MIB, ""),
                (UNKNOWN, 100 * MIB, ""),
            ]
        )
    )
    assert (total.people, total.compared) == (5, 2)
    assert total.gain
    assert total.gain.mean == 150 * MIB
    assert total.gain_bytes == 300 * MIB
    assert total.percent_more == 150.0
    assert total.changes == {
        Change.GAINED: 2,
        Change.NOW_UNLIMITED: 1,
        Change.NEWLY_LIMITED: 1,
        Change.UNKNOWN: 1,
    }


def test_nobody_to_compare_gives_no_average_and_no_zero() -> None:
    total = sums(people([(UNKNOWN, GIB, "")]))
    assert total.gain is None
    assert total.percent is None
    assert total.percent_more is None


def test_somebody_who_had_zero_counts_in_bytes_and_not_in_per_cent() -> None:
    total = sums(people([(0, MIB, ""), (MIB, 2 * MIB, "")]))
    assert total.gain
    assert total.percent
    assert total.gain.mean == MIB
    assert (total.percent.least, total.percent.largest) == (100.0, 100.0)


@pytest.mark.parametrize(
    ("numbers", "median", "mean"),
    [
        ([5], 5, 5),
        ([1, 2], 2, 2),  # 1.5, to the even neighbour
        ([2, 3], 2, 2),  # 2.5, to the even neighbour
        ([0, 0, 1], 0, 0),
        ([10**18, 10**18 + 2], 10**18 + 1, 10**18 + 1),
        ([-5, 0, 1], 0, -1),
    ],
)
def test_an_average_is_exact_and_rounded_once(numbers: list[int], median: int, mean: int) -> None:
    found = byte_spread(numbers)
    assert found
    assert (found.median, found.mean) == (median, mean)


def test_percentiles_are_numbers_that_somebody_has() -> None:
    ten = list(range(1, 11))
    assert (percentile(ten, 10), percentile(ten, 90), percentile(ten, 100)) == (1, 9, 10)
    eleven = list(range(1, 12))
    assert (percentile(eleven, 10), percentile(eleven, 90)) == (2, 10)
    assert percentile([7], 0) == 7


@given(st.lists(st.integers(-(2**50), 2**50), min_size=1))
@settings(deadline=None)
def test_at_least_so_many_per_cent_lie_at_or_below_a_percentile(numbers: list[int]) -> None:
    found = byte_spread(numbers)
    assert found
    for percent, value in ((10, found.p10), (90, found.p90)):
        assert sum(n <= value for n in numbers) * 100 >= percent * len(numbers)
        assert sum(n < value for n in numbers) * 100 < percent * len(numbers)
    assert found.least <= found.p10 <= found.median <= found.p90 <= found.largest


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_averages_do_not_depend_on_the_order(numbers: list[float], random: object) -> None:
    mixed = list(numbers)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert spread(mixed) == spread(numbers)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_the_sums_of_the_groups_are_the_total_to_the_byte(
    pairs: list[tuple[Quota, Quota, str]],
) -> None:
    everybody = people(pairs)
    total = sums(everybody)
    groups = sums_by(everybody, lambda person: person.mailbox.department).values()
    for field in ("people", "compared", "before_bytes", "after_bytes", "gain_bytes", "over_after"):
        assert sum(getattr(group, field) for group in groups) == getattr(total, field)
    for change in Change:
        assert sum(g.changes.get(change, 0) for g in groups) == total.changes.get(change, 0)


def test_groups_are_in_the_order_of_their_names() -> None:
    everybody = people([(MIB, GIB, name) for name in ("b", "a", "", "A")])
    assert list(sums_by(everybody, lambda p: p.mailbox.department)) == ["", "A", "a", "b"]


def test_the_town_gains_what_the_case_says() -> None:
    total = sums(compare(*town(500)).people)
    assert total.gain
    assert total.percent
    assert total.people == 500
    assert round(total.gain.mean / MIB) == 600
    assert total.gain.largest == 2 * GIB
    assert total.percent.least >= 200
    assert total.percent.largest <= 500
