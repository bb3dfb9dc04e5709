"""From windows to databases, and what is tried when something finds no room.

Databases: the prescribed ones first, then the largest mailbox first. What is left over is
rescued one by one: another database or window with room, or another mailbox gives up its
place for one elsewhere. If that does not help, everything is placed again by size, window
and database together; small cases are finally searched through whole.
"""

from bisect import bisect_left
from collections.abc import Iterator

from mailmig.model.migration import Why
from mailmig.rules.planning.departments import nearest_first
from mailmig.rules.planning.feasibility import databases_of
from mailmig.rules.planning.problem import Problem
from mailmig.rules.planning.room import NOWHERE, Draft

# Candidates that are looked at for all rescues of one attempt, and in one window: enough for
# fragments, and far from quadratic. Beyond it something else than fragments is the matter.
RESCUE_BUDGET = 200_000
CANDIDATES = 400

# Up to so many mailboxes every possibility is tried, up to so many placements.
SEARCHED = 60
SEARCH_BUDGET = 100_000


def settle_all(draft: Draft, left: list[int]) -> list[int]:
    """Give a database to all that have a window, rescue the others; who is left over comes back."""
    problem = draft.problem
    for row in largest_first(problem, problem.todo):
        if draft.window[row] != NOWHERE and draft.database[row] == NOWHERE:
            database = draft.scorer.best(row, draft.window[row])
            if database != NOWHERE:
                draft.settle(row, database)
            else:
                left.append(row)
    return rescue_all(draft, left)


def place_by_size(draft: Draft) -> list[int]:
    """Tightly pinned and large ones first, window and database together.

    The window with the most bytes left per mailbox that it still takes comes first, so that
    bytes and numbers run out together. Who is left over comes back.
    """
    problem, room = draft.problem, draft.room
    rows = sorted(
        problem.todo,
        key=lambda row: (
            problem.last[row] - problem.first[row],
            problem.database[row] < 0,
            -problem.size[row],
        ),
    )

    def emptiest(window: int) -> tuple[bool, float]:
        return window in draft.pilot, -room.bytes[window] / max(1, room.count[window])

    left = []
    for row in rows:
        if not _place(draft, row, sorted(draft.allowed(row), key=emptiest), Why.ROOM):
            left.append(row)
    return rescue_all(draft, left)


def largest_first(problem: Problem, rows: tuple[int, ...]) -> list[int]:
    """Those with a prescribed database, then all others, each by falling size."""
    return sorted(rows, key=lambda row: (problem.database[row] < 0, -problem.size[row]))


def rescue_all(draft: Draft, left: list[int]) -> list[int]:
    """Find a place for each of these, the largest first; who is left over comes back."""
    rescuer = _Rescuer(draft)
    for row in left:
        if draft.window[row] != NOWHERE:
            rescuer.home[row] = draft.window[row]
            draft.lift(row)
    left = largest_first(draft.problem, tuple(left))
    while left:
        again = [row for row in left if not rescuer.rescue(row)]
        if len(again) == len(left):
            break
        left = again
    return left


def _place(draft: Draft, row: int, windows: tuple[int, ...] | list[int], why: Why) -> bool:
    for window in windows:
        if draft.room.takes(row, window):
            database = draft.scorer.best(row, window)
            if database != NOWHERE:
                group = draft.group[row]
                draft.put(row, window, why, group)
                draft.settle(row, database)
                return True
    return False


class _Rescuer:
    """Finds a place for a mailbox that has none, moving at most one other."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.budget = RESCUE_BUDGET
        self.home: dict[int, int] = {}

    def rescue(self, row: int) -> bool:
        draft = self.draft
        home = self.home.get(row, NOWHERE)
        windows = nearest_first(draft, row, home)
        why = draft.why[row]
        for window in windows:
            if _place(draft, row, [window], why if window == home else Why.ROOM):
                return True
        return any(self._by_exchange(row, window, home, why) for window in windows) or any(
            self._by_swap(row, window, home, why) for window in windows
        )

    def _by_exchange(self, row: int, window: int, home: int, why: Why) -> bool:
        """Let one of the window's mailboxes go elsewhere so that this one fits."""
        draft = self.draft
        members = draft.members[window]
        short = draft.problem.size[row] - draft.room.bytes[window]
        first = bisect_left(members, (max(0, short), -1))
        for _, other in members[first : first + CANDIDATES]:
            if self.budget <= 0:
                return False
            self.budget -= 1
            if draft.database[other] != NOWHERE and self._exchange(row, other, window, home, why):
                return True
        return False

    def _exchange(self, row: int, other: int, window: int, home: int, why: Why) -> bool:
        draft = self.draft
        before = self._take(other)
        if _place(draft, row, [window], why if window == home else Why.ROOM):
            for place in nearest_first(draft, other, window):
                if _place(draft, other, [place], before[3] if place == window else Why.ROOM):
                    return True
            self._take(row)
            draft.why[row] = why
        self._put_back(*before)
        return False

    def _by_swap(self, row: int, window: int, home: int, why: Why) -> bool:
        """Swap a large one of this window for a smaller one of another, so that this one fits.

        That helps where windows with room for numbers have none for bytes, and the other
        way round.
        """
        draft, size = self.draft, self.draft.problem.size
        short = size[row] - draft.room.bytes[window]
        if short <= 0 or draft.room.count[window] < 1:
            return False
        for place in draft.open:
            spare = draft.room.bytes[place]
            if place == window or spare < short:
                continue
            for small, arriving in draft.members[place][:CANDIDATES]:
                members = draft.members[window]
                at = bisect_left(members, (small + short, -1))
                if self.budget <= 0 or at == len(members):
                    break
                self.budget -= 1
                large, leaving = members[at]
                if large <= small + spare and self._swap(row, leaving, arriving, home, why):
                    return True
        return False

    def _swap(self, row: int, leaving: int, arriving: int, home: int, why: Why) -> bool:
        draft = self.draft
        window, place = draft.window[leaving], draft.window[arriving]
        before = [self._take(leaving), self._take(arriving)]
        moves = ((arriving, window), (leaving, place), (row, window))
        done: list[int] = []
        for each, there in moves:
            reason = why if each == row and there == home else Why.ROOM
            if there not in draft.allowed(each) or not _place(draft, each, [there], reason):
                break
            done.append(each)
        if len(done) == len(moves):
            return True
        for each in done:
            self._take(each)
        for placed in before:
            self._put_back(*placed)
        draft.why[row] = why
        return False

    def _take(self, row: int) -> tuple[int, int, int, Why]:
        """Take a mailbox out; what comes back puts it in again."""
        draft = self.draft
        was = row, draft.window[row], draft.database[row], draft.why[row]
        draft.unsettle(row)
        draft.lift(row)
        return was

    def _put_back(self, row: int, window: int, database: int, why: Why) -> None:
        self.draft.put(row, window, why, self.draft.group[row])
        self.draft.settle(row, database)


def search_whole(draft: Draft) -> tuple[bool, bool]:
    """Try every placement of a small problem. Gives (found, there is no other answer)."""
    problem = draft.problem
    rows = sorted(
        problem.todo,
        key=lambda row: (problem.last[row] - problem.first[row], -problem.size[row]),
    )
    if len(rows) > SEARCHED:
        return False, False
    trail: list[Iterator[tuple[int, int]]] = []
    for _ in range(SEARCH_BUDGET):
        if len(trail) == len(rows):
            return True, True
        trail.append(_places(draft, rows[len(trail)]))
        while not _advance(draft, rows[len(trail) - 1], trail[-1]):
            trail.pop()
            if not trail:
                return False, True
    return False, False


def _places(draft: Draft, row: int) -> Iterator[tuple[int, int]]:
    for window in draft.allowed(row):
        for database in databases_of(draft.problem, row):
            yield window, database


def _advance(draft: Draft, row: int, places: Iterator[tuple[int, int]]) -> bool:
    """Take the mailbox from where it is and put it into its next possible place."""
    if draft.window[row] != NOWHERE:
        draft.unsettle(row)
        draft.lift(row)
    for window, database in places:
        if draft.room.takes(row, window) and draft.room.holds(row, window, database):
            draft.put(row, window, Why.ROOM)
            draft.settle(row, database)
            return True
    return False
