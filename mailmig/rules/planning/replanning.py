"""Planning again in mid-migration: what has a place keeps it as far as it can.

Mailboxes that were moved are fixed, and so are announced windows: nobody leaves them and
nobody enters them, because their people were told. Everybody else has an anchor, the old
window, and pays for leaving it. Who has no window any more (it was lost, the move failed,
the mailbox is new) is inserted first, the largest first, and annealed while all others rest;
then greedy passes look for changes that are worth more than they cost. A plan whose input did not change comes back as it was.
"""

from dataclasses import dataclass

import numpy as np

from mailmig.rules.planning.field import Field, Flags, Ints, exposure_of
from mailmig.rules.planning.kernels import (
    COMPILED,
    NOWHERE,
    Seating,
    anneal,
    greedy,
    insert,
    may_move,
    nobody_seated,
    seat,
)
from mailmig.rules.planning.search import COLD, HOT, PASSES, STILL_MOVING, usual_cost

# Leaving an old window costs as much as parting one assistant for five days.
LOYALTY = 30.0

# Those without a window are annealed among all the others, who rest: per mailbox.
PROPOSALS = 5_000


@dataclass(frozen=True, slots=True)
class Again:
    """Windows (n) of a plan made again, and the rows whose old window was usable but changed."""

    windows: Ints
    changed: Ints
    exposure: float


def anchored(field: Field, old: Ints, announced: Flags, loyalty: float = LOYALTY) -> Field:
    """The field with anchors at the old windows (n, NOWHERE: none), announced ones (W) closed.

    Rows that have an announced window stay there; others may not enter it.
    """
    allowed = np.array(field.allowed)
    allowed[:, announced] = False
    for v, t in enumerate(old.tolist()):
        if t >= 0 and announced[t]:
            allowed[v] = False
            allowed[v, t] = True
    kept = np.where(np.any(allowed, axis=1, keepdims=True), allowed, field.allowed)
    return field._replace(allowed=kept, anchor=old.copy(), loyalty=np.where(old >= 0, loyalty, 0.0))


def replanned(field: Field, seed: int) -> Again | None:
    """The old plan with as few changes as pay; None when somebody finds no room that way.

    `field` comes from `anchored`. With an endless loyalty nobody moves who has a window.
    Where everybody still has a usable one, nothing changes at all.
    """
    seating = nobody_seated(field)
    order = np.argsort(-field.size, kind="stable")
    _keep_old(field, seating, order)
    left = int((seating.x == NOWHERE).sum())
    if left and insert(field, seating, field.anchor, order):
        return None
    rng = np.random.default_rng(seed)
    lost = np.flatnonzero(field.anchor == NOWHERE)
    if len(lost) and COMPILED:
        scale = max(usual_cost(field), 1e-6)
        anneal(field, seating, lost, PROPOSALS * len(lost), HOT * scale, COLD * scale, rng)
    free = np.flatnonzero(field.allowed.sum(axis=1) > 1)
    for _ in range(PASSES if left else 0):
        if greedy(field, seating, rng.permutation(free), rng) <= STILL_MOVING * len(free):
            break
    changed = np.flatnonzero((field.anchor >= 0) & (seating.x != field.anchor))
    return Again(seating.x, changed, exposure_of(field, seating.x))


def _keep_old(field: Field, seating: Seating, order: Ints) -> None:
    """All that fit into their old windows; those who have no choice before all others."""
    choices = field.allowed.sum(axis=1)
    for v in order[np.argsort(choices[order] > 1, kind="stable")].tolist():
        t = int(field.anchor[v])
        if t >= 0 and field.allowed[v, t] and may_move(field, seating, v, t):
            seat(field, seating, v, t)
