"""A plan made again in mid-migration: what changed for whom, and what a full plan would do."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from mailmig.model.document import (
    NONE,
    Block,
    Column,
    Document,
    Figure,
    Figures,
    Note,
    Row,
    Table,
    Tone,
    Unit,
)
from mailmig.model.migration import Plan, State
from mailmig.render.units import percent_text
from mailmig.reports.planning.comparing import changes
from mailmig.rules.planning.exposure import cost_on_day, partners_of
from mailmig.rules.planning.problem import rows_of
from mailmig.rules.planning.remaking import Remade
from mailmig.rules.planning.wording import UNFINISHED, mailboxes_text, number_text

NAME = "plan_replan"
VERSION = 1  # of the shape that programs read

NAMED = 3


def compose(old: Plan, taken: Remade, id: str, offer: Remade | None) -> Document:
    """The report. `offer` is the full plan; `None` where it is the one that was taken."""
    plan = taken.plan
    pending = {a.mailbox.casefold() for a in plan.assignments}
    before = tuple(a for a in old.assignments if a.mailbox.casefold() in pending)
    blocks: tuple[Block, ...] = (
        _figures(taken),
        *_offer(taken, offer),
        *_waiting(taken),
        changes(before, plan, ("the old plan", "the new one")),
        *_notes(plan),
    )
    done = len(plan.data.mailboxes) - len(plan.assignments)
    subtitle = (
        f"{mailboxes_text(done)} moved, {mailboxes_text(len(plan.assignments))} to move; it"
        f" costs what is cut from now on; times in {plan.zone}."
    )
    made = plan.created.astimezone(ZoneInfo(plan.zone))
    return Document(NAME, VERSION, f"Wave plan {id}, made again", subtitle, made, blocks)


def _figures(taken: Remade) -> Figures:
    metrics = taken.plan.metrics
    zone = ZoneInfo(taken.plan.zone)
    return Figures(
        (
            Figure("exposure", "Exposure", metrics.exposure, remark="weight-days from now on"),
            Figure("changed", "Changed", len(taken.changed),
                   remark="have another window, although theirs can be used"),
            Figure("inserted", "Inserted", len(taken.inserted),
                   remark="are new, failed, or lost their window"),
            Figure("makespan", "Ends", metrics.makespan.astimezone(zone) if metrics.makespan else NONE,
                   Unit.TIME, remark=f"window {metrics.makespan_window}" if metrics.makespan else ""),
        )
    )  # fmt: skip


def _waiting(taken: Remade) -> Iterator[Block]:
    """Who has no window any more while those he shares with were moved: he waits dearly."""
    plan, data = taken.plan, taken.plan.data
    rows = rows_of(data)
    partners = partners_of(data, rows, {rows[name.casefold()] for name in taken.inserted})
    where = {a.mailbox: a.window for a in plan.assignments}
    waiting: list[Row] = []
    for row, shares in partners.items():
        gone = [p for p in shares if data.mailboxes[p.row].state is State.MOVED]
        per_day = cost_on_day(data, gone, [0.0] * len(data.mailboxes), 1.0)
        if per_day:
            name = data.mailboxes[row].identity
            waiting.append((name, where.get(name, NONE), len({p.row for p in gone}), per_day))
    if waiting:
        columns = (
            Column("mailbox", "Mailbox"),
            Column("window", "Window"),
            Column("partners", "Partners moved", Unit.COUNT),
            Column("per_day", "Costs per day", Unit.COUNT),
        )
        waiting.sort(key=lambda line: -float(str(line[3])))
        text = "They had no window while others they share with were moved: see to these first."
        yield Table("waiting", "Waiting apart from their partners", columns, waiting, text)


def _offer(taken: Remade, offer: Remade | None) -> Iterator[Block]:
    if offer is None:
        yield Note("This is a full plan: everybody could get another window.", Tone.WARNING)
        return
    for note in offer.plan.notes:
        if note.text.endswith(UNFINISHED):
            yield Note(f"The full plan that was made beside it: {note.text}.", Tone.WARNING)
    paid, least = taken.plan.metrics.exposure, offer.plan.metrics.exposure
    number = mailboxes_text(len(offer.changed))
    if least >= paid:
        yield Note("A full plan would cost no less.", Tone.GOOD)
        return
    yield Note(
        f"A full plan would cost {number_text(least)} weight-days"
        f" ({percent_text(100 * (least - paid) / paid, signed=True)}), but would give {number}"
        " another window than they have: --full takes it."
    )


def _notes(plan: Plan) -> Iterator[Block]:
    for note in plan.notes:
        named = ", ".join(note.items[:NAMED])
        rest = f" and {note.total - NAMED:,} more" if note.total > NAMED else ""
        yield Note(f"{note.text}: {named}{rest}." if named else f"{note.text}.")
