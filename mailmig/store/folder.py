"""The folder that holds state.db: who may read it, and who is writing in it right now.

The inventory names people and what they may open, so the folder is for its owner alone
(mode 0700, the file 0600). A folder that others may read is refused, never changed: it may
be somebody's home. Windows has no such modes; there the user's profile protects it.
"""

import getpass
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mailmig.model.errors import MailmigError

FILE: Final = "state.db"
WRITER: Final = "writer.json"
_FOR_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class FolderUnusable(MailmigError):
    """The state folder cannot be made or written: look at the path and its owner."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"{folder}: cannot keep the state here, {reason}; "
            "choose another folder with --state FOLDER"
        )
        self.folder = folder
        self.reason = reason


class FolderOpenToOthers(MailmigError):
    """The state folder can be read by other users: take their rights away or move it."""

    def __init__(self, folder: Path, mode: int) -> None:
        super().__init__(
            f"{folder}: others may open this folder (mode {mode:04o}), and the inventory names "
            f"people: run chmod 700 {folder}, or choose another with --state FOLDER"
        )
        self.folder = folder
        self.mode = mode


def prepare(folder: Path) -> Path:
    """Make the folder when it is absent, check it, and return the path of the file in it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except FileExistsError as error:
        raise FolderUnusable(folder, "it is a file") from error
    except OSError as error:
        raise FolderUnusable(folder, reason(error)) from error
    if os.name == "posix" and mode & _FOR_OTHERS:
        raise FolderOpenToOthers(folder, mode)
    return folder / FILE


def make_file(path: Path) -> None:
    """Make an empty file for its owner alone, or take others' rights on an existing one away.

    SQLite gives the files beside it (-wal, -shm) the same mode.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & _FOR_OTHERS:
            path.chmod(0o600)
    except IsADirectoryError as error:
        raise FolderUnusable(path.parent, f"{path.name} is a folder") from error
    except OSError as error:
        raise FolderUnusable(path.parent, reason(error)) from error


def reason(error: OSError) -> str:
    """What the system says, without number and path."""
    return (error.strerror or str(error)).lower()


def user() -> str:
    """The login name and the machine: who, for the journal."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a number without an entry in the password file
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


@contextmanager
def noted(folder: Path, what: str) -> Iterator[None]:
    """While this lasts, others who wait for the write lock can read who holds it.

    Only the holder of the lock writes the note; one that a killed process left behind is
    overwritten by the next holder. No note is worth failing for.
    """
    note = folder / WRITER
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({"who": user(), "pid": os.getpid(), "since": since, "what": what})
    with suppress(OSError):
        note.write_text(text, "utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink()


def writer(folder: Path) -> str:
    """Who holds the write lock, in words; empty when nobody left a note."""
    try:
        note = json.loads((folder / WRITER).read_text("utf-8"))
        return "{what} by {who}, process {pid}, since {since}".format_map(note)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
