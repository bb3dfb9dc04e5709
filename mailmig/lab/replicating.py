"""What passive copies do: fetch log files, replay them, seed, and the status that they show.

Rates are those of a line of 100 Mbit/s between the sites and of ordinary disks. A copy that
begins again, after its server came back or an admin resumed it, first finds out where it stands:
Initializing, then Resynchronizing until it has caught up (health.md 7.11).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab.databases import Copy, Database
from mailmig.model.quota import GIB, MIB

if TYPE_CHECKING:
    from mailmig.lab.organisation import Organisation

# Log files that one passive copy can fetch per second: a line of 100 Mbit/s between the sites.
COPY_LOGS_PER_S: Final = 12.0
# Log files that one copy replays per second [MEM: order of magnitude].
REPLAY_LOGS_PER_S: Final = 40.0
SEED_BYTES_PER_S: Final = COPY_LOGS_PER_S * MIB
# Log files that ordinary mail makes, per day and GiB in the database [MEM: order of magnitude].
MAIL_LOGS_PER_GIB_DAY: Final = 10.0
INITIALIZING: Final = timedelta(seconds=15)
# A copy looks for new log files every few seconds.
LOOKED: Final = timedelta(seconds=3)
REPLICATION: Final = "msexchangerepl"

# The numbers of CopyStatus beyond Healthy and Mounted are from memory [MEM].
STATUS_NUMBERS: Final = {
    "Unknown": 0, "Failed": 1, "Seeding": 2, "Suspended": 3, "Healthy": 4, "Initializing": 5,
    "Resynchronizing": 6, "ServiceDown": 7, "DisconnectedAndHealthy": 8,
    "DisconnectedAndResynchronizing": 9, "FailedAndSuspended": 10, "Mounted": 11,
    "Dismounted": 12, "Mounting": 13, "Dismounting": 14, "SinglePageRestore": 15,
    "SeedingSource": 16,
}  # fmt: skip


def serves(organisation: "Organisation", server: str) -> bool:
    """Whether the replication service of the server answers."""
    return server not in organisation.down and REPLICATION not in organisation.stopped_services(
        server
    )


def status(organisation: "Organisation", database: Database, copy: Copy) -> str:
    """The Status of a copy (health.md 2.2 db_copy_status)."""
    if not serves(organisation, copy.server):
        return "ServiceDown"
    if copy.active:
        return "Mounted" if database.mounted else "Dismounted"
    if copy.seeding is not None:
        return "Seeding"
    if copy.failed:
        return "FailedAndSuspended" if copy.suspended else "Failed"
    if copy.suspended:
        return "Suspended"
    if copy.starting is not None and organisation.now < copy.starting + INITIALIZING:
        return "Initializing"
    behind = copy.starting is not None
    if not connected(organisation, database, copy):
        return "DisconnectedAndResynchronizing" if behind else "DisconnectedAndHealthy"
    return "Resynchronizing" if behind else "Healthy"


def mail_logs(database: Database, seconds: float) -> float:
    """Log files that mail makes in a mounted database in this time."""
    if not database.mounted:
        return 0.0
    return database.size / GIB * MAIL_LOGS_PER_GIB_DAY * seconds / 86400


def ship(organisation: "Organisation", moved: Mapping[str, float], to: datetime) -> None:
    """What moves and mail write until `to` goes to all copies; `moved` are log files by database."""
    seconds = (to - organisation.now).total_seconds()
    written = {}
    for name, database in organisation.databases.items():
        written[name] = moved.get(name, 0.0) + mail_logs(database, seconds)
        organisation.backups.write(organisation, database, written[name])
    for copy in organisation.copies:
        if not copy.active:
            follow(organisation, copy, written[copy.database], to)


def follow(organisation: "Organisation", copy: Copy, written: float, to: datetime) -> None:
    """A passive copy until `to`, in which its database wrote so many log files."""
    database = organisation.databases[copy.database]
    seconds = (to - organisation.now).total_seconds()
    queue, replay = copy.queue_logs, copy.replay_logs
    if copy.seeding is not None:
        _seed(organisation, copy, seconds, to)
        return
    rests = copy.suspended or bool(copy.failed)
    fetches = copy.fetching and not rests and connected(organisation, database, copy)
    line = COPY_LOGS_PER_S * seconds if fetches else 0.0
    copy.queue_logs = max(0.0, queue + written - line)
    if fetches:
        copy.inspected = to - LOOKED - timedelta(seconds=copy.queue_logs / COPY_LOGS_PER_S)
    elif copy.inspected is None:
        copy.inspected = organisation.now - LOOKED - timedelta(seconds=queue / COPY_LOGS_PER_S)
    fetched = queue + written - copy.queue_logs
    replays = copy.replaying and not rests and serves(organisation, copy.server)
    lagged = written / seconds * copy.replay_lag.total_seconds() if seconds else 0.0
    done = REPLAY_LOGS_PER_S * seconds if replays else 0.0
    copy.replay_logs = max(min(replay + fetched, lagged), replay + fetched - done, 0.0)
    copy.queue_grows = copy.queue_logs > queue
    copy.replay_grows = copy.replay_logs > replay
    started = copy.starting is not None and to >= copy.starting + INITIALIZING
    if started and fetches and copy.queue_logs < 1:
        copy.starting = None


def begin(copy: Copy, now: datetime) -> None:
    """The copy looks where it stands and goes on from there."""
    copy.starting = now


def seed(organisation: "Organisation", copy: Copy, *, resumes: bool = True) -> None:
    """The copy is made anew from the active one."""
    copy.seeding = float(organisation.databases[copy.database].size)
    copy.resumes = resumes
    copy.failed, copy.suspended, copy.comment = "", False, ""


def cancel_seeding(copy: Copy) -> None:
    """What was seeded so far is of no use: the copy waits for somebody."""
    copy.seeding, copy.suspended = None, True
    copy.failed = "The seeding operation was cancelled."


def _seed(organisation: "Organisation", copy: Copy, seconds: float, to: datetime) -> None:
    database = organisation.databases[copy.database]
    assert copy.seeding is not None
    if connected(organisation, database, copy):
        copy.seeding -= SEED_BYTES_PER_S * seconds
    copy.queue_grows = copy.replay_grows = False
    if copy.seeding <= 0:
        copy.seeding, copy.queue_logs, copy.replay_logs = None, 0.0, 0.0
        copy.suspended = not copy.resumes
        begin(copy, to)


def connected(organisation: "Organisation", database: Database, copy: Copy) -> bool:
    """Whether the copy gets to the server of the active one, and both are served."""
    source = organisation.copy_on(database, database.server)
    both = copy.connected and (source is None or source.connected)
    return both and serves(organisation, database.server) and serves(organisation, copy.server)
