"""A plan over time: what moves in each window, what is cut meanwhile, the shares that cost most."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from mailmig.model.document import Lane, Span, Timeline
from mailmig.model.migration import DAY, Plan
from mailmig.rules.planning.exposure import days_of
from mailmig.rules.planning.problem import rows_of
from mailmig.rules.planning.wording import days_text, mailboxes_text, number_text, time_text


def timeline(plan: Plan) -> Iterator[Timeline]:
    """One picture; none where nothing is moved."""
    if not plan.assignments:
        return
    zone = ZoneInfo(plan.zone)
    freezes = plan.data.calendar.freezes
    shaded = tuple(
        Span(f.start.astimezone(zone), f.end.astimezone(zone), 0.0, f.reason or "freeze")
        for f in freezes
    )
    lanes = (
        Lane("Mailboxes moved", tuple(_windows(plan, zone)), tall=True),
        Lane("Weight cut", tuple(_gaps(plan, zone)), tall=True),
        *_shares(plan, zone),
    )
    text = (
        "Above: mailboxes per window, and the weight of the shares that are cut between windows."
        " Below: the shares that cost most, from the day on which one side has moved until the"
        " other follows; the number is their weight." + (" Shaded: freezes." if shaded else "")
    )
    yield Timeline("timeline", "What moves when, and what is cut meanwhile", text, lanes, shaded)


def _windows(plan: Plan, zone: tzinfo) -> Iterator[Span]:
    count = Counter(assignment.window for assignment in plan.assignments)
    for window in plan.data.calendar.windows:
        if number := count[window.id]:
            begin, end = window.start.astimezone(zone), window.end.astimezone(zone)
            label = f"{window.id}: {mailboxes_text(number)}, until {time_text(end, zone)}"
            yield Span(begin, end, number, label, window.id)


def _gaps(plan: Plan, zone: tzinfo) -> Iterator[Span]:
    day = 0.0
    for gap in plan.metrics.per_gap:
        begin, end = _moment(plan, day, zone), _moment(plan, day + gap.days, zone)
        label = (
            f"{gap.after or 'start'} to {gap.before}: weight {number_text(gap.cut_weight)} for"
            f" {days_text(gap.days)}"
        )
        yield Span(begin, end, gap.cut_weight, label)
        day += gap.days


def _shares(plan: Plan, zone: tzinfo) -> Iterator[Lane]:
    rows = rows_of(plan.data)
    days = days_of(plan.data, rows, plan.assignments)
    for cut in plan.metrics.worst_shares:
        low, high = sorted((days[rows[cut.owner.casefold()]], days[rows[cut.delegate.casefold()]]))
        label = (
            f"{', '.join(cut.rights)} of {cut.delegate} on {cut.owner}:"
            f" {number_text(cut.exposure)} weight-days"
        )
        span = Span(_moment(plan, low, zone), _moment(plan, high, zone), cut.weight, label)
        yield Lane(f"{_short(cut.delegate)} on {_short(cut.owner)}", (span,))


def _short(identity: str) -> str:
    return identity.split("@")[0]


def _moment(plan: Plan, day: float, zone: tzinfo) -> datetime:
    return (plan.data.calendar.project_start + day * DAY).astimezone(zone)
