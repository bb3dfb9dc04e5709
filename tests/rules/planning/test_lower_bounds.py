"""Bounds of the exposure: below every valid plan, and never higher with more capacity."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings

from mailmig.model.migration import Pin, PlanData, Share
from mailmig.rules.planning import proving
from mailmig.rules.planning.field import Field, Ints, exposure_of, field_of
from mailmig.rules.planning.lower_bounds import BOUNDED, boundary_bound
from mailmig.rules.planning.maker import make, prepare
from mailmig.rules.planning.problem import compile_problem
from mailmig.rules.planning.proving import optimum, refined
from mailmig.rules.planning.refusals import Infeasible
from mailmig.rules.planning.search import searched
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.companies import company
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, organisation, small, window

ROOT = Path(__file__).parents[3]
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
    best = optimum(field, x, bound.gaps)
    assert best.proven
    cost, paid = exposure_of(field, best.windows), exposure_of(field, x)
    assert bound.least <= best.least + ROUNDED <= cost + 2 * ROUNDED
    assert cost <= paid + ROUNDED
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


def test_a_large_one_is_bounded_by_its_pins_alone() -> None:
    plan = make(company(BOUNDED + 50, 2), NOW)
    assert not plan.bounds.searched and not plan.bounds.proven
    assert 0 < plan.bounds.exposure < plan.metrics.exposure


@settings(max_examples=40, deadline=None)
@given(problems(mailboxes=5, windows_=3))
def test_bounds_and_the_optimum_agree_with_trying_everything(data: PlanData) -> None:
    try:
        problem = compile_problem(data)
    except Infeasible:
        assume(False)
        raise
    assume(problem.todo)
    field = field_of(problem, unlocked=True)
    kept = [x for x in _everything(field) if _keeps(field, x)]
    assume(kept)
    costs = [exposure_of(field, x) for x in kept]
    bound = boundary_bound(field)
    assert bound.proven and bound.least <= min(costs) + ROUNDED
    best = optimum(field, kept[-1], bound.gaps)
    assert best.proven
    assert best.least == pytest.approx(min(costs), abs=1e-4)
    assert exposure_of(field, best.windows) == pytest.approx(min(costs))
    assert any((best.windows == x).all() for x in kept)
    finer = refined(field, kept[-1])
    assert exposure_of(field, finer) == pytest.approx(min(costs))  # three windows are all
    assert any((finer == x).all() for x in kept)


def test_windows_mixed_anew_cost_less_than_those_that_were_found() -> None:
    start = prepare(company(60, 1, 6), PlanSettings())
    assert start.field is not None and start.windows is not None
    finer = refined(start.field, start.windows, effort=6.0)
    assert _keeps(start.field, finer)
    assert start.field.allowed[np.arange(start.field.rows), finer].all()
    assert exposure_of(start.field, finer) < 0.95 * exposure_of(start.field, start.windows)


@settings(max_examples=40, deadline=None)
@given(problems(mailboxes=5, windows_=3))
def test_what_pins_part_is_no_more_than_the_cheapest_windows_without_limits(data: PlanData) -> None:
    try:
        problem = compile_problem(data)
    except Infeasible:
        assume(False)
        raise
    assume(problem.todo)
    field = field_of(problem, unlocked=True)
    with pytest.MonkeyPatch.context() as without:
        without.setattr(proving, "available", lambda: False)
        bound = boundary_bound(field)
    assert not bound.proven and not bound.computed
    assert bound.least <= min(exposure_of(field, x) for x in _everything(field)) + ROUNDED


def _everything(field: Field) -> Iterator[Ints]:
    """All windows that pins allow."""
    choices = [np.flatnonzero(allowed).tolist() for allowed in field.allowed]
    return (np.array(x, np.int64) for x in product(*choices))


def _keeps(field: Field, x: Ints) -> bool:
    """Counted apart from what is tried here, window by window."""
    copied = 0
    for t in range(field.windows):
        here = [v for v in range(field.rows) if x[v] == t]
        size = sum(int(field.size[v]) for v in here)
        copied += size
        if size > field.room[t] or len(here) > field.seats[t] or copied > field.copied[t]:
            return False
        for s, room in enumerate(field.source_room):
            if sum(int(field.size[v]) for v in here if field.source[v] == s) > room[t]:
                return False
        for d, seats in enumerate(field.department_seats):
            if sum(field.department[v] == d for v in here) > seats[t]:
                return False
    return True


def test_two_that_pins_keep_apart_are_cut_in_every_gap_between_them() -> None:
    """Three in a row, 5 and 3: the cheaper share is cut from the first window to the last."""
    windows = (window("w1", 1), window("w2", 3), window("w3", 7))
    data = small(
        windows=windows,
        shares=(
            Share("m0@corp.example", "m1@corp.example", "FullAccess", 5.0),
            Share("m1@corp.example", "m2@corp.example", "SendAs", 3.0),
        ),
        pins=(Pin("m0@corp.example", window="w1"), Pin("m2@corp.example", window="w3")),
    )
    field = field_of(compile_problem(data), unlocked=True)
    assert boundary_bound(field).gaps == (6.0, 12.0)


def test_the_search_finds_what_is_proven_to_be_best() -> None:
    data = organisation(20, 3, slack=1.6, windows=3)
    start = prepare(data, PlanSettings())
    assert start.field is not None and start.windows is not None
    found = [searched(start.field, start.windows, seed) for seed in (1, 2, 3, 4)]
    best = optimum(start.field, start.windows, boundary_bound(start.field).gaps)
    assert best.proven
    least = min(exposure_of(start.field, x) for x in found)
    assert least == pytest.approx(best.least, rel=1e-4)


def test_ctrl_c_is_still_heard_after_a_bound_was_sought() -> None:
    """The solver takes the signal for itself unless it is told not to; then nobody hears it."""
    script = """
import os, signal
from mailmig.rules.planning.field import field_of
from mailmig.rules.planning.lower_bounds import boundary_bound
from mailmig.rules.planning.problem import compile_problem
from tests.rules.planning.made import small
signal.signal(signal.SIGINT, signal.default_int_handler)  # started in a job it may be ignored
assert boundary_bound(field_of(compile_problem(small()), unlocked=True)).proven
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.sigtimedwait([], 1)
except KeyboardInterrupt:
    print("heard")
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
