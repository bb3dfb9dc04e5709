"""Snapshots: the inventory at one moment, added whole or not at all, never changed.

A snapshot that is being added lies in one open transaction: a process that dies in the
middle leaves nothing of it, and readers see the state before. Rows go in as tuples in
portions, straight through the driver: half a million edges cost seconds, not minutes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, select

from mailmig.model.bulk import no_search_for_cycles
from mailmig.model.database import Dag, DatabaseCopy
from mailmig.model.database import Database as MailboxDatabase
from mailmig.model.directory import Edge, Group, Mailbox
from mailmig.model.organisation import Server
from mailmig.model.snapshot import Gap, Reading, Snapshot, SnapshotInfo
from mailmig.store import ids, journal, rows, schema
from mailmig.store.connection import Database
from mailmig.store.rows import Row

# Rows per call of the driver: larger portions are no faster and only take memory.
PORTION: Final = 5000

_Question = tuple[Table, Callable[[Sequence[Any]], Any]]


class NoSuchSnapshot(ids.NotStored):
    """A snapshot that is not there."""

    noun = "snapshot"
    list_command = "mailmig inventory list"


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding: `new` is False where the same content was there already."""

    info: SnapshotInfo
    new: bool


class Snapshots:
    """The stored snapshots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, reading: Reading) -> Added:
        """Read everything and keep it, with a line in the journal, in one transaction.

        A reading whose digest is stored already is not read again. Whatever the reading
        raises passes through, and nothing of it is kept.
        """
        known = self._with_digest(reading.digest)
        if known is not None:
            return Added(known, new=False)
        with self._database.writing("inventory import") as connection:
            taken = {row.digest: row.id for row in connection.execute(_NAMES)}
            new = reading.digest not in taken  # another process may have been quicker
            if new:
                id = ids.short(reading.digest, set(taken.values()))
                counts = _insert(connection, id, reading)
                details = {"origin": reading.origin, "digest": reading.digest, **counts}
                journal.write(connection, "snapshot stored", id, details)
        info = self._with_digest(reading.digest)
        assert info is not None, "what was committed can be read"
        return Added(info, new)

    def list(self) -> tuple[SnapshotInfo, ...]:
        """All snapshots, by the time that they show, the newest last."""
        with self._database.reading() as connection:
            return _infos(connection)

    def info(self, ref: str = ids.LATEST) -> SnapshotInfo:
        """The line about one snapshot; `ref` as for `load`."""
        with self._database.reading() as connection:
            return _find(connection, ref)

    def load(self, ref: str = ids.LATEST, *, without: Container[str] = ()) -> Snapshot:
        """A whole snapshot: an id, a unique beginning of one, `latest` or `previous`.

        Parts named in `without` ("edges", "groups", ...) are left empty, for callers that never
        read them. Raises NoSuchSnapshot. 100,000 mailboxes with 500,000 edges take about 400 MB;
        `mailboxes` and `edges` walk through them one by one.
        """
        with self._database.reading() as connection, no_search_for_cycles():
            info = _find(connection, ref)
            key = _key(connection, info.id)
            parts = {
                name: tuple(_rows(connection, key, question))
                for name, question in _PARTS.items()
                if name not in without
            }
            return Snapshot(info, **parts, facts=_facts(connection, key))

    def mailboxes(self, ref: str = ids.LATEST) -> Iterator[Mailbox]:
        """The mailboxes of a snapshot one by one, in the order of the source."""
        return self._walk(ref, "mailboxes")

    def edges(self, ref: str = ids.LATEST) -> Iterator[Edge]:
        """The edges of a snapshot one by one, in the order of the source."""
        return self._walk(ref, "edges")

    def _walk(self, ref: str, part: str) -> Iterator[Any]:
        with self._database.reading() as connection:
            key = _key(connection, _find(connection, ref).id)
            yield from _rows(connection, key, _PARTS[part])

    def _with_digest(self, digest: str) -> SnapshotInfo | None:
        return next((info for info in self.list() if info.digest == digest), None)


_NAMES: Final = select(schema.snapshots.c.digest, schema.snapshots.c.id)

# What a snapshot consists of: the table of each part and the way out of it.
_PARTS: Final[Mapping[str, _Question]] = {
    "servers": (schema.servers, rows.to_server),
    "dags": (schema.dags, rows.to_dag),
    "databases": (schema.databases, rows.to_database),
    "copies": (schema.copies, rows.to_copy),
    "mailboxes": (schema.mailboxes, rows.to_mailbox),
    "edges": (schema.edges, rows.to_edge),
    "groups": (schema.groups, rows.to_group),
}


class _Pour:
    """The intake of one snapshot: numbers the rows of each table and sends them in portions."""

    def __init__(self, connection: Connection, snapshot: int) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self.counts: Counter[str] = Counter()

    def servers(self, values: Iterable[Server]) -> None:
        self._add(schema.servers, map(rows.from_server, values))

    def dags(self, values: Iterable[Dag]) -> None:
        self._add(schema.dags, map(rows.from_dag, values))

    def databases(self, values: Iterable[MailboxDatabase]) -> None:
        self._add(schema.databases, map(rows.from_database, values))

    def copies(self, values: Iterable[DatabaseCopy]) -> None:
        self._add(schema.copies, map(rows.from_copy, values))

    def mailboxes(self, values: Iterable[Mailbox]) -> None:
        self._add(schema.mailboxes, map(rows.from_mailbox, values))

    def edges(self, values: Iterable[Edge]) -> None:
        self._add(schema.edges, map(rows.from_edge, values))

    def groups(self, values: Iterable[Group]) -> None:
        self._add(schema.groups, map(rows.from_group, values))

    def facts(self, kind: str, values: Iterable[Mapping[str, object]]) -> None:
        self._add(schema.facts, map(rows.from_fact(kind), values))

    def gaps(self, values: Iterable[Gap]) -> None:
        self._add(schema.gaps, map(rows.from_gap, values))

    def _add(self, table: Table, values: Iterable[Row]) -> None:
        # The driver's own executemany with tuples: SQLAlchemy would make a dict of each row.
        statement = str(insert(table).compile(dialect=self._connection.dialect))
        rest = iter(values)
        while portion := list(islice(rest, PORTION)):
            first = self.counts[table.name]
            numbered = [(self._snapshot, n, *row) for n, row in enumerate(portion, first)]
            self._connection.exec_driver_sql(statement, numbered)
            self.counts[table.name] = first + len(portion)


def _insert(connection: Connection, id: str, reading: Reading) -> dict[str, int]:
    """Write everything of one reading; the number of rows per table."""
    head = {
        "id": id,
        "digest": reading.digest,
        "organisation": reading.organisation,
        "taken_at": reading.taken_at,
        "imported_at": datetime.now(UTC),
        "origin": reading.origin,
    }
    done = connection.execute(insert(schema.snapshots).values(head))
    key = done.inserted_primary_key
    assert key is not None, "SQLite numbers the snapshots"
    pour = _Pour(connection, key[0])
    pour.gaps(reading.pour(pour))
    counts = dict(pour.counts)
    lines = [{"snapshot": key[0], "kind": kind, "count": count} for kind, count in counts.items()]
    if lines:
        connection.execute(insert(schema.contents), lines)
    return counts


def _infos(connection: Connection) -> tuple[SnapshotInfo, ...]:
    table = schema.snapshots
    counts = {
        (snapshot, kind): count
        for snapshot, kind, count in connection.execute(select(schema.contents))
    }
    gaps: dict[int, tuple[Gap, ...]] = {}
    in_order = select(schema.gaps).order_by(schema.gaps.c.snapshot, schema.gaps.c.n)
    for snapshot, _, *gap in connection.execute(in_order):
        gaps[snapshot] = (*gaps.get(snapshot, ()), rows.to_gap(gap))
    return tuple(
        SnapshotInfo(
            row.id,
            row.organisation,
            row.taken_at,
            row.imported_at,
            row.origin,
            row.digest,
            counts.get((row.snapshot, "mailboxes"), 0),
            counts.get((row.snapshot, "edges"), 0),
            gaps.get(row.snapshot, ()),
        )
        for row in connection.execute(select(table).order_by(table.c.taken_at, table.c.snapshot))
    )


def _find(connection: Connection, ref: str) -> SnapshotInfo:
    infos = {info.id: info for info in _infos(connection)}
    return infos[ids.find(ref, tuple(infos), NoSuchSnapshot)]


def _key(connection: Connection, id: str) -> int:
    table = schema.snapshots
    key: int = connection.scalars(select(table.c.snapshot).where(table.c.id == id)).one()
    return key


def _rows(connection: Connection, key: int, question: _Question) -> Iterator[Any]:
    table, value = question
    columns = [column for column in table.c if column.name not in ("snapshot", "n")]
    found = select(*columns).where(table.c.snapshot == key).order_by(table.c.n)
    return map(value, connection.execute(found))


def _facts(connection: Connection, key: int) -> dict[str, tuple[Mapping[str, object], ...]]:
    found: dict[str, list[Mapping[str, object]]] = {}
    for kind, value in _rows(connection, key, (schema.facts, lambda row: row)):
        found.setdefault(kind, []).append(json.loads(value))
    return {kind: tuple(values) for kind, values in found.items()}
