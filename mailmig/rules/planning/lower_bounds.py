"""What no plan can beat: bounds of the exposure.

Exposure is a sum over the gaps between windows: days times what is cut meanwhile. For each
gap alone, the cheapest cut is a part that no plan avoids; their sum is the bound. Two ways
lead to such cuts, and the larger one counts:

- between those who must have moved by then and those who must not yet, as pins say: a
  maximum flow, for any number of mailboxes. It knows of no capacity.
- with a size that the windows before and after can take: up to `BOUNDED` mailboxes, where
  ortools is there (`proving`). It may end early with less than the cheapest cut.

No databases are looked at, so both hold for every plan that keeps the rules. Weights are
rounded down to whole units and limits are exact, so rounding never makes a bound too large.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import maximum_flow

from mailmig.rules.planning import proving
from mailmig.rules.planning.field import Field, Flags

# Above so many mailboxes a cut of a given size is not found in seconds.
BOUNDED = 250

# The deterministic time of the solver for one gap; about as many seconds.
EFFORT = 1.0


@dataclass(frozen=True, slots=True)
class Bound:
    """No plan has less exposure than `least` weight-days; `gaps` (W-1) are the parts of it.

    `proven` tells that each gap's cheapest cut was found, `computed` that capacities were
    looked at, not pins alone.
    """

    least: float
    gaps: tuple[float, ...]
    proven: bool
    computed: bool


def boundary_bound(field: Field, effort: float = EFFORT) -> Bound:
    """The bound of a field, gap by gap: for any plan where the field's pilot is open to all."""
    sized = field.rows <= BOUNDED and proving.available()
    pinned = _pinned_cuts(field)
    gaps, proven = [], sized
    for j, days in enumerate(field.gaps.tolist()):
        least = pinned[j]
        if sized and days:
            cut, exact = proving.cheapest_cut(field, j, effort)
            least, proven = max(least, cut), proven and exact
        gaps.append(least * days)
    before = float(field.still.sum() * field.day[0])
    return Bound(before + sum(gaps), tuple(gaps), proven, computed=sized)


def _pinned_cuts(field: Field) -> list[float]:
    """Weight per day that is cut after each window at least, whatever the windows can take.

    Pins change at a few windows only; between them the cut is the same.
    """
    first = field.allowed.argmax(axis=1)
    last = field.windows - 1 - field.allowed[:, ::-1].argmax(axis=1)
    cuts: dict[bytes, float] = {}
    found = []
    for j in range(field.windows - 1):
        here, not_yet = last <= j, first > j
        ends = np.concatenate([here, not_yet]).tobytes()
        if ends not in cuts:
            cuts[ends] = _least_cut(field, here, not_yet)
        found.append(cuts[ends])
    return found


def _least_cut(field: Field, here: Flags, not_yet: Flags) -> float:
    """The cheapest cut with `here` (n) on the one side and `not_yet` (n) on the other.

    Those who were moved before stand on the side of `here`.
    """
    if not not_yet.any() or not (here.any() or field.still.any()):
        return 0.0
    units = proving.units_of(field)
    node = np.arange(field.rows) + 2
    node[here], node[not_yet] = 0, 1
    own = np.repeat(node, np.diff(field.indptr))
    start = np.concatenate([own, np.zeros(field.rows, np.int64)])
    end = np.concatenate([node[field.indices], node])
    weight = proving.whole(np.concatenate([field.early, field.still]), units)
    kept = (start != end) & (start != 1) & (end != 0) & (weight > 0)
    shape = (field.rows + 2, field.rows + 2)
    arcs = sparse.csr_array((weight[kept], (start[kept], end[kept])), shape, dtype=np.int32)
    return float(maximum_flow(arcs, 0, 1).flow_value) / units
