"""Plans as texts: added once, found by id, never changed; who approved and announced what.

Approvals and announcements are lines of the journal with the digest (SHA-256) of the text
that they are about: a plan that was changed is another text, and has none of them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, insert, select

from mailmig.model.migration import Approval
from mailmig.store import ids, journal
from mailmig.store.connection import Database
from mailmig.store.schema import journal as lines
from mailmig.store.schema import plans

_APPROVED: Final = "plan approved"
_ANNOUNCED: Final = "window announced"
_RELEASED: Final = "window released"


class NoSuchPlan(ids.NotStored):
    """A plan that is not there."""

    noun = "plan"


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """The line about a plan in a list; `snapshot` is the id it was made from, or None."""

    id: str
    snapshot: str | None
    added_at: datetime


def digest_of(text: str) -> str:
    """What names a plan: SHA-256 of its text."""
    return sha256(text.encode("utf-8")).hexdigest()


class Plans:
    """The stored plans, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, text: str, snapshot: str | None = None, announced: Iterable[str] = ()) -> str:
        """Keep a plan and return its id; the same text keeps the id that it has.

        `announced` are windows whose people were told already, by the plan before it.
        """
        digest = digest_of(text)
        with self._database.writing("plan") as connection:
            rows = connection.execute(select(plans.c.digest, plans.c.id))
            known: dict[str, str] = {row.digest: row.id for row in rows}
            if digest in known:
                return known[digest]
            id = ids.short(digest, set(known.values()))
            row = {"id": id, "digest": digest, "snapshot": snapshot, "text": text}
            connection.execute(insert(plans).values(row | {"added_at": datetime.now(UTC)}))
            journal.write(connection, "plan added", id, {"snapshot": snapshot})
            for window in announced:
                journal.write(connection, _ANNOUNCED, id, {"window": window, "digest": digest})
        return id

    def list(self) -> tuple[PlanInfo, ...]:
        question = select(plans.c.id, plans.c.snapshot, plans.c.added_at).order_by(plans.c.plan)
        with self._database.reading() as connection:
            return tuple(PlanInfo(*row) for row in connection.execute(question))

    def load(self, ref: str = ids.LATEST) -> str:
        """The text of a plan; `ref` is an id, a unique beginning, `latest` or `previous`."""
        id = self.id(ref)
        with self._database.reading() as connection:
            text: str = connection.scalars(select(plans.c.text).where(plans.c.id == id)).one()
            return text

    def id(self, ref: str = ids.LATEST) -> str:
        """The whole id of the plan that `ref` means. Raises `NoSuchPlan`."""
        with self._database.reading() as connection:
            known = connection.scalars(select(plans.c.id).order_by(plans.c.plan)).all()
        return ids.find(ref, known, NoSuchPlan)

    def approve(self, id: str, by: str) -> Approval:
        """Write down that somebody approved the plan with this id."""
        self._write(_APPROVED, id, {"by": by})
        return self.approvals(id)[-1]

    def approvals(self, id: str) -> tuple[Approval, ...]:
        """Who approved the plan with this id, the oldest first; "" has no approvals."""
        found = self._lines(id, _APPROVED)
        return tuple(Approval(str(details["by"]), at) for _, at, details in found)

    def announce(self, id: str, window: str) -> None:
        """Write down that the people of a window were told: it is frozen for re-planning."""
        self._write(_ANNOUNCED, id, {"window": window})

    def release(self, id: str, window: str) -> None:
        """Take an announcement back: the window is planned again like any other."""
        self._write(_RELEASED, id, {"window": window})

    def announced(self, id: str) -> tuple[str, ...]:
        """The windows of this plan whose people were told, in the order of telling."""
        told: dict[str, None] = {}
        for what, _, details in self._lines(id, _ANNOUNCED, _RELEASED):
            window = str(details["window"])
            told.pop(window, None)
            if what == _ANNOUNCED:
                told[window] = None
        return tuple(told)

    def _write(self, what: str, id: str, details: dict[str, str]) -> None:
        with self._database.writing(what) as connection:
            digest = self._digest(connection, id)
            journal.write(connection, what, id, details | {"digest": digest})

    def _lines(self, id: str, *what: str) -> tuple[tuple[str, datetime, dict[str, object]], ...]:
        """The lines about exactly this text, the oldest first."""
        question = (
            select(lines.c.what, lines.c.at, lines.c.details)
            .where(lines.c.subject == id, lines.c.what.in_(what))
            .order_by(lines.c.n)
        )
        with self._database.reading() as connection:
            digest = self._digest(connection, id)
            rows = [
                (row.what, row.at, json.loads(row.details)) for row in connection.execute(question)
            ]
        return tuple(row for row in rows if row[2]["digest"] == digest)

    def _digest(self, connection: Connection, id: str) -> str | None:
        question = select(plans.c.digest, plans.c.text).where(plans.c.id == id)
        row = connection.execute(question).one_or_none()
        return digest_of(row.text) if row is not None else None
