"""Connections to state.db: modes, locks, and SQLite's errors as sentences.

The file is in WAL mode: readers never wait for a writer, and a process that is killed leaves
what was committed before and nothing else. `synchronous=FULL` keeps a commit over a power
cut. One process writes at a time (`BEGIN IMMEDIATE`); another waits `PATIENCE_S` seconds.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from mailmig.model.errors import BadFile, MailmigError
from mailmig.store import folder as folders

# Longer than any write but an import; an import has a reason to make others wait longer,
# but nobody wants to sit before a silent screen.
PATIENCE_S: Final = 10.0

_WRITE: Final = "mailmig_write"
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -32000",  # KiB; pages beyond it go to the -wal file
    "PRAGMA journal_size_limit = 16777216",  # bytes that the -wal file keeps after an import
)


class StateBusy(MailmigError):
    """Another process is writing: wait for it, or end it."""

    exit_code = 3

    def __init__(self, file: Path, writer: str, waited_s: float) -> None:
        whose = f" ({writer})" if writer else ""
        super().__init__(
            f"{file}: another process is writing{whose}; waited {waited_s:g} s: "
            "try again when it has ended"
        )
        self.file = file
        self.writer = writer
        self.waited_s = waited_s


class StateFull(MailmigError):
    """No room is left on the disk: make room; nothing was changed."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file}: the disk is full; nothing was changed: make room and try again")
        self.file = file


class Database:
    """The file and the two ways to use it: many read, one writes."""

    def __init__(self, file: Path, patience_s: float = PATIENCE_S) -> None:
        self.file = file
        self.patience_s = patience_s
        self.engine = _engine(file, patience_s)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the file from its first question on."""
        with self._in_words(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, what: str) -> Iterator[Connection]:
        """The one connection that may write; all of it is kept at the end, or nothing.

        `what` is shown to those who wait. Raises StateBusy after `patience_s` seconds.
        """
        engine = self.engine.execution_options(**{_WRITE: True})
        with (
            self._in_words(),
            engine.begin() as connection,
            folders.noted(self.file.parent, what),
        ):
            yield connection

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            translated = self._translated(error.orig)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, error: BaseException | None) -> MailmigError | None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest are finer shades
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StateBusy(self.file, folders.writer(self.file.parent), self.patience_s)
        if code == sqlite3.SQLITE_FULL:
            return StateFull(self.file)
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return BadFile(self.file, f"this is no whole database ({error}): restore a copy")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return folders.FolderUnusable(
                self.file.parent, f"{self.file.name} cannot be opened or written ({error})"
            )
        if code == sqlite3.SQLITE_IOERR:
            return folders.FolderUnusable(self.file.parent, f"{self.file.name} fails ({error})")
        return None


def _engine(file: Path, patience_s: float) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        poolclass=NullPool,
        connect_args={"timeout": patience_s},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions by itself
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
