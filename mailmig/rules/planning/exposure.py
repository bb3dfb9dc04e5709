"""Exposure: what it costs to part those who share mailboxes, and whom it hurts.

Unit: weight-days. A share whose ends move on different days costs its weight times the days
between; a mailbox that was moved before counts as moved on day 0, one that has no window as
moved on the day of the deadline. The same sum can be taken gap by gap: between the ends of
two windows everything that is cut at that time costs its weight times the days of the gap.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import pairwise
from operator import add

from mailmig.model.migration import (
    Assignment,
    CutShare,
    GapCost,
    MailboxCost,
    PlanData,
    State,
)
from mailmig.rules.planning.problem import rows_of, share_rows

WORST_SHARES = 20
BUSIEST = 10

# Sums that went up and down again leave crumbs of floating point; nobody has so small a weight.
CRUMB = 1e-9


def days_of(data: PlanData, rows: dict[str, int], assignments: Sequence[Assignment]) -> list[float]:
    """The day on which each mailbox is moved, per row."""
    calendar = data.calendar
    late = calendar.last_day
    days = [0.0 if mailbox.state is State.MOVED else late for mailbox in data.mailboxes]
    ends = {window.id: calendar.day(window.end) for window in calendar.windows}
    for assignment in assignments:
        row = rows.get(assignment.mailbox.casefold())
        if row is not None and data.mailboxes[row].state is State.PENDING:
            days[row] = ends.get(assignment.window, late)
    return days


def exposure(data: PlanData, assignments: Sequence[Assignment]) -> float:
    """The exposure of a plan, share by share."""
    rows = rows_of(data)
    days = days_of(data, rows, assignments)
    total = 0.0
    for place, owner, delegate in zip(*share_rows(data, rows), strict=True):
        total += cost(data, data.shares[place].weight, days[owner], days[delegate])
    return total


def cost(data: PlanData, weight: float, owner_day: float, delegate_day: float) -> float:
    """What one share costs when its ends move on these days."""
    if owner_day >= delegate_day:
        return data.new_delegate * weight * (owner_day - delegate_day)
    return data.new_owner * weight * (delegate_day - owner_day)


@dataclass(frozen=True, slots=True)
class Partner:
    """One share as seen from one of its ends: the other end's row, and the share's position."""

    row: int
    place: int
    as_owner: bool


def partners_of(data: PlanData, rows: dict[str, int], wanted: set[int]) -> dict[int, list[Partner]]:
    """All shares of the wanted rows, in one pass over the data."""
    found: dict[int, list[Partner]] = {row: [] for row in wanted}
    for place, owner, delegate in zip(*share_rows(data, rows), strict=True):
        if owner in wanted:
            found[owner].append(Partner(delegate, place, True))
        if delegate in wanted:
            found[delegate].append(Partner(owner, place, False))
    return found


def cost_on_day(
    data: PlanData, partners: Sequence[Partner], days: Sequence[float], day: float
) -> float:
    """What the shares of a mailbox cost if it moves on `day` and all others stay as they are."""
    total = 0.0
    for partner in partners:
        weight, other = data.shares[partner.place].weight, days[partner.row]
        if partner.as_owner:
            total += cost(data, weight, day, other)
        else:
            total += cost(data, weight, other, day)
    return total


@dataclass(slots=True)
class Exposed:
    """What one pass over all shares finds out."""

    total: float = 0.0
    per_right: dict[str, float] = field(default_factory=dict)
    delegates: int = 0
    delegates_cut: int = 0
    person_days: float = 0.0
    worst: tuple[CutShare, ...] = ()
    gaps: tuple[GapCost, ...] = ()


def survey(data: PlanData, assignments: Sequence[Assignment]) -> Exposed:
    """Everything about exposure that a plan reports. Takes linear time in the shares."""
    rows = rows_of(data)
    days = days_of(data, rows, assignments)
    columns = share_rows(data, rows)
    found = Exposed()
    gaps = _Gaps(data, days)
    spans: dict[int, tuple[float, float]] = {}
    pairs: dict[tuple[int, int], float] = defaultdict(float)
    per_right: dict[str, float] = defaultdict(float)
    for place, owner, delegate in zip(*columns, strict=True):
        share = data.shares[place]
        owner_day, delegate_day = days[owner], days[delegate]
        paid = cost(data, share.weight, owner_day, delegate_day)
        per_right[share.right] += paid
        if paid:
            found.total += paid
            pairs[owner, delegate] += paid
            low, high = spans.get(delegate, (delegate_day, delegate_day))
            spans[delegate] = min(low, owner_day), max(high, owner_day)
            gaps.add(owner, delegate, share.weight, owner_day, delegate_day)
    found.per_right = dict(sorted(per_right.items(), key=lambda item: -item[1]))
    found.delegates = len(set(columns[2]))
    found.delegates_cut = len(spans)
    found.person_days = sum((high - low for low, high in spans.values()), 0.0)
    found.worst = _worst(data, columns, pairs, days)
    found.gaps = tuple(gaps.result())
    return found


def _worst(
    data: PlanData,
    columns: tuple[Sequence[int], Sequence[int], Sequence[int]],
    pairs: dict[tuple[int, int], float],
    days: Sequence[float],
) -> tuple[CutShare, ...]:
    worst = nlargest(WORST_SHARES, pairs, key=pairs.__getitem__)
    shares: dict[tuple[int, int], list[int]] = {pair: [] for pair in worst}
    owners = {owner for owner, _ in worst}
    for place, owner, delegate in zip(*columns, strict=True):
        if owner in owners and (owner, delegate) in shares:
            shares[owner, delegate].append(place)
    return tuple(
        CutShare(
            owner=data.mailboxes[owner].identity,
            delegate=data.mailboxes[delegate].identity,
            rights=tuple(data.shares[place].right for place in shares[owner, delegate]),
            weight=sum(data.shares[place].weight for place in shares[owner, delegate]),
            days=abs(days[owner] - days[delegate]),
            exposure=pairs[owner, delegate],
        )
        for owner, delegate in worst
    )


class _Gaps:
    """Adds up what is cut between the ends of the windows, for the whole and per mailbox.

    A share that is cut from one day to another goes up at the first and down at the second;
    running sums over the days then give what is cut in each gap.
    """

    def __init__(self, data: PlanData, days: Sequence[float]) -> None:
        self.data = data
        named: dict[float, list[str]] = {0.0: []}
        for window in sorted(data.calendar.windows, key=lambda w: w.end):
            named.setdefault(data.calendar.day(window.end), []).append(window.id)
        for day in set(days):
            named.setdefault(day, ["deadline"])
        used = {*days, 0.0}
        kept = sorted(day for day in named if day in used)
        self.stops = [(day, ", ".join(named[day])) for day in kept]
        self.place = {day: place for place, day in enumerate(kept)}
        self.cut = array("d", bytes(8 * len(kept)))
        self.of_mailbox = [array("d", bytes(8 * len(data.mailboxes))) for _ in kept]

    def add(
        self, owner: int, delegate: int, weight: float, owner_day: float, delegate_day: float
    ) -> None:
        if owner_day > delegate_day:
            weighted = self.data.new_delegate * weight
            up, down = self.place[delegate_day], self.place[owner_day]
        else:
            weighted = self.data.new_owner * weight
            up, down = self.place[owner_day], self.place[delegate_day]
        self.cut[up] += weighted
        self.cut[down] -= weighted
        for place, change in ((up, weighted), (down, -weighted)):
            of_mailbox = self.of_mailbox[place]
            of_mailbox[owner] += change
            of_mailbox[delegate] += change

    def result(self) -> Iterator[GapCost]:
        cut = 0.0
        per_mailbox: list[float] = [0.0] * len(self.data.mailboxes)
        for place, ((day, after), (next_day, before)) in enumerate(pairwise(self.stops)):
            cut += self.cut[place]
            per_mailbox = list(map(add, per_mailbox, self.of_mailbox[place]))
            days = next_day - day
            weight = cut if cut > CRUMB else 0.0
            yield GapCost(
                after=after,
                before=before,
                days=days,
                cut_weight=weight,
                exposure=weight * days,
                freezes=self._freezes(day, next_day),
                mailboxes=tuple(self._busiest(per_mailbox, days)) if weight else (),
            )

    def _freezes(self, day: float, next_day: float) -> tuple[str, ...]:
        calendar = self.data.calendar
        return tuple(
            freeze.reason or "freeze"
            for freeze in calendar.freezes
            if calendar.day(freeze.start) < next_day and calendar.day(freeze.end) > day
        )

    def _busiest(self, per_mailbox: list[float], days: float) -> Iterator[MailboxCost]:
        for row in nlargest(BUSIEST, range(len(per_mailbox)), key=per_mailbox.__getitem__):
            if per_mailbox[row] > CRUMB:
                identity = self.data.mailboxes[row].identity
                yield MailboxCost(identity, per_mailbox[row] * days)
