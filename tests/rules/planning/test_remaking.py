"""Plans made again: what can stay stays, what is announced is kept, nothing in is nothing out."""

from dataclasses import replace

import pytest

from mailmig.model.migration import Pin, Plan, PlanData, PlanMailbox, State
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.remaking import MOST_CHANGED, remake
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.companies import company
from tests.rules.planning.made import NOW, small, window
from tests.rules.planning.midway import midway

SETTINGS = PlanSettings()


@pytest.fixture(scope="module")
def data() -> PlanData:
    return company(260, 2)


@pytest.fixture(scope="module")
def plan(data: PlanData) -> Plan:
    return make(data, NOW, SETTINGS)


def test_where_nothing_changed_nothing_changes(data: PlanData, plan: Plan) -> None:
    again = remake(plan.assignments, data, NOW, SETTINGS)
    assert again is not None
    assert again.plan.assignments == plan.assignments
    assert again.changed == again.inserted == ()


def test_midway_only_those_without_a_window_get_another_one(plan: Plan) -> None:
    now = midway(plan)
    strict = remake(now.left, now.data, NOW, SETTINGS, changes=False)
    assert strict is not None
    assert check(strict.plan) == () and strict.changed == ()
    lost = {a.mailbox for a in now.left if a.window == now.lost}
    assert set(strict.inserted) == lost | now.failed
    moved = {m.identity for m in now.data.mailboxes if m.state is State.MOVED}
    assert moved.isdisjoint(a.mailbox for a in strict.plan.assignments)
    loose = remake(now.left, now.data, NOW, SETTINGS)
    assert loose is not None and check(loose.plan) == ()
    assert loose.plan.metrics.exposure <= strict.plan.metrics.exposure


def test_a_few_changes_pay_and_no_more_are_made_than_that(plan: Plan) -> None:
    now = midway(plan)
    strict = remake(now.left, now.data, NOW, SETTINGS, changes=False)
    loose = remake(now.left, now.data, NOW, SETTINGS)
    assert strict is not None and loose is not None
    assert 0 < len(loose.changed) <= MOST_CHANGED * len(plan.data.mailboxes)
    assert loose.plan.metrics.exposure < strict.plan.metrics.exposure


def test_nobody_enters_or_leaves_an_announced_window(plan: Plan) -> None:
    now = midway(plan)
    told = next(a.window for a in now.left if a.window != now.lost)
    before = {a.mailbox for a in now.left if a.window == told}
    again = remake(now.left, now.data, NOW, SETTINGS, frozenset({told}))
    assert again is not None
    assert {a.mailbox for a in again.plan.assignments if a.window == told} == before


def test_what_is_copied_keeps_its_database_when_its_window_is_lost(plan: Plan) -> None:
    now = midway(plan)
    copied = [a for a in now.left if a.window == now.lost]
    pins = tuple(Pin(a.mailbox, "is copied", database=a.database) for a in copied)
    data = replace(now.data, pins=(*now.data.pins, *pins))
    again = remake(now.left, data, NOW, SETTINGS)
    assert copied and again is not None and check(again.plan) == ()


def test_where_somebody_finds_no_room_there_is_no_anchored_plan() -> None:
    windows = (window("w1", 1, capacity_bytes=30), window("w2", 2, capacity_bytes=30))
    old = make(small((20, 20), windows), NOW)
    grown = small((20, 20), windows)
    wide = replace(grown, mailboxes=(*grown.mailboxes, PlanMailbox("new", 20)))
    assert remake(old.assignments, wide, NOW, SETTINGS) is None
