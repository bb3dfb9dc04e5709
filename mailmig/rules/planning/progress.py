"""A migration in the middle as planning data: what is done, what failed, what time it is.

Moved mailboxes count as moved on day 0, which is now; what they take of their target
database is taken off its room. A mailbox that is copied, but not completed, is pinned to its
database: moving the target would mean copying it again. Failed ones lose their old window
and are planned again; excluded ones are left out. Windows that are over are gone, and with
them the pins that name them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailmig.model.migration import (
    Assignment,
    Calendar,
    Note,
    Pin,
    PlanData,
    Progress,
    State,
    Target,
    Told,
)
from mailmig.rules.planning.capacity import or_no_limit
from mailmig.rules.planning.refusals import NoUsableWindow
from mailmig.rules.planning.wording import listed

_COPIED = (Progress.COPYING, Progress.SYNCED)
_NO_PLACE = (Progress.FAILED, Progress.EXCLUDED)


@dataclass(frozen=True, slots=True)
class Midway:
    """What holds now, and what is left of the old plan."""

    data: PlanData
    left: tuple[Assignment, ...]


def midway(
    data: PlanData,
    old: Sequence[Assignment],
    told: Sequence[Told],
    now: datetime,
    room_is_now: bool = False,
) -> Midway:
    """The data as it is at `now`. `room_is_now`: the databases' room was read after the moves.

    Raises `NoUsableWindow` when all windows are over.
    """
    states = {each.mailbox.casefold(): each for each in told}
    places = {assignment.mailbox.casefold(): assignment for assignment in old}
    known = {mailbox.identity.casefold() for mailbox in data.mailboxes}
    over = {window.id for window in data.calendar.windows if window.end <= now}
    out = {name for name, each in states.items() if each.progress is Progress.EXCLUDED}
    moved = _moved(data, states)
    done = {m.identity for m in data.mailboxes if m.state is State.MOVED} | moved
    kept, idle = _pins(data, over, out, {identity.casefold() for identity in done})
    copied = tuple(_copied(states, places, known))
    strangers = [each.mailbox for name, each in states.items() if name not in known]
    notes = tuple(_notes(strangers, sorted(out & known), idle))
    return Midway(
        replace(
            data,
            mailboxes=tuple(
                replace(mailbox, state=State.MOVED) if mailbox.identity in moved else mailbox
                for mailbox in data.mailboxes
                if mailbox.identity.casefold() not in out
            ),
            shares=tuple(
                share
                for share in data.shares
                if share.owner.casefold() not in out and share.delegate.casefold() not in out
            ),
            calendar=_calendar(data.calendar, over, now),
            target=data.target if room_is_now else _target(data, moved, states, places),
            pins=(*kept, *(pin for pin in copied if pin not in kept)),
            notes=(*data.notes, *notes),
        ),
        tuple(
            a
            for name, a in places.items()
            if name not in states or states[name].progress not in _NO_PLACE
        ),
    )


def held(data: PlanData, old: Sequence[Assignment], announced: Iterable[str]) -> PlanData:
    """The data for a plan from nothing that keeps announced windows: their people and no others.

    A pin to such a window is stronger: whoever has one enters it (again, when his move failed).
    """
    told = set(announced)
    pending = {m.identity.casefold() for m in data.mailboxes if m.state is State.PENDING}
    people = [a for a in old if a.window in told and a.mailbox.casefold() in pending]
    there = {(a.mailbox.casefold(), a.window) for a in people}
    there |= {
        (pin.identity.casefold(), pin.window)
        for pin in data.pins
        if pin.window in told and pin.identity.casefold() in pending
    }
    number = Counter(window for _, window in there)
    pins = [Pin(a.mailbox, "was told so", window=a.window) for a in people]
    windows = tuple(
        replace(w, max_mailboxes=min(number[w.id], or_no_limit(w.max_mailboxes)))
        if w.id in told
        else w
        for w in data.calendar.windows
    )
    calendar = replace(data.calendar, windows=windows)
    return replace(data, calendar=calendar, pins=(*data.pins, *pins))


def _moved(data: PlanData, states: dict[str, Told]) -> set[str]:
    """Those that were moved since the data was read."""
    done = {name for name, each in states.items() if each.progress is Progress.MOVED}
    return {
        mailbox.identity
        for mailbox in data.mailboxes
        if mailbox.state is State.PENDING and mailbox.identity.casefold() in done
    }


def _calendar(calendar: Calendar, over: set[str], now: datetime) -> Calendar:
    rest = tuple(window for window in calendar.windows if window.id not in over)
    if not rest:
        raise NoUsableWindow((id, "is over") for id in sorted(over))
    start = max(now, calendar.project_start)
    return replace(calendar, project_start=start, windows=rest)


def _target(
    data: PlanData, moved: set[str], states: dict[str, Told], places: dict[str, Assignment]
) -> Target:
    taken: Counter[str] = Counter()
    for mailbox in data.mailboxes:
        if mailbox.identity in moved:
            name = mailbox.identity.casefold()
            planned = places[name].database if name in places else ""
            taken[(states[name].database or planned).casefold()] += mailbox.size_bytes
    databases = tuple(
        replace(d, capacity_bytes=max(0, d.capacity_bytes - taken[d.id.casefold()]))
        for d in data.target.databases
    )
    return replace(data.target, databases=databases)


def _pins(
    data: PlanData, over: set[str], out: set[str], done: set[str]
) -> tuple[tuple[Pin, ...], list[str]]:
    """The pins that still mean something, and what was said by those that do not.

    Not before a window that is over is kept by any window; not after it is kept by none.
    """
    kept, idle = [], []
    for pin in data.pins:
        if pin.identity.casefold() in out:
            continue
        if (pin.window in over or pin.not_after in over) and pin.identity.casefold() not in done:
            idle.append(f"{pin.identity}, {pin.text}")
        left = replace(
            pin,
            window="" if pin.window in over else pin.window,
            not_before="" if pin.not_before in over else pin.not_before,
            not_after="" if pin.not_after in over else pin.not_after,
        )
        if left.window or left.not_before or left.not_after or left.database:
            kept.append(left)
    return tuple(kept), idle


def _copied(
    states: dict[str, Told], places: dict[str, Assignment], known: set[str]
) -> Iterator[Pin]:
    for name, each in states.items():
        planned = places[name].database if name in places else ""
        database = each.database or planned
        if each.progress in _COPIED and database and name in known:
            yield Pin(each.mailbox, "is copied to it already", database=database)


def _notes(strangers: list[str], out: list[str], idle: list[str]) -> Iterator[Note]:
    for subjects, text in (
        (strangers, "states of mailboxes that are not in the plan, left aside"),
        (out, "excluded: not planned"),
        (idle, "pinned to a window that is over: the pin has no effect any more"),
    ):
        if subjects:
            yield listed(text, subjects)
