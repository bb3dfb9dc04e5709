"""The problem as arrays: what the searches for windows work on.

Rows here are the mailboxes to be planned only, in the order of `Problem.todo`; windows are
positions in time. Costs are weight-days: entry `e` of row `v` stands for all shares with row
`indices[e]` together; `late[e]` is what a day costs on which `v` is still to move and the
other has moved, `early[e]` the other way round. Every entry stands in both rows, so that
`late` of the one is `early` of the other. Shares with mailboxes that were moved before cost
`still[v]` for each day until `v` moves.

Bytes are int64; a limit that was not given is `ENDLESS`, so that sums never overflow.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mailmig.model.migration import State
from mailmig.rules.planning.problem import Problem

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ENDLESS = 1 << 61


class Field(NamedTuple):
    """What does not change while a search runs. n rows, W windows, m entries.

    `indptr` (n+1), `indices`, `late`, `early` (m): the shares, as compressed rows. `still`,
    `size`, `source`, `department`, `anchor`, `loyalty` (n): -1 in the three middle ones
    means none; a row with an anchor pays `loyalty` in every other window. `day`, `room`
    (bytes), `seats` (mailboxes), `copied` (bytes until then) (W). `allowed` (n, W).
    `source_room` (sources, W) in bytes, `department_seats` (departments, W) in mailboxes.
    """

    indptr: Ints
    indices: Ints
    late: Floats
    early: Floats
    still: Floats
    size: Ints
    source: Ints
    department: Ints
    anchor: Ints
    loyalty: Floats
    day: Floats
    room: Ints
    seats: Ints
    copied: Ints
    allowed: Flags
    source_room: Ints
    department_seats: Ints

    @property
    def rows(self) -> int:
        return len(self.size)

    @property
    def windows(self) -> int:
        return len(self.day)

    @property
    def gaps(self) -> Floats:
        """Days between neighbouring windows (W-1)."""
        return np.diff(self.day)

    @property
    def weight(self) -> float:
        """All weights together, each share once."""
        return float(self.late.sum() / 2 + self.still.sum())


def field_of(problem: Problem, unlocked: bool) -> Field:
    """The field of a problem. `unlocked` opens the pilot's windows to everybody."""
    todo = np.array(problem.todo, np.int64)
    place = np.full(len(problem.size), -1, np.int64)
    place[todo] = np.arange(len(todo))
    graph, still = _shares(problem, place)
    windows = problem.windows
    return Field(
        *graph,
        still=still,
        size=_picked(problem.size, problem),
        source=_picked(problem.source, problem),
        department=_picked(problem.department, problem),
        anchor=np.full(len(todo), -1, np.int64),
        loyalty=np.zeros(len(todo)),
        day=np.array([capacity.day for capacity in windows]),
        room=_limits([capacity.effective for capacity in windows]),
        seats=_limits([capacity.count for capacity in windows]),
        copied=_limits([capacity.copied for capacity in windows]),
        allowed=_allowed(problem, unlocked),
        source_room=_limits(problem.source_room).reshape(-1, len(windows)),
        department_seats=_limits(
            [[most] * len(windows) for most in problem.department_room]
        ).reshape(-1, len(windows)),
    )


def exposure_of(field: Field, x: Ints) -> float:
    """Weight-days of an assignment of windows (n), share by share, anchors left out."""
    own = np.repeat(field.day[x], np.diff(field.indptr))
    apart = own - field.day[x[field.indices]]
    paid = field.late * np.maximum(apart, 0.0) + field.early * np.maximum(-apart, 0.0)
    return float(paid.sum() / 2 + field.still @ field.day[x])


def window_costs(field: Field, x: Ints) -> Floats:
    """What each row would pay in each window while all others stay (n, W): a sparse product.

    This needs nothing but scipy: it drives the search where no compiler is at hand, and
    is what the compiled one is tried against.
    """
    n, days = field.rows, field.day
    there = np.zeros((n, field.windows))
    there[np.arange(n), x] = 1.0
    apart = days[:, None] - days[None, :]  # of the other, of oneself
    shape, where = (n, n), (field.indices, field.indptr)
    late = sparse.csr_matrix((field.late, *where), shape) @ there
    early = sparse.csr_matrix((field.early, *where), shape) @ there
    costs = late @ np.maximum(-apart, 0.0) + early @ np.maximum(apart, 0.0)
    costs += field.still[:, None] * days
    costs += np.where(field.anchor[:, None] >= 0, field.loyalty[:, None], 0.0)
    anchored = np.flatnonzero(field.anchor >= 0)
    costs[anchored, field.anchor[anchored]] -= field.loyalty[anchored]
    return np.asarray(costs, np.float64)


def _shares(problem: Problem, place: Ints) -> tuple[tuple[Ints, Ints, Floats, Floats], Floats]:
    data, n = problem.data, len(problem.todo)
    owner = np.asarray(problem.owner, np.int64)
    delegate = np.asarray(problem.delegate, np.int64)
    weight = np.asarray(problem.weight, np.float64)
    late = np.concatenate([weight * data.new_delegate, weight * data.new_owner])
    early = np.concatenate([weight * data.new_owner, weight * data.new_delegate])
    one, other = np.concatenate([owner, delegate]), np.concatenate([delegate, owner])
    gone = np.array([mailbox.state is State.MOVED for mailbox in data.mailboxes], bool)
    own, far = place[one], place[other]
    inside = (own >= 0) & (far >= 0)
    to_gone = (own >= 0) & gone[other] if len(gone) else own >= 0
    still = np.bincount(own[to_gone], late[to_gone], n).astype(np.float64)
    where = own[inside], far[inside]
    lates = sparse.coo_matrix((late[inside], where), (n, n)).tocsr()
    earlies = sparse.coo_matrix((early[inside], where), (n, n)).tocsr()
    for matrix in (lates, earlies):
        matrix.sort_indices()
    columns = lates.indptr.astype(np.int64), lates.indices.astype(np.int64)
    return (*columns, lates.data, earlies.data), still


def _allowed(problem: Problem, unlocked: bool) -> Flags:
    """As `Draft.allowed`: the pilot's windows take only those who have no other choice."""
    span = np.arange(len(problem.windows))
    first, last = _picked(problem.first, problem), _picked(problem.last, problem)
    allowed: Flags = np.logical_and(first[:, None] <= span, span <= last[:, None])
    pilot = np.array([capacity.window.pilot for capacity in problem.windows], np.bool_)
    if unlocked or not pilot.any() or pilot.all():
        return allowed
    others: Flags = np.logical_and(allowed, ~pilot)
    return np.asarray(np.where(np.any(others, axis=1, keepdims=True), others, allowed), np.bool_)


def _picked(values: Sequence[int], problem: Problem) -> Ints:
    return np.array([values[row] for row in problem.todo], np.int64)


def _limits(values: Sequence[Any]) -> Ints:
    return np.array(np.minimum(np.array(values, object), ENDLESS), np.int64)
