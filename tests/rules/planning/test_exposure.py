"""Exposure: by share, by gap, and by the definition with nested sets, it is one number."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings

from mailmig.model.migration import (
    Assignment,
    Freeze,
    Pin,
    PlanData,
    PlanMailbox,
    Share,
    State,
)
from mailmig.rules.planning.capacity import capacities
from mailmig.rules.planning.exposure import exposure, survey
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.refusals import Infeasible
from mailmig.rules.planning.what_if import without_pin
from tests.rules.planning.companies import company
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, organisation, plan, small, window

DAYS = (window("w1", 2), window("w2", 3), window("w3", 10))


def assigned(**windows: str) -> tuple[Assignment, ...]:
    return tuple(Assignment(name, at, "TDB1") for name, at in windows.items())


def trio(*shares: Share) -> PlanData:
    mailboxes = tuple(PlanMailbox(name, 1) for name in "abc")
    return small(windows=DAYS, mailboxes=mailboxes, shares=shares)


def by_nested_sets(data: PlanData, assignments: tuple[Assignment, ...]) -> float:
    """Straight from the definition: the cut of all that was moved so far, times the gap."""
    ends = {w.id: data.calendar.day(w.end) for w in data.calendar.windows}
    moved_on = {a.mailbox: ends[a.window] for a in assignments}
    moved_on |= {m.identity: 0.0 for m in data.mailboxes if m.state is State.MOVED}
    stops = sorted({0.0, *moved_on.values()})
    total = 0.0
    for day, next_day in pairwise(stops):
        moved = {name for name, on in moved_on.items() if on <= day}
        for share in data.shares:
            if share.delegate in moved and share.owner not in moved:
                total += data.new_delegate * share.weight * (next_day - day)
            if share.owner in moved and share.delegate not in moved:
                total += data.new_owner * share.weight * (next_day - day)
    return total


@settings(max_examples=40, deadline=None)
@given(problems())
def test_share_by_share_gap_by_gap_and_right_by_right_agree(data: PlanData) -> None:
    try:
        made = plan(data)
    except Infeasible:
        assume(False)
    metrics = made.metrics
    assert sum(gap.exposure for gap in metrics.per_gap) == pytest.approx(metrics.exposure)
    assert sum(metrics.per_right.values()) == pytest.approx(metrics.exposure)
    assert exposure(made.data, made.assignments) == pytest.approx(metrics.exposure)
    assert by_nested_sets(made.data, made.assignments) == pytest.approx(metrics.exposure)


def test_a_cut_costs_its_weight_times_the_days_between() -> None:
    data = trio(Share("a", "b", "FullAccess", 5.0), Share("b", "c", "SendAs", 3.0))
    assert exposure(data, assigned(a="w1", b="w3", c="w3")) == 5.0 * 8


def test_direction_may_weigh_differently() -> None:
    data = replace(trio(Share("a", "b", "FullAccess", 1.0)), new_delegate=10.0, new_owner=2.0)
    owner_first = exposure(data, assigned(a="w1", b="w2", c="w1"))
    delegate_first = exposure(data, assigned(a="w2", b="w1", c="w1"))
    assert (owner_first, delegate_first) == (2.0, 10.0)


def test_who_has_no_window_counts_until_the_deadline() -> None:
    data = trio(Share("a", "b", "FullAccess", 1.0))
    assert exposure(data, assigned(a="w1")) == 8.0
    late = replace(data, calendar=replace(data.calendar, deadline=DAYS[2].end + timedelta(days=5)))
    assert exposure(late, assigned(a="w1")) == 13.0
    assert survey(late, assigned(a="w1")).gaps[-1].before == "deadline"


def test_who_was_moved_before_counts_from_the_start() -> None:
    data = trio(Share("a", "b", "FullAccess", 2.0))
    moved = (replace(data.mailboxes[0], state=State.MOVED), *data.mailboxes[1:])
    found = survey(replace(data, mailboxes=moved), assigned(b="w2", c="w1"))
    assert found.total == 6.0
    assert [(gap.after, gap.before, gap.cut_weight) for gap in found.gaps] == [
        ("", "w1", 2.0), ("w1", "w2", 2.0),
    ]  # fmt: skip


def test_people_are_counted_once_however_many_shares_are_cut() -> None:
    data = trio(
        Share("a", "c", "FullAccess", 5.0),
        Share("b", "c", "FullAccess", 5.0),
        Share("c", "a", "SendAs", 0.0),
        Share("b", "a", "SendAs", 1.0),
    )
    found = survey(data, assigned(a="w1", b="w1", c="w3"))
    assert (found.delegates, found.delegates_cut, found.person_days) == (2, 1, 8.0)


def test_the_worst_shares_come_first_with_all_their_rights() -> None:
    data = trio(
        Share("a", "b", "SendAs", 3.0),
        Share("a", "c", "FullAccess", 5.0),
        Share("a", "c", "SendAs", 3.0),
    )
    worst = survey(data, assigned(a="w1", b="w2", c="w2")).worst
    assert [(w.owner, w.delegate, w.rights, w.exposure) for w in worst] == [
        ("a", "c", ("FullAccess", "SendAs"), 8.0), ("a", "b", ("SendAs",), 3.0),
    ]  # fmt: skip


def test_a_gap_names_its_freeze_and_who_carries_most() -> None:
    data = trio(Share("a", "b", "FullAccess", 5.0), Share("a", "c", "SendAs", 3.0))
    freeze = Freeze(DAYS[1].end, DAYS[2].start, "elections")
    data = replace(data, calendar=replace(data.calendar, freezes=(freeze,)))
    gaps = survey(data, assigned(a="w2", b="w3", c="w3")).gaps
    assert [gap.freezes for gap in gaps] == [(), ("elections",)]
    carried = [(c.mailbox, c.exposure) for c in gaps[1].mailboxes]
    assert carried == [("a", 56.0), ("b", 35.0), ("c", 21.0)]


def test_a_pin_costs_what_its_mailbox_would_save_elsewhere() -> None:
    data = trio(Share("a", "b", "FullAccess", 5.0))
    made = plan(replace(data, pins=(Pin("a", "pilot", window="w3"), Pin("b", window="w1"))))
    assert [(p.pin.identity, p.exposure) for p in made.metrics.pin_prices] == [
        ("a", 40.0), ("b", 40.0),
    ]  # fmt: skip


def test_the_order_of_rows_does_not_decide_what_a_plan_costs() -> None:
    made = make(organisation(260, 4), NOW)
    turned = replace(made.data, shares=made.data.shares[::-1])
    assert exposure(turned, made.assignments) == pytest.approx(made.metrics.exposure)


@settings(max_examples=30, deadline=None)
@given(problems())
def test_the_price_of_a_pin_is_found_as_if_every_window_was_tried(data: PlanData) -> None:
    try:
        made = plan(data)
    except Infeasible:
        assume(False)
    windows = [capacity.window.id for capacity in capacities(made.data)]
    for price in made.metrics.pin_prices:
        costs = []
        for window_id in windows:
            there = tuple(
                replace(a, window=window_id) if a.mailbox == price.pin.identity else a
                for a in made.assignments
            )
            costs.append(exposure(made.data, there))
        assert price.exposure == pytest.approx(made.metrics.exposure - min(costs), abs=1e-9)


def test_an_optimal_plan_saves_at_least_the_price_of_a_pin_when_made_without_it() -> None:
    """The price lets all others stay; who plans anew without the pin may save more, not less."""
    data = trio(
        Share("a", "b", "FullAccess", 5.0), Share("b", "c", "SendAs", 3.0),
        Share("a", "c", "Delegate", 2.0),
    )  # fmt: skip
    pinned = plan(replace(data, pins=(Pin("a", "pilot", window="w3"), Pin("b", window="w1"))))
    for price in pinned.metrics.pin_prices:
        freed = plan(without_pin(pinned.data, price.pin.identity))
        saved = pinned.metrics.exposure - freed.metrics.exposure
        assert 0 < price.exposure <= saved


def test_the_prices_of_a_freeze_and_of_the_pilot_are_what_the_same_plan_saves_without_them() -> (
    None
):
    made = make(company(60, 3, 6), NOW)
    calendar, metrics = made.data.calendar, made.metrics
    freeze = calendar.freezes[0]
    pause = freeze.end - freeze.start
    sooner = [
        replace(w, start=w.start - pause, end=w.end - pause) if w.start >= freeze.end else w
        for w in calendar.windows
    ]
    unfrozen = replace(calendar, windows=tuple(sooner), freezes=(), deadline=None)
    cost = exposure(replace(made.data, calendar=unfrozen), made.assignments)
    assert metrics.freeze_prices[0].exposure == pytest.approx(metrics.exposure - cost)
    pilot, following = calendar.windows[:2]
    late = (replace(pilot, start=following.start, end=following.end), *calendar.windows[1:])
    together = replace(calendar, windows=late)
    cost = exposure(replace(made.data, calendar=together), made.assignments)
    assert metrics.pilot_price == pytest.approx(metrics.exposure - cost)
    assert pilot.pilot and metrics.pilot_price > 0
