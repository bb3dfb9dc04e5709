"""The state folder: made for its owner alone, brought up to date, and never half written."""

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mailmig.model.errors import BadFile
from mailmig.store import connection as connections
from mailmig.store.connection import Database, StateBusy
from mailmig.store.engine import StateNewer, Store
from mailmig.store.folder import FolderOpenToOthers, FolderUnusable
from mailmig.store.schema import HEAD, NEVER_CHANGED, metadata
from mailmig.store.upgrade import upgrade

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The folder -----------------------------------------------------------------------------------


@POSIX
def test_folder_and_file_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    old = os.umask(0)
    try:
        store = Store.open(folder)
        with store.database.writing("test"):
            assert {p.name for p in folder.iterdir()} >= {"state.db", "state.db-wal", "writer.json"}
            assert {mode(path) for path in folder.glob("state*")} == {0o600}
    finally:
        os.umask(old)
    assert mode(folder) == 0o700
    assert not (folder / "writer.json").exists()


@POSIX
def test_a_folder_that_others_may_open_is_refused_and_not_changed(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o750)
    with pytest.raises(FolderOpenToOthers) as raised:
        Store.open(folder)
    assert str(raised.value) == (
        f"{folder}: others may open this folder (mode 0750), and the inventory names people: "
        f"run chmod 700 {folder}, or choose another with --state FOLDER"
    )
    assert list(folder.iterdir()) == []
    assert mode(folder) == 0o750


@POSIX
def test_a_file_that_was_opened_to_others_is_closed_again(folder: Path) -> None:
    Store.open(folder)
    (folder / "state.db").chmod(0o644)
    Store.open(folder)
    assert mode(folder / "state.db") == 0o600


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("x")
    with pytest.raises(FolderUnusable) as raised:
        Store.open(path)
    assert str(raised.value) == (
        f"{path}: cannot keep the state here, it is a file; "
        "choose another folder with --state FOLDER"
    )
    with pytest.raises(FolderUnusable, match="not a directory"):
        Store.open(path / "below")


def test_a_file_name_that_is_a_folder_is_refused(folder: Path) -> None:
    (folder / "state.db").mkdir(parents=True)
    folder.chmod(0o700)
    with pytest.raises(FolderUnusable, match=r"cannot keep the state here, state\.db is a folder;"):
        Store.open(folder)


@pytest.fixture
def without_rights() -> Iterator[Path]:
    """A folder that this process may read and not write, also when root runs the tests."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        else:
            folder.chmod(0o500)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


@POSIX
def test_a_folder_that_cannot_be_written_is_told(without_rights: Path) -> None:
    with pytest.raises(FolderUnusable) as raised:
        Store.open(without_rights / "state")
    assert str(raised.value) == (
        f"{without_rights / 'state'}: cannot keep the state here, permission denied; "
        "choose another folder with --state FOLDER"
    )


# The shape of the file ------------------------------------------------------------------------


def test_the_migrations_lead_to_the_tables_of_the_schema(store: Store) -> None:
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        tables = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        )
        without_rowid = {name for name, sql in tables if "WITHOUT ROWID" in sql}
        triggers = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
        assert len(triggers.all()) == 2 * len(NEVER_CHANGED)
    assert without_rowid == {
        table.name
        for table in metadata.tables.values()
        if table.dialect_kwargs.get("sqlite_with_rowid") is False
    }


def test_the_newest_migration_is_the_one_that_the_schema_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(files("mailmig.store.migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_an_up_to_date_file_is_opened_without_alembic(folder: Path) -> None:
    Store.open(folder)
    code = (
        "import sys; from pathlib import Path; from mailmig.store.engine import Store; "
        f"Store.open(Path({str(folder)!r})); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_opening_an_older_file_upgrades_it_and_tells_the_journal(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Callable[..., Any]
) -> None:
    with Store.open(folder) as store:
        kept = store.snapshots.add(given()).info
    scripts = tmp_path / "migrations"
    shutil.copytree(str(files("mailmig.store.migrations")), scripts)
    (scripts / "versions" / "v0002_next.py").write_text(
        'revision = "0002"\ndown_revision = "0001"\n'
        "def upgrade():\n    from alembic import op\n    op.execute('CREATE TABLE next (x INT)')\n"
    )
    monkeypatch.setattr("mailmig.store.engine.HEAD", "0002")
    monkeypatch.setattr(
        "mailmig.store.upgrade.upgrade", lambda connection: upgrade(connection, scripts)
    )
    with Store.open(folder) as store:
        assert store.snapshots.list() == (kept,)
        *_, line = store.journal.entries()
        assert (line.what, line.subject) == ("state upgrade", "from shape 0001 to 0002")
        with store.database.reading() as connection:
            assert connection.execute(text("SELECT * FROM next")).all() == []


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(folder)
    scripts = tmp_path / "migrations"
    shutil.copytree(str(files("mailmig.store.migrations")), scripts)
    (scripts / "versions" / "v0002_next.py").write_text(
        'revision = "0002"\ndown_revision = "0001"\n'
        "def upgrade():\n    from alembic import op\n    op.execute('CREATE TABLE next (x INT)')\n"
        "    raise ValueError('no')\n"
    )
    with (
        pytest.raises(ValueError, match="no"),
        Database(folder / "state.db").writing("test") as connection,
    ):
        upgrade(connection, scripts)
    names = {row[0] for row in sqlite3.connect(folder / "state.db").execute(
        "SELECT name FROM sqlite_master")}  # fmt: skip
    assert "next" not in names
    monkeypatch.undo()
    Store.open(folder)


def test_a_file_of_a_newer_mailmig_is_refused(folder: Path) -> None:
    Store.open(folder)
    _execute(folder / "state.db", "UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(StateNewer) as raised:
        Store.open(folder)
    assert str(raised.value) == (
        f"{folder / 'state.db'}: written by a newer mailmig (shape 0099, this one knows up to "
        f"{HEAD}): upgrade mailmig, or choose another folder with --state FOLDER"
    )


@pytest.mark.parametrize("statement", ["CREATE TABLE mine (x INT)",
                                       "CREATE TABLE alembic_version (version_num TEXT)"])  # fmt: skip
def test_a_database_of_another_program_is_refused(statement: str, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    _execute(folder / "state.db", statement)
    with pytest.raises(BadFile) as raised:
        Store.open(folder)
    assert str(raised.value) == (
        f"{folder / 'state.db'}: this is a database, but not one of mailmig's: "
        "choose another folder"
    )


def test_a_file_that_is_no_database_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "state.db").write_bytes(b"something else" * 100)
    with pytest.raises(BadFile, match=r"state.db: this is no whole database \(file is not a data"):
        Store.open(folder)


def test_a_damaged_file_is_told(folder: Path, given: Callable[..., Any]) -> None:
    with Store.open(folder) as store:
        store.snapshots.add(given(count=5000))
    path = folder / "state.db"
    raw = bytearray(path.read_bytes())
    raw[40 * 4096 : 60 * 4096] = b"\xff" * (20 * 4096)
    path.write_bytes(raw)
    with pytest.raises(BadFile, match="this is no whole database"), Store.open(folder) as store:
        store.snapshots.load()


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


# Two at once ----------------------------------------------------------------------------------


def test_a_second_writer_is_told_who_writes(store: Store, folder: Path) -> None:
    other = Store.open(folder, patience_s=0.2)
    with store.database.writing("inventory import"):
        with pytest.raises(StateBusy) as raised:
            other.journal.record("test", "x")
        assert other.snapshots.list() == (), "readers do not wait"
    sentence = str(raised.value)
    assert sentence.startswith(
        f"{folder / 'state.db'}: another process is writing (inventory import by "
    )
    assert f", process {os.getpid()}, since 20" in sentence
    assert sentence.endswith("); waited 0.2 s: try again when it has ended")
    assert raised.value.exit_code == 3
    other.journal.record("test", "now it goes")


def test_a_note_of_somebody_killed_is_not_believed_for_long(store: Store, folder: Path) -> None:
    (folder / "writer.json").write_text(json.dumps({"who": "x", "pid": 1, "since": "", "what": ""}))
    store.journal.record("test", "x")
    assert not (folder / "writer.json").exists()


def test_a_broken_note_is_no_reason_to_fail(store: Store, folder: Path) -> None:
    other = Store.open(folder, patience_s=0.1)
    with store.database.writing("x"):
        (folder / "writer.json").write_text("[1]")
        with pytest.raises(StateBusy, match="another process is writing; waited"):
            other.journal.record("test", "x")


def test_a_second_writer_waits_for_the_first(store: Store, folder: Path) -> None:
    patient = Store.open(folder, patience_s=30)
    began = threading.Event()

    def write() -> None:
        began.set()
        patient.journal.record("second", "x")

    with store.database.writing("first"):
        thread = threading.Thread(target=write)
        thread.start()
        began.wait()
        time.sleep(0.2)
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()
    assert store.journal.entries()[-1].what == "second"


def test_nobody_waits_longer_than_a_person_would() -> None:
    assert connections.PATIENCE_S <= 10


def test_two_processes_that_open_a_new_folder_make_one_state(folder: Path) -> None:
    code = (
        "from pathlib import Path; from mailmig.store.engine import Store; "
        f"Store.open(Path({str(folder)!r})).journal.record('here', 'x')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    what = [line.what for line in Store.open(folder).journal.entries()]
    assert sorted(what) == ["here", "here", "here", "state made"]


# kill -9 --------------------------------------------------------------------------------------

# A child that imports 60,000 mailboxes and stops at the moment it is told to stop at.
CHILD = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from mailmig.model.directory import Edge, Kind, Mailbox, Right, TrusteeKind
from mailmig.model.snapshot import Gap
from mailmig.store.engine import Store

folder, moment = Path(sys.argv[1]), sys.argv[2]

def here(now):
    if now == moment:
        print("here", flush=True)
        time.sleep(60)

class Reading:
    organisation, origin, digest = "Town", "child", "cd" * 32
    taken_at = datetime(2030, 1, 1, tzinfo=UTC)

    def mailboxes(self):
        for n in range(60_000):
            if n == 30_000:
                here("among mailboxes")
            yield Mailbox(f"{n:036d}", Kind.USER, display_name="x" * 300)

    def pour(self, into):
        here("before")
        into.mailboxes(self.mailboxes())
        here("after mailboxes")
        into.edges(Edge(f"{n:036d}", Right.SEND_AS, "x", TrusteeKind.OTHER) for n in range(9_000))
        here("at the end")
        return (Gap("a", "b"),)

store = Store.open(folder)
here("opened")
store.snapshots.add(Reading())
here("done")
"""


def kill_child(folder: Path, moment: str, after_s: float | None = None) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), moment], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    if after_s is None:
        assert child.stdout.readline() == "here\n"
    else:
        time.sleep(after_s)
    child.kill()
    assert child.wait(30) in (-signal.SIGKILL, 0)
    child.stdout.close()


@pytest.mark.parametrize(
    ("moment", "kept"),
    [
        ("opened", 1),
        ("before", 1),
        ("among mailboxes", 1),
        ("after mailboxes", 1),
        ("at the end", 1),
        ("done", 2),
    ],
)
def test_a_killed_import_leaves_what_was_there_and_nothing_of_its_own(
    moment: str, kept: int, folder: Path, given: Callable[..., Any]
) -> None:
    with Store.open(folder) as store:
        before = store.snapshots.add(given(count=500)).info
        lines = len(store.journal.entries())
    kill_child(folder, moment)
    with Store.open(folder) as store:
        assert len(store.snapshots.list()) == kept
        assert len(store.snapshots.load(before.id).mailboxes) == 500
        assert len(store.journal.entries()) == lines + kept - 1
        with store.database.reading() as connection:
            for table in ("mailboxes", "edges", "gaps", "contents"):
                found = connection.scalars(text(f"SELECT DISTINCT snapshot FROM {table}")).all()
                assert len(found) <= kept, table
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        again = store.snapshots.add(given("ef" * 32)).info
        assert store.snapshots.load(again.id).mailboxes


@pytest.mark.parametrize("after_s", [0.3, 0.7, 1.1, 1.5, 1.9])
def test_a_kill_at_any_time_leaves_a_whole_state(
    after_s: float, folder: Path, given: Callable[..., Any]
) -> None:
    with Store.open(folder) as store:
        store.snapshots.add(given(count=500))
    kill_child(folder, "never", after_s)
    with Store.open(folder) as store:
        infos = store.snapshots.list()
        assert [info.mailboxes for info in infos] in ([500], [500, 60_000])
        assert all(len(store.snapshots.load(i.id).mailboxes) == i.mailboxes for i in infos)


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """Root may write anywhere, so SQLite's own error is made by hand."""
    database = Database(tmp_path / "state.db")
    readonly = sqlite3.OperationalError("attempt to write a readonly database")
    readonly.sqlite_errorcode = sqlite3.SQLITE_READONLY
    with pytest.raises(FolderUnusable) as raised, database._in_words():
        raise DBAPIError("INSERT", {}, readonly)
    assert str(raised.value) == (
        f"{tmp_path}: cannot keep the state here, state.db cannot be opened or written "
        "(attempt to write a readonly database); choose another folder with --state FOLDER"
    )
