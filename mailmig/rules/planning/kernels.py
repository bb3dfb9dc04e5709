"""The inner loops of the search: annealing, the greedy pass with swaps, and insertion.

Compiled with numba where it is installed; without it they are plain Python, right and slow.
Arrays are changed in place. No proposal is accepted that breaks a limit of its windows, so
the state is a valid assignment after every step (databases come later).

All of them stand in this file: numba's cache on disk does not see that a function in another
file has changed.

Sums of bytes are int64; costs are weight-days. Random numbers come from the generator that
is passed in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from mailmig.rules.planning.field import ENDLESS, Field, Floats, Ints

try:
    from numba import njit

    COMPILED = True
except ImportError:
    COMPILED = False

NOWHERE = -1

# Differences below this are crumbs of floating point, no improvements.
CRUMB = 1e-9

# Random members of a full window that are tried as partners of a swap.
PARTNERS = 12

# Of the proposals, so many go to the window of somebody one shares with, so many next door.
TO_PARTNER = 0.7
NEXT_DOOR = 0.9

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function in machine code, kept on disk where there is a folder for it.

    It lets other threads work meanwhile.
    """
    if not COMPILED:
        return function
    try:
        return cast(Function, njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no folder can be written
        return cast(Function, njit(nogil=True)(function))


class Seating(NamedTuple):
    """Who is where, with the sums that limits are about. n rows, W windows.

    `x` (n): the window of each row, NOWHERE until it has one. `used` (W) bytes, `number` (W)
    mailboxes, `until` (W) bytes of this and all earlier windows, empty where nothing is copied
    ahead. `source_used` (sources, W),
    `department_used` (departments, W). `members` (W, n) lists the rows of a window in its
    first `number` places, `place` (n) is where a row stands there.
    """

    x: Ints
    used: Ints
    number: Ints
    until: Ints
    source_used: Ints
    department_used: Ints
    members: Any
    place: Ints


def nobody_seated(field: Field) -> Seating:
    n, windows = field.rows, field.windows
    return Seating(
        x=np.full(n, NOWHERE, np.int64),
        used=np.zeros(windows, np.int64),
        number=np.zeros(windows, np.int64),
        until=np.zeros(windows if field.copied[-1] < ENDLESS else 0, np.int64),
        source_used=np.zeros_like(field.source_room),
        department_used=np.zeros_like(field.department_seats),
        members=np.zeros((windows, n), np.int32),
        place=np.zeros(n, np.int64),
    )


@compiled
def seat(field: Field, seating: Seating, v: int, t: int) -> None:
    """Put a row that has no window into window `t`."""
    size = field.size[v]
    seating.x[v] = t
    seating.used[t] += size
    seating.members[t, seating.number[t]] = v
    seating.place[v] = seating.number[t]
    seating.number[t] += 1
    for j in range(t, len(seating.until)):
        seating.until[j] += size
    if field.source[v] >= 0:
        seating.source_used[field.source[v], t] += size
    if field.department[v] >= 0:
        seating.department_used[field.department[v], t] += 1


@compiled
def lift(field: Field, seating: Seating, v: int) -> None:
    """Take a row out of its window."""
    t, size = seating.x[v], field.size[v]
    seating.x[v] = NOWHERE
    seating.used[t] -= size
    seating.number[t] -= 1
    last = seating.members[t, seating.number[t]]
    seating.members[t, seating.place[v]] = last
    seating.place[last] = seating.place[v]
    for j in range(t, len(seating.until)):
        seating.until[j] -= size
    if field.source[v] >= 0:
        seating.source_used[field.source[v], t] -= size
    if field.department[v] >= 0:
        seating.department_used[field.department[v], t] -= 1


@compiled
def takes(field: Field, seating: Seating, v: int, t: int, leaving: int) -> bool:
    """Has window `t` room for `v` once `leaving` (NOWHERE: nobody) has left it?"""
    more, fewer = field.size[v], 0
    if leaving >= 0:
        fewer = field.size[leaving]
    elif seating.number[t] >= field.seats[t]:
        return False
    if seating.used[t] + more - fewer > field.room[t]:
        return False
    of = field.source[v]
    if of >= 0:
        freed = fewer if leaving >= 0 and field.source[leaving] == of else 0
        if seating.source_used[of, t] + more - freed > field.source_room[of, t]:
            return False
    of = field.department[v]
    if of >= 0 and not (leaving >= 0 and field.department[leaving] == of):
        return bool(seating.department_used[of, t] < field.department_seats[of, t])
    return True


@compiled
def copied_in_time(field: Field, seating: Seating, size: int, early: int, late: int) -> bool:
    """May so many bytes more be due from window `early` on, until before `late`?"""
    for j in range(early, min(late, len(seating.until))):
        if seating.until[j] + size > field.copied[j]:
            return False
    return True


@compiled
def may_move(field: Field, seating: Seating, v: int, t: int) -> bool:
    s = seating.x[v]
    late = len(field.day) if s < 0 else s
    return takes(field, seating, v, t, NOWHERE) and copied_in_time(
        field, seating, field.size[v], t, late
    )


@compiled
def may_swap(field: Field, seating: Seating, v: int, u: int) -> bool:
    """`v` and `u` are in different windows; may they change places?"""
    a, b = seating.x[v], seating.x[u]
    if not (field.allowed[v, b] and field.allowed[u, a]):
        return False
    if not (takes(field, seating, v, b, u) and takes(field, seating, u, a, v)):
        return False
    if a < b:
        return copied_in_time(field, seating, field.size[u] - field.size[v], a, b)
    return copied_in_time(field, seating, field.size[v] - field.size[u], b, a)


@compiled
def change(field: Field, seating: Seating, v: int, t: int) -> float:
    """What moving `v` to window `t` adds to the cost; less than zero is a gain."""
    x, day = seating.x, field.day
    new, old = day[t], day[x[v]]
    total = field.still[v] * (new - old)
    for e in range(field.indptr[v], field.indptr[v + 1]):
        other = day[x[field.indices[e]]]
        after, before = new - other, old - other
        total += field.late[e] * after if after > 0 else -field.early[e] * after
        total -= field.late[e] * before if before > 0 else -field.early[e] * before
    if field.anchor[v] == x[v]:
        total += field.loyalty[v]
    elif field.anchor[v] == t:
        total -= field.loyalty[v]
    return float(total)


@compiled
def change_of_swap(field: Field, seating: Seating, v: int, u: int) -> float:
    """What it adds to the cost when `v` and `u` change places."""
    a, b = seating.x[v], seating.x[u]
    total = change(field, seating, v, b) + change(field, seating, u, a)
    for e in range(field.indptr[v], field.indptr[v + 1]):
        if field.indices[e] == u:  # both changes took the other one for resting
            total += (field.late[e] + field.early[e]) * abs(field.day[a] - field.day[b])
    return total


@compiled
def move(field: Field, seating: Seating, v: int, t: int) -> None:
    lift(field, seating, v)
    seat(field, seating, v, t)


@compiled
def swap(field: Field, seating: Seating, v: int, u: int) -> None:
    a, b = seating.x[v], seating.x[u]
    lift(field, seating, v)
    lift(field, seating, u)
    seat(field, seating, v, b)
    seat(field, seating, u, a)


@compiled
def costs_of(
    field: Field, seating: Seating, v: int, late: Floats, early: Floats, costs: Floats
) -> None:
    """What `v` would pay in each window, into `costs` (W); `late` and `early` (W) are scratch.

    Partners without a window do not count.
    """
    day, windows = field.day, len(field.day)
    for t in range(windows):
        late[t] = early[t] = 0.0
    for e in range(field.indptr[v], field.indptr[v + 1]):
        t = seating.x[field.indices[e]]
        if t >= 0:
            late[t] += field.late[e]
            early[t] += field.early[e]
    paid, rate = field.still[v] * day[0], field.still[v]
    for t in range(windows):
        if t:
            paid += rate * (day[t] - day[t - 1])
        rate += late[t]
        costs[t] = paid
        if field.anchor[v] >= 0 and field.anchor[v] != t:
            costs[t] += field.loyalty[v]
    paid = rate = 0.0
    for t in range(windows - 1, -1, -1):
        if t < windows - 1:
            paid += rate * (day[t + 1] - day[t])
        rate += early[t]
        costs[t] += paid


@compiled
def insert(field: Field, seating: Seating, wanted: Ints, order: Ints) -> int:
    """Seat these rows one by one: where they are wanted, else where it costs least.

    Who has a seat keeps it. `wanted` (n) is a window or NOWHERE. First all that fit where they
    are wanted, then the others, in the same order. Gives the number of those for whom there is
    no room.
    """
    windows = len(field.day)
    late, early, costs = np.zeros(windows), np.zeros(windows), np.zeros(windows)
    left = 0
    for v in order:
        t = wanted[v]
        if seating.x[v] < 0 and t >= 0 and field.allowed[v, t] and may_move(field, seating, v, t):
            seat(field, seating, v, t)
    for v in order:
        if seating.x[v] >= 0:
            continue
        costs_of(field, seating, v, late, early, costs)
        best = NOWHERE
        for t in range(windows):
            if (best < 0 or costs[t] < costs[best]) and field.allowed[v, t]:  # noqa: SIM102
                if may_move(field, seating, v, t):
                    best = t
        if best >= 0:
            seat(field, seating, v, best)
        else:
            left += 1
    return left


@compiled
def fill(field: Field, seating: Seating, order: Ints) -> None:
    """Seat these rows one by one, each in the first window with room for it, if there is one."""
    for v in order:
        for t in range(len(field.day)):
            if field.allowed[v, t] and may_move(field, seating, v, t):
                seat(field, seating, v, t)
                break


@compiled
def greedy(field: Field, seating: Seating, order: Ints, rng: np.random.Generator) -> int:
    """One pass: the best improving move or swap of each of these rows. Gives their number."""
    windows = len(field.day)
    late, early, costs = np.zeros(windows), np.zeros(windows), np.zeros(windows)
    changed = 0
    for v in order:
        costs_of(field, seating, v, late, early, costs)
        here = seating.x[v]
        wish = best = here
        for t in range(windows):
            if costs[t] < costs[best] - CRUMB and field.allowed[v, t]:
                if costs[t] < costs[wish]:
                    wish = t
                if may_move(field, seating, v, t):
                    best = t
        gain, partner = costs[here] - costs[best], NOWHERE
        if costs[wish] < costs[best] - CRUMB:
            for _ in range(min(PARTNERS, seating.number[wish])):
                u = seating.members[wish, int(rng.random() * seating.number[wish])]
                if may_swap(field, seating, v, u):
                    saved = -change_of_swap(field, seating, v, u)
                    if saved > gain + CRUMB:
                        gain, partner = saved, u
        if partner >= 0:
            swap(field, seating, v, partner)
            changed += 1
        elif best != here:
            move(field, seating, v, best)
            changed += 1
    return changed


@compiled
def anneal(
    field: Field,
    seating: Seating,
    free: Ints,
    proposals: int,
    hot: float,
    cold: float,
    rng: np.random.Generator,
) -> None:
    """Simulated annealing over the rows in `free`, from temperature `hot` down to `cold`."""
    windows = len(field.day)
    cooling = (cold / hot) ** (1.0 / max(1, proposals // 256))
    heat = hot
    for step in range(proposals):
        if step % 256 == 255:
            heat *= cooling
        v = free[int(rng.random() * len(free))]
        here = seating.x[v]
        dice = rng.random()
        first, degree = field.indptr[v], field.indptr[v + 1] - field.indptr[v]
        if dice < TO_PARTNER and degree:
            t = seating.x[field.indices[first + int(rng.random() * degree)]]
        elif dice < NEXT_DOOR:
            t = here + (1 if rng.random() < 0.5 else -1)
        else:
            t = int(rng.random() * windows)
        if t < 0 or t >= windows or t == here or not field.allowed[v, t]:
            continue
        if may_move(field, seating, v, t):
            added = change(field, seating, v, t)
            if added <= 0 or rng.random() < np.exp(-added / heat):
                move(field, seating, v, t)
        elif seating.number[t]:
            u = seating.members[t, int(rng.random() * seating.number[t])]
            if may_swap(field, seating, v, u):
                added = change_of_swap(field, seating, v, u)
                if added <= 0 or rng.random() < np.exp(-added / heat):
                    swap(field, seating, v, u)
