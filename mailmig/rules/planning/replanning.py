"""Planning again in mid-migration: what has a place keeps it as far as it can.

Mailboxes that were moved are fixed, and so are announced windows: nobody leaves them and
nobody enters them, because their people were told. Everybody else has an anchor, the old
window, and pays for leaving it. Who has no window any more (it was lost, the move failed,
the mailbox is new) is inserted first, the largest first, and annealed while all others rest;
then a tepid annealing of all looks for changes that are worth more than they cost. Anchors
get dearer until no more leave their windows than may. A plan whose input did not change
comes back as it was.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from mailmig.rules.planning.field import Field, Flags, Ints, exposure_of
from mailmig.rules.planning.kernels import (
    COMPILED,
    NOWHERE,
    Seating,
    anneal,
    insert,
    may_move,
    nobody_seated,
    seat,
)
from mailmig.rules.planning.search import COLD, HOT, TEPID, WARM, polish, price, seated, usual_cost

# Leaving an old window costs as much as parting one assistant for five days; where too many
# leave, twice as much, and again twice.
LOYALTY = 30.0
DOUBLED = 7

# Those without a window are annealed among all the others, who rest: so many times, with so
# many proposals per mailbox, and at most.
RUNS = 3
PROPOSALS = 5_000
AT_MOST = 400_000

# Then all together, at most so many times per mailbox, for each price of leaving and each heat.
TOGETHER = 2_000
HEATS = (TEPID, WARM)


@dataclass(frozen=True, slots=True)
class Again:
    """Windows (n) of a plan made again, and the rows whose old window was usable but changed."""

    windows: Ints
    changed: Ints
    exposure: float


def anchored(field: Field, old: Ints, announced: Flags) -> Field:
    """The field with anchors at the old windows (n, NOWHERE: none), announced ones (W) closed.

    Rows that have an announced window stay there; others may not enter it, except those who
    may go nowhere else. Nobody leaves his anchor at any price.
    """
    allowed = np.array(field.allowed)
    allowed[:, announced] = False
    for v, t in enumerate(old.tolist()):
        if t >= 0 and announced[t]:
            allowed[v] = False
            allowed[v, t] = True
    kept = np.where(np.any(allowed, axis=1, keepdims=True), allowed, field.allowed)
    return _paying(field._replace(allowed=kept, anchor=old.copy()), np.inf)


def replanned(field: Field, seed: int, most: int) -> Again | None:
    """The old plan with as few changes as pay; None when somebody finds no room that way.

    `field` comes from `anchored`. No more than `most` who have a window get another one,
    except those who had to. Where everybody still has a usable one, nothing changes at all.
    """
    rng = np.random.default_rng(seed)
    inserted = _inserted(field, rng)
    if inserted is None:
        return None
    least = _again(field, inserted)
    if not most or not COMPILED or (inserted == field.anchor).all():
        return least
    kept, allowed = [least], max(most, len(least.changed))

    def few(doubled: int) -> bool:
        paying = _paying(field, LOYALTY * 2.0**doubled)
        found = [_again(field, _loosened(paying, inserted, heat, rng)) for heat in HEATS]
        kept.extend(again for again in found if len(again.changed) <= allowed)
        return any(len(again.changed) <= allowed for again in found)

    bisect_left(range(DOUBLED), True, key=few)
    return min(kept, key=lambda again: again.exposure)


def _paying(field: Field, loyalty: float) -> Field:
    return field._replace(loyalty=np.where(field.anchor >= 0, loyalty, 0.0))


def _again(field: Field, x: Ints) -> Again:
    changed = np.flatnonzero((field.anchor >= 0) & (x != field.anchor))
    return Again(x, changed, exposure_of(field, x))


def _inserted(field: Field, rng: np.random.Generator) -> Ints | None:
    """Everybody where he was, and the others where that costs least."""
    seating = nobody_seated(field)
    order = np.argsort(-field.size, kind="stable")
    _keep_old(field, seating, order)
    lost = np.flatnonzero(seating.x == NOWHERE)
    if insert(_paying(field, LOYALTY), seating, field.anchor, order):
        return None
    best = seating.x
    if not len(lost) or not COMPILED:
        return best
    scale = max(usual_cost(field), 1e-6)
    for _ in range(RUNS):
        tried = seated(field, seating.x)
        anneal(
            field, tried, lost, min(PROPOSALS * len(lost), AT_MOST), HOT * scale, COLD * scale, rng
        )
        polish(field, tried, lost, rng)
        if exposure_of(field, tried.x) < exposure_of(field, best):
            best = tried.x
    return best


def _loosened(field: Field, begin: Ints, heat: float, rng: np.random.Generator) -> Ints:
    """Everybody may leave who gains more than his anchor costs."""
    free = np.flatnonzero(field.allowed.sum(axis=1) > 1)
    if not len(free):
        return begin
    seating, scale = seated(field, begin), max(usual_cost(field), 1e-6)
    proposals = min(TOGETHER * len(free), AT_MOST)
    anneal(field, seating, free, proposals, heat * scale, COLD * scale, rng)
    polish(field, seating, free, rng)
    return seating.x if price(field, seating.x) < price(field, begin) else begin


def _keep_old(field: Field, seating: Seating, order: Ints) -> None:
    """All that fit into their old windows; those who have no choice before all others."""
    choices = field.allowed.sum(axis=1)
    for v in order[np.argsort(choices[order] > 1, kind="stable")].tolist():
        t = int(field.anchor[v])
        if t >= 0 and field.allowed[v, t] and may_move(field, seating, v, t):
            seat(field, seating, v, t)
