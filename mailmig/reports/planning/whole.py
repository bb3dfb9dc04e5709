"""A wave plan as a report: what moves when, what it costs, whom it hurts, how full it gets.

Takes a `Plan` as it was stored and gives a `Document`; nothing is planned or priced again.
Exposure is in weight-days, the sum over all shares of weight times days cut.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from mailmig.model.document import (
    NONE,
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Figures,
    Note,
    Paragraph,
    Row,
    Shown,
    Table,
    Tone,
    Unit,
)
from mailmig.model.migration import Approval, LimitUse, Plan, Rule, Violation
from mailmig.render.units import percent_text
from mailmig.reports.planning.timeline import timeline
from mailmig.rules.planning.capacity import NO_LIMIT, WindowCapacity, capacities
from mailmig.rules.planning.wording import (
    count_text,
    days_text,
    mailboxes_text,
    number_text,
    size_text,
    time_text,
)

NAME = "plan"
VERSION = 1  # of the shape that programs read

# A limit that is used up so far is shown.
TIGHT = 0.9

# So many violations are said in a sentence; a table would cut them at the width.
SENTENCES = 20

# A bound below this part of the exposure proves little.
PROVES = 0.8

# So many digits name a plan.
DIGITS = 8

# Of the mailboxes that carry most of a gap's exposure so many are named on paper.
NAMED = 3


def compose(
    plan: Plan,
    id: str = "",
    violations: Sequence[Violation] = (),
    approvals: Sequence[Approval] = (),
    announced: Sequence[str] = (),
) -> Document:
    """The whole report. `violations` are what a check of this plan found.

    `approvals` and the `announced` windows are what was written down about exactly this plan.
    """
    blocks: list[Block] = [
        *_violations(violations),
        *_standing(plan, approvals, announced),
        *_verdict(plan),
        _figures(plan),
        *timeline(plan),
        *_comparison(plan),
        _windows(plan),
        _gaps(plan),
        *_prices(plan),
        _databases(plan),
        *_tight(plan),
        *_worst(plan),
        *_rights(plan),
        *_pins(plan),
        *_notes(plan),
    ]
    made = plan.created.astimezone(ZoneInfo(plan.zone))
    title = f"Wave plan {id}".rstrip()
    return Document(NAME, VERSION, title, _subtitle(plan), made, tuple(blocks))


def _subtitle(plan: Plan) -> str:
    sizes = _sizes(plan)
    size = sum(sizes.get(a.mailbox, 0) for a in plan.assignments)
    mode = plan.data.calendar.mode.value
    source = f", from snapshot {plan.snapshot}" if plan.snapshot else ""
    count = mailboxes_text(len(plan.assignments))
    return f"{count}, {size_text(size)}, mode {mode}{source}; times in {plan.zone}."


def _violations(violations: Sequence[Violation]) -> Iterator[Block]:
    if violations:
        rows = [(v.rule.name.lower(), v.subject, v.text) for v in violations]
        columns = (
            Column("rule", "Rule", Unit.WORD),
            Column("subject", "Subject"),
            Column("text", "What is wrong", shown=Shown.DATA),
        )
        text = "This plan breaks hard rules and must not be carried out as it is."
        yield Table("violations", count_text(len(rows), "violation"), columns, rows, text, Tone.BAD)
        for violation in violations[:SENTENCES]:
            yield Note(f"{violation.text}.", Tone.BAD)


def _standing(
    plan: Plan, approvals: Sequence[Approval], announced: Sequence[str]
) -> Iterator[Block]:
    """Whether somebody answers for this plan, and who was told already."""
    for approval in approvals:
        when = time_text(approval.at, ZoneInfo(plan.zone))
        yield Note(f"Approved by {approval.by} on {when} ({plan.zone}).", Tone.GOOD)
    if not approvals:
        yield Note("Nobody has approved this plan.", Tone.WARNING)
    if announced:
        many = "windows" if len(announced) > 1 else "window"
        yield Note(f"Announced, and kept when planning again: {many} {', '.join(announced)}.")
    if plan.previous:
        yield Note(f"Takes the place of plan {plan.previous[:DIGITS]}.")


def _verdict(plan: Plan) -> Iterator[Block]:
    """The plan in two sentences, for whoever has to defend it."""
    metrics, usual = plan.metrics, plan.metrics.comparison
    if usual is None or not metrics.exposure:
        return
    others = (
        (usual.alphabetical, "as much as in an alphabetical order"),
        (usual.department, "as much as in an order by department"),
    )
    parts = [f"{_percent(metrics.exposure, of)} {text}" for of, text in others if of]
    if parts:
        dearest = max(metrics.per_gap, key=lambda gap: gap.exposure)
        part = _percent(dearest.exposure, metrics.exposure)
        where = f"after {dearest.after}" if dearest.after else "before the first window"
        frozen = f", with the freeze {', '.join(dearest.freezes)}" if dearest.freezes else ""
        yield Paragraph(
            f"People who share mailboxes are apart {' and '.join(parts)}."
            f" The largest part of what remains, {part}, falls into the {days_text(dearest.days)}"
            f" {where}{frozen}."
        )


def _comparison(plan: Plan) -> Iterator[Block]:
    """This plan beside what admins do today, and beside what nobody can beat."""
    usual, exposure = plan.metrics.comparison, plan.metrics.exposure
    if usual is None:
        return
    columns = (
        Column("order", "Order"),
        Column("exposure", "Exposure", Unit.COUNT),
        Column("part", "This plan has of it", Unit.PERCENT),
    )
    bound = "what no plan can have less than"
    rows: list[Row] = [("this plan", exposure, 100.0)]
    for name, cost in (
        ("alphabetical", usual.alphabetical),
        ("by department", usual.department),
        ("component by component", usual.components),
    ):
        part = 100 * exposure / cost if cost else NONE
        rows.append((name, NONE if cost is None else cost, part))
    if plan.bounds.searched:
        least = plan.bounds.exposure
        rows.append((bound, least, 100 * exposure / least if least else NONE))
    text = "The usual orders fill window after window on the same data, under the same limits."
    if None in (usual.alphabetical, usual.department, usual.components):
        text += " Where no number stands, an order leaves mailboxes without a window."
    if not plan.bounds.searched:
        text += " That no plan has less is not proven: there is no useful bound for so many."
    yield Table("comparison", "Compared with the usual orders", columns, rows, text)


def _prices(plan: Plan) -> Iterator[Block]:
    """What freezes and the pilot cost."""
    columns = (
        Column("what", "What"),
        Column("days", "Days", Unit.COUNT),
        Column("exposure", "Costs", Unit.COUNT),
        Column("part", "Part", Unit.PERCENT),
    )
    total = plan.metrics.exposure
    rows: list[Row] = [
        (f"freeze {price.reason}", price.days, price.exposure, 100 * price.exposure / total)
        for price in plan.metrics.freeze_prices
        if price.exposure
    ]
    if plan.metrics.pilot_price:
        price = plan.metrics.pilot_price
        pilots = {window.id for window in plan.data.calendar.windows if window.pilot}
        gaps = [g.days for g in plan.metrics.per_gap if pilots & set(g.after.split(", "))]
        rows.append(("pilot", sum(gaps), price, 100 * price / total))
    if rows:
        text = (
            "What this plan would save if a freeze's days were left out, or if the pilot's"
            " people moved with the next window."
        )
        yield Table("prices", "What freezes and the pilot cost", columns, rows, text)


def _percent(part: float, of: float) -> str:
    return percent_text(100 * part / of)


def _figures(plan: Plan) -> Figures:
    metrics, bounds = plan.metrics, plan.bounds
    bound = f"window {bounds.makespan_window}" if bounds.makespan_window else "nothing to move"
    cut = f"of {metrics.delegates:,} delegates have at least one share cut at some time"
    return Figures(
        (
            Figure("exposure", "Exposure", metrics.exposure, remark=_least(plan)),
            Figure("delegates_cut", "Delegates cut", metrics.delegates_cut, remark=cut),
            Figure(
                "person_days", "Person-days", metrics.person_days, remark="with at least one cut"
            ),
            Figure(
                "makespan", "Ends", _time(plan, metrics.makespan), Unit.TIME,
                remark=f"window {metrics.makespan_window}; no plan ends before {bound}",
            ),
            Figure(
                "balance", "Balance", metrics.balance,
                remark="fullest database over the mean; 1.00 is even",
            ),
        )
    )  # fmt: skip


def _least(plan: Plan) -> str:
    """What is known about how much less any plan could cost."""
    least, exposure = plan.bounds.exposure, plan.metrics.exposure
    if not plan.bounds.searched:
        return "weight-days; whether another plan has less is not proven"
    if least >= exposure * (1 - 1e-6):
        return "weight-days; proven: no plan has less"
    weak = "" if least >= PROVES * exposure else "; that this is the least is not proven"
    return f"weight-days; no plan has less than {number_text(least)}{weak}"


def _windows(plan: Plan) -> Table:
    columns = (
        Column("window", "Window"),
        Column("start", "Begins", Unit.TIME),
        Column("end", "Ends", Unit.TIME),
        Column("mailboxes", "Mailboxes", Unit.COUNT),
        Column("max_mailboxes", "At most", Unit.COUNT),
        Column("bytes", "Size", Unit.BYTES),
        Column("max_bytes", "Room", Unit.BYTES),
        Column("limited_by", "Limited by"),
        Column("pilot", "Pilot", Unit.WORD),
    )
    sizes = _sizes(plan)
    count: dict[str, int] = {}
    moved: dict[str, int] = {}
    for a in plan.assignments:
        count[a.window] = count.get(a.window, 0) + 1
        moved[a.window] = moved.get(a.window, 0) + sizes.get(a.mailbox, 0)
    rows = []
    for capacity in capacities(plan.data):
        window = capacity.window
        room = min(capacity.effective, capacity.copied)
        rows.append(
            (
                window.id, _time(plan, window.start), _time(plan, window.end),
                count.get(window.id, 0), _limit(capacity.count), moved.get(window.id, 0),
                _limit(room), _binding(capacity), "pilot" if window.pilot else NONE,
            )
        )  # fmt: skip
    prestage = "Room is what can be copied until the window." if _prestage(plan) else ""
    return Table("windows", "Windows", columns, rows, prestage)


def _binding(capacity: WindowCapacity) -> Cell:
    if capacity.copied < NO_LIMIT:
        return "bytes copied ahead"
    return capacity.binding or NONE


def _prestage(plan: Plan) -> bool:
    return any(use.rule is Rule.COPY_RATE for use in plan.metrics.limits)


def _gaps(plan: Plan) -> Table:
    columns = (
        Column("after", "After"),
        Column("before", "Until"),
        Column("days", "Days", Unit.COUNT),
        Column("cut_weight", "Weight cut", Unit.COUNT),
        Column("exposure", "Exposure", Unit.COUNT),
        Column("part", "Part", Unit.PERCENT),
        Column("freeze", "Freeze"),
        Column("mailboxes", "Carried most by"),
    )
    total = plan.metrics.exposure
    rows: list[Row] = [
        (
            gap.after or "start", gap.before, gap.days, gap.cut_weight, gap.exposure,
            100 * gap.exposure / total if total else 0.0,
            ", ".join(gap.freezes) or NONE,
            ", ".join(cost.mailbox for cost in gap.mailboxes[:NAMED]) or NONE,
        )
        for gap in plan.metrics.per_gap
    ]  # fmt: skip
    text = "What is cut between two windows costs its weight times the days between them."
    return Table("gaps", "Exposure per gap", columns, rows, text)


def _databases(plan: Plan) -> Table:
    columns = (
        Column("database", "Database"),
        Column("bytes", "Moved in", Unit.BYTES),
        Column("room", "Room", Unit.BYTES),
        Column("part", "Filled", Unit.PERCENT),
    )
    rows: list[Row] = [
        (use.subject, use.used, use.limit, _part(use))
        for use in plan.metrics.limits
        if use.rule is Rule.DATABASE
    ]
    return Table("databases", "Databases", columns, rows)


def _tight(plan: Plan) -> Iterator[Block]:
    columns = (
        Column("rule", "Limit", Unit.WORD),
        Column("subject", "Of"),
        Column("window", "Window"),
        Column("used", "Used", Unit.BYTES),
        Column("limit", "At most", Unit.BYTES),
        Column("part", "Part", Unit.PERCENT),
    )
    rows: list[Row] = [
        (use.rule.name.lower(), use.subject, use.window or NONE, use.used, use.limit, _part(use))
        for use in plan.metrics.limits
        if use.rule is not Rule.WINDOW_COUNT and use.limit and use.used >= TIGHT * use.limit
    ]
    if rows:
        yield Table("tight", "Limits used up to 90 % or more", columns, rows)


def _worst(plan: Plan) -> Iterator[Block]:
    columns = (
        Column("owner", "Mailbox"),
        Column("delegate", "Delegate"),
        Column("rights", "Rights"),
        Column("weight", "Weight", Unit.COUNT),
        Column("days", "Days", Unit.COUNT),
        Column("exposure", "Exposure", Unit.COUNT),
    )
    rows: list[Row] = [
        (c.owner, c.delegate, ", ".join(c.rights), c.weight, c.days, c.exposure)
        for c in plan.metrics.worst_shares
    ]
    if rows:
        yield Table("worst_shares", "Shares that cost most", columns, rows)


def _rights(plan: Plan) -> Iterator[Block]:
    columns = (
        Column("right", "Right"),
        Column("exposure", "Exposure", Unit.COUNT),
    )
    rows: list[Row] = [(right, cost) for right, cost in plan.metrics.per_right.items()]
    if rows:
        yield Table("rights", "Exposure per right", columns, rows)


def _pins(plan: Plan) -> Iterator[Block]:
    columns = (
        Column("mailbox", "Mailbox"),
        Column("pin", "Pin"),
        Column("exposure", "Costs", Unit.COUNT),
    )
    prices = sorted(plan.metrics.pin_prices, key=lambda price: -price.exposure)
    rows: list[Row] = [
        (price.pin.identity, price.pin.text, price.exposure) for price in prices if price.exposure
    ]
    if rows:
        text = "What each mailbox would save in its best window, all others staying in theirs."
        yield Table("pins", "What pins cost", columns, rows, text)


def _notes(plan: Plan) -> Iterator[Block]:
    for note in plan.notes:
        named = ", ".join(note.items[:NAMED])
        rest = f" and {note.total - NAMED:,} more" if note.total > NAMED else ""
        yield Note(f"{note.text}: {named}{rest}." if named else f"{note.text}.")
    if not plan.assignments:
        yield Paragraph("There is nothing to move.")


def _sizes(plan: Plan) -> dict[str, int]:
    return {mailbox.identity: mailbox.size_bytes for mailbox in plan.data.mailboxes}


def _part(use: LimitUse) -> Cell:
    return 100 * use.used / use.limit if use.limit else NONE


def _limit(limit: int) -> Cell:
    return limit if limit < NO_LIMIT else NONE


def _time(plan: Plan, moment: datetime | None) -> Cell:
    return moment.astimezone(ZoneInfo(plan.zone)) if moment is not None else NONE
