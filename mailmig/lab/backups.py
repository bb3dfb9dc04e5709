"""Backups of the databases, and the log files that they truncate.

Every night a full backup of the active copy by VSS, every day at noon one of the log files. A
backup that ends well truncates the log files of all copies; a suspended or failed copy, or one
that cannot be reached, keeps them everywhere (health.md 2.3). Circular logging truncates all the
time, and then the log files cannot be saved.

Log files are 1 MiB. Times of day are those of the organisation's clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab.databases import Copy, Database
from mailmig.lab.replicating import connected
from mailmig.model.quota import MIB

if TYPE_CHECKING:
    from mailmig.lab.organisation import Organisation

FULL_BEGINS: Final = time(0, 30)
FULL_ENDS: Final = time(1, 41, 7)
INCREMENTAL_ENDS: Final = time(12, 12, 44)
# The number of the log file that every database had reached when the lab began.
FIRST_LOG: Final = 48_211


@dataclass(slots=True)
class Backup:
    """What was saved of one database. `None` is never.

    `written` numbers its last log file, `lately` is how many of them are new since time passed
    last, `kept` are those not truncated. `hangs` is since when a snapshot does not end.
    """

    full: datetime | None
    incremental: datetime | None
    written: float = FIRST_LOG
    lately: float = 0.0
    kept: float = 0.0
    fails: bool = False
    incremental_fails: bool = False
    hangs: datetime | None = None


@dataclass(slots=True)
class Backups:
    """The backups of all databases. Before the lab began, each was backed up as planned."""

    began: datetime
    _known: dict[str, Backup] = field(default_factory=dict)

    def of(self, database: str) -> Backup:
        """What was saved of this database."""
        if database not in self._known:
            full = _latest(self.began, FULL_ENDS)
            incremental = _latest(self.began, INCREMENTAL_ENDS)
            self._known[database] = Backup(full, incremental)
        return self._known[database]

    def in_progress(self, database: Database, now: datetime) -> bool:
        """Whether a snapshot of it is being saved."""
        known = self.of(database.name)
        if known.hangs is not None:
            return True
        tonight = FULL_BEGINS <= now.timetz().replace(tzinfo=None) < FULL_ENDS
        return tonight and database.mounted and not known.fails

    def run(self, organisation: "Organisation", to: datetime) -> None:
        """All that ends after the organisation's time until `to`, after `write` for that time."""
        ends = list(_ends(organisation.now, to))
        for database in organisation.databases.values():
            known = self.of(database.name)
            for at, full in ends:
                if self._saved(database, known, at, full) and may_truncate(organisation, database):
                    since = (to - at) / (to - organisation.now)
                    known.kept = known.lately * since

    @staticmethod
    def _saved(database: Database, known: Backup, at: datetime, full: bool) -> bool:
        """Whether the backup that ends now is a good one; then it counts."""
        if not database.mounted or known.hangs is not None:
            return False
        if full and not known.fails:
            known.full = at
            return True
        if not full and not known.incremental_fails and not database.circular_logging:
            known.incremental = at
            return True
        return False

    def write(self, organisation: "Organisation", database: Database, logs: float) -> None:
        """The database wrote so many log files."""
        known = self.of(database.name)
        known.written, known.lately = known.written + logs, logs
        known.kept += logs
        if database.circular_logging and may_truncate(organisation, database):
            known.kept = 0.0


def may_truncate(organisation: "Organisation", database: Database) -> bool:
    """Whether all copies have what would be taken away."""
    return all(
        copy.active or _follows(organisation, database, copy)
        for copy in organisation.copies_of(database)
    )


def kept_bytes(organisation: "Organisation", server: str) -> int:
    """What the log files that nothing truncated take on the server's volume for them."""
    logs = sum(
        organisation.backups.of(copy.database).kept
        for copy in organisation.copies
        if copy.server.lower() == server.lower()
    )
    return round(logs) * MIB


def _follows(organisation: "Organisation", database: Database, copy: Copy) -> bool:
    rests = copy.suspended or copy.failed or copy.seeding is not None or not copy.fetching
    return not rests and connected(organisation, database, copy)


def _latest(now: datetime, at: time) -> datetime:
    today = datetime.combine(now.date(), at, now.tzinfo)
    return today if today <= now else today - timedelta(days=1)


def _ends(since: datetime, to: datetime) -> Iterator[tuple[datetime, bool]]:
    """The ends of backups after `since` until `to`, and whether they are full ones."""
    day = since.date()
    while day <= to.date():
        for at, full in ((FULL_ENDS, True), (INCREMENTAL_ENDS, False)):
            moment = datetime.combine(day, at, since.tzinfo)
            if since < moment <= to:
                yield moment, full
        day += timedelta(days=1)
