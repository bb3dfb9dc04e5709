r"""Imports of PST files: requests that wait, run, end and fail (migration.md 11).

A mailbox takes one file after the other; a request runs where the mailbox replication service
runs and the database is mounted. What the file holds comes into the mailbox or its archive as far
as the quota lets it. A file is there when the organisation's list of PST files knows its path.
Sizes are bytes; the rate is a start value from memory [MEM].
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab import services
from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox, PstFile
from mailmig.model.quota import GIB, KIB

if TYPE_CHECKING:
    from mailmig.lab.world import World

SETUP: Final = timedelta(seconds=40)
BYTES_PER_HOUR: Final = 3 * GIB
ITEM_BYTES: Final = 60 * KIB
# Names that Exchange gives by itself, and how many of them one mailbox can have.
FIRST_NAME: Final = "MailboxImport"
NAMES: Final = (FIRST_NAME, *(f"{FIRST_NAME}{number}" for number in range(10)))
KEPT: Final = timedelta(days=30)
LOCKED: Final = "locked"
# What a damaged file holds of bad items: a request whose limit is lower fails.
BAD_ITEMS: Final = 70
CORRUPT: Final = "TooManyBadItemsPermanentException"
_DAMAGED_AT: Final = 0.3  # the part of a damaged file that can be read
FULL: Final = "MapiExceptionShutoffQuotaExceeded"


@dataclass(slots=True)
class Import:
    """One request; `share` is how much of the file was carried, `failure` why it stands still."""

    mailbox: int
    name: str
    path: str
    size: int
    queued: datetime
    archive: bool = False
    batch: str = ""
    root: str = ""
    source_root: str = ""
    priority: str = "Normal"
    bad_item_limit: int | None = 0
    large_item_limit: int | None = 0
    suspended: bool = False
    comment: str = ""
    share: float = 0.0
    bad_items: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    failure: str = ""
    message: str = ""
    failed: datetime | None = None
    updated: datetime | None = None

    @property
    def items(self) -> int:
        return max(1, self.size // ITEM_BYTES)

    @property
    def limits(self) -> bool:
        """Whether it ends at a file with too many bad items."""
        return self.bad_item_limit is not None and self.bad_item_limit < BAD_ITEMS

    @property
    def rests(self) -> bool:
        """Whether it does nothing until somebody resumes it."""
        return self.suspended or bool(self.failure) or self.ended is not None

    def status(self) -> str:
        """The name of its RequestStatus."""
        if self.ended is not None:
            return "Completed"
        if self.failure:
            return "Failed"
        if self.suspended:
            return "Suspended"
        return "InProgress" if self.started is not None else "Queued"


@dataclass(slots=True)
class Imports:
    """All requests of a world. `broken`: paths in lower case to `LOCKED` or to what is damaged."""

    world: "World"
    requests: list[Import] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    _now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._now = self.world.organisation.now

    def file(self, path: str) -> PstFile | None:
        """The PST file at a path, None when there is none."""
        known = self.world.organisation.pst_files
        return next((one for one in known if one.path.lower() == path.lower()), None)

    def of(self, mailbox: Mailbox) -> list[Import]:
        """The requests of one mailbox, oldest first."""
        return [one for one in self.requests if one.mailbox == mailbox.number]

    def free_name(self, mailbox: Mailbox) -> str | None:
        """The name that Exchange would give to the next request; None when all are taken."""
        taken = {one.name.lower() for one in self.of(mailbox)}
        return next((name for name in NAMES if name.lower() not in taken), None)

    def guid(self, one: Import) -> str:
        """A request's own GUID."""
        return guid(self.world.organisation.seed, "import", one.mailbox, one.name, one.queued)

    def is_held(self, one: Import) -> bool:
        """Whether it waits because another file of the mailbox is being carried."""
        running = (other for other in self.requests if other.mailbox == one.mailbox)
        first = next((other for other in running if not other.rests), None)
        return first is not None and first is not one

    def resume(self, one: Import) -> None:
        """It goes on from where it was."""
        one.suspended, one.failure, one.message, one.failed, one.comment = False, "", "", None, ""
        one.bad_items = 0

    def advance(self, to: datetime) -> None:
        """Carry files until `to`."""
        since = self._now
        waiting: dict[int, list[Import]] = {}
        for one in self.requests:
            if not one.rests:
                waiting.setdefault(one.mailbox, []).append(one)
        for number, requests in waiting.items():
            mailbox = self.world.organisation.mailboxes[number]
            at = since
            for one in requests:
                if at >= to or not self._works(mailbox, one):
                    break
                at = self._run(mailbox, one, max(at, one.queued), to)
        self.requests = [one for one in self.requests if one.ended is None or to - one.ended < KEPT]
        self._now = to

    def _database(self, mailbox: Mailbox, one: Import) -> str:
        in_archive = one.archive and mailbox.archive is not None
        return mailbox.archive.database if in_archive and mailbox.archive else mailbox.database

    def _works(self, mailbox: Mailbox, one: Import) -> bool:
        organisation = self.world.organisation
        database = organisation.databases[self._database(mailbox, one)]
        conditions = self.world.conditions(database.server)
        runs = services.runs(conditions, services.REPLICATION_OF_MAILBOXES)
        return runs and database.mounted and database.server not in organisation.down

    def _run(self, mailbox: Mailbox, one: Import, at: datetime, to: datetime) -> datetime:
        """Carry one file from `at`; returns when it ended, or `to`."""
        one.started = one.started or at
        whole = SETUP + timedelta(hours=one.size / BYTES_PER_HOUR)
        room = self._room(mailbox, one)
        damage = self.broken.get(one.path.lower(), LOCKED)
        damaged = damage != LOCKED  # one that is open here was opened before somebody else did
        stops = damaged and one.limits
        ends = max(one.share, _DAMAGED_AT) if stops else 1.0
        if room is not None and one.size * (1 - one.share) > room:
            ends, stops = min((ends, stops), (one.share + room / one.size, False))
        needs = whole * max(0.0, ends - one.share)
        carried = ends if at + needs <= to else one.share + (to - at) / whole
        self._fill(mailbox, one, carried)
        one.share, one.updated = carried, min(to, at + needs)
        if at + needs > to:
            return to
        if damaged and one.share > _DAMAGED_AT:
            one.bad_items = BAD_ITEMS
        if ends >= 1.0:
            one.ended = at + needs
        elif stops:
            one.bad_items = (one.bad_item_limit or 0) + 1
            self._fail(one, CORRUPT, damage, at + needs)
        else:
            self._fail(one, FULL, "The mailbox has reached its quota.", at + needs)
        return at + needs

    @staticmethod
    def _fail(one: Import, failure: str, message: str, at: datetime) -> None:
        one.failure, one.message, one.failed = failure, message, at

    def _room(self, mailbox: Mailbox, one: Import) -> int | None:
        """Bytes that still fit in; None when there is no limit."""
        if one.archive and mailbox.archive is not None:
            limit, used = mailbox.archive.quota, mailbox.archive.used
        else:
            limit, used = self.world.organisation.effective(mailbox).receive, mailbox.used
        return max(0, limit - used) if isinstance(limit, int) else None

    def _fill(self, mailbox: Mailbox, one: Import, share: float) -> None:
        """What comes in until this share of the file is carried: no byte gets lost in the steps."""
        holder = mailbox.archive if one.archive and mailbox.archive is not None else mailbox
        carried = round(one.size * share) - round(one.size * one.share)
        holder.used += carried
        holder.items += round(one.items * share) - round(one.items * one.share)
        self.world.organisation.databases[self._database(mailbox, one)].size += carried
