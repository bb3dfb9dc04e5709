"""What changed between two snapshots: who came and went, who moved, quotas, growth, rights.

Takes a `Comparison` of all kinds of mailboxes, joined by ExchangeGuid, and the two snapshots
for the rest. Sizes are bytes. Names of people are only in the table of changed mailboxes,
which is there on request.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Final

from mailmig.model.database import Database
from mailmig.model.directory import Edge
from mailmig.model.document import (
    NONE,
    UNDEFINED,
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Figures,
    Row,
    Shown,
    Table,
    Tone,
    Unit,
)
from mailmig.model.organisation import Server, build_text
from mailmig.model.quota import UNKNOWN, Quota, Quotas
from mailmig.model.snapshot import Snapshot
from mailmig.rules.quotas import Comparison, Holding, PersonGain
from mailmig.wire.collection import MAILBOX_FILES

NAME: Final = "inventory-diff"
VERSION: Final = 1  # of the shape that programs read

_FILES_OF_RIGHTS: Final = ("full_access", "send_as")

# What can become of a mailbox; one may show several.
_WHAT: Final[tuple[tuple[str, str, Callable[[PersonGain], bool]], ...]] = (
    ("came", "Came", lambda p: p.seen_before is None),
    ("gone", "Gone", lambda p: p.seen_after is None),
    ("moved", "Moved to another database", lambda p: _differs(p, lambda h: h.database.casefold())),
    ("converted", "Of another kind", lambda p: _kinds(p)[0] != _kinds(p)[1]),
    ("quota", "Other limits", lambda p: _other_limits(p)),
    ("archive", "Archive came or went", lambda p: _differs(p, lambda h: h.archive is None)),
)


def compose(
    comparison: Comparison,
    before: Snapshot,
    after: Snapshot,
    now: datetime,
    *,
    mailboxes: bool = False,
) -> Document:
    """The whole report; with `mailboxes`, a table of the changed ones by name."""
    blocks: list[Block] = [
        _figures(comparison, before, after),
        _kinds_table(comparison),
        _databases(before, after),
        *_servers(before, after),
        *_gaps(before, after),
        *([_mailboxes(comparison)] if mailboxes else []),
    ]
    title = f"From snapshot {before.info.id} to {after.info.id}"
    times = f"{before.info.taken_at:%Y-%m-%d %H:%M} to {after.info.taken_at:%Y-%m-%d %H:%M} UTC"
    whose = after.info.organisation or before.info.organisation or "An organisation without a name"
    return Document(NAME, VERSION, title, f"{whose}, {times}.", now, tuple(blocks))


def _what(person: PersonGain) -> tuple[str, ...]:
    there = person.seen_before is not None and person.seen_after is not None
    return tuple(
        key for key, _, test in _WHAT if (there or key in ("came", "gone")) and test(person)
    )


def _differs(person: PersonGain, view: Callable[[Holding], object]) -> bool:
    before, after = person.before, person.after
    return before is not None and after is not None and view(before) != view(after)


def _other_limits(person: PersonGain) -> bool:
    """Whether a limit is another one; one that is unknown on a side is no other one."""
    if person.before is None or person.after is None:
        return False
    pairs = zip(_limits(person.before.quotas), _limits(person.after.quotas), strict=True)
    return any(UNKNOWN not in pair and pair[0] != pair[1] for pair in pairs)


def _limits(quotas: Quotas) -> tuple[Quota, ...]:
    return quotas.warn, quotas.send, quotas.receive


def _kinds(person: PersonGain) -> tuple[str, str]:
    before, after = person.seen_before, person.seen_after
    return (before.kind.value if before else "", after.kind.value if after else "")


def _figures(comparison: Comparison, before: Snapshot, after: Snapshot) -> Figures:
    counts = Counter(key for person in comparison.people for key in _what(person))
    stayed = [g for g in map(_growth, comparison.people) if g is not UNDEFINED]
    grown = [g for g in stayed if isinstance(g, int)]
    came, went = _rights(before.edges, after.edges)
    lacks = {gap.what.partition(" ")[0] for s in (before, after) for gap in s.info.gaps}
    unsure = {key: remark for key in ("came", "gone") if (remark := _lacking(lacks, MAILBOX_FILES))}
    figures = [Figure(k, title, counts[k], remark=unsure.get(k, "")) for k, title, _ in _WHAT]
    size: Cell = sum(grown) if grown or not stayed else UNKNOWN
    remark = f"of {len(grown):,} mailboxes whose size is known both times"
    no_rights = _lacking(lacks, _FILES_OF_RIGHTS)
    figures += [
        Figure("growth", "Growth in size", size, Unit.BYTES, signed=True, remark=remark),
        Figure("rights_came", "Rights given", came, remark=no_rights),
        Figure("rights_gone", "Rights taken away", went, remark=no_rights),
    ]
    return Figures(tuple(figures))


def _lacking(lacks: Collection[str], files: Iterable[str]) -> str:
    """A remark on a number that is made of files which one of the snapshots lacks."""
    names = ", ".join(file for file in files if file in lacks)
    return f"not sure: {names} is not whole on both sides" if names else ""


def _growth(person: PersonGain) -> Cell:
    """Bytes by which a mailbox that was there both times grew."""
    if person.before is None or person.after is None:
        return UNDEFINED
    before, after = person.before.used, person.after.used
    return after - before if isinstance(before, int) and isinstance(after, int) else UNKNOWN


def _rights(before: tuple[Edge, ...], after: tuple[Edge, ...]) -> tuple[int, int]:
    """Rights that came and went; who holds one is compared by what he is, else by his name."""
    old, new = (
        {(edge.owner, edge.right, edge.delegate or edge.trustee.casefold()) for edge in edges}
        for edges in (before, after)
    )
    return len(new - old), len(old - new)


def _kinds_table(comparison: Comparison) -> Table:
    counts: Counter[tuple[str, str]] = Counter()
    for person in comparison.people:
        kind = person.mailbox.kind.value
        counts.update((kind, key) for key in _what(person))
    kinds = sorted({kind for kind, _ in counts})
    rows: list[Row] = [(kind, *(counts[kind, key] for key, _, _ in _WHAT)) for kind in kinds]
    heads = (Column(key, title, Unit.COUNT) for key, title, _ in _WHAT)
    text = "" if rows else "No mailbox came, went, moved or changed."
    return Table("kinds", "By kind", (Column("kind", "Kind"), *heads), rows, text)


def _databases(before: Snapshot, after: Snapshot) -> Table:
    """Where mailboxes are, database by database."""
    old, new = ({d.name.casefold(): d for d in s.databases} for s in (before, after))
    counts = [Counter(m.database.casefold() for m in s.mailboxes) for s in (before, after)]
    rows: list[Row] = []
    for key in old | new | dict.fromkeys((*counts[0], *counts[1])):
        was, now = old.get(key), new.get(key)
        known = now or was
        rows.append(
            (known.name if known else key or "(none)", counts[0][key], counts[1][key],
             _file_size(was), _file_size(now), _headline(was), _headline(now))
        )  # fmt: skip
    columns = (
        Column("database", "Database"),
        Column("mailboxes_before", "Mailboxes before", Unit.COUNT),
        Column("mailboxes_after", "After", Unit.COUNT),
        Column("file_before", "File before", Unit.BYTES),
        Column("file_after", "After", Unit.BYTES),
        Column("quota_before", "Quota before", Unit.BYTES),
        Column("quota_after", "After", Unit.BYTES),
    )
    return Table("databases", "Databases", columns, rows)


def _file_size(database: Database | None) -> Cell:
    if database is None:
        return NONE
    return UNKNOWN if database.size_bytes is None else database.size_bytes


def _headline(database: Database | None) -> Cell:
    return NONE if database is None else database.quotas.headline


def _servers(before: Snapshot, after: Snapshot) -> Iterator[Table]:
    """Servers that came, went or were updated; nothing where all are as they were."""
    old, new = ({s.name.casefold(): s for s in snap.servers} for snap in (before, after))
    rows: list[Row] = []
    for key in old | new:
        was, now = old.get(key), new.get(key)
        if was is None or now is None or was.build != now.build:
            rows.append((_name(now or was, key), _build(was), _build(now)))
    if rows:
        columns = (Column("server", "Server"), Column("before", "Before"), Column("after", "After"))
        yield Table("servers", "Servers that came, went or were updated", columns, rows)


def _name(server: Server | None, key: str) -> str:
    return server.name if server else key


def _build(server: Server | None) -> Cell:
    return f"{server.version} ({build_text(server.build)})" if server else NONE


def _gaps(before: Snapshot, after: Snapshot) -> Iterator[Table]:
    """What is missing on either side: a change may be no more than a gap."""
    rows: list[Row] = [
        (snapshot.info.id, gap.what, gap.cost)
        for snapshot in (before, after)
        for gap in snapshot.info.gaps
    ]
    if rows:
        columns = (Column("snapshot", "In"), Column("what", "What"), Column("cost", "Cost"))
        text = "What differs may only be missing on one side."
        yield Table("gaps", "What is missing", columns, rows, text, Tone.WARNING)


def _mailboxes(comparison: Comparison) -> Table:
    columns = (
        Column("exchange_guid", "ExchangeGuid", shown=Shown.DATA),
        Column("address", "Address"),
        Column("display_name", "Name"),
        Column("kind", "Kind"),
        Column("what", "What"),
        Column("database_before", "Database before"),
        Column("database_after", "After"),
        Column("quota_before", "Quota before", Unit.BYTES),
        Column("quota_after", "After", Unit.BYTES),
        Column("growth", "Growth", Unit.BYTES, signed=True),
    )
    rows = [_line(person, what) for person in comparison.people if (what := _what(person))]
    rest = "--format csv shows them all"
    return Table("changed", "Changed mailboxes", columns, rows, detail=True, rest=rest)


def _line(person: PersonGain, what: tuple[str, ...]) -> Row:
    mailbox, before, after = person.mailbox, person.before, person.after
    names = (mailbox.exchange_guid, mailbox.address, mailbox.display_name, mailbox.kind.value)
    return (
        *names, ", ".join(what),
        before.database if before else NONE, after.database if after else NONE,
        before.quotas.headline if before else NONE, after.quotas.headline if after else NONE,
        _growth(person),
    )  # fmt: skip
