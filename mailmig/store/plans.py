"""Plans as texts: added once, found by id, never changed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import insert, select

from mailmig.store import ids, journal
from mailmig.store.connection import Database
from mailmig.store.schema import plans


class NoSuchPlan(ids.NotStored):
    """A plan that is not there."""

    noun = "plan"


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """The line about a plan in a list; `snapshot` is the id it was made from, or None."""

    id: str
    snapshot: str | None
    added_at: datetime


class Plans:
    """The stored plans, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, text: str, snapshot: str | None = None) -> str:
        """Keep a plan and return its id; the same text keeps the id that it has."""
        digest = sha256(text.encode("utf-8")).hexdigest()
        with self._database.writing("plan") as connection:
            rows = connection.execute(select(plans.c.digest, plans.c.id))
            known: dict[str, str] = {row.digest: row.id for row in rows}
            if digest in known:
                return known[digest]
            id = ids.short(digest, set(known.values()))
            row = {"id": id, "digest": digest, "snapshot": snapshot, "text": text}
            connection.execute(insert(plans).values(row | {"added_at": datetime.now(UTC)}))
            journal.write(connection, "plan added", id, {"snapshot": snapshot})
        return id

    def list(self) -> tuple[PlanInfo, ...]:
        question = select(plans.c.id, plans.c.snapshot, plans.c.added_at).order_by(plans.c.plan)
        with self._database.reading() as connection:
            return tuple(PlanInfo(*row) for row in connection.execute(question))

    def load(self, ref: str = ids.LATEST) -> str:
        """The text of a plan; `ref` is an id, a unique beginning, `latest` or `previous`."""
        with self._database.reading() as connection:
            known = connection.scalars(select(plans.c.id).order_by(plans.c.plan)).all()
            id = ids.find(ref, known, NoSuchPlan)
            text: str = connection.scalars(select(plans.c.text).where(plans.c.id == id)).one()
            return text
