"""What no plan can beat: bounds of the exposure, and the proof that a plan is the best.

Exposure is a sum over the gaps between windows: days times what is cut meanwhile. For each
gap alone, the cheapest cut with a size that the windows before and after it can take is a
part that no plan avoids; their sum is the bound ("boundary bound"). It knows of windows'
bytes, numbers and pins, not of databases, so it holds for every plan that keeps the rules.

Weights are rounded down to whole numbers and capacities are exact, so rounding never makes
a bound too large. CP-SAT gives the best bound that it reached, also when it stops early; it
is stopped by its own deterministic time, so that the same input gives the same bound.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mailmig.rules.planning.field import ENDLESS, Field, Ints

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

# Above so many mailboxes the bounds that can be had in seconds say nothing.
BOUNDED = 250

# A weight, and a day, in whole numbers; sums of a field of BOUNDED mailboxes stay far below 2**63.
UNITS_PER_GAP = 1_000
UNITS_PER_DAY = 10_000
CRUMB = 1e-9

# CP-SAT's deterministic time for one gap; about as many seconds.
EFFORT = 1.0


@dataclass(frozen=True, slots=True)
class Bound:
    """No plan has less exposure than `least` weight-days; `gaps` (W-1) are the parts of it.

    `proven` tells that each gap's cheapest cut was found. `computed` is False where only what
    nobody can avoid stands: shares with those moved before, until the first window.
    """

    least: float
    gaps: tuple[float, ...]
    proven: bool
    computed: bool


@dataclass(frozen=True, slots=True)
class Optimum:
    """Windows (n) of the best assignment found, and what no assignment can beat."""

    windows: Ints
    least: float
    proven: bool


def available() -> bool:
    try:
        import ortools.sat.python.cp_model  # noqa: F401
    except ImportError:
        return False
    return True


def boundary_bound(field: Field, effort: float = EFFORT) -> Bound:
    """The boundary bound of a field whose pilot is open to all: it holds for any plan."""
    before = float(field.still.sum() * field.day[0])
    span = field.windows - 1
    if field.rows > BOUNDED or not available():
        return Bound(before, (0.0,) * span, proven=False, computed=False)
    gaps, proven = [], True
    for j, days in enumerate(field.gaps.tolist()):
        least, exact = _cheapest_cut(field, j, effort) if days else (0.0, True)
        gaps.append(least * days)
        proven = proven and exact
    return Bound(before + sum(gaps), tuple(gaps), proven, computed=True)


def _cheapest_cut(field: Field, j: int, effort: float) -> tuple[float, bool]:
    """Weight per day that is cut after window `j` at least; and whether it is exactly so much."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    moved = [model.new_bool_var("") for _ in range(field.rows)]
    for v, var in enumerate(moved):
        allowed = np.flatnonzero(field.allowed[v])
        if allowed[-1] <= j or allowed[0] > j:
            model.add(var == int(allowed[-1] <= j))
    size, n = field.size.tolist(), field.rows
    early = _sum(field.room[: j + 1])
    _fits(model, size, moved, min(early, int(field.copied[j])), _sum(field.room[j + 1 :]))
    _fits(model, [1] * n, moved, _sum(field.seats[: j + 1]), _sum(field.seats[j + 1 :]))
    terms = _cut_terms(model, field, moved, UNITS_PER_GAP)
    model.minimize(sum(cost * var for cost, var in terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = effort
    status = solver.solve(model)
    if status == cp_model.MODEL_INVALID:
        raise AssertionError(model.validate())
    least = max(0.0, solver.best_objective_bound) / UNITS_PER_GAP
    return least, status == cp_model.OPTIMAL


def optimum(field: Field, hint: Ints, bound: Bound, seconds: float, workers: int = 2) -> Optimum:
    """The best windows for a small field, databases left out; begins at `hint` (n).

    `bound` is the field's boundary bound: the search for a proof begins there.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    span = range(field.windows - 1)
    moved = [[model.new_bool_var("") for _ in range(field.rows)] for _ in span]
    for j in span:
        for v, var in enumerate(moved[j]):
            model.add_hint(var, int(hint[v] <= j))
            if j:
                model.add_implication(moved[j - 1][v], var)
    _allowed_windows(model, field, moved)
    _windows_hold(model, field, moved)
    parts = []
    for j, days in enumerate(field.gaps.tolist()):
        terms = _cut_terms(model, field, moved[j], UNITS_PER_GAP)
        cut = sum(cost * var for cost, var in terms)
        if days and terms:
            model.add(cut >= int(bound.gaps[j] / days * UNITS_PER_GAP * (1 - CRUMB)))
            parts.append(cut * int(days * UNITS_PER_DAY))
    model.minimize(sum(parts))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = workers
    solver.parameters.max_time_in_seconds = seconds
    status = solver.solve(model)
    before = float(field.still.sum() * field.day[0])
    least = before + max(0.0, solver.best_objective_bound) / (UNITS_PER_GAP * UNITS_PER_DAY)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Optimum(hint, least, proven=False)
    late = [sum(1 - solver.value(moved[j][v]) for j in span) for v in range(field.rows)]
    return Optimum(np.array(late, np.int64), least, status == cp_model.OPTIMAL)


def _cut_terms(
    model: "cp_model.CpModel", field: Field, moved: list[Any], units: int
) -> "list[tuple[int, cp_model.IntVar]]":
    """Costs and variables that are 1 where a share is cut, for each pair and direction."""
    terms = []
    own = np.repeat(np.arange(field.rows), np.diff(field.indptr))
    for e in np.flatnonzero(own < field.indices).tolist():
        v, u = int(own[e]), int(field.indices[e])
        both = field.late[e], field.early[e]
        ways = ((moved[u], moved[v]), (moved[v], moved[u]))  # the first has moved, the other not
        if both[0] == both[1]:
            cut = model.new_bool_var("")
            for first, second in ways:
                model.add_bool_or(first.negated(), second, cut)
            terms.append((int(both[0] * units), cut))
            continue
        for cost, (first, second) in zip(both, ways, strict=True):
            if cost:
                cut = model.new_bool_var("")
                model.add_bool_or(first.negated(), second, cut)
                terms.append((int(cost * units), cut))
    for v in np.flatnonzero(field.still > 0).tolist():
        cut = model.new_bool_var("")
        model.add_bool_or(moved[v], cut)
        terms.append((int(field.still[v] * units), cut))
    return terms


def _fits(
    model: "cp_model.CpModel", load: list[int], moved: list[Any], before: int, after: int
) -> None:
    total = sum(load)
    taken = sum(size * var for size, var in zip(load, moved, strict=True) if size)
    if before < total:
        model.add(taken <= before)
    if after < total:
        model.add(taken >= total - after)


def _allowed_windows(model: "cp_model.CpModel", field: Field, moved: list[list[Any]]) -> None:
    last = field.windows - 1
    for v in range(field.rows):
        for t in np.flatnonzero(~field.allowed[v]).tolist():
            earlier = moved[t - 1][v] if t else 0
            by_now = moved[t][v] if t < last else 1
            model.add(by_now == earlier)


def _windows_hold(model: "cp_model.CpModel", field: Field, moved: list[list[Any]]) -> None:
    """Bytes and numbers of each window, bytes copied ahead, sources and departments."""
    size, total = field.size.tolist(), int(field.size.sum())
    everybody = list(range(field.rows))
    for t in range(field.windows):
        for rows, load, most in _limits_of(field, everybody, size, t):
            if most < sum(load):
                model.add(sum(_inside(moved, v, t) * load[i] for i, v in enumerate(rows)) <= most)
        if field.copied[t] < min(total, ENDLESS):
            done = moved[t] if t < field.windows - 1 else [1] * field.rows
            model.add(sum(of * s for of, s in zip(done, size, strict=True)) <= int(field.copied[t]))


def _limits_of(
    field: Field, everybody: list[int], size: list[int], t: int
) -> list[tuple[list[int], list[int], int]]:
    """Rows, their loads, and the limit of their sum, for each limit of a window."""
    found = [
        (everybody, size, int(field.room[t])),
        (everybody, [1] * len(everybody), int(field.seats[t])),
    ]
    for s in range(len(field.source_room)):
        rows = np.flatnonzero(field.source == s).tolist()
        found.append((rows, [size[v] for v in rows], int(field.source_room[s, t])))
    for d in range(len(field.department_seats)):
        rows = np.flatnonzero(field.department == d).tolist()
        found.append((rows, [1] * len(rows), int(field.department_seats[d, t])))
    return found


def _inside(moved: list[list[Any]], v: int, t: int) -> Any:
    """An expression that is 1 where row `v` moves in window `t`."""
    by_now = moved[t][v] if t < len(moved) else 1
    return by_now - (moved[t - 1][v] if t else 0)


def _sum(limits: Ints) -> int:
    return sum(limits.tolist())
