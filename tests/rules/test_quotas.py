"""Limits, headline, status and gain of one person: every formula of the quota rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.model.directory import Mailbox, Usage, UsageState
from mailmig.model.quota import (
    GIB,
    KIB,
    MIB,
    UNKNOWN,
    UNLIMITED,
    Change,
    Limit,
    Quota,
    QuotaGain,
    Quotas,
    Standing,
    whole_kib,
)
from mailmig.rules.quota_errors import order_violations
from mailmig.rules.quotas import Holding, effective, used_bytes

SIZES = st.integers(min_value=0, max_value=2**41)
KIBS = st.integers(min_value=0, max_value=2**31 - 1).map(lambda kib: kib * KIB)
QUOTAS = KIBS | st.sampled_from(Limit)
USED = SIZES | st.just(UNKNOWN)

DEFAULTS = Quotas(9 * MIB, 10 * MIB, 12 * MIB)
OWN = Quotas(UNLIMITED, UNLIMITED, 2 * GIB)


def box(flag: bool | None, own: Quotas = OWN) -> Mailbox:
    return Mailbox("g", use_database_quotas=flag, own=own)


def test_own_values_are_ignored_while_the_mailbox_uses_the_defaults_of_its_database() -> None:
    assert effective(box(True), DEFAULTS) == DEFAULTS


def test_own_values_hold_when_the_flag_is_off_even_where_they_are_unlimited() -> None:
    assert effective(box(False), DEFAULTS) == OWN


def test_nobody_knows_what_holds_without_the_flag() -> None:
    assert effective(box(None), DEFAULTS) == Quotas(UNKNOWN, UNKNOWN, UNKNOWN)


def test_a_missing_default_stays_unknown_and_never_falls_through_to_unlimited_or_to_own() -> None:
    assert effective(box(True), Quotas()).headline is UNKNOWN
    assert effective(box(False, Quotas()), DEFAULTS).headline is UNKNOWN


def test_limits_are_compared_in_whole_kilobytes_rounded_up() -> None:
    assert effective(box(True), Quotas(1, 1024, 1025)) == Quotas(1024, 1024, 2048)
    assert whole_kib(0) == 0
    # the largest value that Exchange takes is 2**31 - 1 KB
    assert whole_kib(2199023254528) == 2199023254528


@pytest.mark.parametrize(
    ("send", "receive", "headline"),
    [
        (2 * GIB, 3 * GIB, 2 * GIB),
        (3 * GIB, 2 * GIB, 2 * GIB),
        (UNLIMITED, 2 * GIB, 2 * GIB),
        (2 * GIB, UNLIMITED, 2 * GIB),
        (UNLIMITED, UNLIMITED, UNLIMITED),
        (0, UNLIMITED, 0),
        (UNKNOWN, 2 * GIB, UNKNOWN),
        (2 * GIB, UNKNOWN, UNKNOWN),
        (UNKNOWN, UNLIMITED, UNKNOWN),
    ],
)
def test_the_headline_is_the_smaller_finite_one_of_send_and_receive(
    send: Quota, receive: Quota, headline: Quota
) -> None:
    assert Quotas(MIB, send, receive).headline == headline


LIMITS = Quotas(warn=90, send=100, receive=120)


@pytest.mark.parametrize(
    ("used", "standing"),
    [
        (89, Standing.BELOW_LIMIT),
        (90, Standing.ISSUE_WARNING),
        (99, Standing.ISSUE_WARNING),
        (100, Standing.PROHIBIT_SEND),
        (119, Standing.PROHIBIT_SEND),
        (120, Standing.MAILBOX_DISABLED),
        (UNKNOWN, Standing.UNKNOWN),
    ],
)
def test_a_limit_bites_when_usage_reaches_it(used: Quota, standing: Standing) -> None:
    assert LIMITS.standing(used) is standing


def test_a_quota_of_zero_is_reached_by_an_empty_mailbox() -> None:
    assert Quotas(0, 0, 0).standing(0) is Standing.MAILBOX_DISABLED


def test_nothing_is_checked_only_where_all_three_limits_are_unlimited() -> None:
    assert Quotas(UNLIMITED, UNLIMITED, UNLIMITED).standing(5) is Standing.NO_CHECKING
    assert Quotas(UNLIMITED, UNLIMITED, 9).standing(5) is Standing.BELOW_LIMIT
    assert Quotas(UNLIMITED, UNLIMITED, UNLIMITED).standing(UNKNOWN) is Standing.UNKNOWN


def test_a_limit_that_is_unknown_makes_the_status_unknown_unless_a_harder_one_is_reached() -> None:
    assert Quotas(90, UNKNOWN, 120).standing(95) is Standing.UNKNOWN
    assert Quotas(90, UNKNOWN, 120).standing(120) is Standing.MAILBOX_DISABLED
    assert Quotas(90, 100, UNKNOWN).standing(100) is Standing.UNKNOWN
    assert Quotas(UNKNOWN, 100, 120).standing(100) is Standing.PROHIBIT_SEND


def test_usage_is_the_size_without_recoverable_items() -> None:
    assert used_bytes(Usage(UsageState.KNOWN, 500, deleted_bytes=70)) == 500


def test_a_never_used_mailbox_uses_zero_and_an_unknown_one_is_no_number() -> None:
    assert used_bytes(Usage(UsageState.NEVER_USED)) == 0
    assert used_bytes(Usage(UsageState.UNKNOWN)) is UNKNOWN
    assert used_bytes(Usage(UsageState.KNOWN, None)) is UNKNOWN


@pytest.mark.parametrize(
    ("quotas", "used", "headroom"),
    [
        (LIMITS, 30, 70),
        (LIMITS, 130, -30),
        (LIMITS, UNKNOWN, UNKNOWN),
        (Quotas(), 30, UNKNOWN),
        (Quotas(UNLIMITED, UNLIMITED, UNLIMITED), 30, UNLIMITED),
    ],
)
def test_headroom_is_the_quota_minus_what_is_used(
    quotas: Quotas, used: Quota, headroom: Quota
) -> None:
    assert Holding(quotas, used, "DB", "database").headroom == headroom


@pytest.mark.parametrize(
    ("gain", "change"),
    [
        (QuotaGain(100, UNLIMITED), Change.NOW_UNLIMITED),
        (QuotaGain(UNLIMITED, 100), Change.NEWLY_LIMITED),
        (QuotaGain(UNLIMITED, UNLIMITED), Change.UNCHANGED),
        (QuotaGain(100, 100), Change.UNCHANGED),
        (QuotaGain(0, 100), Change.GAINED),
        (QuotaGain(100, 99), Change.REDUCED),
        (QuotaGain(100, 150, 10, 60), Change.EATEN_BY_GROWTH),
        (QuotaGain(100, 150, 10, 59), Change.GAINED),
        (QuotaGain(100, 150, UNKNOWN, 59), Change.GAINED),
        (QuotaGain(100, 100, 10, 60), Change.UNCHANGED),
        (QuotaGain(UNKNOWN, 100), Change.UNKNOWN),
        (QuotaGain(100, UNKNOWN), Change.UNKNOWN),
        (QuotaGain(UNKNOWN, UNLIMITED), Change.UNKNOWN),
        (QuotaGain(UNKNOWN, UNKNOWN), Change.UNKNOWN),
    ],
)
def test_every_pair_of_quotas_is_one_kind_of_change(gain: QuotaGain, change: Change) -> None:
    assert gain.change is change


def test_a_switch_to_or_from_unlimited_is_no_number() -> None:
    for gain in (QuotaGain(100, UNLIMITED, 1, 2), QuotaGain(UNLIMITED, 100, 1, 2)):
        assert (gain.assigned, gain.usable, gain.percent_more, gain.multiple) == (None,) * 4
        assert gain.used_growth == 1


def test_from_a_quota_of_zero_there_is_a_gain_in_bytes_but_no_per_cent() -> None:
    gain = QuotaGain(0, 100, 0, 0)
    assert (gain.assigned, gain.usable) == (100, 100)
    assert gain.percent_more is None
    assert gain.multiple is None


def test_usage_that_is_unknown_leaves_the_assigned_gain_and_nothing_else() -> None:
    gain = QuotaGain(100, 300, 50, UNKNOWN)
    assert gain.assigned == 200
    assert gain.percent_more == 200.0
    assert gain.usable is UNKNOWN
    assert gain.used_growth is UNKNOWN


def test_two_hundred_per_cent_more_is_three_times_as_much() -> None:
    gain = QuotaGain(200 * MIB, 600 * MIB)
    assert gain.percent_more == 200.0
    assert gain.multiple == 3.0


def test_a_mailbox_that_shrank_has_more_usable_gain_than_assigned_gain() -> None:
    assert QuotaGain(100, 150, 80, 60).usable == 70


@given(KIBS, KIBS, SIZES, SIZES)
@settings(deadline=None)
def test_what_a_user_gains_one_way_is_lost_on_the_way_back(
    one: int, other: int, used_one: int, used_other: int
) -> None:
    there = QuotaGain(one, other, used_one, used_other)
    back = QuotaGain(other, one, used_other, used_one)
    for name in ("assigned", "used_growth", "usable"):
        assert getattr(there, name) + getattr(back, name) == 0


@given(KIBS, KIBS, SIZES, SIZES)
@settings(deadline=None)
def test_the_usable_gain_is_the_growth_of_free_space(
    before: int, after: int, used_before: int, used_after: int
) -> None:
    gain = QuotaGain(before, after, used_before, used_after)
    assert gain.usable == (after - used_after) - (before - used_before)


@given(QUOTAS, QUOTAS, USED, USED)
@settings(deadline=None)
def test_unknown_is_never_a_number(
    before: Quota, after: Quota, used_before: Quota, used_after: Quota
) -> None:
    gain = QuotaGain(before, after, used_before, used_after)
    if UNKNOWN in (before, after):
        assert gain.change is Change.UNKNOWN
        results = (gain.assigned, gain.usable, gain.percent_more, gain.multiple)
        assert all(result is UNKNOWN for result in results)
    elif UNKNOWN in (used_before, used_after):
        assert not isinstance(gain.usable, int)
        assert gain.used_growth is UNKNOWN
    if UNLIMITED in (before, after):
        assert not isinstance(gain.assigned, int)


@given(st.builds(Quotas, QUOTAS, QUOTAS, QUOTAS), USED)
@settings(deadline=None)
def test_who_is_told_to_be_fine_is_below_every_limit(quotas: Quotas, used: Quota) -> None:
    standing = quotas.standing(used)
    limits = (quotas.warn, quotas.send, quotas.receive)
    if standing in (Standing.BELOW_LIMIT, Standing.NO_CHECKING):
        assert isinstance(used, int)
        assert UNKNOWN not in limits
        assert all(used < limit for limit in limits if isinstance(limit, int))


def test_limits_in_the_wrong_order_are_named() -> None:
    assert list(order_violations(Quotas(3 * KIB, 2 * KIB, KIB))) == [
        "IssueWarningQuota is larger than ProhibitSendReceiveQuota",
        "ProhibitSendQuota is larger than ProhibitSendReceiveQuota",
    ]
    assert list(order_violations(Quotas(3 * KIB, 3 * KIB, 3 * KIB))) == []


def test_limits_that_are_unlimited_or_unknown_or_the_same_in_whole_kb_are_in_order() -> None:
    assert list(order_violations(Quotas(UNLIMITED, UNLIMITED, KIB))) == []
    assert list(order_violations(Quotas(UNKNOWN, 5 * KIB, UNKNOWN))) == []
    assert list(order_violations(Quotas(1024, 1024, 1001))) == []
