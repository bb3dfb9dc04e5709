"""The cheapest cuts, for one gap or for all of them together: the exact search (ortools).

A variable says whether a mailbox has moved by the end of a window. For one gap such a set
must fit into the windows before, and the rest into the windows after; for several gaps in
a row the sets grow, and what lies between two fits into a window. All gaps together are
the whole problem, databases left out: its optimum is what no plan can beat.

Costs are whole numbers: weights and seconds, rounded down; sizes and limits are counted in
chunks, rounded down, too. All that is a relaxation: a plan that keeps the limits to the byte
keeps them so, and costs no less than is counted. So a bound holds, and a plan that costs no
more than it, but for what was rounded off, is the best. The solver works with one thread
and is stopped by its own deterministic time, so that the same input gives the same answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mailmig.rules.planning.field import Field, Floats, Ints, exposure_of

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

# Up to so many mailboxes a proof is tried.
PROVED = 120

# The deterministic time of the solver for a proof; about as many seconds.
PROOF_EFFORT = 24.0

# Windows that are mixed anew at a time, and the deterministic time for it.
MIXED, MIXING = 3, 0.5

# A weight in whole numbers: so many units, or a tenth, a hundredth ... of it where all weights
# together would be more than MOST_UNITS (flows are counted in 32 bits).
UNITS_PER_WEIGHT = 1_000_000
MOST_UNITS = 1 << 30
SECONDS_PER_DAY = 86_400

# Of all bytes together there are so many chunks: given bytes, the solver (9.15) said of a plan
# that kept every limit, and cost 302, that none costs less than 307.5.
CHUNKS = 1 << 20

# Sums of floating numbers that lie below a whole one by no more than this are that one.
CRUMB = 1e-6


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best windows (n) that were found, and the exposure that no windows can beat."""

    windows: Ints
    least: float
    proven: bool


def available() -> bool:
    try:
        import ortools.sat.python.cp_model  # noqa: F401
    except ImportError:
        return False
    return True


def units_of(field: Field) -> float:
    """Units per weight, so that all weights together stay below MOST_UNITS.

    A power of ten: usual weights are whole then, or have a large common divisor.
    """
    total = np.maximum(field.late, field.early).sum() + field.still.sum()
    return float(
        min(UNITS_PER_WEIGHT, 10.0 ** math.floor(math.log10(MOST_UNITS / max(1.0, total))))
    )


def whole(values: Floats, units: float) -> Ints:
    """Values in whole units, rounded down."""
    return np.floor(values * units + CRUMB).astype(np.int64)


def cheapest_cut(field: Field, j: int, effort: float) -> tuple[float, bool]:
    """Weight per day that is cut after window `j` at least; and whether it is exactly so much."""
    chain = chain_of(field, j, j)
    status, least, _ = _solved(chain, effort)
    return least / float(field.gaps[j]), status


def optimum(
    field: Field,
    hint: Ints,
    gaps: Sequence[float],
    effort: float = PROOF_EFFORT,
    prove: bool = True,
) -> Optimum:
    """The best windows for a small field, databases left out; begins at `hint` (n).

    `gaps` (W-1, or none) are weight-days that no windows avoid in each gap: the proof begins
    there. Without `prove` better windows count more than the bound.
    """
    before = float(field.still.sum() * field.day[0])
    if field.windows < 2:
        return Optimum(hint, before, proven=True)
    chain = chain_of(field, 0, field.windows - 2, gaps or None)
    for j, moved in enumerate(chain.moved):
        for v, var in enumerate(moved):
            chain.model.add_hint(var, int(hint[v] <= j))
    proven, least, moved_by = _solved(chain, effort, prove)
    if moved_by is not None:
        found = (~moved_by).sum(axis=0)
        if _fits(field, found) and exposure_of(field, found) < exposure_of(field, hint):
            hint = found
    if before + least > exposure_of(field, hint) * (1 + CRUMB) + CRUMB:
        return Optimum(hint, before + sum(gaps), proven=False)  # the solver erred
    return Optimum(hint, before + least, proven)


def refined(field: Field, x: Ints, effort: float = PROOF_EFFORT) -> Ints:
    """Windows (n) that cost no more: three windows at a time mixed anew, all others as they are.

    No search for single changes or swaps sees what this finds.
    """
    windows = list(combinations(range(field.windows), MIXED)) or [tuple(range(field.windows))]
    tried, place = 0, 0
    while tried < len(windows) and place < effort / MIXING:
        some = windows[place % len(windows)]
        inside = np.isin(x, some)
        allowed = np.zeros_like(field.allowed)
        allowed[np.arange(field.rows), x] = True
        here = np.ix_(inside, np.isin(np.arange(field.windows), some))
        allowed[here] |= field.allowed[here]
        found = optimum(field._replace(allowed=allowed), x, (), MIXING, prove=False).windows
        tried = 0 if exposure_of(field, found) < exposure_of(field, x) * (1 - CRUMB) else tried + 1
        x, place = found, place + 1
    return x


class Chain(NamedTuple):
    """A model of some gaps in a row; `moved` are variables per gap and row.

    One unit of the objective is `unit` weight-days.
    """

    model: "cp_model.CpModel"
    moved: list[list[Any]]
    unit: float


def chain_of(field: Field, first: int, last: int, least: Sequence[float] | None = None) -> Chain:
    """The model of the gaps `first` to `last`; `least` (W-1) are known parts of gaps."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    gaps = range(first, last + 1)
    moved = [[model.new_bool_var("") for _ in range(field.rows)] for _ in gaps]
    _allowed_windows(model, field, moved, first)
    _windows_hold(model, field, moved, first)
    weights, per_weight = _weights(field)
    seconds = whole(field.gaps, SECONDS_PER_DAY)[first : last + 1].tolist()
    tick = max(1, math.gcd(*seconds))
    unit = tick / SECONDS_PER_DAY / per_weight
    parts = []
    for j, long in zip(gaps, seconds, strict=True):
        cut = sum(cost * var for cost, var in _cut_terms(model, field, moved[j - first], weights))
        if long:
            part = cut * (long // tick)
            parts.append(part)
            if least is not None and least[j] > 0:
                model.add(part >= math.ceil(least[j] / unit * (1 - CRUMB) - CRUMB))
    model.minimize(sum(parts))
    return Chain(model, moved, unit)


def _solved(
    chain: Chain, effort: float, prove: bool = False
) -> tuple[bool, float, NDArray[np.bool_] | None]:
    """Whether the optimum was found, weight-days below which nothing lies, and who moved (gaps, n)."""
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers = 1
    parameters.random_seed = 1
    # without the linear relaxation of everything not even the cut of one gap is found
    parameters.linearization_level = 2
    # from below, a value at a time: 60 mailboxes in seconds where other searches prove nothing
    parameters.use_objective_lb_search = prove
    parameters.max_deterministic_time = effort
    # it would take SIGINT for itself, and leave it to the system: then Ctrl-C ends the process
    parameters.catch_sigint_signal = False
    status = solver.solve(chain.model)
    if status == cp_model.MODEL_INVALID:
        raise AssertionError(chain.model.validate())
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    if not found and status != cp_model.UNKNOWN:  # there is no plan at all
        return False, 0.0, None
    least = max(0.0, solver.best_objective_bound) * chain.unit
    if not found:
        return False, least, None
    moved = [[solver.boolean_value(var) for var in of] for of in chain.moved]
    return status == cp_model.OPTIMAL, least, np.array(moved, np.bool_)


def _fits(field: Field, x: Ints) -> bool:
    """Do windows (n) keep all limits to the byte? The solver counts in chunks."""
    for rows, load, most in _limits_of(field, 1):
        used = np.zeros(field.windows, np.int64)
        np.add.at(used, x[rows], load)
        if (used > most).any():
            return False
    moved = np.zeros(field.windows, np.int64)
    np.add.at(moved, x, field.size)
    return bool((np.cumsum(moved) <= field.copied).all())


Weights = tuple[list[int], list[int], list[int]]


def _weights(field: Field) -> tuple[Weights, float]:
    """`late`, `early` and `still` in the largest units that divide all, and units per weight."""
    units = units_of(field)
    late, early, still = (whole(of, units) for of in (field.late, field.early, field.still))
    common = int(np.gcd.reduce(np.concatenate([late, early, still]), initial=0)) or 1
    lists = (late // common).tolist(), (early // common).tolist(), (still // common).tolist()
    return lists, units / common


def _cut_terms(
    model: "cp_model.CpModel", field: Field, moved: list[Any], weights: Weights
) -> "list[tuple[int, cp_model.IntVar]]":
    """Costs and variables that are 1 where a share is cut, for each pair and direction."""
    late, early, still = weights
    terms = []
    own = np.repeat(np.arange(field.rows), np.diff(field.indptr))
    for e in np.flatnonzero(own < field.indices).tolist():
        v, u = int(own[e]), int(field.indices[e])
        both = late[e], early[e]
        ways = ((moved[u], moved[v]), (moved[v], moved[u]))  # the first has moved, the other not
        if both[0] == both[1]:
            cut = model.new_bool_var("")
            for first, second in ways:
                model.add_bool_or(first.negated(), second, cut)
            terms.append((both[0], cut))
            continue
        for cost, (first, second) in zip(both, ways, strict=True):
            if cost:
                cut = model.new_bool_var("")
                model.add_bool_or(first.negated(), second, cut)
                terms.append((cost, cut))
    for v, cost in enumerate(still):
        if cost:
            cut = model.new_bool_var("")
            model.add_bool_or(moved[v], cut)
            terms.append((cost, cut))
    return terms


def _allowed_windows(
    model: "cp_model.CpModel", field: Field, moved: list[list[Any]], first: int
) -> None:
    """Once moved, always moved; and nobody in a window that he may not use."""
    for v, allowed in enumerate(field.allowed):
        earliest, latest = (int(of) for of in np.flatnonzero(allowed)[[0, -1]])
        for place, of in enumerate(moved):
            j = first + place
            if latest <= j or earliest > j:
                model.add(of[v] == int(latest <= j))
            elif place and not allowed[j]:
                model.add(of[v] == moved[place - 1][v])
            elif place:
                model.add_implication(moved[place - 1][v], of[v])


def _windows_hold(
    model: "cp_model.CpModel", field: Field, moved: list[list[Any]], first: int
) -> None:
    """Each limit of a window between two gaps, and of all windows before or after a gap.

    Sizes and limits are rounded down to chunks: who keeps them in bytes keeps them so, too.
    """
    chunk = max(1, int(field.size.sum()) // CHUNKS)
    for rows, load, most in _limits_of(field, chunk):
        for place, of in enumerate(moved):
            j = first + place
            done = sum(of[v] * each for v, each in zip(rows, load, strict=True))
            if sum(most[: j + 1]) < sum(load):
                model.add(done <= sum(most[: j + 1]))
            if sum(most[j + 1 :]) < sum(load):
                model.add(done >= sum(load) - sum(most[j + 1 :]))
            if place and most[j] < sum(load):
                earlier = moved[place - 1]
                before = sum(earlier[v] * each for v, each in zip(rows, load, strict=True))
                model.add(done - before <= most[j])
    size = (field.size // chunk).tolist()
    for place, of in enumerate(moved):
        copied = int(field.copied[first + place]) // chunk
        if copied < sum(size):
            model.add(sum(of[v] * each for v, each in enumerate(size)) <= copied)


def _limits_of(field: Field, chunk: int) -> list[tuple[list[int], list[int], list[int]]]:
    """Rows, their loads, and the limit of their sum in each window; bytes in chunks."""
    everybody, ones = list(range(field.rows)), [1] * field.rows
    size = (field.size // chunk).tolist()
    found = [
        (everybody, size, (field.room // chunk).tolist()),
        (everybody, ones, field.seats.tolist()),
    ]
    for s, room in enumerate(field.source_room // chunk):
        rows = np.flatnonzero(field.source == s).tolist()
        found.append((rows, [size[v] for v in rows], room.tolist()))
    for d, seats in enumerate(field.department_seats):
        rows = np.flatnonzero(field.department == d).tolist()
        found.append((rows, [1] * len(rows), seats.tolist()))
    return found
