"""Laws of plans over drawn data: both modes, both directions of weights, shares of departments.

What holds for one function alone stands beside that function's tests; here are the laws of
the whole: no search breaks a limit whenever it is stopped, names decide nothing, more room
never makes a bound worse, no valid plan is below a bound.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailmig.model.migration import Assignment, Plan, PlanData, PlanMailbox, Rule, Share, State
from mailmig.rules.planning.checker import check_assignments
from mailmig.rules.planning.exposure import exposure
from mailmig.rules.planning.field import Ints, exposure_of
from mailmig.rules.planning.kernels import anneal, greedy
from mailmig.rules.planning.maker import Start, finish, make, prepare
from mailmig.rules.planning.measures import bounds
from mailmig.rules.planning.problem import compile_problem
from mailmig.rules.planning.refusals import Infeasible
from mailmig.rules.planning.search import price, searched, seated
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.companies import company
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, small, window

SETTINGS = PlanSettings()

# Rules that hang on databases; a search looks for windows only.
OF_DATABASES = {Rule.DATABASE, Rule.LOG, Rule.SERVER}


def feasible(data: PlanData) -> Plan:
    try:
        return make(data, NOW)
    except Infeasible:
        assume(False)
        raise


def broken(start: Start, windows: Ints) -> list[str]:
    """What these windows break, told by the check, which shares no code with the search."""
    data, problem = start.problem.data, start.problem
    prescribed = {pin.identity: pin.database for pin in data.pins if pin.database}
    assignments = []
    for row, t in zip(problem.todo, windows.tolist(), strict=True):
        name = problem.name(row)
        database = prescribed.get(name, data.target.databases[0].id)
        assignments.append(Assignment(name, problem.windows[t].window.id, database))
    found = check_assignments(data, assignments)
    return [violation.text for violation in found if violation.rule not in OF_DATABASES]


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 99), st.integers(0, 300), st.integers(0, 2))
def test_whenever_a_search_is_stopped_no_hard_rule_is_broken(
    data: PlanData, seed: int, proposals: int, passes: int
) -> None:
    try:
        start = prepare(data, SETTINGS)
    except Infeasible:
        assume(False)
        raise
    assume(start.field is not None)
    assert start.field is not None and start.windows is not None
    field, rng = start.field, np.random.default_rng(seed)
    seating = seated(field, start.windows)
    free = np.flatnonzero(field.allowed.sum(axis=1) > 1)
    if len(free):
        anneal(field, seating, free, proposals, 300.0, 0.05, rng)
        for _ in range(passes):
            greedy(field, seating, rng.permutation(free), rng)
    assert broken(start, seating.x) == []


@settings(max_examples=25, deadline=None)
@given(problems(), st.permutations(range(12)))
def test_other_names_for_everything_change_nothing_but_names(
    data: PlanData, order: list[int]
) -> None:
    made = feasible(data)
    other = make(_renamed(data, order), NOW)
    new = dict(zip((m.identity for m in data.mailboxes), other.data.mailboxes, strict=True))
    expected = [
        (new[a.mailbox].identity, f"x-{a.window}", f"x-{a.database}", a.why)
        for a in made.assignments
    ]
    assert [(a.mailbox, a.window, a.database, a.why) for a in other.assignments] == expected
    assert other.metrics.exposure == pytest.approx(made.metrics.exposure)


def test_other_names_change_nothing_in_an_organisation_either() -> None:
    data = company(150, 4)
    made, other = make(data, NOW), make(_renamed(data, list(range(150))[::-1]), NOW)
    assert [f"x-{a.window}" for a in made.assignments] == [a.window for a in other.assignments]


def _renamed(data: PlanData, order: list[int]) -> PlanData:
    """Mailboxes named in another order of the alphabet; all the rest with a new first letter."""
    names = {m.identity: f"x{order[n]:03}@other.example" for n, m in enumerate(data.mailboxes)}

    def x(name: str) -> str:
        return f"x-{name}" if name else ""

    calendar, target = data.calendar, data.target
    return replace(
        data,
        mailboxes=tuple(
            replace(m, identity=names[m.identity], department=x(m.department), site=x(m.site),
                    source_database=x(m.source_database))
            for m in data.mailboxes
        ),
        shares=tuple(
            replace(s, owner=names[s.owner], delegate=names[s.delegate]) for s in data.shares
        ),
        pins=tuple(
            replace(p, identity=names[p.identity], window=x(p.window), database=x(p.database),
                    not_before=x(p.not_before), not_after=x(p.not_after))
            for p in data.pins
        ),
        calendar=replace(
            calendar, windows=tuple(replace(w, id=x(w.id)) for w in calendar.windows)
        ),
        target=replace(
            target,
            databases=tuple(
                replace(d, id=x(d.id), server=x(d.server), site=x(d.site))
                for d in target.databases
            ),
            servers=tuple(replace(s, id=x(s.id), site=x(s.site)) for s in target.servers),
            sources=tuple(replace(s, id=x(s.id)) for s in target.sources),
            site_preference={x(one): x(other) for one, other in target.site_preference.items()},
        ),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 50), st.integers(0, 3))
def test_more_capacity_never_makes_the_earliest_end_later(
    data: PlanData, size: int, number: int
) -> None:
    try:
        problem = compile_problem(data)
    except Infeasible:
        assume(False)
        raise
    assume(problem.todo)
    ends = [bounds(compile_problem(each)).makespan for each in (data, _roomier(data, size, number))]
    assert ends[0] is not None and ends[1] is not None
    assert ends[1] <= ends[0]


def _roomier(data: PlanData, size: int, number: int) -> PlanData:
    calendar, target = data.calendar, data.target
    rate = calendar.copy_bytes_per_day
    windows = tuple(
        replace(
            w,
            capacity_bytes=None if w.capacity_bytes is None else w.capacity_bytes + size,
            max_mailboxes=None if w.max_mailboxes is None else w.max_mailboxes + number,
        )
        for w in calendar.windows
    )
    databases = tuple(
        replace(
            d,
            capacity_bytes=d.capacity_bytes + size,
            log_headroom_bytes=(
                None if d.log_headroom_bytes is None else d.log_headroom_bytes + size
            ),
        )
        for d in target.databases
    )
    rate = None if rate is None else rate + size
    return replace(
        data,
        calendar=replace(calendar, windows=windows, copy_bytes_per_day=rate),
        target=replace(target, databases=databases),
    )


@settings(max_examples=40, deadline=None)
@given(problems(mailboxes=4, windows_=3, databases=2))
def test_no_valid_plan_at_all_is_below_a_bound(data: PlanData) -> None:
    made = feasible(data)
    pending = [m.identity for m in data.mailboxes if m.state is State.PENDING]
    assume(pending)
    ends = {w.id: w.end for w in data.calendar.windows}
    slots = list(product(ends, [d.id for d in data.target.databases]))
    least = made.bounds
    assert least.makespan is not None
    for chosen in product(slots, repeat=len(pending)):
        every = [Assignment(m, w, d) for m, (w, d) in zip(pending, chosen, strict=True)]
        if not check_assignments(made.data, every):
            assert exposure(made.data, every) >= least.exposure - 1e-6
            assert max(ends[a.window] for a in every) >= least.makespan


def test_answers_count_alike_in_whatever_order_they_come() -> None:
    """Searches end in any order: which of two equally good answers is taken may not hang on it."""
    start, late = _pairs_and_three_alone()
    assert start.field is not None
    one = searched(start.field, late, 1)
    early, later = (int(np.flatnonzero(one[:30] == t)[0]) // 2 * 2 for t in (0, 1))
    other = one.copy()  # two pairs have changed places
    other[early : early + 2], other[later : later + 2] = 1, 0
    assert price(start.field, one) == price(start.field, other) < price(start.field, late)
    start = replace(start, windows=late)
    made = [finish(start, found, NOW, SETTINGS) for found in ([one, other], [other, one])]
    assert made[0].assignments == made[1].assignments
    alone = [finish(start, [found], NOW, SETTINGS).assignments for found in (one, other)]
    assert alone[0] != alone[1]


def test_those_who_share_with_nobody_do_not_put_off_the_end() -> None:
    """Whoever is alone moves where others move anyway."""
    start, late = _pairs_and_three_alone()
    assert start.field is not None
    for seed in (1, 2, 3):
        found = searched(start.field, late, seed)
        assert exposure_of(start.field, found) == 0
        assert found.max() == 1


def _pairs_and_three_alone() -> tuple[Start, Ints]:
    """Fifteen pairs in windows that hold twenty, and those who are alone in the last window."""
    names = [f"m{n}" for n in range(33)]
    shares = tuple(Share(names[n], names[n + 1], "FullAccess", 5.0) for n in range(0, 30, 2))
    windows = tuple(window(f"w{n}", n, max_mailboxes=20) for n in (1, 2, 3))
    mailboxes = tuple(PlanMailbox(name, 1, department=name) for name in names)
    start = prepare(small(windows=windows, mailboxes=mailboxes, shares=shares), SETTINGS)
    assert start.windows is not None
    return start, np.where(np.arange(33) < 30, start.windows, 2)
