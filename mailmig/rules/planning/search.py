"""The search for windows: one start, one seed, one answer.

Up to `ANNEALED` mailboxes: simulated annealing, hot from the start for odd seeds, and tepid
from several mappings for even ones; which is better depends on the organisation. Above: the
mapping onto the path of windows, seated again under all limits, then greedy passes with swaps
and a short, cool annealing.
Where numba is missing, passes over the sparse product take the place of most loops, with a
little annealing in plain Python; where Mt-KaHyPar is missing, they begin at the given start.

The answer is never worse than the start, and never breaks a limit of a window. The same
start and seed give the same answer, except above `ANNEALED` mailboxes.
"""

from collections.abc import Iterator

import numpy as np

from mailmig.rules.planning import mapping
from mailmig.rules.planning.field import Field, Floats, Ints, exposure_of, window_costs
from mailmig.rules.planning.kernels import (
    COMPILED,
    Seating,
    anneal,
    change,
    change_of_swap,
    costs_of,
    greedy,
    insert,
    may_move,
    may_swap,
    move,
    nobody_seated,
    seat,
    swap,
)

# Up to so many mailboxes annealing beats the mapping.
ANNEALED = 2000

# Annealing begins where nearly everything is accepted and ends where nothing but gains is: in
# units of a usual gap times a usual weight. A constant temperature would be wrong by a factor
# of a hundred elsewhere (measured: 0.028 of alphabetical at 300, 0.128 at 0.4).
HOT, COLD = 300.0, 0.05
PROPOSALS = 10_000  # per mailbox
# With few mailboxes many short runs, each from other windows, find what one long run misses:
# the sizes of the largest decide, and annealing seldom changes them. Below so many mailboxes:
# runs, and proposals per mailbox in each.
FEW = ((15, 16, 1_000), (50, 48, 1_000), (200, 24, 2_000))
FEW_HOT = (HOT, 30.0)
SCATTER = 0.5  # of the sizes by which they are seated then

# Fewer mailboxes are not worth a mapping.
MAPPED = 30

# Up to ANNEALED: several mappings, each annealed for a short while (per mailbox). They differ
# more in the end than in what they cost before.
MAPPINGS, TEPID, TEPID_PROPOSALS = 4, 10.0, 2_000

# Above: a little warmth, for as long as it is worth it.
WARM = 3.0
WARM_PROPOSALS = 400
WARM_AT_MOST = 5_000_000

# Greedy passes end when fewer than this part of the mailboxes find something better.
STILL_MOVING = 0.0005
PASSES = 30

# Without a compiler: annealing in all, cooler than with one, since it is short.
PLAIN_HOT, PLAIN_RUNS, PLAIN_PROPOSALS = 100.0, 2, 200_000

# Passes, and members that are tried as partners of a swap.
SPARSE_PASSES = 60
SPARSE_PARTNERS = 6

# Makespan decides between plans that are nearly as good: this part of all weight for each day.
HURRY = 0.001


def searched(field: Field, start: Ints, seed: int, threads: int = 1) -> Ints:
    """Windows (n) that cost no more than `start`, which must keep all limits of windows."""
    free = np.flatnonzero(field.allowed.sum(axis=1) > 1)
    if not len(free) or field.windows < 2:
        return start
    rng = np.random.default_rng(seed)
    if not COMPILED:
        found = _uncompiled(field, start, free, seed, threads, rng)
    elif field.rows <= ANNEALED:
        found = _annealed(field, start, free, seed, rng)
    else:
        found = _mapped(field, start, free, seed, threads, rng)
    found = _ended_sooner(field, found)
    return found if price(field, found) < price(field, start) else start


def _ended_sooner(field: Field, x: Ints) -> Ints:
    """The last windows emptied, one by one, as long as that is worth what it costs.

    No single mailbox makes the end come sooner, so no search for single changes sees it.
    """
    seating, (late, early, costs) = seated(field, x), np.zeros((3, field.windows))
    while (last := int(seating.x.max())) > 0:
        before = np.array(seating.x)
        for v in np.flatnonzero(before == last).tolist():
            costs_of(field, seating, v, late, early, costs)
            for t in np.argsort(costs[:last], kind="stable").tolist():
                if field.allowed[v, t] and may_move(field, seating, v, t):
                    move(field, seating, v, t)
                    break
            else:
                return before
        if price(field, seating.x) >= price(field, before):
            return before
    return seating.x


def price(field: Field, x: Ints) -> float:
    """What answers are compared by: exposure and anchors, and makespan as a feather."""
    cost = exposure_of(field, x)
    away = (field.anchor >= 0) & (field.anchor != x)
    last = field.day[x].max() if len(x) else 0.0
    return cost + float(field.loyalty[away].sum()) + HURRY * (field.weight or 1.0) * float(last)


def seated(field: Field, x: Ints) -> Seating:
    """The sums that belong to an assignment of windows; -1 is left out."""
    seating = nobody_seated(field)
    for v in np.flatnonzero(x >= 0).tolist():
        seat(field, seating, v, int(x[v]))
    return seating


def usual_cost(field: Field) -> float:
    """A usual gap times a usual weight: the scale of a proposal's cost."""
    weights = (field.late + field.early) / 2
    some = weights[weights > 0]
    gap = float(np.median(field.gaps)) if field.windows > 1 else 1.0
    return gap * (float(np.median(some)) if len(some) else 1.0)


def _annealed(field: Field, start: Ints, free: Ints, seed: int, rng: np.random.Generator) -> Ints:
    """The best of several runs."""
    runs = _runs(field, start, free, seed, rng)
    scale, best = max(usual_cost(field), 1e-6), start
    for begin, heat, proposals in runs:
        seating = seated(field, begin)
        anneal(field, seating, free, proposals, heat * scale, COLD * scale, rng)
        polish(field, seating, free, rng)
        if price(field, seating.x) < price(field, best):
            best = seating.x
    return best


def _runs(
    field: Field, start: Ints, free: Ints, seed: int, rng: np.random.Generator
) -> Iterator[tuple[Ints, float, int]]:
    """Windows to begin with, the heat, proposals. Hot runs forget the start, the others do not."""
    few = next((of for of in FEW if len(free) < of[0]), None)
    if few is not None:
        _, number, each = few
        for n in range(number):
            yield _scattered(field, start, rng), FEW_HOT[n % 2], each * len(free)
    if seed % 2 == 0 and len(free) >= MAPPED and mapping.available():
        for n in range(MAPPINGS):
            wish = mapping.mapped(field, MAPPINGS * seed + n, 1, same=True)
            yield _from_mapping(field, wish, start), TEPID, TEPID_PROPOSALS * len(free)
    elif few is None:
        yield start, HOT, PROPOSALS * len(free)


def _scattered(field: Field, start: Ints, rng: np.random.Generator) -> Ints:
    """Windows by chance, the large ones first, more or less; `start` where that does not fit."""
    seating = nobody_seated(field)
    order = np.argsort(-field.size * rng.lognormal(0, SCATTER, field.rows), kind="stable")
    wish = rng.integers(0, field.windows, field.rows)
    return start if insert(field, seating, wish, order) else seating.x


def _mapped(
    field: Field, start: Ints, free: Ints, seed: int, threads: int, rng: np.random.Generator
) -> Ints:
    """The better of two ways: from the mapping where there is one, and from the start."""
    begin = start
    if mapping.available():
        begin = _from_mapping(field, mapping.mapped(field, seed, threads), start)
    seating = seated(field, begin)
    polish(field, seating, free, rng)
    scale = max(usual_cost(field), 1e-6)
    proposals = min(WARM_AT_MOST, WARM_PROPOSALS * len(free))
    before = seating.x.copy()
    anneal(field, seating, free, proposals, WARM * scale, COLD * scale, rng)
    polish(field, seating, free, rng)
    return seating.x if price(field, seating.x) < price(field, before) else before


def _uncompiled(
    field: Field, start: Ints, free: Ints, seed: int, threads: int, rng: np.random.Generator
) -> Ints:
    """Sparse passes, and as much annealing as plain Python does in seconds."""
    begin, heat = start, PLAIN_HOT
    if len(free) >= MAPPED and mapping.available():
        small = field.rows <= ANNEALED
        begin = _from_mapping(field, mapping.mapped(field, seed, threads, same=small), start)
        heat = WARM
    best, scale = begin, max(usual_cost(field), 1e-6)
    seating = seated(field, begin)
    sparse_passes(field, seating, rng)
    for _ in range(PLAIN_RUNS):
        if price(field, seating.x) < price(field, best):
            best = seating.x
        seating = seated(field, best)
        anneal(field, seating, free, PLAIN_PROPOSALS, heat * scale, COLD * scale, rng)
        sparse_passes(field, seating, rng)
    return seating.x if price(field, seating.x) < price(field, best) else best


def _from_mapping(field: Field, wish: Ints, start: Ints) -> Ints:
    """What was wished, seated under all limits; `start` where that fails or costs more."""
    seating = nobody_seated(field)
    left = insert(field, seating, wish, _seating_order(field, wish))
    return start if left or price(field, seating.x) > price(field, start) else seating.x


def polish(field: Field, seating: Seating, free: Ints, rng: np.random.Generator) -> None:
    """Greedy passes, until hardly anybody finds something better."""
    for _ in range(PASSES):
        if greedy(field, seating, rng.permutation(free), rng) <= STILL_MOVING * len(free):
            break


def _seating_order(field: Field, wish: Ints) -> Ints:
    """Those without a choice, then the large, then those with most weight in their window.

    So it is the loosely bound ones that give way where the mapping overfilled a window.
    """
    own = np.repeat(np.arange(field.rows), np.diff(field.indptr))
    inside = wish[own] == wish[field.indices]
    weight = (field.late + field.early)[inside]
    bound = np.bincount(own[inside], weight, field.rows)
    large = field.size > np.median(field.room) / 50
    choice = field.allowed.sum(axis=1) > 1
    return np.lexsort((-field.size, -bound, ~large, choice)).astype(np.int64)


def sparse_passes(field: Field, seating: Seating, rng: np.random.Generator) -> None:
    """Greedy passes without a compiler, until nothing is gained: all costs by one product.

    Costs are of the beginning of a pass; so that two partners do not swap sides again and
    again, a random half of the mailboxes may move in a pass, and its gain is counted again.
    """
    for _ in range(SPARSE_PASSES):
        before = exposure_of(field, seating.x)
        for half in np.array_split(rng.permutation(field.rows), 2):
            _sparse_pass(field, seating, np.sort(half), rng)
        if exposure_of(field, seating.x) > before * (1 - 1e-3):
            break


def _sparse_pass(field: Field, seating: Seating, rows: Ints, rng: np.random.Generator) -> None:
    costs = np.where(field.allowed, window_costs(field, seating.x), np.inf)
    paid = costs[np.arange(field.rows), seating.x]
    gain = paid - costs.min(axis=1)
    wanting = rows[gain[rows] > 1e-9]
    for v in wanting[np.argsort(-gain[wanting], kind="stable")]:
        _improve(field, seating, int(v), costs, rng)


def _improve(
    field: Field, seating: Seating, v: int, costs: Floats, rng: np.random.Generator
) -> None:
    """Move one row to the cheapest window with room, or swap it into a cheaper full one."""
    here = int(seating.x[v])
    for t in np.argsort(costs[v], kind="stable").tolist():
        if t == here or not costs[v, t] < costs[v, here]:
            return
        if may_move(field, seating, v, t):
            if change(field, seating, v, t) < 0:
                move(field, seating, v, t)
            return
        for u in _partners(seating, t, rng):
            guess = costs[v, t] - costs[v, here] + costs[u, here] - costs[u, t]
            if guess < 0 and may_swap(field, seating, v, u):  # noqa: SIM102
                if change_of_swap(field, seating, v, u) < 0:
                    swap(field, seating, v, u)
                    return


def _partners(seating: Seating, t: int, rng: np.random.Generator) -> Iterator[int]:
    number = int(seating.number[t])
    for _ in range(min(SPARSE_PARTNERS, number)):
        yield int(seating.members[t, int(rng.random() * number)])
