"""What a window, or the gap between two windows, costs and why, in sentences to forward.

A gap is named by the windows around it, as in `w03..w04`; `w03..` means the one after w03.
Everything is read off the plan; what a change would save holds while all else stays.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mailmig.model.errors import MailmigError, nearest
from mailmig.model.migration import (
    DAY,
    Assignment,
    GapCost,
    Plan,
    PlanData,
    PlanMailbox,
    State,
    Window,
)
from mailmig.rules.planning.capacity import NO_LIMIT, WindowCapacity, capacities, split
from mailmig.rules.planning.explain import UnknownMailbox, cost_text, explain
from mailmig.rules.planning.exposure import cost_on_day, days_of, partners_of
from mailmig.rules.planning.problem import Problem, compile_problem, share_rows
from mailmig.rules.planning.wording import (
    count_text,
    days_text,
    mailboxes_text,
    number_text,
    size_text,
    time_text,
)

BETWEEN = ".."
START = "start"

DEPARTMENTS = 5
CARRIERS = 10

# Up to so many mailboxes of a window are named.
FEW = 8

# So many mailboxes are looked for that had better join the pilot.
JOINING = 40

# A change of the exposure below this part is not worth a sentence.
WORTH = 0.005


class UnknownTime(MailmigError):
    """The plan has no such window or gap: take one of those that it has."""

    def __init__(self, name: str, kind: str, known: Sequence[str]) -> None:
        hint = nearest(name, known) or f"; there are {', '.join(known)}"
        super().__init__(f"the plan has no {kind} {name!r}{hint}")
        self.name = name


def answer(plan: Plan, what: str) -> tuple[str, ...]:
    """The sentences about a window, a gap or a mailbox.

    Raises `UnknownTime`, `UnknownMailbox` or `AmbiguousMailbox`.
    """
    wanted = what.strip().casefold()
    windows = {window.id.casefold(): window for window in plan.data.calendar.windows}
    if wanted in windows:
        return tuple(_window(plan, windows[wanted]))
    if BETWEEN in wanted and "@" not in wanted:
        return tuple(_gap(plan, _found(plan, what.strip())))
    try:
        return explain(plan, what)
    except UnknownMailbox as error:
        if error.hint or "@" in wanted:
            raise
        ids = [window.id for window in windows.values()]
        raise UnknownTime(what, "mailbox or window", ids) from None


def joining(plan: Plan) -> tuple[str, ...]:
    """Per pilot: who had better join it, and what that saves."""
    found = {c.window.id: c for c in capacities(plan.data) if c.window.pilot}
    used = {a.window for a in plan.assignments}
    said = [each for id in found if id in used for each in _joining(plan, found[id])]
    return tuple(said)


def gap_name(gap: GapCost) -> str:
    """How a gap is called: "w03..w04"."""
    return f"{gap.after or START}{BETWEEN}{gap.before}"


def _found(plan: Plan, name: str) -> int:
    after, _, before = name.casefold().partition(BETWEEN)
    for place, gap in enumerate(plan.metrics.per_gap):
        begins = [each.casefold() for each in (gap.after or START).split(", ")]
        ends = [each.casefold() for each in gap.before.split(", ")]
        if (after in begins or not after) and (before in ends or (after and not before)):
            return place
    raise UnknownTime(name, "gap", [gap_name(gap) for gap in plan.metrics.per_gap])


def _window(plan: Plan, window: Window) -> Iterator[str]:
    zone = ZoneInfo(plan.zone)
    when = f"{time_text(window.start, zone)} to {time_text(window.end, zone)} ({plan.zone})"
    here = [a for a in plan.assignments if a.window == window.id]
    if not here:
        reason = dict(split(plan.data.calendar)[1]).get(window.id, "nobody needs it")
        yield f"Window {window.id}, {when}, moves nobody: it {reason}."
        return
    boxes = {mailbox.identity: mailbox for mailbox in plan.data.mailboxes}
    size = sum(boxes[a.mailbox].size_bytes for a in here if a.mailbox in boxes)
    count = mailboxes_text(len(here))
    pilot = " It is a pilot." if window.pilot else ""
    yield f"Window {window.id}, {when}, moves {count}, {size_text(size)}.{pilot}"
    capacity = next((c for c in capacities(plan.data) if c.window.id == window.id), None)
    if capacity is not None:
        yield from _room(capacity, len(here), size)
    yield from _together(plan, here)
    yield from _named(plan, here)
    yield from _pinned(plan, window)
    for place, gap in enumerate(plan.metrics.per_gap):
        if window.id in gap.after.split(", ") and gap.cut_weight:
            yield _after(plan, gap)
            yield from _carriers(gap)
            yield _noticed(plan, place)
    if window.pilot and capacity is not None:
        offered = tuple(_joining(plan, capacity))
        if not offered and plan.metrics.pilot_price:
            yield "Nobody was found whose joining it would save much, all others staying where they are."
        yield from offered


def _room(capacity: WindowCapacity, count: int, size: int) -> Iterator[str]:
    """What limits the window, and how much of it is used."""
    parts = []
    if capacity.count < NO_LIMIT:
        parts.append(f"{count:,} of at most {mailboxes_text(capacity.count)}")
    if capacity.effective < NO_LIMIT:
        most = size_text(capacity.effective)
        parts.append(f"{size_text(size)} of {most} (limited by {capacity.binding})")
    if parts:
        yield f"It takes {' and '.join(parts)}."
    else:
        yield "Nothing limits it but databases, servers and pins."


def _together(plan: Plan, here: Sequence[Assignment]) -> Iterator[str]:
    whole = Counter(a.group for a in plan.assignments if a.group)
    groups = Counter(a.group for a in here if a.group)
    if groups:
        named = [f"{name} ({n} of {whole[name]})" for name, n in groups.most_common(DEPARTMENTS)]
        rest = len(groups) - len(named)
        more = f" and {rest} more" if rest else ""
        yield f"Departments that move in it: {', '.join(named)}{more}."


def _named(plan: Plan, here: Sequence[Assignment]) -> Iterator[str]:
    """Who they are, where they are few, and how many of them share with nobody."""
    rows = {mailbox.identity.casefold(): row for row, mailbox in enumerate(plan.data.mailboxes)}
    _, owners, delegates = share_rows(plan.data, rows)
    sharing = {*owners, *delegates}
    alone = sum(rows.get(a.mailbox.casefold(), -1) not in sharing for a in here)
    if len(here) <= FEW:
        yield (
            f"These are {', '.join(a.mailbox for a in here)}."
            if len(here) > 1
            else (f"This is {here[0].mailbox}.")
        )
    if alone:
        verb = "shares" if alone == 1 else "share"
        yield f"{alone:,} of {len(here):,} {verb} with nobody: any window would do."


def _pinned(plan: Plan, window: Window) -> Iterator[str]:
    prices = [p for p in plan.metrics.pin_prices if p.pin.window == window.id]
    if prices:
        dearest = max(prices, key=lambda price: price.exposure)
        said = f"{mailboxes_text(len(prices))} {'is' if len(prices) == 1 else 'are'} pinned to it"
        if dearest.exposure >= 1:
            who = dearest.pin.identity
            said += f"; the dearest pin, of {who}, costs {cost_text(dearest.exposure)}"
        yield f"{said}."


def _gap(plan: Plan, place: int) -> Iterator[str]:
    gap = plan.metrics.per_gap[place]
    begin, end = _times(plan, place)
    zone = ZoneInfo(plan.zone)
    first = f"the end of window {gap.after}" if gap.after else "the start of the project"
    last = "the deadline" if gap.before == "deadline" else f"the end of window {gap.before}"
    between = f"{time_text(begin, zone)} to {time_text(end, zone)}, {plan.zone}"
    frozen = f", in them the freeze {', '.join(map(repr, gap.freezes))}" if gap.freezes else ""
    yield f"Between {first} and {last} lie {days_text(gap.days)} ({between}){frozen}."
    if not gap.cut_weight:
        yield "Nothing is cut meanwhile."
        return
    total = plan.metrics.exposure
    part = f", {100 * gap.exposure / total:.0f} % of the plan's exposure" if total else ""
    yield (
        f"Meanwhile shares of weight {number_text(gap.cut_weight)} are cut:"
        f" {cost_text(gap.exposure)}{part}."
    )
    for price in plan.metrics.freeze_prices:
        if price.reason in gap.freezes and price.exposure:
            yield (
                f"Without the {number_text(price.days)} days of {price.reason!r} this plan would"
                f" cost {cost_text(price.exposure)} less."
            )
    yield _noticed(plan, place)
    yield from _carriers(gap)


def _after(plan: Plan, gap: GapCost) -> str:
    total = plan.metrics.exposure
    part = f" ({100 * gap.exposure / total:.0f} % of the plan's)" if total else ""
    return (
        f"From its end to the next stop, {gap.before}, {days_text(gap.days)}, shares of"
        f" weight {number_text(gap.cut_weight)} are cut: {cost_text(gap.exposure)}{part}."
    )


def _carriers(gap: GapCost) -> Iterator[str]:
    """Both ends of a share carry it, so that all mailboxes together carry twice the gap."""
    worst = gap.mailboxes[:CARRIERS]
    if worst:
        part = 100 * sum(cost.exposure for cost in worst) / (2 * gap.exposure)
        named = ", ".join(f"{cost.mailbox} ({number_text(cost.exposure)})" for cost in worst)
        word = "mailbox carries" if len(worst) == 1 else "mailboxes carry"
        yield f"{len(worst)} {word} {part:.0f} % of it: {named}."


def _noticed(plan: Plan, place: int) -> str:
    begin, end = _times(plan, place)
    data = plan.data
    rows = {mailbox.identity.casefold(): row for row, mailbox in enumerate(data.mailboxes)}
    days = days_of(data, rows, plan.assignments)
    low, high = data.calendar.day(begin), data.calendar.day(end)
    people = {
        delegate
        for _, owner, delegate in zip(*share_rows(data, rows), strict=True)
        if min(days[owner], days[delegate]) <= low < high <= max(days[owner], days[delegate])
    }
    verb = "has" if len(people) == 1 else "have"
    return f"{count_text(len(people), 'delegate')} {verb} at least one share cut in this time."


def _times(plan: Plan, place: int) -> tuple[datetime, datetime]:
    gaps = plan.metrics.per_gap
    begin = plan.data.calendar.project_start + sum(gap.days for gap in gaps[:place]) * DAY
    end = begin + gaps[place].days * DAY
    return _to_the_second(begin), _to_the_second(end)


def _to_the_second(moment: datetime) -> datetime:
    """Days are floating numbers: half a second is a crumb of them."""
    return (moment + timedelta(milliseconds=500)).replace(microsecond=0)


def _joining(plan: Plan, capacity: WindowCapacity) -> Iterator[str]:
    """The cheapest few who had better move with the pilot, if it has room for them."""
    problem = compile_problem(plan.data)
    joined, saved = _closure(plan, problem, capacity)
    if joined and saved >= WORTH * plan.metrics.exposure:
        size = size_text(sum(mailbox.size_bytes for mailbox in joined))
        named = ", ".join(mailbox.identity for mailbox in joined)
        percent = 100 * saved / plan.metrics.exposure
        pilot = capacity.window.id
        yield (
            f"With {count_text(len(joined), 'more mailbox', 'more mailboxes')} ({size}) in"
            f" {pilot} the plan would cost {cost_text(saved)} less ({percent:.0f} %),"
            f" all others staying where they are: {named}."
        )


def _closure(
    plan: Plan, problem: Problem, capacity: WindowCapacity
) -> tuple[list[PlanMailbox], float]:
    """Who joins, and what that saves: one after the other the one that saves most.

    A group saves only as a whole, so losses on the way are borne; the best stop counts.
    """
    data, day = plan.data, capacity.day
    days = days_of(data, problem.rows, plan.assignments)
    here = {
        problem.rows[a.mailbox.casefold()]
        for a in plan.assignments
        if a.window == capacity.window.id
    }
    room = min(capacity.effective, capacity.copied) - sum(problem.size[row] for row in here)
    seats = capacity.count - len(here)
    free = _near(data, problem, here)
    free |= _near(data, problem, free) - here
    partners = partners_of(data, problem.rows, free)

    def gain(row: int) -> float:
        paid = cost_on_day(data, partners[row], days, days[row])
        return paid - cost_on_day(data, partners[row], days, day)

    gains = {row: gain(row) for row in free}
    joined: list[PlanMailbox] = []
    saved, best, most = 0.0, 0, 0.0
    while len(joined) < min(JOINING, seats):
        fitting = (row for row in gains if problem.size[row] <= room)
        row = max(fitting, key=lambda row: (gains[row], -row), default=-1)
        if row < 0:
            break
        saved += gains.pop(row)
        days[row] = day
        room -= problem.size[row]
        joined.append(data.mailboxes[row])
        if saved > most:
            best, most = len(joined), saved
        for near in {partner.row for partner in partners[row]} & gains.keys():
            gains[near] = gain(near)
    return joined[:best], most


def _near(data: PlanData, problem: Problem, rows: set[int]) -> set[int]:
    """Who shares with these and could move in any window."""
    found = partners_of(data, problem.rows, rows).values()
    return {
        partner.row
        for partners in found
        for partner in partners
        if partner.row not in rows
        and data.mailboxes[partner.row].state is State.PENDING
        and problem.free(partner.row)
    }
