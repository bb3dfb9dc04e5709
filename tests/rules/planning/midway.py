"""A migration in the middle: a third is done, some moves failed, a window is lost.

The lost window is made up for by a larger one at the end, or there would be no room for all.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from mailmig.model.migration import Assignment, Plan, PlanData, State

FAILED = 0.04


@dataclass(frozen=True)
class Midway:
    """What holds now, and what stands of the old plan: failed mailboxes have no place in it."""

    data: PlanData
    left: tuple[Assignment, ...]
    failed: frozenset[str]
    lost: str


def midway(old: Plan, seed: int = 1) -> Midway:
    """A third of the mailboxes has been moved, but for the 4 % of them that failed."""
    random, data = Random(seed), old.data
    order = [w.id for w in sorted(data.calendar.windows, key=lambda w: w.end)]
    number = {id: sum(a.window == id for a in old.assignments) for id in order}
    done: set[str] = set()
    while sum(number[id] for id in done) < len(old.assignments) / 3:
        done.add(order[len(done)])
    rest = [id for id in order if id not in done and number[id]]
    lost = min(rest, key=lambda id: number[id])
    over = [a.mailbox for a in old.assignments if a.window in done]
    failed = frozenset(random.sample(over, k=round(FAILED * len(over))))
    moved = set(over) - failed
    return Midway(
        replace(
            data,
            calendar=_later(data, done, lost),
            mailboxes=tuple(
                replace(m, state=State.MOVED if m.identity in moved else State.PENDING)
                for m in data.mailboxes
            ),
            pins=tuple(
                pin
                for pin in data.pins
                if not done & {pin.window, pin.not_before, pin.not_after} and pin.window != lost
            ),
        ),
        tuple(a for a in old.assignments if a.window not in done),
        failed,
        lost,
    )


def _later(data: PlanData, done: set[str], lost: str):  # type: ignore[no-untyped-def]
    """The calendar from the last completed window on."""
    calendar = data.calendar
    now = max(w.end for w in calendar.windows if w.id in done)
    rest = [replace(w, cancelled=w.id == lost) for w in calendar.windows if w.end > now]
    gone = next(w for w in rest if w.id == lost)
    end = max(w.end for w in rest) + timedelta(days=1)
    more = replace(
        gone, id="extra", cancelled=False, start=end - (gone.end - gone.start), end=end,
        hours=3 * gone.working_hours, capacity_bytes=3 * (gone.capacity_bytes or 0),
        max_mailboxes=3 * (gone.max_mailboxes or 0),
    )  # fmt: skip
    deadline = max(calendar.deadline or end, end)
    return replace(calendar, project_start=now, windows=(*rest, more), deadline=deadline)
