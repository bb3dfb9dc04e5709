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
from mailmig.model.migration import Approval, Mode, Plan, Violation
from mailmig.render.units import percent_text
from mailmig.reports.planning.carrying import carriers, pins, rights, worst
from mailmig.reports.planning.filling import databases, nearly_full, room, tight, windows
from mailmig.reports.planning.timeline import timeline
from mailmig.rules.planning.explain_times import gap_name, joining
from mailmig.rules.planning.wording import (
    UNFINISHED,
    count_text,
    days_text,
    mailboxes_text,
    number_text,
    size_text,
    time_text,
)

NAME = "plan"
VERSION = 2  # of the shape that programs read

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
        *_unfinished(plan),
        *_verdict(plan),
        _figures(plan),
        *_words(plan),
        *timeline(plan),
        *_comparison(plan),
        windows(plan),
        _gaps(plan),
        *_prices(plan),
        *pins(plan),
        *_remedies(plan),
        *carriers(plan),
        *worst(plan),
        *rights(plan),
        room(plan),
        databases(plan),
        *tight(plan),
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


def _unfinished(plan: Plan) -> Iterator[Block]:
    """Whoever defends the plan has to know first that the search was no whole one."""
    for note in plan.notes:
        if note.text.endswith(UNFINISHED):
            yield Note(f"{note.text}.", Tone.WARNING)


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


def _words(plan: Plan) -> Iterator[Block]:
    """What the figures count, for whoever meets them for the first time."""
    if plan.metrics.exposure:
        yield Note(
            "A share is cut while the mailbox has moved and its delegate has not, or the other way"
            " round. Each day of it costs the weight of the right; the sum of all that is the"
            " exposure, in weight-days."
        )


def _remedies(plan: Plan) -> Iterator[Block]:
    """Why it is not less, and what would make it less."""
    metrics = plan.metrics
    if not metrics.exposure:
        return
    dearest = max(metrics.per_gap, key=lambda gap: gap.exposure)
    said = f"Why the dearest gap is what it is: mailmig plan explain {gap_name(dearest)}."
    full = nearly_full(plan)
    if full:
        many = "windows" if len(full) > 1 else "window"
        verb = "are" if len(full) > 1 else "is"
        said += (
            f" Nearly full {verb} {many} {', '.join(full)}: who belongs together may not fit in."
        )
        if plan.data.calendar.mode is Mode.CLASSIC:
            said += (
                " The first remedy is to copy ahead and complete late (mode prestage): then only"
                " the number of mailboxes binds in a window."
            )
    asked = "--mode prestage, --window, --throughput or --without-pin"
    if plan.data.calendar.mode is Mode.PRESTAGE:
        asked = "--window, --throughput or --without-pin"
    yield Paragraph(f"{said} What would change it: mailmig plan what-if with {asked}.")
    for sentence in joining(plan):
        yield Paragraph(f"{sentence} To take them along, pin them to the pilot.")


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
    least, same = plan.bounds.exposure, plan.bounds.same_pilot
    if same > least:
        rows.append(
            ("what no plan with this pilot can have less than", same, 100 * exposure / same)
        )
    if least:
        rows.append((bound, least, 100 * exposure / least))
    text = "The usual orders fill window after window on the same data, under the same limits."
    if None in (usual.alphabetical, usual.department, usual.components):
        text += " Where no number stands, an order leaves mailboxes without a window."
    if max(least, same) < PROVES * exposure:
        text += " That no plan has much less is not proven."
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
    ends = f"window {metrics.makespan_window}; none can end before {bounds.makespan_window}"
    cut = f"of {metrics.delegates:,} delegates have a share cut"
    return Figures(
        (
            Figure("exposure", "Exposure", metrics.exposure, remark=_least(plan)),
            Figure("delegates_cut", "Delegates cut", metrics.delegates_cut, remark=cut),
            Figure(
                "person_days", "Person-days", metrics.person_days, remark="days on which a delegate has a cut"
            ),
            Figure(
                "makespan", "Ends", _time(plan, metrics.makespan), Unit.TIME,
                remark=ends if metrics.makespan_window else "nothing to move",
            ),
            Figure(
                "balance", "Balance", metrics.balance,
                remark="fullest database over mean; 1 is even",
            ),
        )
    )  # fmt: skip


def _least(plan: Plan) -> str:
    """What is known about how much less any plan could cost."""
    least, same, exposure = plan.bounds.exposure, plan.bounds.same_pilot, plan.metrics.exposure
    if least >= exposure * (1 - 1e-6):
        return "weight-days; proven: no plan has less"
    if same >= exposure * (1 - 1e-6):
        return "weight-days; proven optimal for this pilot"
    if same >= PROVES * exposure:
        part = percent_text(100 * (exposure - same) / exposure)
        who = "no plan" if least >= same else "none with this pilot"
        return f"weight-days; proven: {who} has {part} less"
    if not plan.bounds.searched:
        return "weight-days; not proven to be the least"
    return f"weight-days; not proven, bound {number_text(least)}"


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


def _notes(plan: Plan) -> Iterator[Block]:
    for note in plan.notes:
        if note.text.endswith(UNFINISHED):
            continue
        named = ", ".join(note.items[:NAMED])
        rest = f" and {note.total - NAMED:,} more" if note.total > NAMED else ""
        yield Note(f"{note.text}: {named}{rest}." if named else f"{note.text}.")
    if not plan.assignments:
        yield Paragraph("There is nothing to move.")


def _sizes(plan: Plan) -> dict[str, int]:
    return {mailbox.identity: mailbox.size_bytes for mailbox in plan.data.mailboxes}


def _time(plan: Plan, moment: datetime | None) -> Cell:
    return moment.astimezone(ZoneInfo(plan.zone)) if moment is not None else NONE
