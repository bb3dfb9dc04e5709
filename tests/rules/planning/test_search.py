"""The searches: what they count is what the definition says, and what they find is sound."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailmig.model.migration import Mode, PlanData, Share
from mailmig.rules.planning import mapping, search
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.exposure import exposure
from mailmig.rules.planning.field import Field, Ints, exposure_of, window_costs
from mailmig.rules.planning.kernels import (
    Seating,
    change,
    change_of_swap,
    costs_of,
    may_move,
    may_swap,
    move,
    swap,
)
from mailmig.rules.planning.maker import Start, finish, make, prepare
from mailmig.rules.planning.refusals import Infeasible
from mailmig.rules.planning.search import price, searched, seated, sparse_passes
from mailmig.rules.planning.settings import PlanSettings
from tests.lab.strangers import left_out
from tests.rules.planning.companies import company
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, organisation, small, window


def started(data: PlanData) -> tuple[Start, Field, Ints]:
    """The start of a search."""
    start = prepare(data, PlanSettings())
    assert start.field is not None and start.windows is not None
    return start, start.field, start.windows


def drawn(data: PlanData) -> tuple[Start, Field, Ints]:
    """The same; data that cannot be planned is drawn again."""
    try:
        assume(prepare(data, PlanSettings()).field is not None)
    except Infeasible:
        assume(False)
    return started(data)


@settings(max_examples=30, deadline=None)
@given(problems())
def test_the_arrays_cost_what_the_shares_cost(data: PlanData) -> None:
    start, field, x = drawn(data)
    plan = finish(start, [x], NOW, PlanSettings())
    position = {capacity.window.id: t for t, capacity in enumerate(start.problem.windows)}
    there = np.array([position[a.window] for a in plan.assignments], np.int64)
    assert exposure_of(field, there) == pytest.approx(exposure(plan.data, plan.assignments))
    assert exposure_of(field, there) <= exposure_of(field, x) * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(problems(), st.integers(0, 99))
def test_every_change_adds_what_the_sparse_product_says(data: PlanData, seed: int) -> None:
    _, field, x = drawn(data)
    anchor = np.random.default_rng(seed).integers(-1, field.windows, field.rows)
    field = field._replace(anchor=anchor, loyalty=np.full(field.rows, 3.0))
    seating, costs = seated(field, x), window_costs(field, x)
    late, early, own = (np.zeros(field.windows) for _ in range(3))
    for v in range(field.rows):
        costs_of(field, seating, v, late, early, own)
        assert own == pytest.approx(costs[v])
        for t in range(field.windows):
            added = change(field, seating, v, t) if t != x[v] else 0.0
            assert added == pytest.approx(costs[v, t] - costs[v, x[v]])


@settings(max_examples=30, deadline=None)
@given(problems(), st.integers(0, 99))
def test_moves_and_swaps_that_are_allowed_cost_what_they_said(data: PlanData, seed: int) -> None:
    _, field, x = drawn(data)
    seating, rng = seated(field, x), np.random.default_rng(seed)
    for _ in range(20):
        v, u = rng.integers(field.rows, size=2).tolist()
        t, before = int(rng.integers(field.windows)), _cost(field, seating.x)
        if seating.x[u] != seating.x[v] and may_swap(field, seating, v, u):
            said = change_of_swap(field, seating, v, u)
            swap(field, seating, v, u)
        elif t != seating.x[v] and field.allowed[v, t] and may_move(field, seating, v, t):
            said = change(field, seating, v, t)
            move(field, seating, v, t)
        else:
            continue
        assert _cost(field, seating.x) == pytest.approx(before + said)
        _require_sums(field, seating)


def _cost(field: Field, x: Ints) -> float:
    return exposure_of(field, x)


def _require_sums(field: Field, seating: Seating) -> None:
    """The sums that moves keep are those of a seating from nothing, and within all limits."""
    fresh = seated(field, seating.x)
    for name in ("used", "number", "until", "source_used", "department_used"):
        assert getattr(fresh, name).tolist() == getattr(seating, name).tolist()
    assert (fresh.used <= field.room).all() and (fresh.number <= field.seats).all()
    assert (fresh.source_used <= field.source_room).all()
    assert (fresh.department_used <= field.department_seats).all()
    assert (fresh.until <= field.copied[: len(fresh.until)]).all()


@settings(max_examples=25, deadline=None)
@given(problems(), st.integers(0, 99), st.booleans())
def test_an_answer_is_sound_and_never_worse_than_its_start(
    data: PlanData, seed: int, sparse: bool
) -> None:
    start, field, x = drawn(data)
    if sparse:
        seating = seated(field, x)
        sparse_passes(field, seating, np.random.default_rng(seed))
        found = seating.x
    else:
        found = searched(field, x, seed)
    _require_sums(field, seated(field, found))
    assert field.allowed[np.arange(field.rows), found].all()
    assert price(field, found) <= price(field, x) * (1 + 1e-9) or sparse
    made = finish(start, [found], NOW, PlanSettings())
    assert check(made) == ()
    assert made.metrics.exposure <= exposure_of(field, x) * (1 + 1e-6) + 1e-6


def test_a_large_organisation_is_mapped_and_polished() -> None:
    data = company(3000, 1, 10)
    start = prepare(data, PlanSettings())
    assert start.field is not None and start.windows is not None
    if not mapping.available():
        left_out("mtkahypar is not installed")
    found = searched(start.field, start.windows, 1)
    assert price(start.field, found) < 0.5 * price(start.field, start.windows)
    assert check(finish(start, [found], NOW, PlanSettings())) == ()


def test_without_compiler_and_mapping_a_plan_is_still_better_than_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "COMPILED", False)
    monkeypatch.setattr(mapping, "available", lambda: False)
    data = company(300, 2)
    start = prepare(data, PlanSettings())
    assert start.field is not None and start.windows is not None
    made = make(data, NOW)
    assert check(made) == ()
    assert made.metrics.exposure < 0.9 * exposure_of(start.field, start.windows)


def test_copied_ahead_a_group_larger_than_a_window_moves_in_one_night() -> None:
    data = company(260, 2, 6)
    total = sum(mailbox.size_bytes for mailbox in data.mailboxes)
    windows = tuple(replace(w, max_mailboxes=260) for w in data.calendar.windows)
    calendar = replace(
        data.calendar, mode=Mode.PRESTAGE, windows=windows, copy_bytes_per_day=total // 10
    )
    classic, ahead = make(data, NOW), make(replace(data, calendar=calendar), NOW)
    assert check(ahead) == ()
    assert ahead.metrics.exposure < 0.7 * classic.metrics.exposure


def test_what_is_copied_ahead_is_mapped_by_number_and_any_closed_window_leaves_room() -> None:
    if not mapping.available():
        left_out("mtkahypar is not installed")
    data = company(300, 2, 6)
    for rate in (10**15, sum(m.size_bytes for m in data.mailboxes) // 10):
        calendar = replace(data.calendar, mode=Mode.PRESTAGE, copy_bytes_per_day=rate)
        start = prepare(replace(data, calendar=calendar), PlanSettings())
        assert start.field is not None
        x = mapping.mapped(start.field, 2, 1, same=True)
        assert x.shape == (300,) and 0 <= x.min() <= x.max() < 6
        most = np.bincount(x, minlength=6)
        assert (most <= 1.1 * start.field.seats + 1).all()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_where_it_costs_nothing_the_plan_ends_as_soon_as_it_can(seed: int) -> None:
    """No single mailbox of the pair can leave the last window without a cost; both can."""
    names = [f"m{n}@corp.example" for n in range(4)]
    shares = (Share(names[2], names[3], "FullAccess", 5.0),)
    windows = tuple(window(f"w{n}", n, max_mailboxes=2) for n in (1, 2, 3))
    _, field, _ = started(small((10,) * 4, windows, shares=shares))
    found = searched(field, np.array([0, 0, 2, 2], np.int64), seed)
    assert found.max() == 1 and found[2] == found[3]


def test_an_earlier_end_is_not_bought_with_exposure() -> None:
    """Three who belong together fit into the last window only; two of them would fit before."""
    names = [f"m{n}@corp.example" for n in range(3)]
    shares = tuple(Share(names[a], names[b], "FullAccess", 5.0) for a, b in ((0, 1), (1, 2)))
    windows = tuple(window(f"w{n}", n, max_mailboxes=m) for n, m in ((1, 1), (2, 2), (3, 3)))
    _, field, x = started(small((10,) * 3, windows, shares=shares))
    assert searched(field, x, 1).tolist() == [2, 2, 2]


def test_without_shares_the_plan_ends_as_soon_as_it_can() -> None:
    windows = tuple(window(f"w{n}", n, max_mailboxes=2) for n in (1, 2, 3))
    _, field, _ = started(small((10,) * 4, windows))
    assert searched(field, np.array([0, 0, 1, 2], np.int64), 1).max() == 1


def test_tight_sizes_are_no_trap_for_few_mailboxes() -> None:
    """The best of four searches costs 1,180, which CP-SAT proves to be the least in a minute.

    Searches that began at the start only found 1,187 to 1,281.
    """
    _, field, x = started(organisation(24, 2, slack=1.25, windows=4))
    found = [exposure_of(field, searched(field, x, seed)) for seed in (1, 2, 3, 4)]
    assert min(found) == pytest.approx(1180)
    assert max(found) < 1.02 * min(found)


def test_another_seed_is_another_mapping_and_the_same_seed_the_same() -> None:
    if not mapping.available():
        left_out("mtkahypar is not installed")
    _, field, _ = started(company(300, 2))
    one, same, other = (mapping.mapped(field, seed, 1, same=True) for seed in (2, 2, 3))
    assert one.tolist() == same.tolist() != other.tolist()


SHAPES: dict[str, list[tuple[int, int]]] = {
    "nobody shares": [],
    "a star: one shares with everybody": [(0, v) for v in range(1, 60)],
    "a clique larger than any window": [(a, b) for a in range(40) for b in range(a)],
    "many pairs": [(v, v + 1) for v in range(0, 59, 2)],
    "a chain": [(v, v + 1) for v in range(59)],
    "heavy tails": [(v, int(v * (v * 7 % 60) / 90)) for v in range(1, 60) for _ in range(2)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [1, 2])
def test_any_graph_gets_a_sound_plan_no_dearer_than_its_start(shape: str, seed: int) -> None:
    data = company(60, 1, 6)
    names = [mailbox.identity for mailbox in data.mailboxes]
    shares = tuple(Share(names[a], names[b], "SendAs", 3.0) for a, b in SHAPES[shape] if a != b)
    start, field, x = started(replace(data, shares=shares))
    made = finish(start, [searched(field, x, seed)], NOW, PlanSettings())
    assert check(made) == ()
    assert made.metrics.exposure <= exposure_of(field, x) * (1 + 1e-9)


def test_one_window_and_one_database_leave_nothing_to_search() -> None:
    data = small((10,) * 5, (window("w1", 1),))
    shares = tuple(Share(f"m{n}@corp.example", "m0@corp.example", "SendAs", 3.0) for n in (1, 2))
    made = make(replace(data, shares=shares), NOW)
    assert check(made) == () and made.metrics.exposure == 0
