"""What a plan costs and how far it uses its limits; what no plan can beat."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate

from mailmig.model.migration import (
    DAY,
    Assignment,
    Calendar,
    FreezePrice,
    GapCost,
    LimitUse,
    PinPrice,
    PlanBounds,
    PlanData,
    PlanMetrics,
    Rule,
    Window,
)
from mailmig.rules.planning.capacity import NO_LIMIT
from mailmig.rules.planning.exposure import (
    Partner,
    cost_on_day,
    days_of,
    partners_of,
    survey,
)
from mailmig.rules.planning.problem import Problem


def measure(problem: Problem, assignments: Sequence[Assignment]) -> PlanMetrics:
    """The figures of a plan. `assignments` name windows and databases of the problem."""
    data = problem.data
    exposed = survey(data, assignments)
    limits = tuple(_limits(problem, assignments))
    used = {assignment.window for assignment in assignments}
    last = max((c.window for c in problem.windows if c.window.id in used), key=_end, default=None)
    return PlanMetrics(
        exposure=exposed.total,
        per_gap=exposed.gaps,
        per_right=exposed.per_right,
        delegates=exposed.delegates,
        delegates_cut=exposed.delegates_cut,
        person_days=exposed.person_days,
        worst_shares=exposed.worst,
        makespan_window=last.id if last else "",
        makespan=last.end if last else None,
        balance=balance(limits),
        limits=limits,
        pin_prices=tuple(_pin_prices(problem, assignments)),
        freeze_prices=tuple(_freeze_prices(data.calendar, exposed.gaps)),
        pilot_price=_pilot_price(data.calendar, exposed.gaps),
    )


def bounds(problem: Problem) -> PlanBounds:
    """The earliest end that any plan can have.

    It is the first window by which everything fits, counted in bytes and in mailboxes, or
    the latest window that a pin asks to wait for. Capacity added to any window never makes
    it later.
    """
    if not problem.todo:
        return PlanBounds("", None)
    total = sum(problem.size[row] for row in problem.todo)
    place = max(
        max(problem.first[row] for row in problem.todo),
        _covers(list(accumulate(c.effective for c in problem.windows)), total),
        _covers(list(accumulate(c.count for c in problem.windows)), len(problem.todo)),
        _covers([capacity.copied for capacity in problem.windows], total),
    )
    window = problem.windows[place].window
    return PlanBounds(window.id, window.end)


def balance(limits: Sequence[LimitUse]) -> float:
    """The fullest database's part of its room over the mean part; 1.0 when all are empty."""
    fills = [use.used / use.limit for use in limits if use.rule is Rule.DATABASE and use.limit]
    mean = sum(fills) / len(fills) if fills else 0.0
    return max(fills) / mean if mean else 1.0


def _end(window: Window) -> datetime:
    return window.end


def _covers(room: list[int], needed: int) -> int:
    """The first position by which there is room enough; the last where there never is."""
    return next((place for place, of in enumerate(room) if of >= needed), len(room) - 1)


def _limits(problem: Problem, assignments: Sequence[Assignment]) -> Iterator[LimitUse]:
    """Each limit that binds somewhere, with its use."""
    return (use for use in _all_limits(problem, assignments) if use.limit < NO_LIMIT)


def _all_limits(problem: Problem, assignments: Sequence[Assignment]) -> Iterator[LimitUse]:
    windows, databases = problem.windows, problem.data.target.databases
    use = _Use(problem, assignments)
    for w, capacity in enumerate(windows):
        name = capacity.window.id
        yield LimitUse(Rule.WINDOW_BYTES, name, name, use.bytes[w], capacity.effective)
        yield LimitUse(Rule.WINDOW_COUNT, name, name, use.count[w], capacity.count)
        yield LimitUse(Rule.COPY_RATE, name, name, sum(use.bytes[: w + 1]), capacity.copied)
    for d, database in enumerate(databases):
        used = sum(use.database[d])
        yield LimitUse(Rule.DATABASE, database.id, "", used, database.capacity_bytes)
    for w, capacity in enumerate(windows):
        name = capacity.window.id
        for d, database in enumerate(databases):
            yield LimitUse(Rule.LOG, database.id, name, use.database[d][w], problem.log_room[d])
        for s, server in enumerate(dict.fromkeys(database.server for database in databases)):
            yield LimitUse(Rule.SERVER, server, name, use.server[s][w], problem.server_room[s][w])
        for s, room in enumerate(problem.source_room):
            yield LimitUse(Rule.SOURCE_SHARE, use.sources[s], name, use.source[s][w], room[w])


class _Use:
    """Bytes and mailboxes per window, database, server and limited source."""

    def __init__(self, problem: Problem, assignments: Sequence[Assignment]) -> None:
        mailboxes, databases = problem.data.mailboxes, problem.data.target.databases
        place = {capacity.window.id: w for w, capacity in enumerate(problem.windows)}
        number = {database.id: d for d, database in enumerate(databases)}
        span = len(problem.windows)
        self.bytes, self.count = [0] * span, [0] * span
        self.database = [[0] * span for _ in databases]
        self.server = [[0] * span for _ in problem.server_room]
        self.source = [[0] * span for _ in problem.source_room]
        self.sources = [""] * len(problem.source_room)
        for assignment in assignments:
            row = problem.rows[assignment.mailbox.casefold()]
            size, w, d = problem.size[row], place[assignment.window], number[assignment.database]
            self.bytes[w] += size
            self.count[w] += 1
            self.database[d][w] += size
            self.server[problem.server[d]][w] += size
            if problem.source[row] >= 0:
                self.source[problem.source[row]][w] += size
                self.sources[problem.source[row]] = mailboxes[row].source_database


def _freeze_prices(calendar: Calendar, gaps: Sequence[GapCost]) -> Iterator[FreezePrice]:
    """What is cut while a freeze lasts, day by day."""
    for freeze in calendar.freezes:
        begin, end = calendar.day(freeze.start), calendar.day(freeze.end)
        day = paid = 0.0
        for gap in gaps:
            shared = min(end, day + gap.days) - max(begin, day)
            paid += gap.cut_weight * max(0.0, shared)
            day += gap.days
        days = (freeze.end - freeze.start) / DAY
        yield FreezePrice(freeze.reason or "freeze", days, paid)


def _pilot_price(calendar: Calendar, gaps: Sequence[GapCost]) -> float:
    pilots = {window.id for window in calendar.windows if window.pilot}
    return sum(gap.exposure for gap in gaps if pilots & set(gap.after.split(", ")))


def _pin_prices(problem: Problem, assignments: Sequence[Assignment]) -> Iterator[PinPrice]:
    """What each pinned mailbox would save in its best window, all others staying where they are."""
    data = problem.data
    days = days_of(data, problem.rows, assignments)
    partners = partners_of(data, problem.rows, set(problem.pins))
    for row, pins in problem.pins.items():
        asked = [pin for pin in pins if pin.window or pin.not_before or pin.not_after]
        if asked:
            paid = cost_on_day(data, partners[row], days, days[row])
            saved = paid - _least(data, partners[row], days, [c.day for c in problem.windows])
            for pin in asked:
                yield PinPrice(pin, max(0.0, saved))


def _least(
    data: PlanData, partners: Sequence[Partner], days: Sequence[float], ends: Sequence[float]
) -> float:
    """The least cost over these ascending days.

    Each share's cost falls towards its partner's day and rises after it, so their sum has one
    valley: halving finds it with a few looks, however many windows there are.
    """
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        here = cost_on_day(data, partners, days, ends[middle])
        if here <= cost_on_day(data, partners, days, ends[middle + 1]):
            high = middle
        else:
            low = middle + 1
    return cost_on_day(data, partners, days, ends[low])
