"""The first choice of windows: site by site, department by department.

A department goes as a whole into the first window with room for all of it; one that fits
into no window is spread over the shortest run of windows that takes it. A mailbox without a
department (most shared ones and rooms) goes with those it shares most with. On made
organisations this order alone has a quarter of the exposure of an alphabetical one.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from mailmig.model.migration import Why
from mailmig.rules.planning.problem import FIRST_KINDS, Problem
from mailmig.rules.planning.room import NOWHERE, Draft

Key = tuple[str, str]
"""Site and department, without regard to case."""


@dataclass(slots=True)
class Unit:
    """Those who move together: `name` as the directory spells it, rows in the order of the data."""

    name: str
    rows: list[int] = field(default_factory=list)


def units(problem: Problem) -> tuple[list[Unit], set[int]]:
    """The units, site after site in the order of the data, and the rows that joined one by sharing.

    The last unit holds those without a department and without a partner who has one: most of
    them share with nobody, cost nothing anywhere and fill what is left.
    """
    mailboxes = problem.data.mailboxes
    keys: dict[int, Key] = {}
    for row in problem.todo:
        mailbox = mailboxes[row]
        if mailbox.department.strip():
            keys[row] = _key(mailbox.site, mailbox.department)
    joined = _by_sharing(problem, keys)
    by_site: dict[str, dict[Key, Unit]] = {}
    alone = Unit("")
    for row in problem.todo:
        key = keys.get(row) or joined.get(row)
        if key is None:
            alone.rows.append(row)
            continue
        unit = by_site.setdefault(key[0], {}).setdefault(key, Unit(""))
        unit.rows.append(row)
        if not unit.name and row in keys:
            unit.name = _name(mailboxes[row].department, mailboxes[row].site)
    in_order = [unit for of_site in by_site.values() for unit in of_site.values()]
    return [*in_order, alone], set(joined)


def fill(draft: Draft) -> list[int]:
    """Give every mailbox a window where there is room; the rows without one come back."""
    problem = draft.problem
    _place_pinned(draft)
    _place_first(draft)
    every, joined = units(problem)
    for unit in every:
        left = [row for row in unit.rows if draft.window[row] == NOWHERE]
        _place_unit(draft, unit.name, left, joined)
    return [row for row in problem.todo if draft.window[row] == NOWHERE]


def _key(site: str, department: str) -> Key:
    return site.strip().casefold(), department.strip().casefold()


def _name(department: str, site: str) -> str:
    return f"{department.strip()} of site {site.strip()}" if site.strip() else department.strip()


def _by_sharing(problem: Problem, keys: dict[int, Key]) -> dict[int, Key]:
    """For rows without a department: the unit that the most weight of their shares leads to."""
    pull: dict[int, dict[Key, float]] = defaultdict(lambda: defaultdict(float))
    without = {row for row in problem.todo if row not in keys}
    if not without:
        return {}
    for one, other, weight in zip(problem.owner, problem.delegate, problem.weight, strict=True):
        if one in without and other in keys:
            pull[one][keys[other]] += weight
        elif other in without and one in keys:
            pull[other][keys[one]] += weight
    return {row: max(of, key=of.__getitem__) for row, of in pull.items() if max(of.values()) > 0}


def _place_pinned(draft: Draft) -> None:
    problem = draft.problem
    for row in problem.todo:
        first = problem.first[row]
        if problem.pinned(row) and draft.room.takes(row, first):
            draft.put(row, first, Why.PIN)


def _place_first(draft: Draft) -> None:
    problem = draft.problem
    for row in problem.todo:
        if problem.data.mailboxes[row].kind in FIRST_KINDS and draft.window[row] == NOWHERE:
            for window in range(problem.first[row], problem.last[row] + 1):
                if draft.room.takes(row, window) and draft.scorer.best(row, window) != NOWHERE:
                    draft.put(row, window, Why.FIRST)
                    break


def _place_unit(draft: Draft, name: str, rows: list[int], joined: set[int]) -> None:
    """All in one window if any takes them; else all but the pinned; else spread."""
    for row in rows:
        draft.group[row] = name
    free = [row for row in rows if draft.problem.free(row)]
    window = _window_for_all(draft, rows)
    if window == NOWHERE and len(free) < len(rows):
        window = _window_for_all(draft, free)
    if window != NOWHERE:
        for row in rows:
            if window in draft.allowed(row) and draft.room.takes(row, window):
                draft.put(row, window, _why(row, name, joined), name)
    else:
        run = _shortest_run(draft, free)
        for row in free:
            _first_of(draft, row, run, name, joined)
    for row in rows:
        if draft.window[row] == NOWHERE:
            windows = nearest_first(draft, row, window)
            _first_of(draft, row, windows, name, joined)


def _why(row: int, name: str, joined: set[int]) -> Why:
    if row in joined:
        return Why.PARTNERS
    return Why.DEPARTMENT if name else Why.ROOM


def _first_of(draft: Draft, row: int, windows: list[int], name: str, joined: set[int]) -> None:
    for window in windows:
        if draft.room.takes(row, window):
            draft.put(row, window, _why(row, name, joined), name)
            return


def nearest_first(draft: Draft, row: int, window: int) -> list[int]:
    """The windows a mailbox may use, those next in time to `window` first."""
    allowed = draft.allowed(row)
    if window == NOWHERE:
        return list(allowed)
    windows = draft.problem.windows
    day = windows[window].day
    return sorted(allowed, key=lambda w: (w in draft.pilot, abs(windows[w].day - day)))


def _window_for_all(draft: Draft, rows: list[int]) -> int:
    problem = draft.problem
    if not rows:
        return NOWHERE
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        sums[problem.source[row]] += problem.size[row]
    department = max(problem.department[row] for row in rows)
    windows = set(draft.open)
    for row in rows:
        if not problem.free(row):
            windows.intersection_update(draft.allowed(row))
    for window in sorted(windows):
        if draft.room.takes_all(sums, len(rows), window, department):
            return window
    return NOWHERE


def _shortest_run(draft: Draft, rows: list[int]) -> list[int]:
    """The run of windows with room for all of them that ends soonest after it began."""
    problem, room = draft.problem, draft.room
    size, number = sum(problem.size[row] for row in rows), len(rows)
    best: tuple[float, list[int]] | None = None
    for start in range(len(draft.open)):
        taken, places = 0, 0
        for stop in range(start, len(draft.open)):
            window = draft.open[stop]
            taken, places = taken + room.bytes[window], places + room.count[window]
            if taken >= size and places >= number:
                first = problem.windows[draft.open[start]].day
                span = problem.windows[window].day - first
                if best is None or span < best[0]:
                    best = span, list(draft.open[start : stop + 1])
                break
    return best[1] if best else list(draft.open)
