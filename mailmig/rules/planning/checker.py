"""Does a plan keep every hard rule? Judged from the data alone, whoever made the plan.

Nothing here is taken from the modules that place mailboxes: each limit is counted again,
straight from the calendar, the target and the pins.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import isclose

from mailmig.model.migration import (
    Assignment,
    Mode,
    Pin,
    Plan,
    PlanData,
    PlanMailbox,
    Rule,
    State,
    TargetDatabase,
    Violation,
    Window,
)
from mailmig.model.quota import GIB
from mailmig.rules.planning.exposure import survey
from mailmig.rules.planning.wording import mailboxes_text, number_text, size_text

Placed = tuple[PlanMailbox, Window, TargetDatabase]


def check(plan: Plan) -> tuple[Violation, ...]:
    """Every hard rule that the plan breaks; empty when it is sound.

    The figures count too: a plan whose assignments were edited afterwards no longer costs
    what it says.
    """
    return (*check_assignments(plan.data, plan.assignments), *_figures(plan))


def _figures(plan: Plan) -> Iterator[Violation]:
    """What a plan says of itself and is not so."""
    said, real = plan.metrics, survey(plan.data, plan.assignments)
    ends = {window.id: window.end for window in plan.data.calendar.windows}
    used = [ends[a.window] for a in plan.assignments if a.window in ends]
    least = min(plan.bounds.exposure, said.exposure)
    for name, claimed, counted in (
        ("an exposure of", said.exposure, real.total),
        ("per gap an exposure of", sum(gap.exposure for gap in said.per_gap), real.total),
        ("delegates with a cut:", said.delegates_cut, real.delegates_cut),
        ("person-days:", said.person_days, real.person_days),
        ("as the least that is possible", plan.bounds.exposure, least),
    ):
        if not isclose(claimed, counted, rel_tol=1e-6, abs_tol=1e-6):
            text = (
                f"the plan says {name} {number_text(claimed)}, but its assignments have"
                f" {number_text(counted)}: it was changed after it was made"
            )
            yield Violation(Rule.FIGURES, "figures", text)
    if said.makespan != max(used, default=None):
        text = f"the plan does not end with window {said.makespan_window}: it was changed"
        yield Violation(Rule.FIGURES, "figures", text)


def check_assignments(data: PlanData, assignments: Iterable[Assignment]) -> tuple[Violation, ...]:
    """Every hard rule that these assignments break."""
    judge = _Judge(data)
    placed = list(judge.place(assignments))
    judge.missing(placed)
    judge.calendar(placed)
    judge.pins(placed)
    judge.windows(placed)
    judge.databases(placed)
    return tuple(judge.found)


class _Judge:
    """Collects violations; each method looks at one group of rules."""

    def __init__(self, data: PlanData) -> None:
        self.data = data
        self.found: list[Violation] = []
        self.classic = data.calendar.mode is Mode.CLASSIC

    def place(self, assignments: Iterable[Assignment]) -> Iterator[Placed]:
        """The assignments that name a mailbox to be planned, a window and a database."""
        mailboxes = {mailbox.identity.casefold(): mailbox for mailbox in self.data.mailboxes}
        windows = {window.id: window for window in self.data.calendar.windows}
        databases = {database.id: database for database in self.data.target.databases}
        for assignment in assignments:
            who = assignment.mailbox
            mailbox = mailboxes.get(who.casefold())
            window = windows.get(assignment.window)
            database = databases.get(assignment.database)
            if mailbox is None:
                self._say(Rule.ASSIGNED, who, f"{who} is assigned, but no mailbox of the data")
            elif mailbox.state is not State.PENDING:
                self._say(Rule.ASSIGNED, who, f"{who} is assigned, but was moved before")
            elif window is None:
                self._say(Rule.ASSIGNED, who, f"{who}: there is no window {assignment.window}")
            elif database is None:
                text = f"{who}: there is no target database {assignment.database}"
                self._say(Rule.ASSIGNED, who, text)
            else:
                yield mailbox, window, database

    def missing(self, placed: list[Placed]) -> None:
        times = Counter(mailbox.identity for mailbox, _, _ in placed)
        for mailbox in self.data.mailboxes:
            count = times[mailbox.identity]
            if mailbox.state is State.PENDING and count != 1:
                said = f"is assigned {count} times" if count else "has no place in the plan"
                self._say(Rule.ASSIGNED, mailbox.identity, f"{mailbox.identity} {said}")

    def calendar(self, placed: list[Placed]) -> None:
        calendar = self.data.calendar
        for window in {window.id: window for _, window, _ in placed}.values():
            if window.cancelled:
                text = f"window {window.id} is used, but is cancelled"
                self._say(Rule.CANCELLED, window.id, text)
            for freeze in calendar.freezes:
                if window.start < freeze.end and window.end > freeze.start:
                    text = f"window {window.id} is used, but lies in the freeze {freeze.reason!r}"
                    self._say(Rule.FREEZE, window.id, text)
            if calendar.deadline is not None and window.end > calendar.deadline:
                text = f"window {window.id} is used, but ends after the deadline"
                self._say(Rule.DEADLINE, window.id, text)

    def pins(self, placed: list[Placed]) -> None:
        where = {m.identity.casefold(): (window, database) for m, window, database in placed}
        ends = {window.id: window.end for window in self.data.calendar.windows}
        for pin in self.data.pins:
            place = where.get(pin.identity.casefold())
            if place is None:
                continue
            window, database = place
            kept = (
                pin.window in ("", window.id)
                and pin.database.casefold() in ("", database.id.casefold())
                and (not pin.not_before or ends[pin.not_before] <= window.end)
                and (not pin.not_after or window.end <= ends[pin.not_after])
            )
            if not kept:
                self._broken_pin(pin, window, database)

    def windows(self, placed: list[Placed]) -> None:
        number: Counter[str] = Counter(window.id for _, window, _ in placed)
        moved: Counter[str] = Counter()
        of_source: Counter[tuple[str, str]] = Counter()
        for mailbox, window, _ in placed:
            moved[window.id] += mailbox.size_bytes
            of_source[mailbox.source_database.casefold(), window.id] += mailbox.size_bytes
        self._parts_of_departments(placed)
        copied = 0
        for window in sorted(self.data.calendar.windows, key=lambda w: w.end):
            name, most = window.id, window.max_mailboxes
            copied += moved[name]
            if most is not None and number[name] > most:
                text = f"window {name} takes {mailboxes_text(most)}, not {number[name]:,}"
                self._say(Rule.WINDOW_COUNT, name, text)
            if self.classic:
                self._bytes(Rule.WINDOW_BYTES, name, "", moved[name], window.capacity_bytes)
                self._shares_of_sources(window, of_source)
            elif moved[name]:
                self._copies(window, copied)

    def databases(self, placed: list[Placed]) -> None:
        into: dict[str, Counter[str]] = defaultdict(Counter)
        through: dict[str, Counter[str]] = defaultdict(Counter)
        for mailbox, window, database in placed:
            into[database.id][window.id] += mailbox.size_bytes
            through[database.server][window.id] += mailbox.size_bytes
        for database in self.data.target.databases:
            total = into[database.id].total()
            self._bytes(Rule.DATABASE, database.id, "", total, database.capacity_bytes)
        if not self.classic:
            return
        for database in self.data.target.databases:
            headroom = self.data.target.log_room(database)
            for name, moved in into[database.id].items():
                self._bytes(Rule.LOG, database.id, name, moved, headroom)
        windows = {window.id: window for window in self.data.calendar.windows}
        for server in self.data.target.servers:
            for name, moved in through[server.id].items():
                limit = server.bytes_in(windows[name])
                self._bytes(Rule.SERVER, server.id, name, moved, limit)

    def _shares_of_sources(self, window: Window, of_source: Counter[tuple[str, str]]) -> None:
        for source in self.data.target.sources:
            usable = self._usable(window)
            if usable is not None and source.max_share_of_window < 1:
                moved = of_source[source.id.casefold(), window.id]
                limit = int(source.max_share_of_window * usable)
                self._bytes(Rule.SOURCE_SHARE, source.id, window.id, moved, limit)

    def _parts_of_departments(self, placed: list[Placed]) -> None:
        share = self.data.department_share
        if share >= 1:
            return
        pending = [m for m in self.data.mailboxes if m.state is State.PENDING]
        whole = Counter(m.department.strip().casefold() for m in pending)
        moved = Counter((m.department.strip().casefold(), window.id) for m, window, _ in placed)
        for (name, window), number in moved.items():
            most = max(1, int(share * whole[name]))
            if name and number > most:
                text = (
                    f"{Rule.DEPARTMENT_SHARE.value}, {name} in window {window}:"
                    f" {number:,} of at most {mailboxes_text(most)}"
                )
                self._say(Rule.DEPARTMENT_SHARE, name, text)

    def _usable(self, window: Window) -> int | None:
        """The least of what was given, what the servers do and what their logs hold."""
        target = self.data.target
        speeds = {server.id: server.bytes_in(window) for server in target.servers}
        total: int | None = 0
        for server in {database.server for database in target.databases}:
            rooms = [target.log_room(d) for d in target.databases if d.server == server]
            known = [room for room in rooms if room is not None]
            logs = sum(known) if len(known) == len(rooms) else None
            both = [limit for limit in (speeds.get(server), logs) if limit is not None]
            total = total + min(both) if both and total is not None else None
        limits = [limit for limit in (window.capacity_bytes, total) if limit is not None]
        return min(limits, default=None)

    def _copies(self, window: Window, copied: int) -> None:
        calendar, target = self.data.calendar, self.data.target
        rate = calendar.copy_bytes_per_day
        if rate is None:
            speed = {server.id: server.speed for server in target.servers}
            known = [speed.get(name) for name in {d.server for d in target.databases}]
            if any(of is None for of in known):
                return
            rate = int(sum(of for of in known if of is not None) * GIB * 24)
        limit = int(rate * calendar.day(window.end))
        self._bytes(Rule.COPY_RATE, window.id, "", copied, limit)

    def _bytes(self, rule: Rule, subject: str, window: str, used: int, limit: int | None) -> None:
        if limit is not None and used > limit:
            place = f"{subject} in window {window}" if window else subject
            over = size_text(used - limit)
            text = (
                f"{rule.value}, {place}: {size_text(used)} of {size_text(limit)}, {over} too many"
            )
            self._say(rule, subject, text)

    def _broken_pin(self, pin: Pin, window: Window, database: TargetDatabase) -> None:
        text = f"{pin.identity} is pinned, {pin.text}, but planned in {window.id} to {database.id}"
        self._say(Rule.PIN, pin.identity, text)

    def _say(self, rule: Rule, subject: str, text: str) -> None:
        self.found.append(Violation(rule, subject, text))
