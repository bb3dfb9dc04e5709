"""Planning again in mid-migration: the laws, over drawn plans and drawn states of their moves."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailmig.model.migration import Assignment, Pin, Plan, PlanData, Progress, State, Told
from mailmig.rules.planning import proving
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.progress import midway
from mailmig.rules.planning.refusals import Infeasible
from mailmig.rules.planning.settings import PlanSettings
from mailmig.run.replanning import Replanned, replan
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, small, window

SETTINGS = PlanSettings(seeds=1)
GONE = (Progress.MOVED, Progress.FAILED, Progress.EXCLUDED)


@pytest.fixture(scope="module", autouse=True)
def unproven() -> Iterator[None]:
    """A proof takes longer than the search, and nothing here is about it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(proving, "PROVED", 0)
        yield


def planned(data: PlanData) -> Plan:
    try:
        plan = make(data, NOW)
    except Infeasible:
        assume(False)
        raise
    assume(plan.assignments)
    return plan


def again(plan: Plan, told: tuple[Told, ...], announced: tuple[str, ...]) -> Replanned:
    try:
        return replan(plan, plan.data, told, announced, NOW, SETTINGS)
    except Infeasible:
        assume(False)
        raise


def states(plan: Plan, drawn: list[Progress]) -> tuple[Told, ...]:
    return tuple(
        Told(a.mailbox, progress) for a, progress in zip(plan.assignments, drawn, strict=False)
    )


def in_windows(assignments: tuple[Assignment, ...], ids: tuple[str, ...]) -> set[tuple[str, str]]:
    return {(a.mailbox, a.window) for a in assignments if a.window in ids}


STATES = st.lists(st.sampled_from(Progress), max_size=12)


@settings(max_examples=40, deadline=None)
@given(problems(), STATES, st.data())
def test_no_plan_made_again_breaks_a_rule_moves_the_moved_or_touches_the_announced(
    data: PlanData, drawn: list[Progress], more: st.DataObject
) -> None:
    old = planned(data)
    told = states(old, drawn)
    used = sorted({a.window for a in old.assignments})
    announced = tuple(more.draw(st.lists(st.sampled_from(used), max_size=2, unique=True)))
    found = again(old, told, announced)
    progress = {each.mailbox: each.progress for each in told}
    done = {name for name, far in progress.items() if far in (Progress.MOVED, Progress.EXCLUDED)}
    left = tuple(a for a in old.assignments if progress.get(a.mailbox) not in GONE)
    bound = {pin.identity for pin in data.pins}
    for remade in (found.anchored, found.full):
        if remade is None:
            continue
        assert check(remade.plan) == ()
        assert done.isdisjoint(a.mailbox for a in remade.plan.assignments)
        moved = {m.identity for m in remade.plan.data.mailboxes if m.state is State.MOVED}
        assert {name for name, far in progress.items() if far is Progress.MOVED} <= moved
        extra = in_windows(remade.plan.assignments, announced) ^ in_windows(left, announced)
        # who has no other window: the failed whom a pin leads there again
        failed = {name for name, far in progress.items() if far is Progress.FAILED}
        assert {name for name, _ in extra} <= failed & bound
        assert {pin.text for pin in remade.plan.data.pins}.isdisjoint({"was told so"})
        assert set(remade.plan.data.calendar.windows) <= set(data.calendar.windows)


@settings(max_examples=25, deadline=None)
@given(problems(), STATES)
def test_what_is_copied_stays_with_its_database(data: PlanData, drawn: list[Progress]) -> None:
    old = planned(data)
    told = states(old, drawn)
    found = again(old, told, ())
    copied = {t.mailbox for t in told if t.progress in (Progress.COPYING, Progress.SYNCED)}
    went = {a.mailbox: a.database for a in old.assignments if a.mailbox in copied}
    for remade in (found.anchored, found.full):
        if remade is not None:
            places = {a.mailbox: a.database for a in remade.plan.assignments}
            assert {name: places[name] for name in went} == went


@settings(max_examples=40, deadline=None)
@given(problems())
def test_nothing_changed_in_is_nothing_changed_out(data: PlanData) -> None:
    old = planned(data)
    found = again(old, (), ())
    assert found.anchored is not None
    assert found.anchored.plan.assignments == old.assignments
    assert found.anchored.plan.data == old.data
    assert found.anchored.changed == found.anchored.inserted == ()
    assert midway(old.data, old.assignments, (), NOW).left == old.assignments


@pytest.mark.parametrize("failed", [True, False])
def test_a_pin_leads_into_an_announced_window_and_the_plan_says_so(failed: bool) -> None:
    """Whose move failed is tried again there; whoever is pinned to it afterwards has to be told."""
    windows = tuple(window(f"w{n}", n, max_mailboxes=3) for n in (1, 2, 3))
    pins = (Pin("m0@corp.example", "ill", window="w2"), Pin("m1@corp.example", "", window="w2"))
    old = make(small((1, 1, 1, 1), windows, pins=pins), NOW)
    who = "m0@corp.example" if failed else "m2@corp.example"
    told = (Told(who, Progress.FAILED),) if failed else ()
    data = replace(old.data, pins=(*pins, *(() if failed else (Pin(who, "new", window="w2"),))))
    found = replan(old, data, told, ("w2",), NOW, SETTINGS)
    assert found.anchored is not None
    for remade in (found.anchored, found.full):
        assert check(remade.plan) == ()
        there = {a.mailbox for a in remade.plan.assignments if a.window == "w2"}
        assert there == {"m0@corp.example", "m1@corp.example", who}
        said = [note.items for note in remade.plan.notes if "announced window" in note.text]
        assert said == [(who,)]
        assert remade.plan.data.pins == data.pins
        assert remade.plan.data.calendar == data.calendar
