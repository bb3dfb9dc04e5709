"""Mailbox databases, their copies and the DAG that holds them. Sizes are bytes."""

from dataclasses import dataclass

from mailmig.model.quota import UNKNOWN, Quota, Quotas


@dataclass(frozen=True, slots=True)
class Database:
    """One mailbox database.

    `server` is the server it is mounted on (or its only one), `servers` are all that hold a
    copy, `dag` is the DAG it belongs to ("" when it stands alone). `size_bytes` and
    `white_space_bytes` are `None` when the export does not say.
    """

    name: str
    guid: str = ""
    server: str = ""
    servers: tuple[str, ...] = ()
    dag: str = ""
    quotas: Quotas = Quotas()
    recoverable: Quota = UNKNOWN
    size_bytes: int | None = None
    white_space_bytes: int | None = None
    circular_logging: bool | None = None


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """One replica of a database on one server; queues are counted in log files of 1 MiB."""

    database: str
    server: str
    status: str
    activation_preference: int | None = None
    copy_queue_logs: int | None = None
    replay_queue_logs: int | None = None
    disk_free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Dag:
    """A database availability group."""

    name: str
    servers: tuple[str, ...] = ()
    witness: str = ""
    activation_mode: str = ""
