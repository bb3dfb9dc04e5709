"""Windows for many mailboxes at once: the graph of shares mapped onto the path of windows.

Mt-KaHyPar lays a graph onto a target graph. With the windows as a path whose edges are as
long as the gaps in days, the sum that it makes small is the exposure. What it does not know:
two limits of a window at once (bytes and numbers are added up as parts of what all windows
take; bytes copied ahead are left out), ranges of windows, different costs of the two directions (their mean counts), and
fractions: weights, sizes and days are whole numbers. So its answer is a wish, and is seated
and polished afterwards. It is not the same twice, not even from one seed, unless it is asked
to be, which takes some ten times as long. Its seed hardly matters then: the order of the rows
does, so they are shuffled.
"""

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from mailmig.rules.planning.field import Field, Ints

if TYPE_CHECKING:
    import mtkahypar

# Sums of whole numbers stay below this: Mt-KaHyPar counts in 32 bits.
LARGEST = 2**30

# The limits together take so many times what is to be moved, at least.
SLACK = 1.01

# Parts of a day by which gaps are told apart.
STEPS_PER_DAY = 4

# The library has one seed for the whole process.
_ONE_AT_A_TIME = Lock()


def available() -> bool:
    try:
        import mtkahypar  # noqa: F401
    except ImportError:
        return False
    return True


def mapped(field: Field, seed: int, threads: int, same: bool = False) -> Ints:
    """A window for each row (n), limits nearly kept and ranges not at all.

    With `same`, the same seed gives the same answer.
    """
    import mtkahypar

    with _ONE_AT_A_TIME:
        engine = mtkahypar.initialize(threads, False)
        mtkahypar.set_seed(seed)
        preset = mtkahypar.PresetType.DETERMINISTIC if same else mtkahypar.PresetType.DEFAULT
        context = engine.context_from_preset(preset)
        context.logging = False
        weight, most = _loads(field)
        windows = len(most)
        context.set_mapping_parameters(windows, 0.03)
        context.set_individual_target_block_weights(most.tolist())
        number = np.random.default_rng(seed).permutation(field.rows)  # of each row
        graph = _graph(engine, context, field, weight, np.append(number, field.rows))
        fixed = np.empty_like(weight)
        fixed[number] = _fixed(field)
        graph.add_fixed_vertices([*fixed.tolist(), 0], windows)
        path = [(t, t + 1) for t in range(windows - 1)]
        gaps = np.maximum(1, np.rint(field.gaps * STEPS_PER_DAY)).astype(np.int64)
        target = engine.create_target_graph(context, windows, windows - 1, path, gaps.tolist())
        found = graph.map_onto_graph(target, context).get_partition()
    return np.array(found, np.int64)[number]


def _graph(
    engine: "mtkahypar.Initializer",
    context: "mtkahypar.Context",
    field: Field,
    weight: Ints,
    number: Ints,
) -> "mtkahypar.Graph":
    """All shares, and one vertex, the last, in the first window for all that were moved before.

    `number` (n + 1) is the vertex of each row, and of that one.
    """
    own = np.repeat(np.arange(field.rows), np.diff(field.indptr))
    once, still = own < field.indices, np.flatnonzero(field.still > 0)
    ends = (
        np.concatenate([own[once], still]),
        np.concatenate([field.indices[once], np.full(len(still), field.rows)]),
    )
    edges = number[np.column_stack(ends)]
    cost = np.concatenate([(field.late + field.early)[once], 2 * field.still[still]])
    span = field.day[-1] - field.day[0]
    finest = LARGEST / max(1.0, float(cost.sum()) * span * STEPS_PER_DAY)
    costs = np.maximum(1, np.rint(cost * min(1.0, finest))).astype(np.int64)
    weights = np.ones(field.rows + 1, np.int64)
    weights[number[:-1]] = weight
    return engine.create_graph(
        context,
        field.rows + 1,
        len(edges),
        edges.tolist(),
        weights.tolist(),
        costs.tolist(),
    )


def _loads(field: Field) -> tuple[Ints, Ints]:
    """The weight of each row (n), and how much of it each window takes (W).

    Bytes and numbers, each as a part of what all windows together take. Windows that take
    nobody but those who have no choice take exactly these.
    """
    total = float(field.size.sum())
    room = np.minimum(field.room, total).astype(np.float64)
    seats = np.minimum(field.seats, field.rows).astype(np.float64)
    all_room, all_seats = max(1.0, room.sum()), max(1.0, seats.sum())
    load, most = np.full(field.rows, 1.0 / all_seats), seats / all_seats
    if room.min() < total:  # copied ahead, or unlimited: only numbers bind in a window
        load, most = load + field.size / all_room, most + room / all_room
    scale = LARGEST / (4 * max(load.sum(), most.sum()))
    weight = np.maximum(1, np.floor(load * scale)).astype(np.int64)
    limit = np.maximum(1, np.floor(most * scale)).astype(np.int64)
    fixed = _fixed(field)
    free = field.allowed[fixed < 0].any(axis=0)
    taken = np.bincount(fixed[fixed >= 0], weight[fixed >= 0], field.windows).astype(np.int64)
    limit = np.where(free, limit, 0)
    taken[0] += 1  # the vertex of those that were moved before
    limit = np.maximum(np.maximum(limit, taken), 1)
    # Windows that are closed to nearly all leave less than is needed: then the others take it.
    # This is a wish only, and without any slack the library ends the whole process.
    short = int(SLACK * weight.sum()) + 1 - int(limit.sum())
    if short > 0:
        open_ = free if free.any() else np.ones_like(free)
        limit[open_] += -(-short // int(open_.sum()))
    return weight, limit


def _fixed(field: Field) -> Ints:
    """The only window of those who have no choice, -1 for the others (n)."""
    only = field.allowed.sum(axis=1) == 1
    return np.where(only, field.allowed.argmax(axis=1), -1).astype(np.int64)
