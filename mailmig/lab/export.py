"""Writes an organisation as the export folder that the collect script would have made.

The files and their manifest are those of `mailmig.wire.collection`; the manifest comes last.
The folder appears whole or not at all: everything is written into a sibling folder that is
renamed at the end. A folder that holds an older export of the lab is replaced; any other is
refused, above all the export of a real organisation. The manifest has one key more than that
of the script: `story`, which tells the two apart.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from mailmig.lab.calendar import write_calendar
from mailmig.lab.cultures import ENGLISH, Culture
from mailmig.lab.front_ends import FrontEnds
from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.places import Places
from mailmig.lab.recipients import Recipients
from mailmig.lab.rows import TYPES, Bulk, RowFile, columns
from mailmig.lab.shapes import Session, whole_object
from mailmig.lab.stores import Stores
from mailmig.lab.story import Story
from mailmig.lab.values import fresh, select
from mailmig.model.errors import MailmigError
from mailmig.wire import clixml
from mailmig.wire.collection import EXPORTS, MANIFEST, MANIFEST_SCHEMA, Export

# Seconds that the real script needs per call, told in the manifest as its own figures are.
_SECONDS_PER_CALL: Final = 0.12
_POWERSHELL: Final = {"2016": "5.1.14393.7426", "SE": "5.1.20348.2849"}


class FolderInTheWay(MailmigError):
    """The folder holds something that is no export: name another one, or empty it."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"{folder} {what}: name a folder that is new, empty or an older export")
        self.folder = folder


class CannotWriteFolder(MailmigError):
    """The folder cannot be written: look at its rights and the room on the disk."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"{folder} cannot be written: {error.strerror or error}; nothing was left behind"
        )
        self.folder = folder


@dataclass(slots=True)
class Written:
    """What an export came to: objects per file, rights granted, bytes of all files together."""

    counts: dict[str, int] = field(default_factory=dict)
    rights: int = 0
    bytes: int = 0


def write_export(
    organisation: Organisation,
    story: Story,
    folder: Path,
    *,
    culture: Culture = ENGLISH,
    whole: bool = False,
) -> Written:
    """Write the export folder, with the planning calendar in `calendar/`.

    `whole` writes whole objects, as `Get-X | Export-Clixml` does, instead of the selected
    properties. Raises `FolderInTheWay` and `CannotWriteFolder`; then nothing is left behind.
    """
    _refuse(folder)
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        writer = _Writer(organisation, culture, whole, temporary)
        written = writer.write_all()
        write_calendar(organisation, story, temporary / "calendar")
        writer.write_manifest(story)
        temporary.chmod(0o755)
        _put_in_place(temporary, folder)
    except OSError as error:
        raise CannotWriteFolder(folder, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return written


def _refuse(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderInTheWay(folder, "is no folder")
    try:
        if folder.is_dir() and any(folder.iterdir()):
            if not (folder / MANIFEST).is_file():
                raise FolderInTheWay(folder, "holds other files")
            if not _told_by_the_lab(folder / MANIFEST):
                raise FolderInTheWay(folder, "holds an export that is not of the lab")
    except OSError as error:
        raise CannotWriteFolder(folder, error) from error


def _told_by_the_lab(manifest: Path) -> bool:
    try:
        found = json.loads(manifest.read_text("utf-8-sig"))
    except ValueError:
        return False
    return isinstance(found, dict) and "story" in found


def _put_in_place(new: Path, folder: Path) -> None:
    """Rename the new folder to its name; an older one is out of the way only for a moment."""
    if not folder.exists():
        new.rename(folder)
        return
    aside = new.with_name(f"{new.name}.old")
    folder.rename(aside)
    try:
        new.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


class _Writer:
    def __init__(
        self, organisation: Organisation, culture: Culture, whole: bool, folder: Path
    ) -> None:
        self.organisation = organisation
        self.culture = culture
        self.whole = whole
        self.folder = folder
        self.version = organisation.server(organisation.answering).version
        places = Places(organisation.domain, organisation.name)
        self.bulk = Bulk(organisation, places, culture)
        stores = Stores(organisation, places, culture)
        self.objects = stores.files() | FrontEnds(organisation, places, culture).files()
        self.recipients = Recipients(stores, self.bulk)
        server = organisation.server(organisation.answering)
        self.session = Session(server.fqdn, guid(organisation.seed, "runspace"))
        self.written = Written()
        self.files: list[dict[str, Any]] = []
        self.seconds = 0.0

    def write_all(self) -> Written:
        for export in EXPORTS:
            if self.version not in export.versions:
                self._tell(export, 0, "not available", f"{export.cmdlet} does not exist here")
                continue
            path = self.folder / f"{export.name}.xml"
            with path.open("wb") as stream:
                count = self._write(export, stream)
            self.written.counts[export.name] = count
            self.written.bytes += path.stat().st_size
            self._tell(export, count, "done", "")
        self.written.rights = self._rights()
        return self.written

    def _rights(self) -> int:
        """How many rights were granted; whole files hold inherited ones besides."""
        names = ("full_access", "send_as")
        if self.whole:
            return sum(1 for name in names for _ in self.bulk.granted(name))
        return sum(self.written.counts[name] for name in names)

    def _write(self, export: Export, stream: BinaryIO) -> int:
        if self.whole:
            return _write_objects(stream, self._whole(export))
        if export.cmdlet in TYPES:
            file = RowFile(stream, TYPES[export.cmdlet], columns(export))
            file.write(self.bulk.rows(export))
            return file.count
        return _write_objects(
            stream,
            (select(whole, export.properties, export.depth) for whole in self._whole(export)),
        )

    def _whole(self, export: Export) -> Iterator[clixml.Obj]:
        if export.cmdlet in TYPES:
            source = self.recipients.live(export)
        else:
            source = self.objects[export.name]()
        for text, live in source:
            yield whole_object(export.cmdlet, self.culture, self.session, text, live)

    def _tell(self, export: Export, count: int, state: str, error: str) -> None:
        seconds = round(0.4 + count * _SECONDS_PER_CALL / 10, 1) if state == "done" else 0
        self.seconds += seconds
        self.files.append(
            {
                "name": export.name, "file": f"{export.name}.xml", "cmdlet": call(export),
                "count": count, "seconds": seconds, "state": state, "error": error,
            }
        )  # fmt: skip

    def write_manifest(self, story: Story) -> None:
        server = self.organisation.server(self.organisation.answering)
        major, minor, build, revision = server.build
        manifest = {
            "schema": MANIFEST_SCHEMA,
            "tool": "mailmig collect",
            "story": story.name,
            "started": _utc(self.organisation.now),
            "finished": _utc(self.organisation.now + timedelta(seconds=self.seconds)),
            "culture": self.culture.name,
            "powershell": _POWERSHELL[server.version],
            "computer": server.name,
            "server_version": f"Version {major}.{minor} (Build {build}.{revision})",
            "self": self.culture.myself,
            "files": self.files,
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        path = self.folder / MANIFEST
        path.write_text(text, "utf-8", newline="\n")
        self.written.bytes += path.stat().st_size


def call(export: Export) -> str:
    """The cmdlet with its parameters, as the manifest names it."""
    words = [export.cmdlet]
    for name, value in export.parameters:
        words.append(f"-{name}" if value is None else f"-{name} {value}")
    return " ".join(words)


def _write_objects(stream: BinaryIO, objects: Iterator[clixml.Obj]) -> int:
    count = 0

    def counted() -> Iterator[clixml.Value]:
        nonlocal count
        for one in objects:
            count += 1
            yield fresh(one)

    clixml.write(stream, counted())
    return count


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
