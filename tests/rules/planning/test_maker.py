"""Plans break no hard rule, are found where there is one, and keep people together."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailmig.model.migration import (
    Assignment,
    Freeze,
    Mode,
    Pin,
    Plan,
    PlanData,
    PlanMailbox,
    Rule,
    Share,
    State,
    TargetDatabase,
    Why,
)
from mailmig.rules.planning.checker import check, check_assignments
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.problem import compile_problem
from mailmig.rules.planning.refusals import Infeasible
from mailmig.rules.planning.room import NOWHERE, Draft
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.baselines import baselines
from tests.rules.planning.companies import company
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, organisation, plan, small, window


def places(made: Plan) -> dict[str, str]:
    return {assignment.mailbox: assignment.window for assignment in made.assignments}


def feasible(data: PlanData) -> Plan:
    try:
        return plan(data)
    except Infeasible:
        assume(False)
        raise


@settings(max_examples=40, deadline=None)
@given(problems())
def test_no_plan_breaks_a_hard_rule(data: PlanData) -> None:
    made = feasible(data)
    assert check(made) == ()
    pending = [m.identity for m in data.mailboxes if m.state is State.PENDING]
    assert [a.mailbox for a in made.assignments] == pending


@settings(max_examples=50, deadline=None)
@given(problems(mailboxes=4, windows_=3, databases=2))
def test_a_plan_is_refused_only_where_no_plan_exists(data: PlanData) -> None:
    try:
        plan(data)
        return
    except Infeasible as refused:
        said = str(refused)
    windows = [each.id for each in data.calendar.windows]
    databases = [each.id for each in data.target.databases]
    pending = [m.identity for m in data.mailboxes if m.state is State.PENDING]
    assume(pending)  # nothing to move needs no window, but a calendar without one is refused
    slots = list(product(windows, databases))
    for chosen in product(slots, repeat=len(pending)):
        every = [Assignment(m, w, d) for m, (w, d) in zip(pending, chosen, strict=True)]
        assert check_assignments(data, every), f"{said}; but {every} would do"


@settings(max_examples=20, deadline=None)
@given(problems(), st.permutations(range(12)))
def test_other_names_for_the_same_rows_change_nothing_but_names(
    data: PlanData, order: list[int]
) -> None:
    made = feasible(data)
    names = {m.identity: f"x{order[n]}@other.example" for n, m in enumerate(data.mailboxes)}
    other = plan(
        replace(
            data,
            mailboxes=tuple(replace(m, identity=names[m.identity]) for m in data.mailboxes),
            shares=tuple(
                replace(s, owner=names[s.owner], delegate=names[s.delegate]) for s in data.shares
            ),
            pins=tuple(replace(p, identity=names[p.identity]) for p in data.pins),
        )
    )
    expected = [replace(a, mailbox=names[a.mailbox]) for a in made.assignments]
    assert list(other.assignments) == expected
    assert other.metrics.exposure == pytest.approx(made.metrics.exposure)


@pytest.mark.parametrize(("seed", "slack"), [(1, 1.02), (2, 1.02), (1, 1.25)])
def test_a_tight_organisation_gets_a_sound_plan(seed: int, slack: float) -> None:
    made = plan(organisation(400, seed, slack))
    assert check(made) == ()
    assert made.metrics.balance < 1.05


@pytest.mark.parametrize("seed", [2])
def test_a_plan_costs_an_eighth_of_the_order_of_names(seed: int) -> None:
    data = company(500, seed)
    usual = baselines(data)
    assert usual.realistic
    assert plan(data).metrics.exposure < 0.12 * usual.alphabetical


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    data = company(260, 3)
    one, same, other = (make(data, NOW, PlanSettings(seed=seed)) for seed in (1, 1, 2))
    assert one.assignments == same.assignments != other.assignments


def test_no_window_takes_more_of_a_department_than_it_may() -> None:
    made = plan(replace(company(260, 3), department_share=0.4))
    assert check(made) == ()
    strict = replace(made, data=replace(made.data, department_share=0.2))
    assert Rule.DEPARTMENT_SHARE in {violation.rule for violation in check(strict)}


def test_a_department_that_may_not_be_spread_so_far_is_named() -> None:
    with pytest.raises(
        Infeasible, match=r"all mailboxes of department d0000 are .*one window takes"
    ):
        plan(replace(company(60, 3, 6), department_share=0.1))


def test_a_department_stays_together_though_others_come_between() -> None:
    mailboxes = tuple(PlanMailbox(f"m{n}", 10, department="ab"[n % 2]) for n in range(8))
    data = small(windows=(window("w1", 1, capacity_bytes=40), window("w2", 2)), mailboxes=mailboxes)
    where = places(plan(data))
    assert {where[f"m{n}"] for n in (0, 2, 4, 6)} == {"w1"}
    assert {where[f"m{n}"] for n in (1, 3, 5, 7)} == {"w2"}


def test_a_department_larger_than_a_window_fills_windows_that_lie_close() -> None:
    mailboxes = tuple(PlanMailbox(f"m{n}", 10, department="a") for n in range(6))
    far = (
        window("w1", 1, capacity_bytes=10),
        window("w2", 20, capacity_bytes=30),
        window("w3", 21, capacity_bytes=30),
    )
    where = places(plan(small(windows=far, mailboxes=mailboxes)))
    assert set(where.values()) == {"w2", "w3"}


def test_a_shared_mailbox_without_a_department_goes_with_its_users() -> None:
    mailboxes = (
        PlanMailbox("info", 10, kind="shared"),
        *(PlanMailbox(f"a{n}", 10, department="a") for n in range(3)),
        *(PlanMailbox(f"b{n}", 10, department="b") for n in range(3)),
    )
    shares = (
        Share("info", "b0", "FullAccess", 5.0),
        Share("info", "b1", "FullAccess", 5.0),
        Share("info", "a0", "SendAs", 3.0),
    )
    windows = (window("w1", 1, capacity_bytes=30), window("w2", 2))
    made = plan(small(windows=windows, mailboxes=mailboxes, shares=shares))
    info = next(a for a in made.assignments if a.mailbox == "info")
    assert (info.window, info.why, info.group) == ("w2", Why.PARTNERS, "b")


def test_the_pilot_takes_only_those_who_are_pinned_to_it() -> None:
    windows = (window("w0", 1, pilot=True), window("w1", 3))
    data = small(windows=windows, pins=(Pin("M1@corp.example", "volunteer", window="w0"),))
    assert places(plan(data)) == {
        "m0@corp.example": "w1", "m1@corp.example": "w0", "m2@corp.example": "w1",
    }  # fmt: skip


def test_the_pilot_is_filled_only_when_it_must_and_the_plan_says_so() -> None:
    windows = (window("w0", 1, pilot=True), window("w1", 3, capacity_bytes=50))
    made = plan(small(windows=windows))
    assert sorted(places(made).values()) == ["w0", "w1", "w1"]
    assert [n.text for n in made.notes if "pilot" in n.text] == [
        "the pilot takes 1 mailbox more than those pinned to it: the other windows have no room"
    ]


def test_system_mailboxes_go_first_even_into_the_pilot() -> None:
    mailboxes = (
        *(PlanMailbox(f"m{n}", 10) for n in range(3)),
        PlanMailbox("SystemMailbox", 10, kind="arbitration"),
    )
    windows = (window("w0", 1, pilot=True), window("w1", 3))
    made = plan(small(windows=windows, mailboxes=mailboxes))
    assert places(made)["SystemMailbox"] == "w0"
    assert made.assignments[3].why is Why.FIRST
    assert "system mailboxes are moved first: window w0" in [note.text for note in made.notes]


def test_a_pin_is_stronger_than_the_rule_that_system_mailboxes_go_first() -> None:
    mailboxes = (PlanMailbox("SystemMailbox", 10, kind="arbitration"),)
    pins = (Pin("SystemMailbox", "wait", not_before="w2"),)
    assert places(plan(small(mailboxes=mailboxes, pins=pins))) == {"SystemMailbox": "w2"}


def test_a_mailbox_that_was_moved_is_not_planned_and_pulls_nobody() -> None:
    mailboxes = (PlanMailbox("there", 10, state=State.MOVED), PlanMailbox("here", 10))
    shares = (Share("there", "here", "FullAccess", 5.0),)
    made = plan(small(mailboxes=mailboxes, shares=shares, pins=(Pin("there", window="w2"),)))
    assert [a.mailbox for a in made.assignments] == ["here"]
    assert made.metrics.exposure == 5.0  # one day, from the start to w1


def test_nothing_to_move_is_a_plan() -> None:
    made = plan(small(sizes=()))
    assert made.assignments == () and check(made) == ()
    assert made.metrics.makespan is None and made.bounds.makespan_window == ""


def test_databases_are_filled_evenly_and_prescribed_ones_kept() -> None:
    databases = tuple(TargetDatabase(f"TDB{n}", 1000) for n in range(3))
    sizes = [n % 7 + 1 for n in range(90)]
    data = small(sizes=sizes, databases=databases, pins=(Pin("m3@corp.example", database="tdb2"),))
    made = plan(data)
    assert made.assignments[3].database == "TDB2"
    assert made.metrics.balance < 1.03


def test_a_database_in_the_preferred_site_is_taken_when_the_fill_allows() -> None:
    data = organisation(3000, 5)
    sites = {database.id: database.site for database in data.target.databases}

    def right(made: Plan) -> float:
        pairs = zip(made.assignments, data.mailboxes, strict=True)
        kept = sum(sites[a.database] == data.target.site_preference[m.site] for a, m in pairs)
        return kept / len(data.mailboxes)

    preferring, blind = make(data, NOW), make(data, NOW, PlanSettings(wrong_site=0.0))
    assert right(preferring) > right(blind) + 0.05
    assert preferring.metrics.balance < 1.02


def test_fragments_are_rescued_by_exchanging_mailboxes() -> None:
    """Largest first puts 6 and 5 into one database of 11; 4, 4 and 3 fit only into the other."""
    databases = (TargetDatabase("TDB1", 11), TargetDatabase("TDB2", 11))
    made = plan(small((6, 5, 4, 4, 3), (window("w1", 1),), databases))
    assert check(made) == ()


def test_prestage_lets_a_group_larger_than_a_window_switch_in_one_night() -> None:
    windows = (window("w1", 1, capacity_bytes=10), window("w2", 5, capacity_bytes=10))
    data = small((20, 20, 20), windows)
    with pytest.raises(Infeasible):
        plan(data)
    ahead = replace(data.calendar, mode=Mode.PRESTAGE, copy_bytes_per_day=15)
    made = plan(replace(data, calendar=ahead))
    assert set(places(made).values()) == {"w2"}


def test_no_pin_is_needed_to_stay_out_of_a_frozen_window() -> None:
    windows = (window("w1", 1), window("w2", 2))
    data = small(windows=windows)
    freeze = Freeze(windows[0].end - timedelta(minutes=1), windows[0].end, "audit")
    made = plan(replace(data, calendar=replace(data.calendar, freezes=(freeze,))))
    assert set(places(made).values()) == {"w2"}
    assert 'window w1 lies in the freeze "audit": not used' in [n.text for n in made.notes]


def test_the_plan_says_what_is_odd_about_windows() -> None:
    windows = (window("w1", 1, hours=8), replace(window("w2", 1.1, hours=8), hours=4))
    made = make(small(windows=windows), windows[0].end)
    assert [note.text for note in made.notes] == [
        "window w1 began before this plan was made",
        "window w2 lasts 8 hours, but 4 are given: the given ones count",
        "window w2 began before this plan was made",
        "windows w1 and w2 overlap: the servers' throughput counts in both",
    ]


def test_a_small_case_that_no_rule_of_thumb_solves_is_searched_through() -> None:
    """Two windows and two databases that must be filled to the last byte."""
    databases = (TargetDatabase("TDB1", 26, 13), TargetDatabase("TDB2", 26, 13))
    windows = (window("w1", 1, capacity_bytes=26), window("w2", 2, capacity_bytes=26))
    made = plan(small((7, 6, 7, 6, 5, 5, 3, 9, 4), windows, databases))
    assert check(made) == ()
    assert (
        sum(use.used for use in made.metrics.limits if use.subject == "TDB1" and not use.window)
        == 26
    )


def test_an_open_pilot_is_all_there_is_when_every_window_is_a_pilot() -> None:
    problem = compile_problem(small(windows=(window("w0", 1, pilot=True),)))
    draft = Draft(problem, 0.02)
    assert draft.allowed(0) == (0,)
    assert draft.window == [NOWHERE] * 3
