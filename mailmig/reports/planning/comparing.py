"""Two plans side by side: what they cost, gap by gap, and who moves when.

The first plan is the one that holds, the second one what it is compared with. Differences
are the second less the first.
"""

from collections import Counter
from collections.abc import Iterator
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
    Table,
    Tone,
    Unit,
)
from mailmig.model.migration import Assignment, Plan
from mailmig.render.units import percent_text
from mailmig.rules.planning.capacity import split
from mailmig.rules.planning.explain_times import gap_name
from mailmig.rules.planning.wording import UNFINISHED, mailboxes_text, number_text, time_text

NAME = "plan_compare"
VERSION = 1  # of the shape that programs read

# Two plans cost the same when they differ by no more than this part.
SAME = 1e-6


def compose(one: Plan, other: Plan, names: tuple[str, str], title: str) -> Document:
    """The report; `names` are what the two plans are called."""
    blocks: tuple[Block, ...] = (
        *_inputs(one, other),
        *_unfinished({names[0]: one, names[1]: other}),
        _verdict(one, other, names),
        _figures(one, other),
        _windows(one, other, names),
        _gaps(one, names[0], other, names[1]),
        changes(one.assignments, other, names),
    )
    made = other.created.astimezone(ZoneInfo(other.zone))
    subtitle = f"{names[0]} is compared with {names[1]}; times in {other.zone}."
    return Document(NAME, VERSION, title, subtitle, made, blocks)


def changes(old: tuple[Assignment, ...], new: Plan, names: tuple[str, str]) -> Table:
    """Who moves in another window, or to another database."""
    had = {a.mailbox.casefold(): a for a in old}
    has = {a.mailbox.casefold(): a for a in new.assignments}
    rows: list[Row] = []
    for key in dict.fromkeys((*had, *has)):
        before, after = had.get(key), has.get(key)
        if _place(before) != _place(after):
            named = before or after
            assert named is not None
            rows.append((named.mailbox, *_place(before), *_place(after)))
    columns = (
        Column("mailbox", "Mailbox"),
        Column("window_before", f"Window in {names[0]}"),
        Column("database_before", "Database"),
        Column("window_after", f"Window in {names[1]}"),
        Column("database_after", "Database"),
    )
    rows.sort(key=lambda row: row[1] == row[3])  # another window first: that is what people feel
    moves = sum(row[1] != row[3] for row in rows)
    title = f"{mailboxes_text(moves)} in another window"
    rest = len(rows) - moves
    text = f"{mailboxes_text(rest)} only to another database." if rest else ""
    return Table("changes", title, columns, rows, text, detail=True)


def _place(assignment: Assignment | None) -> tuple[Cell, Cell]:
    return (assignment.window, assignment.database) if assignment else (NONE, NONE)


def _inputs(one: Plan, other: Plan) -> Iterator[Block]:
    a, b = one.data, other.data
    different = [
        word
        for word, same in (
            ("mailboxes", a.mailboxes == b.mailboxes),
            ("shares", a.shares == b.shares),
            ("the calendar", a.calendar == b.calendar),
            ("the target", a.target == b.target),
            ("pins", a.pins == b.pins),
        )
        if not same
    ]
    if different:
        text = f"The two were not made from the same input: different: {', '.join(different)}."
        yield Note(text, Tone.WARNING)


def _unfinished(plans: dict[str, Plan]) -> Iterator[Block]:
    for name, plan in plans.items():
        for note in plan.notes:
            if note.text.endswith(UNFINISHED):
                yield Note(f"{name}: {note.text}.", Tone.WARNING)


def _verdict(one: Plan, other: Plan, names: tuple[str, str]) -> Paragraph:
    """The comparison in one sentence."""
    a, b = one.metrics.exposure, other.metrics.exposure
    price = f"{names[1]} parts people for {number_text(b)} weight-days"
    if abs(a - b) < SAME * max(a, b, 1.0):
        return Paragraph(f"{price}, as {names[0]} does.")
    word = "less" if b < a else "more"
    part = f", {percent_text(100 * abs(b - a) / a)} {word} than" if a else f", {word} than"
    return Paragraph(f"{price}{part} {names[0]} with {number_text(a)}.")


def _figures(one: Plan, other: Plan) -> Figures:
    a, b = one.metrics, other.metrics
    zone = ZoneInfo(other.zone)
    ends = time_text(a.makespan, zone) if a.makespan else "never"
    return Figures(
        (
            Figure("exposure", "Exposure", b.exposure, remark=_change(a.exposure, b.exposure),
                   tone=_tone(a.exposure, b.exposure)),
            Figure("delegates_cut", "Delegates cut", b.delegates_cut,
                   remark=_change(a.delegates_cut, b.delegates_cut)),
            Figure("person_days", "Person-days", b.person_days,
                   remark=_change(a.person_days, b.person_days)),
            Figure("makespan", "Ends", b.makespan.astimezone(zone) if b.makespan else NONE,
                   Unit.TIME, remark=f"before: {ends}"),
            Figure("balance", "Balance", b.balance, remark=f"before: {a.balance:.2f}"),
        )
    )  # fmt: skip


def _change(before: float, after: float) -> str:
    said = f"before: {number_text(before)}"
    return (
        f"{said} ({percent_text(100 * (after - before) / before, signed=True)})" if before else said
    )


def _tone(before: float, after: float) -> Tone:
    if after == before:
        return Tone.PLAIN
    return Tone.GOOD if after < before else Tone.WARNING


def _windows(one: Plan, other: Plan, names: tuple[str, str]) -> Table:
    columns = (
        Column("window", "Window"),
        Column("end", "Ends", Unit.TIME),
        Column("mailboxes_before", f"Mailboxes in {names[0]}", Unit.COUNT),
        Column("mailboxes_after", f"in {names[1]}", Unit.COUNT),
        Column("difference", "Difference", Unit.COUNT, signed=True),
    )
    zone = ZoneInfo(other.zone)
    windows = {w.id: w for plan in (one, other) for w in split(plan.data.calendar)[0]}
    counts = [Counter(a.window for a in plan.assignments) for plan in (one, other)]
    rows: list[Row] = [
        (
            id,
            w.end.astimezone(zone),
            *(count[id] for count in counts),
            counts[1][id] - counts[0][id],
        )
        for id, w in sorted(windows.items(), key=lambda item: item[1].end)
    ]
    return Table("windows", "Windows", columns, rows)


def _gaps(one: Plan, first: str, other: Plan, second: str) -> Table:
    columns = (
        Column("gap", "Gap"),
        Column("days", "Days", Unit.COUNT),
        Column("exposure_before", f"Exposure in {first}", Unit.COUNT),
        Column("exposure_after", f"in {second}", Unit.COUNT),
    )
    costs = [{gap_name(g): g for g in plan.metrics.per_gap} for plan in (one, other)]
    rows: list[Row] = []
    for name in dict.fromkeys((*costs[0], *costs[1])):
        gaps = [of.get(name) for of in costs]
        days = next(gap.days for gap in gaps if gap is not None)
        rows.append((name, days, *(NONE if gap is None else gap.exposure for gap in gaps)))
    return Table("gaps", "Exposure per gap", columns, rows)
