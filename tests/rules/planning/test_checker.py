"""The checker finds each rule that is broken, and nothing in a sound plan."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mailmig.model.migration import (
    Assignment,
    Freeze,
    Mode,
    Pin,
    PlanData,
    PlanMailbox,
    PlanMetrics,
    Rule,
    Share,
    SourceLimit,
    State,
    Target,
    TargetDatabase,
    TargetServer,
    Window,
)
from mailmig.model.quota import GIB
from mailmig.rules.planning.checker import check, check_assignments
from tests.rules.planning.made import few, plan, small, window

BOTH = tuple(Assignment(f"m{n}", "w1", "A") for n in range(2))


def data(
    first: Window | None = None,
    pins: tuple[Pin, ...] = (),
    mode: Mode = Mode.CLASSIC,
    **more: object,
) -> PlanData:
    """m0 (30 bytes) and m1 (20), windows w1 and w2, databases A and B on one server."""
    mailboxes = (
        PlanMailbox("m0", 30, source_database="SRC"),
        PlanMailbox("m1", 20, source_database="SRC"),
    )
    databases = (TargetDatabase("A", 100, None, "EX"), TargetDatabase("B", 100, None, "EX"))
    made = small(
        windows=(first or window("w1", 1), window("w2", 2)),
        mailboxes=mailboxes, pins=pins, target=Target(databases),
    )  # fmt: skip
    calendar = replace(
        made.calendar, mode=mode, copy_bytes_per_day=49 if mode is Mode.PRESTAGE else None
    )
    return replace(made, calendar=calendar, **more)  # type: ignore[arg-type]


def target(**more: object) -> Target:
    return replace(data().target, **more)  # type: ignore[arg-type]


def frozen(made: PlanData) -> PlanData:
    first = made.calendar.windows[0]
    freeze = Freeze(first.start - timedelta(days=1), first.start + timedelta(minutes=1), "pause")
    return replace(made, calendar=replace(made.calendar, freezes=(freeze,)))


def late(made: PlanData) -> PlanData:
    end = made.calendar.windows[0].end - timedelta(seconds=1)
    return replace(made, calendar=replace(made.calendar, deadline=end))


SMALL_A = (TargetDatabase("A", 49, None, "EX"), TargetDatabase("B", 100, None, "EX"))
LOGS_A = (TargetDatabase("A", 100, 49, "EX"), TargetDatabase("B", 100, None, "EX"))

BROKEN: list[tuple[Rule, PlanData, str]] = [
    (Rule.WINDOW_BYTES, data(window("w1", 1, capacity_bytes=49)),
     "bytes of the window, w1: 50 B of 49 B, 1 B too many"),
    (Rule.WINDOW_COUNT, data(window("w1", 1, max_mailboxes=1)), "window w1 takes 1 mailbox, not 2"),
    (Rule.COPY_RATE, data(mode=Mode.PRESTAGE),
     "bytes copied until the window, w1: 50 B of 49 B, 1 B too many"),
    (Rule.SERVER, data(target=target(servers=(TargetServer("EX", 6 / GIB),))),
     "server throughput, EX in window w1: 50 B of 48 B, 2 B too many"),
    (Rule.SOURCE_SHARE, data(window("w1", 1, capacity_bytes=90),
                             target=target(sources=(SourceLimit("src", 0.5),))),
     "share of the source database, src in window w1: 50 B of 45 B, 5 B too many"),
    (Rule.DATABASE, data(target=target(databases=SMALL_A)),
     "database room, A: 50 B of 49 B, 1 B too many"),
    (Rule.LOG, data(target=target(databases=LOGS_A)),
     "log headroom, A in window w1: 50 B of 49 B, 1 B too many"),
    (Rule.PIN, data(pins=(Pin("M0", "audit", window="w2"),)),
     "M0 is pinned, window w2 (audit), but planned in w1 to A"),
    (Rule.PIN, data(pins=(Pin("m0", not_before="w2"),)),
     "m0 is pinned, not before w2, but planned in w1 to A"),
    (Rule.PIN, data(pins=(Pin("m0", database="b"),)),
     "m0 is pinned, database b, but planned in w1 to A"),
    (Rule.FREEZE, frozen(data()), "window w1 is used, but lies in the freeze 'pause'"),
    (Rule.CANCELLED, data(window("w1", 1, cancelled=True)), "window w1 is used, but is cancelled"),
    (Rule.DEADLINE, late(data()), "window w1 is used, but ends after the deadline"),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case[2][:50])
def test_each_broken_rule_is_found_and_nothing_else(case: tuple[Rule, PlanData, str]) -> None:
    rule, made, text = case
    found = check_assignments(made, BOTH)
    assert [(violation.rule, violation.text) for violation in found] == [(rule, text)]


def test_not_after_is_judged_by_time() -> None:
    made = data(pins=(Pin("m0", not_after="w1"),))
    assert check_assignments(made, BOTH) == ()
    moved = (Assignment("m0", "w2", "A"), BOTH[1])
    assert [v.rule for v in check_assignments(made, moved)] == [Rule.PIN]


UNCLEAR: list[tuple[str, Callable[[], tuple[Assignment, ...]], str]] = [
    ("left out", lambda: BOTH[:1], "m1 has no place in the plan"),
    ("twice", lambda: (*BOTH, Assignment("M1", "w2", "B")), "m1 is assigned 2 times"),
    ("unknown mailbox", lambda: (*BOTH, Assignment("m9", "w1", "A")),
     "m9 is assigned, but no mailbox of the data"),
    ("unknown window", lambda: (*BOTH, Assignment("m1", "w9", "A")), "m1: there is no window w9"),
    ("unknown database", lambda: (*BOTH, Assignment("m1", "w1", "Z")),
     "m1: there is no target database Z"),
]  # fmt: skip


@pytest.mark.parametrize("case", UNCLEAR, ids=lambda case: case[0])
def test_everybody_has_one_place(
    case: tuple[str, Callable[[], tuple[Assignment, ...]], str],
) -> None:
    _, assignments, text = case
    found = check_assignments(data(), assignments())
    assert [(v.rule, v.text) for v in found] == [(Rule.ASSIGNED, text)]


def test_who_was_moved_is_not_assigned_again() -> None:
    made = data()
    moved = replace(
        made, mailboxes=(replace(made.mailboxes[0], state=State.MOVED), made.mailboxes[1])
    )
    found = check_assignments(moved, BOTH)
    assert [v.text for v in found] == ["m0 is assigned, but was moved before"]


def test_figures_must_fit_the_assignments() -> None:
    made = plan(few())
    assert check(made) == ()
    first, last = made.data.calendar.windows[0].id, made.data.calendar.windows[-1].id
    other = next(a for a in made.assignments if a.window != last)
    edited = tuple(replace(a, window=last) if a == other else a for a in made.assignments)
    assert Rule.FIGURES in {v.rule for v in check(replace(made, assignments=edited))}
    assert first != last


@pytest.mark.parametrize(
    "change",
    [
        lambda m: {"exposure": m.exposure - 1},
        lambda m: {"delegates_cut": m.delegates_cut - 1},
        lambda m: {"person_days": m.person_days / 2},
        lambda m: {"per_gap": m.per_gap[1:] if m.per_gap[0].exposure else m.per_gap[:1]},
        lambda m: {"makespan": m.makespan - timedelta(days=1)},
    ],
)
def test_a_figure_that_was_edited_is_found(
    change: Callable[[PlanMetrics], dict[str, Any]],
) -> None:
    shares = (Share("m0@corp.example", "m1@corp.example", "FullAccess", 5.0),)
    made = plan(
        small(
            (1, 1),
            pins=(Pin("m0@corp.example", window="w1"), Pin("m1@corp.example", window="w2")),
            shares=shares,
        )
    )
    assert check(made) == () and made.metrics.exposure == 5
    edited = replace(made, metrics=replace(made.metrics, **change(made.metrics)))
    assert {v.rule for v in check(edited)} == {Rule.FIGURES}


def test_a_bound_above_what_the_plan_costs_is_none() -> None:
    made = plan(few())
    forged = replace(made.bounds, exposure=made.metrics.exposure + 1)
    assert [v.rule for v in check(replace(made, bounds=forged))] == [Rule.FIGURES]


def test_prestage_does_not_ask_for_logs_and_throughput_of_a_window() -> None:
    servers = (TargetServer("EX", 2.1 / GIB),)
    made = data(mode=Mode.PRESTAGE, target=target(databases=LOGS_A, servers=servers))
    rich = replace(made, calendar=replace(made.calendar, copy_bytes_per_day=None))
    assert check_assignments(rich, BOTH) == ()
