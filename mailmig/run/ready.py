"""A snapshot's content that lies in memory, ready to be stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from mailmig.model.database import Dag, Database, DatabaseCopy
from mailmig.model.directory import Edge, Group, Mailbox
from mailmig.model.organisation import Server
from mailmig.model.snapshot import Gap, Intake

# Part of each digest: raise it when the same content would be understood differently.
_UNDERSTANDING: Final = 1


# Without a repr: asyncio asks for that of a task's result when a program ends.
@dataclass(frozen=True, slots=True, repr=False)
class Ready:
    """A reading (`mailmig.model.snapshot.Reading`) of what was asked already.

    `mark` tells two contents apart that are of the same moment and from the same place.
    """

    organisation: str
    taken_at: datetime
    origin: str
    servers: Sequence[Server] = ()
    dags: Sequence[Dag] = ()
    databases: Sequence[Database] = ()
    copies: Sequence[DatabaseCopy] = ()
    mailboxes: Sequence[Mailbox] = ()
    edges: Sequence[Edge] = ()
    groups: Sequence[Group] = ()
    facts: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    mark: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of where it is from: what was asked at one moment is never asked again."""
        moment = self.taken_at.astimezone(UTC).isoformat(timespec="microseconds")
        words = (f"mailmig inventory {_UNDERSTANDING}", moment, self.organisation, self.origin)
        return sha256("\n".join((*words, self.mark)).encode("utf-8", "replace")).hexdigest()

    def pour(self, into: Intake) -> tuple[Gap, ...]:
        """Hand everything on, and tell what is missing."""
        into.servers(self.servers)
        into.dags(self.dags)
        into.databases(self.databases)
        into.copies(self.copies)
        into.mailboxes(self.mailboxes)
        into.edges(self.edges)
        into.groups(self.groups)
        for kind, rows in self.facts.items():
            into.facts(kind, rows)
        return self.gaps
