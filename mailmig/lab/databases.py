"""Databases, their copies, and what a server may activate: the state, without its laws.

Sizes are bytes, log files are 1 MiB, queues count log files. The laws stand in
`mailmig.lab.replicating` (what copies fetch and replay), `mailmig.lab.activating` (which copy is
the active one) and `mailmig.lab.backups` (what is saved and truncated).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailmig.model.quota import GIB, Quota, Quotas

# Log files that a copy may lack and still be mounted without a person (AutoDatabaseMountDial).
MOUNT_DIALS: Final = {"Lossless": 0, "GoodAvailability": 6, "BestAvailability": 12}
POLICIES: Final = {"Unrestricted": 0, "IntrasiteOnly": 1, "Blocked": 2}


@dataclass(slots=True)
class Database:
    """A mailbox database with the defaults that its mailboxes take; `servers` begins with the active one.

    `white_space` is room inside the file that deleted mailboxes and items left behind. One that is
    `kept_dismounted` is mounted by nobody until an admin does it. `half_removed` are servers of
    copies that were removed in the directory only, `activated` is when another copy became the
    active one last, None for never.
    """

    name: str
    guid: str
    servers: tuple[str, ...]
    quotas: Quotas
    recoverable: Quota = 30 * GIB
    size: int = 0
    white_space: int = 0
    dag: str = ""
    circular_logging: bool = False
    mounted: bool = True
    kept_dismounted: bool = False
    mount_at_startup: bool = True
    half_removed: tuple[str, ...] = ()
    activated: datetime | None = None

    @property
    def server(self) -> str:
        """The server on which it is mounted."""
        return self.servers[0]


@dataclass(slots=True)
class Copy:
    """A replica of a database on one server.

    `queue_logs` were not fetched yet, `replay_logs` were fetched and not replayed. A copy that is
    not `fetching` falls behind by all that is written. `failed` says why it failed, `seeding` how
    many bytes are still to come; `starting` is when it began to look where it stands. `index` is
    the state of its content index, where it has one, `inspected` the time of the newest log file
    that it has.
    """

    database: str
    server: str
    preference: int
    active: bool
    queue_logs: float = 0.0
    disk_total: int = 0
    disk_free: int = 0
    fetching: bool = True
    replay_logs: float = 0.0
    replaying: bool = True
    queue_grows: bool = False
    replay_grows: bool = False
    suspended: bool = False
    activation_suspended: bool = False
    comment: str = ""
    failed: str = ""
    seeding: float | None = None
    resumes: bool = True
    starting: datetime | None = None
    connected: bool = True
    replay_lag: timedelta = timedelta()
    index: str = "Healthy"
    index_error: str = ""
    index_backlog: int = 0
    inspected: datetime | None = None

    @property
    def identity(self) -> str:
        r"""How cmdlets name it: DATABASE\SERVER."""
        return rf"{self.database}\{self.server}"


@dataclass(slots=True)
class Activation:
    """What one server may activate; a maximum of `None` is no limit.

    `move_now` is since when DatabaseCopyActivationDisabledAndMoveNow is true.
    """

    policy: str = "Unrestricted"
    mount_dial: str = "GoodAvailability"
    move_now: datetime | None = None
    maximum: int | None = None
    preferred: int | None = None
