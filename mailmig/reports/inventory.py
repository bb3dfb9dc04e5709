"""What a snapshot holds, in numbers: kinds, versions, databases, sizes, rights, and what is missing.

Takes a `Snapshot` and gives a `Document`; all numbers in it are exact, sizes are bytes. Names
of people are only in the table of mailboxes, which is there on request.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailmig.model.directory import (
    NEVER_MOVED,
    PEOPLE,
    Mailbox,
    Right,
    TrusteeKind,
    Usage,
    UsageState,
)
from mailmig.model.document import (
    NONE,
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Figures,
    Note,
    Row,
    Shown,
    Table,
    Tone,
    Unit,
)
from mailmig.model.organisation import build_text
from mailmig.model.quota import UNKNOWN, Quota, Quotas
from mailmig.model.snapshot import Snapshot, SnapshotInfo
from mailmig.rules.quotas import effective, used_bytes

NAME: Final = "inventory"
VERSION: Final = 1  # of the shape that programs read
LIST_NAME: Final = "snapshots"


@dataclass(slots=True)
class Sum:
    """Mailboxes taken together. `known` of them have a known size; the rest is not in `size`."""

    mailboxes: int = 0
    known: int = 0
    size: int = 0
    never_used: int = 0
    archives: int = 0
    archive_size: int = 0
    archives_known: int = 0

    def add(self, mailbox: Mailbox) -> None:
        self.mailboxes += 1
        used = used_bytes(mailbox.usage)
        if isinstance(used, int):
            self.known += 1
            self.size += used
        self.never_used += mailbox.usage.state is UsageState.NEVER_USED
        if mailbox.archive is not None:
            self._add_archive(mailbox.archive.usage)

    def _add_archive(self, usage: Usage) -> None:
        self.archives += 1
        used = used_bytes(usage)
        if isinstance(used, int):
            self.archives_known += 1
            self.archive_size += used

    @property
    def unknown(self) -> int:
        return self.mailboxes - self.known

    @property
    def size_cell(self) -> Cell:
        """The sum of the known sizes; a sum of nothing known is unknown, not zero."""
        return self.size if self.known or not self.mailboxes else UNKNOWN

    @property
    def archive_cell(self) -> Cell:
        if not self.archives:
            return NONE
        return self.archive_size if self.archives_known else UNKNOWN


def compose(snapshot: Snapshot, now: datetime, *, mailboxes: bool = False) -> Document:
    """The whole report; with `mailboxes`, a table of all of them by name."""
    total = Sum()
    for mailbox in snapshot.mailboxes:
        total.add(mailbox)
    blocks: list[Block] = [
        _figures(snapshot, total),
        *_gaps(snapshot.info),
        _grouped(snapshot, "kinds", "Kinds", "Kind", lambda m: m.kind.value),
        _grouped(snapshot, "versions", "Versions", "Version", lambda m: m.version),
        _databases(snapshot),
        _servers(snapshot),
        _rights(snapshot),
        *([_mailboxes(snapshot)] if mailboxes else []),
    ]
    title = f"Inventory {snapshot.info.id}"
    return Document(NAME, VERSION, title, _subtitle(snapshot.info), now, tuple(blocks))


def listing(infos: Iterable[SnapshotInfo], now: datetime) -> Document:
    """All snapshots, one line each, the newest last."""
    columns = (
        Column("id", "Snapshot"),
        Column("organisation", "Organisation"),
        Column("taken_at", "As it was", Unit.TIME),
        Column("imported_at", "Imported", Unit.TIME, Shown.DATA),
        Column("mailboxes", "Mailboxes", Unit.COUNT),
        Column("rights", "Rights", Unit.COUNT),
        Column("gaps", "Gaps", Unit.COUNT),
        Column("origin", "From"),
        Column("digest", "Digest", shown=Shown.DATA),
    )
    rows: list[Row] = [
        (i.id, i.organisation or UNKNOWN, i.taken_at, i.imported_at, i.mailboxes, i.edges,
         len(i.gaps), i.origin, i.digest)
        for i in infos
    ]  # fmt: skip
    table = Table("snapshots", "Snapshots", columns, rows, detail=True)
    count = "1 snapshot" if len(rows) == 1 else f"{len(rows)} snapshots"
    return Document(LIST_NAME, VERSION, "Snapshots", f"{count}, the newest last.", now, (table,))


def _subtitle(info: SnapshotInfo) -> str:
    whose = info.organisation or "An organisation without a name"
    return f"{whose} as it was {info.taken_at:%Y-%m-%d %H:%M} UTC, from {info.origin}."


def _figures(snapshot: Snapshot, total: Sum) -> Figures:
    people = sum(mailbox.kind in PEOPLE for mailbox in snapshot.mailboxes)
    left: Cell = sum(mailbox.kind in NEVER_MOVED for mailbox in snapshot.mailboxes)
    if not left and not _read(snapshot, "monitoring_mailboxes"):
        left = UNKNOWN
    unknown = f"{total.unknown:,} sizes are unknown" if total.unknown else ""
    figures = [
        Figure("mailboxes", "Mailboxes", total.mailboxes, remark=f"{people:,} of people"),
        Figure("size", "Size", total.size_cell, Unit.BYTES, remark=unknown),
        Figure("never_used", "Never used", total.never_used),
        Figure("archives", "Archives", total.archives),
        Figure("archive_size", "Size of archives", total.archive_cell, Unit.BYTES),
        Figure("never_moved", "Never moved", left, remark="made anew or not movable"),
        Figure("rights", "Rights on others' mailboxes", len(snapshot.edges)),
    ]
    for key, title, remark in _COUNTED:
        count = _counted(snapshot, key.replace("_", " "))
        if count:
            figures.append(Figure(key, title, count, remark=remark))
    return Figures(tuple(figures))


_COUNTED: Final = (
    ("disconnected", "Disconnected mailboxes", "deleted or moved away, still kept; not counted"),
    ("move_destinations", "Moves that are running", "their half-filled copies are not counted"),
    ("recovery_databases", "Recovery databases", "what they hold is not counted"),
)


def _counted(snapshot: Snapshot, key: str) -> int:
    """A number that the import itself counted; zero where it is not there."""
    for about in snapshot.facts.get("import", ()):
        counts = about.get("counts")
        value = counts.get(key) if isinstance(counts, dict) else None
        if isinstance(value, int):
            return value
    return 0


def _read(snapshot: Snapshot, file: str) -> bool:
    """Whether the source had such a file at all, or what stands in it."""
    rows = (about.get("rows") for about in snapshot.facts.get("import", ()))
    return any(isinstance(files, dict) and file in files for files in rows)


def _gaps(info: SnapshotInfo) -> Iterator[Block]:
    if not info.gaps:
        yield Note("Nothing is missing.", Tone.GOOD)
        return
    columns = (Column("what", "What"), Column("cost", "What it costs"))
    rows = [(gap.what, gap.cost) for gap in info.gaps]
    yield Table("gaps", "What is missing", columns, rows, tone=Tone.WARNING)


_SUM_COLUMNS: Final = (
    Column("mailboxes", "Mailboxes", Unit.COUNT),
    Column("size", "Size", Unit.BYTES),
    Column("size_unknown", "Size unknown", Unit.COUNT),
    Column("never_used", "Never used", Unit.COUNT),
    Column("archives", "Archives", Unit.COUNT),
    Column("archive_size", "Size of archives", Unit.BYTES),
)


def _sum_cells(total: Sum) -> Row:
    archives = (total.archives, total.archive_cell)
    return (total.mailboxes, total.size_cell, total.unknown, total.never_used, *archives)


def _grouped(
    snapshot: Snapshot, key: str, title: str, head: str, group: Callable[[Mailbox], str]
) -> Table:
    sums = _sums(snapshot.mailboxes, group)
    rows = [(name, *_sum_cells(sums[name])) for name in sorted(sums, key=lambda n: (n == "", n))]
    return Table(key, title, (Column("name", head), *_SUM_COLUMNS), rows)


def _sums(mailboxes: Iterable[Mailbox], group: Callable[[Mailbox], str]) -> dict[str, Sum]:
    sums: dict[str, Sum] = {}
    for mailbox in mailboxes:
        sums.setdefault(group(mailbox), Sum()).add(mailbox)
    return sums


def _databases(snapshot: Snapshot) -> Table:
    """Every database, also those without mailboxes, and those that only mailboxes name."""
    sums = _sums(snapshot.mailboxes, lambda mailbox: mailbox.database.casefold())
    versions = {server.name: server.version for server in snapshot.servers}
    rows: list[Row] = []
    for database in snapshot.databases:
        total = sums.pop(database.name.casefold(), Sum())
        rows.append(
            (database.name, database.server or UNKNOWN, versions.get(database.server, UNKNOWN),
             database.dag or NONE, total.mailboxes, total.size_cell, total.unknown,
             _known(database.size_bytes), _known(database.white_space_bytes),
             database.quotas.headline)
        )  # fmt: skip
    # The archives of a database are those of people elsewhere; they are in no sum here.
    for name, total in sums.items():
        place = (name or "(none)", UNKNOWN, UNKNOWN, UNKNOWN)
        sizes = (total.mailboxes, total.size_cell, total.unknown, UNKNOWN, UNKNOWN, UNKNOWN)
        rows.append((*place, *sizes))
    columns = (
        Column("database", "Database"),
        Column("server", "Server"),
        Column("version", "Version"),
        Column("dag", "DAG"),
        Column("mailboxes", "Mailboxes", Unit.COUNT),
        Column("size", "Size", Unit.BYTES),
        Column("size_unknown", "Size unknown", Unit.COUNT, Shown.SHEET),
        Column("file_size", "File", Unit.BYTES),
        Column("white_space", "White space", Unit.BYTES),
        Column("quota", "Quota", Unit.BYTES),
    )
    return Table("databases", "Databases", columns, rows)


def _servers(snapshot: Snapshot) -> Table:
    columns = (
        Column("server", "Server"),
        Column("site", "Site"),
        Column("version", "Version"),
        Column("build", "Build"),
        Column("dag", "DAG"),
    )
    rows: list[Row] = [
        (s.name, s.site or UNKNOWN, s.version, build_text(s.build), s.dag or NONE)
        for s in snapshot.servers
    ]
    return Table("servers", "Servers", columns, rows)


def _rights(snapshot: Snapshot) -> Table:
    counts = Counter((edge.right, edge.trustee_kind) for edge in snapshot.edges)
    owners: dict[Right, set[str]] = {}
    for edge in snapshot.edges:
        owners.setdefault(edge.right, set()).add(edge.owner)
    columns = (
        Column("right", "Right"),
        Column("mailboxes", "On mailboxes", Unit.COUNT),
        Column("held_by_mailboxes", "Held by mailboxes", Unit.COUNT),
        Column("held_by_groups", "By groups", Unit.COUNT),
        Column("orphaned", "By nobody any more", Unit.COUNT),
        Column("held_by_others", "By others", Unit.COUNT),
    )
    order = (TrusteeKind.MAILBOX, TrusteeKind.GROUP, TrusteeKind.ORPHAN, TrusteeKind.OTHER)
    rows: list[Row] = [
        (right.value, len(owners[right]), *(counts[right, kind] for kind in order))
        for right in Right
        if right in owners
    ]
    return Table("rights", "Rights on others' mailboxes", columns, rows)


def _mailboxes(snapshot: Snapshot) -> Table:
    defaults = {database.name.casefold(): database.quotas for database in snapshot.databases}
    columns = (
        Column("exchange_guid", "ExchangeGuid", shown=Shown.DATA),
        Column("address", "Address"),
        Column("display_name", "Name"),
        Column("kind", "Kind"),
        Column("department", "Department"),
        Column("database", "Database"),
        Column("site", "Site", shown=Shown.SHEET),
        Column("version", "Version", shown=Shown.SHEET),
        Column("size", "Size", Unit.BYTES),
        Column("items", "Items", Unit.COUNT, Shown.SHEET),
        Column("usage", "Usage", shown=Shown.SHEET),
        Column("quota", "Quota", Unit.BYTES),
        Column("archive_size", "Archive", Unit.BYTES),
        Column("archive_quota", "Archive quota", Unit.BYTES, Shown.SHEET),
    )
    rows: list[Row] = [
        _line(mailbox, defaults.get(mailbox.database.casefold(), Quotas()))
        for mailbox in snapshot.mailboxes
    ]
    rest = "--format csv shows them all"
    return Table("all_mailboxes", "Mailboxes", columns, rows, detail=True, rest=rest)


def _line(mailbox: Mailbox, defaults: Quotas) -> Row:
    archive = mailbox.archive
    names = (mailbox.exchange_guid, mailbox.address, mailbox.display_name)
    place = (mailbox.database, mailbox.site, mailbox.version)
    usage = mailbox.usage
    items = 0 if usage.state is UsageState.NEVER_USED else _known(usage.items)
    room: Sequence[Cell] = (
        used_bytes(usage), items, usage.state.value, effective(mailbox, defaults).headline,
        used_bytes(archive.usage) if archive else NONE, archive.quota if archive else NONE,
    )  # fmt: skip
    return (*names, mailbox.kind.value, mailbox.department, *place, *room)


def _known(number: int | None) -> Quota:
    return UNKNOWN if number is None else number
