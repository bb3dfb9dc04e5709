"""How much room is left while a plan grows, and the plan as far as it has grown.

`Room` keeps every limit up to date as mailboxes enter and leave; `Draft` adds who is where.
Both are changed in place and belong to one attempt.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

from mailmig.model.migration import Rule, Why
from mailmig.rules.planning.capacity import NO_LIMIT
from mailmig.rules.planning.problem import Problem

NOWHERE = -1

Lack = tuple[Rule, str, int]
"""A limit, what it belongs to, and how many bytes (or mailboxes) are missing."""


class Room:
    """What is left of each limit."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.bytes = [capacity.effective for capacity in problem.windows]
        self.count = [capacity.count for capacity in problem.windows]
        self.copied = [capacity.copied for capacity in problem.windows]
        self.source = [list(room) for room in problem.source_room]
        self.department = [[most] * len(problem.windows) for most in problem.department_room]
        self.database = [d.capacity_bytes for d in problem.data.target.databases]
        self.log = [[room] * len(problem.windows) for room in problem.log_room]
        self.server = [list(room) for room in problem.server_room]
        self.prestage = problem.prestage

    def takes(self, row: int, window: int) -> bool:
        """Would the window take this mailbox, whatever the databases say?"""
        size = self.problem.size[row]
        if self.count[window] < 1 or self.bytes[window] < size:
            return False
        source = self.problem.source[row]
        if source >= 0 and self.source[source][window] < size:
            return False
        department = self.problem.department[row]
        if department >= 0 and self.department[department][window] < 1:
            return False
        return not self.prestage or min(self.copied[window:]) >= size

    def takes_all(
        self, sums: dict[int, int], number: int, window: int, department: int = NOWHERE
    ) -> bool:
        """The same for many of one department at once.

        `sums` are bytes per limited source (-1: all others).
        """
        size = sum(sums.values())
        if department >= 0 and self.department[department][window] < number:
            return False
        if self.count[window] < number or self.bytes[window] < size:
            return False
        if any(s >= 0 and self.source[s][window] < total for s, total in sums.items()):
            return False
        return not self.prestage or min(self.copied[window:]) >= size

    def enter(self, row: int, window: int, sign: int = 1) -> None:
        size = self.problem.size[row] * sign
        self.count[window] -= sign
        self.bytes[window] -= size
        source = self.problem.source[row]
        if source >= 0:
            self.source[source][window] -= size
        department = self.problem.department[row]
        if department >= 0:
            self.department[department][window] -= sign
        if self.prestage:
            for later in range(window, len(self.copied)):
                self.copied[later] -= size

    def holds(self, row: int, window: int, database: int) -> bool:
        """Would the database take this mailbox in this window?"""
        size = self.problem.size[row]
        return (
            self.database[database] >= size
            and self.log[database][window] >= size
            and self.server[self.problem.server[database]][window] >= size
        )

    def settle(self, row: int, window: int, database: int, sign: int = 1) -> None:
        size = self.problem.size[row] * sign
        self.database[database] -= size
        self.log[database][window] -= size
        self.server[self.problem.server[database]][window] -= size

    def lacking(self, row: int, window: int, database: int) -> list[Lack]:
        """All limits that keep this mailbox from this window and this database."""
        problem, size = self.problem, self.problem.size[row]
        target = problem.data.target.databases[database]
        name = problem.windows[window].window.id
        source = problem.source[row]
        left = [
            (Rule.WINDOW_BYTES, name, self.bytes[window]),
            (Rule.COPY_RATE, name, min(self.copied[window:])),
            (Rule.DATABASE, target.id, self.database[database]),
            (Rule.LOG, target.id, self.log[database][window]),
            (Rule.SERVER, target.server, self.server[problem.server[database]][window]),
        ]
        if source >= 0:
            name_of_source = problem.data.mailboxes[row].source_database
            left.append((Rule.SOURCE_SHARE, name_of_source, self.source[source][window]))
        lacks = [(rule, subject, size - room) for rule, subject, room in left if room < size]
        department = problem.department[row]
        if department >= 0 and self.department[department][window] < 1:
            named = problem.data.mailboxes[row].department
            lacks.insert(0, (Rule.DEPARTMENT_SHARE, named, 1))
        if self.count[window] < 1:
            lacks.insert(0, (Rule.WINDOW_COUNT, name, 1))
        return lacks


class Draft:
    """A plan that grows: window and database per row, `NOWHERE` until placed.

    The pilot's windows take only those who have no other choice, until they are unlocked;
    then they are still the last choice. `members` are (size, row) per window, sorted.
    """

    def __init__(self, problem: Problem, wrong_site: float) -> None:
        count = len(problem.size)
        every = range(len(problem.windows))
        self.problem = problem
        self.room = Room(problem)
        self.window = [NOWHERE] * count
        self.database = [NOWHERE] * count
        self.why = [Why.ROOM] * count
        self.group = [""] * count
        self.members: list[list[tuple[int, int]]] = [[] for _ in every]
        self.pilot = frozenset(w for w in every if problem.windows[w].window.pilot)
        self.open = tuple(w for w in every if w not in self.pilot) or tuple(every)
        self.scorer = Scorer(problem, self.room, wrong_site)

    def unlock(self) -> None:
        """Let anybody into the pilot's windows, if there is no other."""
        self.open = self._pilot_last(range(len(self.problem.windows)))

    def allowed(self, row: int) -> tuple[int, ...]:
        """The windows that a mailbox may use, the earliest first and the pilot's last."""
        problem = self.problem
        if problem.free(row):
            return self.open
        between = range(problem.first[row], problem.last[row] + 1)
        return tuple(w for w in self.open if w in between) or tuple(between)

    def _pilot_last(self, windows: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted(windows, key=lambda w: (w in self.pilot, w)))

    def put(self, row: int, window: int, why: Why, group: str = "") -> None:
        self.room.enter(row, window)
        self.window[row] = window
        insort(self.members[window], (self.problem.size[row], row))
        self.why[row] = Why.PIN if self.problem.pinned(row) else why
        self.group[row] = group

    def lift(self, row: int) -> None:
        window = self.window[row]
        self.room.enter(row, window, -1)
        members = self.members[window]
        del members[bisect_left(members, (self.problem.size[row], row))]
        self.window[row] = NOWHERE

    def settle(self, row: int, database: int) -> None:
        self.room.settle(row, self.window[row], database)
        self.database[row] = database

    def unsettle(self, row: int) -> None:
        self.room.settle(row, self.window[row], self.database[row], -1)
        self.database[row] = NOWHERE


class Scorer:
    """Which database is best for a mailbox: the least fill, some log load, its own site.

    Lowest `(fill + s) / capacity + 0.3 * (load + s) / headroom + p * wrong site` first; with
    p = 0.02 databases differ by 1-2 % and most mailboxes stay near their site.
    """

    LOG_PART = 0.3

    def __init__(self, problem: Problem, room: Room, wrong_site: float) -> None:
        target = problem.data.target
        self.problem = problem
        self.room = room
        self.wrong_site = wrong_site
        self.site = [database.site for database in target.databases]
        self.capacity = [database.capacity_bytes for database in target.databases]
        self.all = tuple(range(len(target.databases)))
        self.preferred = [target.site_preference.get(m.site, "") for m in problem.data.mailboxes]

    def ranked(self, row: int, window: int) -> list[int]:
        """The databases with room for this mailbox in this window, the best first."""
        fixed = self.problem.database[row]
        tried = self.all if fixed < 0 else (fixed,)
        held = [d for d in tried if self.room.holds(row, window, d)]
        return sorted(held, key=lambda d: self._score(row, window, d)) if len(held) > 1 else held

    def best(self, row: int, window: int) -> int:
        """The best database, `NOWHERE` when none has room."""
        ranked = self.ranked(row, window)
        return ranked[0] if ranked else NOWHERE

    def _score(self, row: int, window: int, database: int) -> float:
        size, capacity = self.problem.size[row], self.capacity[database]
        fill = capacity - self.room.database[database] + size
        score = fill / capacity if capacity else float(fill > 0)
        headroom = self.problem.log_room[database]
        if 0 < headroom < NO_LIMIT:
            load = headroom - self.room.log[database][window] + size
            score += self.LOG_PART * load / headroom
        wanted = self.preferred[row]
        if wanted and wanted != self.site[database]:
            score += self.wrong_site
        return score
