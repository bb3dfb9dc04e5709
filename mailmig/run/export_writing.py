"""Writes an export folder while its rows still come: CLIXML files, and a manifest that is true.

A file has the ending `.part` until it is whole; the manifest is replaced in one step after each
file. Whatever ends the program, the manifest names just the files that are there.
"""

import asyncio
import json
import queue
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any, Final

from mailmig.model.errors import MailmigError
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import MANIFEST, MANIFEST_SCHEMA

PART: Final = ".part"
# Rows that go over to the writing thread at once, and how many such portions may wait there.
PORTION: Final = 256
_WAITING: Final = 8


class FolderInTheWay(MailmigError):
    """The folder is not new and empty: name another one."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"{folder} {what}; nothing was asked: name a folder that is new or empty")
        self.folder = folder


class CannotWriteExport(MailmigError):
    """The folder cannot be written: look at its rights and the room on the disk."""

    def __init__(self, folder: Path, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or error
        super().__init__(f"{folder} cannot be written: {reason}; look at its rights and the disk")
        self.folder = folder


@dataclass(slots=True)
class FileEntry:
    """One file as the manifest tells of it. `state` is done, failed or not available."""

    name: str
    file: str
    cmdlet: str
    count: int = 0
    seconds: float = 0.0
    state: str = "done"
    error: str = ""


@dataclass(slots=True)
class Manifest:
    """The manifest: who was asked, when, and what came. Moments are aware."""

    started: datetime
    computer: str
    culture: str
    finished: datetime | None = None
    server_version: str = ""
    self_name: str = ""
    files: list[FileEntry] = field(default_factory=list)

    def text(self) -> str:
        found: dict[str, Any] = {
            "schema": MANIFEST_SCHEMA, "tool": "mailmig collect", "started": _utc(self.started),
            "finished": _utc(self.finished) if self.finished else None,
            "culture": self.culture, "powershell": "", "computer": self.computer,
            "server_version": self.server_version, "self": self.self_name,
            "files": [asdict(entry) for entry in self.files],
        }  # fmt: skip
        return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


class ExportWriter:
    """The folder. Raises `FolderInTheWay` at once, and `CannotWriteExport`."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._made = not folder.exists()
        try:
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise FolderInTheWay(folder, "is no folder")
            if folder.exists() and any(folder.iterdir()):
                raise FolderInTheWay(folder, "is not empty")
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWriteExport(folder, error) from error
        self.save()

    def save(self) -> None:
        """The manifest as it is now, in one step."""
        part = self.folder / (MANIFEST + PART)
        try:
            text = self.manifest.text().encode("utf-8", "backslashreplace")
            part.write_bytes(text)
            part.replace(self.folder / MANIFEST)
        except OSError as error:
            raise CannotWriteExport(self.folder, error) from error

    def add(self, entry: FileEntry) -> None:
        self.manifest.files.append(entry)
        self.save()

    def discard(self) -> None:
        """Takes the folder away again, when nothing came; what is not ours stays."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        if self._made and not any(self.folder.iterdir()):
            self.folder.rmdir()


class RowFile:
    """One file, written by a thread of its own while the rows come. `close` or `drop` ends it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.xml"
        self.count = 0
        self._part = folder / f"{name}.xml{PART}"
        self._portion: list[Obj] = []
        self._waiting: queue.Queue[list[Obj] | None] = queue.Queue(_WAITING)
        self._error: Exception | None = None
        self._ended = False
        self._handing: asyncio.Future[None] | None = None
        # A daemon: a program that is stopped twice does not wait for it.
        self._thread = Thread(target=self._write, name=f"write {name}", daemon=True)
        self._thread.start()

    async def add(self, row: Obj) -> None:
        """Raises CannotWriteExport when the disk did not take an earlier one."""
        self.count += 1
        self._portion.append(row)
        if len(self._portion) >= PORTION:
            await self._hand_over()

    async def close(self) -> None:
        """The file is whole and has its name afterwards."""
        await self._end()
        try:
            self._raise()
            self._part.replace(self.path)
        except CannotWriteExport:
            self._part.unlink(missing_ok=True)
            raise
        except OSError as error:
            raise CannotWriteExport(self.path, error) from error

    async def drop(self) -> None:
        """Nothing of the file is left."""
        await self._end()
        self._part.unlink(missing_ok=True)

    async def _end(self) -> None:
        if self._handing is not None:  # the asking was stopped while it waited for room
            await self._handing
        if self._portion and self._error is None:
            await self._hand_over()
        await asyncio.to_thread(self._waiting.put, None)
        await asyncio.to_thread(self._thread.join)

    async def _hand_over(self) -> None:
        portion, self._portion = self._portion, []
        self._handing = asyncio.ensure_future(asyncio.to_thread(self._waiting.put, portion))
        await asyncio.shield(self._handing)
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise CannotWriteExport(self.path, self._error) from self._error

    # in the thread

    def _write(self) -> None:
        try:
            with self._part.open("wb") as stream:
                clixml.write(stream, self._rows())
        except (OSError, clixml.Unwritable) as error:
            self._error = error
            for _ in self._rows():  # so that nobody waits for room
                pass

    def _rows(self) -> Iterator[Obj]:
        while not self._ended:
            portion = self._waiting.get()
            if portion is None:
                self._ended = True
            else:
                yield from portion


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
