"""The state of mailmig: one folder, one SQLite file, opened here.

`Store.open(folder)` makes the folder and the file when they are absent, and brings an older
file to today's shape by itself, in one transaction, and writes that into the journal. A
file that a newer mailmig wrote is refused.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import Connection, inspect, text

from mailmig.model.errors import BadFile, MailmigError
from mailmig.store import folder as folders
from mailmig.store import journal
from mailmig.store.connection import PATIENCE_S, Database
from mailmig.store.journal import Journal
from mailmig.store.plans import Plans
from mailmig.store.schema import HEAD
from mailmig.store.snapshots import Snapshots

_EMPTY: Final = ""


class StateNewer(MailmigError):
    """The file was written by a newer mailmig: install that one or choose another folder."""

    def __init__(self, file: Path, found: str, known: str) -> None:
        super().__init__(
            f"{file}: written by a newer mailmig (shape {found}, this one knows up to {known}): "
            "upgrade mailmig, or choose another folder with --state FOLDER"
        )
        self.file = file
        self.found = found
        self.known = known


class Store:
    """What mailmig remembers: snapshots, plans and the journal."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.snapshots = Snapshots(database)
        self.plans = Plans(database)
        self.journal = Journal(database)

    @classmethod
    def open(cls, folder: Path, patience_s: float = PATIENCE_S) -> Self:
        """The store in a folder, which is made when it is absent.

        Raises FolderUnusable, FolderOpenToOthers, StateNewer, StateBusy, and BadFile for a
        file that is no state of ours.
        """
        file = folders.prepare(folder.expanduser().absolute())
        folders.make_file(file)
        database = Database(file, patience_s)
        with database.reading() as connection:
            shape = _shape(connection, file)
        if shape != HEAD:
            _bring_up(database)
        return cls(database)

    @property
    def folder(self) -> Path:
        return self.database.file.parent

    def close(self) -> None:
        """Nothing stays open between two calls; this is for the `with` statement."""
        self.database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _shape(connection: Connection, file: Path) -> str:
    """The migration that the file stands at; empty for an empty file."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return _EMPTY
    versions = "alembic_version" in tables and "snapshots" in tables
    found = connection.scalar(text("SELECT version_num FROM alembic_version")) if versions else ""
    if not isinstance(found, str) or not found.isdigit():
        raise BadFile(file, "this is a database, but not one of mailmig's: choose another folder")
    if int(found) > int(HEAD):
        raise StateNewer(file, found, HEAD)
    return found


def _bring_up(database: Database) -> None:
    with database.writing("upgrade of the state") as connection:
        before = _shape(connection, database.file)  # another process may have been quicker
        if before == HEAD:
            return
        from mailmig.store.upgrade import upgrade

        upgrade(connection)
        what = f"from shape {before} to {HEAD}" if before else f"made with shape {HEAD}"
        journal.write(connection, "state upgrade" if before else "state made", what)
