"""Bounds of the exposure: below every valid plan, and never higher with more capacity."""

import numpy as np
import pytest
from hypothesis import assume, given, settings

from mailmig.model.migration import PlanData
from mailmig.rules.planning.field import exposure_of, field_of
from mailmig.rules.planning.lower_bounds import BOUNDED, boundary_bound, optimum
from mailmig.rules.planning.maker import make, prepare
from mailmig.rules.planning.problem import compile_problem
from mailmig.rules.planning.refusals import Infeasible
from mailmig.rules.planning.search import searched
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.companies import company
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, organisation

ROUNDED = 1e-6


@settings(max_examples=25, deadline=None)
@given(problems(mailboxes=7, windows_=3))
def test_no_plan_costs_less_than_the_bound_and_the_optimum_lies_between(data: PlanData) -> None:
    try:
        plan = make(data, NOW)
    except Infeasible:
        assume(False)
        raise
    assume(plan.assignments)
    field = field_of(compile_problem(plan.data), unlocked=True)
    bound = boundary_bound(field)
    assert bound.proven and plan.bounds.exposure == bound.least
    windows = {w.window.id: t for t, w in enumerate(compile_problem(plan.data).windows)}
    x = np.array([windows[a.window] for a in plan.assignments], np.int64)
    best = optimum(field, x, bound, 20)
    assert best.proven
    cost, paid = exposure_of(field, best.windows), exposure_of(field, x)
    assert bound.least <= best.least + ROUNDED <= cost + 1e-2
    assert cost <= paid + 1e-2
    assert paid == pytest.approx(plan.metrics.exposure)


@settings(max_examples=20, deadline=None)
@given(problems(mailboxes=8, windows_=3))
def test_more_capacity_never_raises_a_proven_bound(data: PlanData) -> None:
    try:
        problem = compile_problem(data)
    except Infeasible:
        assume(False)
        raise
    assume(problem.todo)
    field = field_of(problem, unlocked=True)
    more = field._replace(room=field.room + 10, seats=field.seats + 1)
    bound, looser = boundary_bound(field), boundary_bound(more)
    assume(bound.proven and looser.proven)
    assert looser.least <= bound.least + ROUNDED


def test_a_small_organisation_is_bounded_by_more_than_half() -> None:
    data = company(60, 1, 6)
    plan = make(data, NOW)
    assert plan.bounds.searched
    assert 0.5 * plan.metrics.exposure < plan.bounds.exposure <= plan.metrics.exposure


def test_a_large_one_says_that_nothing_is_proven() -> None:
    data = company(BOUNDED + 50, 2)
    start = prepare(data, PlanSettings())
    assert start.field is not None
    bound = boundary_bound(start.field)
    assert (bound.least, bound.proven, bound.computed) == (0.0, False, False)


def test_the_search_finds_what_is_proven_to_be_best() -> None:
    data = organisation(20, 3, slack=1.6, windows=3)
    start = prepare(data, PlanSettings())
    assert start.field is not None and start.windows is not None
    found = [searched(start.field, start.windows, seed) for seed in (1, 2, 3, 4)]
    best = optimum(start.field, start.windows, boundary_bound(start.field), 30)
    assert best.proven
    least = min(exposure_of(start.field, x) for x in found)
    assert least == pytest.approx(best.least, rel=1e-4)
