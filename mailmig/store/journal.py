"""The journal: who did what when. Lines are added and never changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from mailmig.store import folder as folders
from mailmig.store.connection import Database
from mailmig.store.schema import journal


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. `who` is login@machine; `details` are plain JSON values."""

    at: datetime
    who: str
    what: str
    subject: str
    details: Mapping[str, object]


class Journal:
    """Everything that was done with this state, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, what: str, subject: str, details: Mapping[str, object] | None = None) -> None:
        """Add one line in a transaction of its own."""
        with self._database.writing(what) as connection:
            write(connection, what, subject, details)

    def entries(self) -> tuple[Entry, ...]:
        columns = (journal.c.at, journal.c.who, journal.c.what, journal.c.subject)
        question = select(*columns, journal.c.details).order_by(journal.c.n)
        with self._database.reading() as connection:
            return tuple(
                Entry(at, who, what, subject, json.loads(details))
                for at, who, what, subject, details in connection.execute(question)
            )


def write(
    connection: Connection,
    what: str,
    subject: str,
    details: Mapping[str, object] | None = None,
) -> None:
    """Add one line inside the caller's transaction: kept with what it tells, or not at all."""
    line = {
        "at": datetime.now(UTC),
        "who": folders.user(),
        "what": what,
        "subject": subject,
        "details": json.dumps(details or {}, ensure_ascii=False),
    }
    connection.execute(insert(journal).values(line))
