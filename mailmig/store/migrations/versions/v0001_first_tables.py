"""Snapshots, plans and the journal.

Written out, not taken from schema.py: this file stays as it is when the schema goes on.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_USAGE: Final = ("size_bytes", "items", "deleted_bytes", "deleted_items")
_NEVER_CHANGED: Final = (
    "snapshots", "contents", "gaps", "servers", "dags", "databases", "copies", "mailboxes",
    "edges", "groups", "facts", "plans", "journal",
)  # fmt: skip


def upgrade() -> None:
    _snapshots()
    _organisation()
    _mailboxes()
    _rights()
    _plans_and_journal()
    if op.get_bind().dialect.name == "sqlite":
        for table in _NEVER_CHANGED:
            _guard(table)


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("snapshot", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        *_texts("organisation", "taken_at", "imported_at", "origin"),
    )
    op.create_table(
        "contents",
        _snapshot(primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    _of_snapshot("gaps", *_texts("what", "cost"))
    _of_snapshot("facts", *_texts("kind", "value"))


def _organisation() -> None:
    _of_snapshot(
        "servers",
        *_texts("name", "fqdn", "site"),
        *(sa.Column(n, sa.Integer, nullable=False) for n in ("major", "minor", "build")),
        sa.Column("revision", sa.Integer, nullable=False),
        *_texts("edition", "dag"),
    )
    _of_snapshot("dags", *_texts("name", "servers", "witness", "activation_mode"))
    _of_snapshot(
        "databases",
        *_texts("name", "guid", "server", "servers", "dag"),
        *_numbers("warn", "send", "receive", "recoverable", "size_bytes", "white_space_bytes"),
        sa.Column("circular_logging", sa.Boolean),
    )
    _of_snapshot(
        "copies",
        *_texts("database", "server", "status"),
        sa.Column("activation_preference", sa.Integer),
        *_numbers("copy_queue_logs", "replay_queue_logs", "disk_free_bytes"),
    )


def _mailboxes() -> None:
    op.create_table(
        "mailboxes",
        _snapshot(nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        *_texts(
            "exchange_guid", "kind", "kind_text", "guid", "address", "display_name", "alias",
            "account", "user_principal_name", "canonical_name", "distinguished_name",
            "legacy_dn", "department", "organisational_unit", "database", "server", "site",
            "version",
        ),
        sa.Column("use_database_quotas", sa.Boolean),
        *_numbers("warn", "send", "receive", "recoverable"),
        sa.Column("usage_state", sa.Text, nullable=False),
        *_numbers(*_USAGE),
        sa.Column("approximate", sa.Boolean, nullable=False),
        sa.Column("archive_guid", sa.Text),
        sa.Column("archive_database", sa.Text),
        *_numbers("archive_warn", "archive_quota"),
        sa.Column("archive_usage_state", sa.Text),
        *_numbers(*(f"archive_{name}" for name in _USAGE)),
        sa.Column("archive_approximate", sa.Boolean),
        sa.Column("on_hold", sa.Boolean),
        sa.Column("hidden", sa.Boolean),
        sa.Column("root_public_folder", sa.Boolean, nullable=False),
        sa.UniqueConstraint("snapshot", "n", name="mailboxes_in_order"),
    )  # fmt: skip
    op.create_index("mailboxes_by_guid", "mailboxes", ["snapshot", "exchange_guid"], unique=True)


def _rights() -> None:
    _of_snapshot("edges", *_texts("owner", "right", "trustee", "trustee_kind", "delegate"))
    _of_snapshot("groups", *_texts("guid", "name", "members"))


def _plans_and_journal() -> None:
    op.create_table(
        "plans",
        sa.Column("plan", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("snapshot", sa.Text),
        *_texts("added_at", "text"),
    )
    op.create_table(
        "journal",
        sa.Column("n", sa.Integer, primary_key=True),
        *_texts("at", "who", "what", "subject", "details"),
    )


def _guard(table: str) -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is never changed'); END"
        )


def _of_snapshot(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        _snapshot(primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        *columns,
        sqlite_with_rowid=False,
    )


def _snapshot(**options: Any) -> sa.Column[Any]:
    return sa.Column("snapshot", sa.Integer, sa.ForeignKey("snapshots.snapshot"), **options)


def _texts(*names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, sa.Text, nullable=False) for name in names)


def _numbers(*names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, sa.BigInteger) for name in names)
