"""Why a mailbox is where it is, in sentences that an admin can forward.

Everything is read off the plan: nothing is planned again. Costs of other windows hold while
all other mailboxes stay where they are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from mailmig.model.errors import MailmigError, nearest
from mailmig.model.migration import DAY, Assignment, Plan, PlanMailbox, State, Why
from mailmig.rules.planning.capacity import NO_LIMIT
from mailmig.rules.planning.exposure import Partner, cost, cost_on_day, days_of, partners_of
from mailmig.rules.planning.problem import Problem, compile_problem
from mailmig.rules.planning.room import NOWHERE, Draft
from mailmig.rules.planning.wording import (
    count_text,
    days_text,
    mailboxes_text,
    number_text,
    size_text,
    time_text,
)

# So many sentences about cuts, and in each so many names.
CUTS_SHOWN = 10
NAMES_SHOWN = 3

# From so many delegates on it is worth saying how they are spread over time.
MANY_DELEGATES = 3


class UnknownMailbox(MailmigError):
    """The plan has no such mailbox: look at the spelling, or at the plan's notes."""

    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__(f"the plan has no mailbox {name!r}{hint}")
        self.name = name
        self.hint = hint


class AmbiguousMailbox(MailmigError):
    """More than one mailbox begins like this: give the whole identity."""

    def __init__(self, name: str, found: tuple[str, ...]) -> None:
        super().__init__(f"{name!r} may be one of {', '.join(found[:5])}: give the whole identity")
        self.name = name
        self.found = found


def find(plan: Plan, name: str) -> PlanMailbox:
    """The mailbox with this identity or guid, or the only one with this name before the "@".

    Raises `UnknownMailbox` or `AmbiguousMailbox`.
    """
    wanted = name.strip().casefold()
    alike = []
    for mailbox in plan.data.mailboxes:
        identity = mailbox.identity.casefold()
        if wanted and wanted in (identity, mailbox.guid.casefold()):
            return mailbox
        if identity.split("@")[0] == wanted:
            alike.append(mailbox)
    if len(alike) > 1:
        raise AmbiguousMailbox(name, tuple(mailbox.identity for mailbox in alike))
    if alike:
        return alike[0]
    names = (mailbox.identity for mailbox in plan.data.mailboxes)
    known = [each for each in names if each[:1].casefold() == wanted[:1]]
    whole = "@" in name
    raise UnknownMailbox(name, nearest(name, (k if whole else k.split("@")[0] for k in known)))


def explain(plan: Plan, name: str) -> tuple[str, ...]:
    """Window, database, reason, cuts and the next-best window of one mailbox.

    Raises `UnknownMailbox` or `AmbiguousMailbox`.
    """
    mailbox = find(plan, name)
    if mailbox.state is State.MOVED:
        return (f"{mailbox.identity} was moved before this plan was made.",)
    placed = {a.mailbox.casefold(): a for a in plan.assignments}
    assignment = placed.get(mailbox.identity.casefold())
    if assignment is None:
        return (f"{mailbox.identity} has no place in this plan.",)
    story = _Story.of(plan, assignment)
    draft = story.draft()
    return (
        *story.where(),
        *story.why(),
        *story.partners_said(),
        *story.room_left(draft),
        *story.cuts(),
        *story.delegates(),
        *story.next_best(draft),
    )


@dataclass(frozen=True, slots=True)
class _Story:
    """One mailbox in its plan."""

    plan: Plan
    problem: Problem
    assignment: Assignment
    row: int
    days: list[float]
    partners: list[Partner]

    @classmethod
    def of(cls, plan: Plan, assignment: Assignment) -> "_Story":
        problem = compile_problem(plan.data)
        row = problem.rows[assignment.mailbox.casefold()]
        days = days_of(plan.data, problem.rows, plan.assignments)
        partners = partners_of(plan.data, problem.rows, {row})[row]
        return cls(plan, problem, assignment, row, days, partners)

    def where(self) -> Iterator[str]:
        mailbox, assignment = self.plan.data.mailboxes[self.row], self.assignment
        windows = {window.id: window for window in self.plan.data.calendar.windows}
        window = windows.get(assignment.window)
        when = (
            f"{self._time(window.start)} to {self._time(window.end)} ({self.plan.zone})"
            if window
            else "which does not exist"
        )
        yield (
            f"{mailbox.identity} ({size_text(mailbox.size_bytes)}) moves in window"
            f" {assignment.window}, {when}, to database {assignment.database}."
        )

    def why(self) -> Iterator[str]:
        group, window = self.assignment.group, self.assignment.window
        pins = self.problem.pins.get(self.row, ())
        if self.assignment.why is Why.FIRST:
            yield "System mailboxes are moved before all others."
        elif self.assignment.why is Why.DEPARTMENT:
            here, all_ = self._of_group()
            yield f"Department {group} moves together: {here} of its {all_} are in {window}."
        elif self.assignment.why is Why.PARTNERS:
            yield "It goes with those it shares most with."
        elif self.assignment.why is Why.ROOM and group:
            yield f"It belongs to {group}, but there was no room for it with the others."
        elif self.assignment.why is Why.ROOM:
            yield "It went where there was room."
        for pin in pins:
            yield f"It is pinned: {pin.text}."
        for price in self.plan.metrics.pin_prices:
            if price.pin in pins and price.exposure >= 1:
                yield f"This pin costs {cost_text(price.exposure)}."

    def partners_said(self) -> Iterator[str]:
        weights = self._weights()
        if not weights:
            yield "It shares with nobody."
            return
        day = self.days[self.row]
        here = [row for row in weights if self.days[row] == day]
        yield (
            f"{len(here)} of its {count_text(len(weights), 'partner')}, weight"
            f" {number_text(sum(weights[row] for row in here))} of"
            f" {number_text(sum(weights.values()))}, move in the same window."
        )

    def room_left(self, draft: Draft) -> Iterator[str]:
        """What its window would still take."""
        windows, size = self.problem.windows, self.problem.size[self.row]
        here = [t for t, c in enumerate(windows) if c.window.id == self.assignment.window]
        for t in here:
            places = draft.room.count[t] - 1
            room = min(draft.room.bytes[t], *draft.room.copied[t:]) - size
            parts = []
            if min(windows[t].effective, windows[t].copied) < NO_LIMIT:
                parts.append(size_text(room))
            if windows[t].count < NO_LIMIT:
                parts.append(f"room for {mailboxes_text(places)}")
            if parts:
                left = f"has {' and '.join(parts)} left" if min(room, places) > 0 else "is full"
                yield f"{self.assignment.window} {left}."

    def cuts(self) -> Iterator[str]:
        """The rights that are cut: those alike, and cut at the same times, in one sentence."""
        cut: dict[tuple[int, bool], list[Partner]] = defaultdict(list)
        for partner in self.partners:
            if self._cost(partner):
                cut[partner.row, partner.as_owner].append(partner)
        if self.partners and not cut:
            yield "None of its shares is cut."
        alike: dict[tuple[float, bool, tuple[str, ...]], list[list[Partner]]] = defaultdict(list)
        for (row, as_owner), partners in cut.items():
            rights = tuple(self.plan.data.shares[partner.place].right for partner in partners)
            alike[self.days[row], as_owner, rights].append(partners)
        costs = {key: sum(self._cost(p) for of in alike[key] for p in of) for key in alike}
        worst = sorted(alike, key=lambda key: -costs[key])
        for key in worst[:CUTS_SHOWN]:
            yield self._cut(alike[key], costs[key])
        rest = worst[CUTS_SHOWN:]
        if rest:
            paid = sum(costs[key] for key in rest)
            number = sum(len(alike[key]) for key in rest)
            yield f"{count_text(number, 'more share')} cut, {cost_text(paid)}."
        total, paid = self.plan.metrics.exposure, sum(costs.values())
        if len(alike) > 1 and total:
            percent = number_text(100 * paid / total)
            yield f"All that is {cost_text(paid)}, {percent} % of the plan's exposure."

    def delegates(self) -> Iterator[str]:
        days = {p.row: self.days[p.row] for p in self.partners if p.as_owner}
        if len(days) < MANY_DELEGATES:
            return
        own, last = self.days[self.row], max(days.values())
        before = sum(day < own for day in days.values())
        after = sum(day > own for day in days.values())
        text = (
            f"Of its {len(days)} delegates {before} move before it,"
            f" {len(days) - before - after} with it and {after} after it"
        )
        yield f"{text}; the last one follows on {self._on(last)}." if after else f"{text}."

    def next_best(self, draft: Draft) -> Iterator[str]:
        """The cheapest other window with room, its price, and who would be with it there."""
        data, windows = self.plan.data, self.problem.windows
        paid = cost_on_day(data, self.partners, self.days, self.days[self.row])
        allowed = draft.allowed(self.row)
        others = [w for w in allowed if windows[w].window.id != self.assignment.window]
        if not others:
            why = "Its pins leave" if self.problem.pins.get(self.row) else "There is"
            yield f"{why} no other window for it."
            return
        costs = {
            w: cost_on_day(data, self.partners, self.days, windows[w].day) - paid for w in others
        }
        best = min(others, key=costs.__getitem__)
        free = [w for w in others if self._has_room(draft, w)]
        if best not in free and costs[best] < 0:
            yield f"Window {windows[best].window.id} would cost {_more(costs[best])}, but is full."
        if free:
            best = min(free, key=costs.__getitem__)
            there = f"Next-best window with room: {windows[best].window.id}, {_more(costs[best])}"
            weights = self._weights()
            with_it = sum(self.days[row] == windows[best].day for row in weights)
            said = f"; {with_it} of its {count_text(len(weights), 'partner')} would move with it"
            yield f"{there}{said if weights else ''}."
        else:
            yield "No other window has room for it."

    def draft(self) -> Draft:
        """The plan as it stands, without this mailbox. Pilots are for those pinned to them."""
        draft = Draft(self.problem, 0.0)
        windows = {c.window.id: place for place, c in enumerate(self.problem.windows)}
        databases = {d.id: place for place, d in enumerate(self.plan.data.target.databases)}
        for assignment in self.plan.assignments:
            row = self.problem.rows.get(assignment.mailbox.casefold(), NOWHERE)
            window = windows.get(assignment.window, NOWHERE)
            database = databases.get(assignment.database, NOWHERE)
            if NOWHERE not in (row, window, database) and row != self.row:
                draft.room.enter(row, window)
                draft.room.settle(row, window, database)
        return draft

    def _has_room(self, draft: Draft, window: int) -> bool:
        takes = draft.room.takes(self.row, window)
        return takes and draft.scorer.best(self.row, window) != NOWHERE

    def _of_group(self) -> tuple[int, str]:
        group = self.assignment.group
        windows = Counter(a.window for a in self.plan.assignments if a.group == group)
        return windows[self.assignment.window], count_text(windows.total(), "mailbox", "mailboxes")

    def _weights(self) -> dict[int, float]:
        weights: dict[int, float] = defaultdict(float)
        for partner in self.partners:
            weights[partner.row] += self.plan.data.shares[partner.place].weight
        return weights

    def _cost(self, partner: Partner) -> float:
        own, other = self.days[self.row], self.days[partner.row]
        weight = self.plan.data.shares[partner.place].weight
        owner, delegate = (own, other) if partner.as_owner else (other, own)
        return cost(self.plan.data, weight, owner, delegate)

    def _cut(self, alike: list[list[Partner]], paid: float) -> str:
        """`alike`: per other mailbox its partners, with the same rights and on the same day."""
        first = alike[0][0]
        own, other = self.days[self.row], self.days[first.row]
        rights = ", ".join(self.plan.data.shares[partner.place].right for partner in alike[0])
        others = [self.plan.data.mailboxes[partners[0].row].identity for partners in alike]
        me = self.plan.data.mailboxes[self.row].identity
        names = ", ".join(others[:NAMES_SHOWN])
        if len(others) > NAMES_SHOWN:
            names = f"{len(others):,} mailboxes ({names} and {len(others) - NAMES_SHOWN:,} more)"
        who, on = (names, me) if first.as_owner else (me, names)
        low, high = sorted((own, other))
        return (
            f"Cut from {self._on(low)} to {self._on(high)} ({days_text(high - low)},"
            f" {cost_text(paid)}): {rights} of {who} on {on};"
            f" {others[0] if len(others) == 1 else 'they'} {self._comes(other, len(others))}."
        )

    def _comes(self, day: float, number: int) -> str:
        """How somebody who is apart comes over."""
        there = [c.window.id for c in self.problem.windows if c.day == day]
        if there:
            return f"{'moves' if number == 1 else 'move'} in {' or '.join(there)}"
        if day == 0:
            return "was moved before" if number == 1 else "were moved before"
        return "has no window" if number == 1 else "have no window"

    def _on(self, day: float) -> str:
        start = self.plan.data.calendar.project_start
        return "the start of the project" if day == 0 else self._time(start + day * DAY)

    def _time(self, moment: datetime) -> str:
        return time_text(moment, ZoneInfo(self.plan.zone))


def _more(difference: float) -> str:
    if abs(difference) < 0.05:
        return "at the same cost"
    word = "more" if difference > 0 else "less"
    return f"{cost_text(abs(difference))} {word}"


def cost_text(exposure: float) -> str:
    text = number_text(exposure)
    return f"{text} weight-day" if text == "1" else f"{text} weight-days"
