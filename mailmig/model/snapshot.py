"""A snapshot: the inventory at one moment; never changed afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mailmig.model.database import Dag, Database, DatabaseCopy
from mailmig.model.directory import Edge, Group, Mailbox
from mailmig.model.organisation import Server


@dataclass(frozen=True, slots=True)
class Gap:
    """Something the source did not have, and what that costs."""

    what: str
    cost: str


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """The line about a snapshot in a list; `id` is short and unique, `digest` names its content."""

    id: str
    organisation: str
    taken_at: datetime
    imported_at: datetime
    origin: str
    digest: str
    mailboxes: int
    edges: int
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one import saw. Sequences keep the order of the source.

    `facts` holds what later checks will read and no rule needs yet (virtual directories,
    connectors, accepted domains, organisation settings): per kind, one mapping of plain
    JSON values for each object.
    """

    info: SnapshotInfo
    servers: tuple[Server, ...] = ()
    dags: tuple[Dag, ...] = ()
    databases: tuple[Database, ...] = ()
    copies: tuple[DatabaseCopy, ...] = ()
    mailboxes: tuple[Mailbox, ...] = ()
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()
    facts: Mapping[str, tuple[Mapping[str, object], ...]] = field(default_factory=dict)


class Intake(Protocol):
    """Where a source puts what it reads: in any order, in as many portions as it likes.

    Edges may come before the mailboxes that they join. Each method takes an iterable that
    is walked once, so nothing has to lie in memory as a whole.
    """

    def servers(self, rows: Iterable[Server]) -> None: ...
    def dags(self, rows: Iterable[Dag]) -> None: ...
    def databases(self, rows: Iterable[Database]) -> None: ...
    def copies(self, rows: Iterable[DatabaseCopy]) -> None: ...
    def mailboxes(self, rows: Iterable[Mailbox]) -> None: ...
    def edges(self, rows: Iterable[Edge]) -> None: ...
    def groups(self, rows: Iterable[Group]) -> None: ...
    def facts(self, kind: str, rows: Iterable[Mapping[str, object]]) -> None: ...


class Reading(Protocol):
    """What a source offers before all of it is read.

    `digest` (hex) names the content: two readings with the same digest hold the same.
    `pour` reads everything into the intake and tells what was missing; it raises when the
    source cannot be used, and then nothing of it may be kept.
    """

    @property
    def organisation(self) -> str: ...
    @property
    def taken_at(self) -> datetime: ...
    @property
    def origin(self) -> str: ...
    @property
    def digest(self) -> str: ...
    def pour(self, into: Intake) -> tuple[Gap, ...]: ...
