"""The tables of state.db.

Sizes and quotas are bytes. In a quota column NULL means unknown, -1 unlimited and 0 zero.
Times are ISO text in UTC, so that they sort as text. `snapshot` is the number of a snapshot
inside this file; its public name is `snapshots.id`. `n` keeps the order of the source.

Rows of snapshots and of the journal are never changed: triggers, laid down by the
migrations, refuse it. `HEAD` is the newest migration below `migrations/versions`; it stands
here so that opening a file of today's shape needs no Alembic.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from mailmig.model.quota import UNKNOWN, UNLIMITED, Quota

HEAD: Final = "0001"

_UNLIMITED_BYTES: Final = -1


def quota_to_column(quota: Quota) -> int | None:
    """Bytes, -1 for unlimited, None for unknown."""
    if quota is UNLIMITED:
        return _UNLIMITED_BYTES
    return None if quota is UNKNOWN else int(quota)


def quota_from_column(value: int | None) -> Quota:
    if value is None:
        return UNKNOWN
    return UNLIMITED if value == _UNLIMITED_BYTES else value


def moment_to_column(moment: datetime) -> str:
    """ISO text in UTC with microseconds, so that text order is time order."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone is not stored: {moment!r}")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class QuotaColumn(TypeDecorator[Quota]):
    """A quota; see the module for what NULL and -1 mean."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        return quota_to_column(UNKNOWN if value is None else value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Quota:
        return quota_from_column(value)


class Moment(TypeDecorator[datetime]):
    """An aware time."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else moment_to_column(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()


def _of_snapshot(name: str, *columns: Column[Any], **options: Any) -> Table:
    """A table whose rows belong to a snapshot and keep the order of the source."""
    return Table(
        name,
        metadata,
        Column("snapshot", Integer, ForeignKey("snapshots.snapshot"), primary_key=True),
        Column("n", Integer, primary_key=True),
        *columns,
        sqlite_with_rowid=False,
        **options,
    )


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _quota(name: str) -> Column[Any]:
    return Column(name, QuotaColumn)


def _usage(prefix: str = "") -> tuple[Column[Any], ...]:
    """The columns of a `Usage`; those of an archive are all NULL where there is none."""
    return (
        Column(f"{prefix}usage_state", Text, nullable=bool(prefix)),
        _number(f"{prefix}size_bytes"),
        _number(f"{prefix}items"),
        _number(f"{prefix}deleted_bytes"),
        _number(f"{prefix}deleted_items"),
        Column(f"{prefix}approximate", Boolean, nullable=bool(prefix)),
    )


snapshots = Table(
    "snapshots",
    metadata,
    Column("snapshot", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("digest", Text, nullable=False, unique=True),
    _text("organisation"),
    Column("taken_at", Moment, nullable=False),
    Column("imported_at", Moment, nullable=False),
    _text("origin"),
)

# How many rows of each kind a snapshot has: written last, so that nothing is updated.
contents = Table(
    "contents",
    metadata,
    Column("snapshot", Integer, ForeignKey("snapshots.snapshot"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)

gaps = _of_snapshot("gaps", _text("what"), _text("cost"))

servers = _of_snapshot(
    "servers",
    _text("name"),
    _text("fqdn"),
    _text("site"),
    *(Column(part, Integer, nullable=False) for part in ("major", "minor", "build", "revision")),
    _text("edition"),
    _text("dag"),
)

dags = _of_snapshot(
    "dags", _text("name"), _text("servers"), _text("witness"), _text("activation_mode")
)

databases = _of_snapshot(
    "databases",
    _text("name"),
    _text("guid"),
    _text("server"),
    _text("servers"),
    _text("dag"),
    _quota("warn"),
    _quota("send"),
    _quota("receive"),
    _quota("recoverable"),
    _number("size_bytes"),
    _number("white_space_bytes"),
    Column("circular_logging", Boolean),
)

copies = _of_snapshot(
    "copies",
    _text("database"),
    _text("server"),
    _text("status"),
    Column("activation_preference", Integer),
    _number("copy_queue_logs"),
    _number("replay_queue_logs"),
    _number("disk_free_bytes"),
)

# The widest table keeps its rowid: rows of 1 kB make a poor clustered key.
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("snapshot", Integer, ForeignKey("snapshots.snapshot"), nullable=False),
    Column("n", Integer, nullable=False),
    _text("exchange_guid"),
    _text("kind"),
    _text("kind_text"),
    _text("guid"),
    _text("address"),
    _text("display_name"),
    _text("alias"),
    _text("account"),
    _text("user_principal_name"),
    _text("canonical_name"),
    _text("distinguished_name"),
    _text("legacy_dn"),
    _text("department"),
    _text("organisational_unit"),
    _text("database"),
    _text("server"),
    _text("site"),
    _text("version"),
    Column("use_database_quotas", Boolean),
    _quota("warn"),
    _quota("send"),
    _quota("receive"),
    _quota("recoverable"),
    *_usage(),
    Column("archive_guid", Text),
    Column("archive_database", Text),
    _quota("archive_warn"),
    _quota("archive_quota"),
    *_usage("archive_"),
    Column("on_hold", Boolean),
    Column("hidden", Boolean),
    Column("root_public_folder", Boolean, nullable=False),
    UniqueConstraint("snapshot", "n", name="mailboxes_in_order"),
    Index("mailboxes_by_guid", "snapshot", "exchange_guid", unique=True),
)

edges = _of_snapshot(
    "edges",
    _text("owner"),
    _text("right"),
    _text("trustee"),
    _text("trustee_kind"),
    _text("delegate"),
)

groups = _of_snapshot("groups", _text("guid"), _text("name"), _text("members"))

facts = _of_snapshot("facts", _text("kind"), _text("value"))

plans = Table(
    "plans",
    metadata,
    Column("plan", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("snapshot", Text),
    Column("added_at", Moment, nullable=False),
    _text("text"),
)

journal = Table(
    "journal",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    _text("who"),
    _text("what"),
    _text("subject"),
    _text("details"),
)

# Rows of these are written once: the migrations guard them with triggers.
NEVER_CHANGED: Final = (
    snapshots, contents, gaps, servers, dags, databases, copies, mailboxes, edges, groups, facts,
    plans, journal,
)  # fmt: skip
