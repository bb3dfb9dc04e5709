"""The files of one export: in a folder, or in a ZIP that is read without unpacking.

Knows names, sizes, the manifest and the digest; what the rows mean is `exports`. A file is
`<name>.xml` or `<name>.csv`, in capitals or not; where both are there the XML counts,
because it keeps the types. A ZIP may hold its files in one folder (a folder that was sent
to a ZIP). A ZIP is refused as a whole when any member is not what an export holds: paths
that lead elsewhere, links, passwords, or more than `MAX_...` allow.
"""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Protocol, cast

from mailmig.model.errors import BadFile, MailmigError
from mailmig.model.quota import GIB, MIB
from mailmig.wire.collection import BY_NAME, EXPORTS, MANIFEST, MANIFEST_SCHEMA

# 200,000 whole mailbox objects with their SerializationData are about 10 GiB of text.
MAX_FILE_BYTES: Final = 16 * GIB
MAX_TOTAL_BYTES: Final = 32 * GIB
# An export has about 40 files; a ZIP of a mail server's whole desktop is a mistake.
MAX_MEMBERS: Final = 1000
# Real exports shrink to a thirtieth, the most repetitive to a hundredth. Bombs lie near the
# limit of the method, 1032 for deflate. Small files are no danger, whatever they shrink to.
MAX_RATIO: Final = 300
HARMLESS_BYTES: Final = 16 * MIB
MAX_MANIFEST_BYTES: Final = 4 * MIB

# Part of each digest: raise it when the same files would be understood differently.
UNDERSTANDING: Final = 1

_SUFFIXES: Final = ("xml", "csv")  # the first one counts
_CHUNK: Final = MIB


class NotAnExport(MailmigError):
    """The path is no export folder and no ZIP of one: look at what was given."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class UnsafeZip(MailmigError):
    """A ZIP that holds more than an export, or is made to do harm: pack the folder again."""

    def __init__(self, path: Path, member: str, reason: str) -> None:
        what = f"{member!r} {reason}" if member else reason
        super().__init__(f"{path}: {what}; nothing was read: pack the export folder again")
        self.path = path
        self.member = member
        self.reason = reason


class Changing(MailmigError):
    """A file changed while it was read: the export is still being written."""

    def __init__(self, path: Path, file: str) -> None:
        super().__init__(
            f"{path}: {file} changed while it was read; nothing was kept: "
            "wait until the script has finished and import again"
        )
        self.path = path
        self.file = file


@dataclass(frozen=True, slots=True)
class Member:
    """One file: `name` is that of the table in wire.collection, `file` that on the disk."""

    name: str
    file: str
    size_bytes: int
    changed_at: datetime

    @property
    def is_csv(self) -> bool:
        return self.file.casefold().endswith(".csv")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the manifest says of one file. `state` is "done", "failed" or "not available"."""

    state: str
    count: int | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the script wrote about its own run; all empty when there is no manifest."""

    present: bool = False
    started: datetime | None = None
    finished: datetime | None = None
    culture: str = ""
    computer: str = ""
    server_version: str = ""
    self_name: str = ""
    claims: Mapping[str, Claim] | None = None

    def claim(self, name: str) -> Claim | None:
        return (self.claims or {}).get(name)


class Place(Protocol):
    """Where the files lie."""

    path: Path

    def files(self) -> list[Member]:
        """All files with their names as they are; `name` is still empty."""

    def open(self, file: str) -> BinaryIO: ...


class ExportFolder:
    """One export, its files found and its manifest read."""

    def __init__(self, place: Place) -> None:
        self.path = place.path
        self._place = place
        found: dict[str, Member] = {}
        self.ignored: list[str] = []
        self._manifest_file = ""
        for suffix in (*_SUFFIXES, ""):
            for member in place.files():
                self._sort_in(member, suffix, found)
        self.members: Mapping[str, Member] = {
            export.name: found[export.name] for export in EXPORTS if export.name in found
        }

    @cached_property
    def manifest(self) -> Manifest:
        """Raises BadFile for a manifest that cannot be read."""
        if not self._manifest_file:
            return Manifest()
        with self.open(self._manifest_file) as stream:
            raw = stream.read(MAX_MANIFEST_BYTES + 1)
        return _manifest(raw, self.label(self._manifest_file))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the manifest and the files in the order of the table.

        A ZIP has the digest of the folder that was packed.
        """
        whole = sha256(f"mailmig export {UNDERSTANDING}\n".encode())
        files = [(m.name, "csv" if m.is_csv else "xml", m.file) for m in self.members.values()]
        if self._manifest_file:
            files.insert(0, (MANIFEST, "json", self._manifest_file))
        for name, kind, file in files:
            whole.update(f"{name} {kind} {self._digest_of(file)}\n".encode())
        return whole.hexdigest()

    @property
    def newest(self) -> datetime:
        """When the youngest file was written."""
        return max(member.changed_at for member in self.members.values())

    @contextmanager
    def open(self, file: str) -> Iterator[BinaryIO]:
        """The bytes of one file; errors of the disk and the ZIP come as sentences."""
        try:
            with self._place.open(file) as stream:
                yield stream
        except (zipfile.BadZipFile, zlib.error, LZMAError, NotImplementedError, EOFError) as error:
            raise BadFile(self.label(file), f"{error}: pack the export folder again") from error
        except OSError as error:
            raise BadFile(self.label(file), f"cannot be read: {error.strerror or error}") from error

    def label(self, file: str) -> str:
        """How messages call a file: with the folder or the ZIP that it lies in."""
        return str(self.path / file)

    def check_unchanged(self) -> None:
        """Raises Changing when a file is not what it was at the beginning."""
        now = {member.file: member for member in self._place.files()}
        for before in self.members.values():
            after = now.get(before.file)
            seen = (before.size_bytes, before.changed_at)
            if after is None or (after.size_bytes, after.changed_at) != seen:
                raise Changing(self.path, before.file)

    def _sort_in(self, member: Member, suffix: str, found: dict[str, Member]) -> None:
        stem, _, ending = PurePosixPath(member.file).name.casefold().rpartition(".")
        known = ending in _SUFFIXES and stem in BY_NAME
        if suffix and ending == suffix and known and stem not in found:
            found[stem] = Member(stem, member.file, member.size_bytes, member.changed_at)
        elif not suffix and f"{stem}.{ending}" == MANIFEST:
            self._manifest_file = member.file
        elif not suffix and not (known and found[stem].file == member.file):
            self.ignored.append(member.file)

    def _digest_of(self, file: str) -> str:
        digest = sha256()
        with self.open(file) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


def find(path: Path) -> ExportFolder:
    """The export at a path: a folder or a ZIP.

    Raises NotAnExport, UnsafeZip, and BadFile for a ZIP that is broken.
    """
    try:
        if path.is_dir():
            return ExportFolder(_OnDisk(path))
        if not path.exists():
            raise NotAnExport(path, "there is no such folder or ZIP")
        if not (path.is_file() and _is_zip(path)):
            raise NotAnExport(
                path, "neither a folder nor a whole ZIP: give the folder of the export"
            )
    except OSError as error:
        raise NotAnExport(path, f"cannot be read: {error.strerror or error}") from error
    return ExportFolder(_InZip(path))


def _is_zip(path: Path) -> bool:
    """As zipfile.is_zipfile, but a file that cannot be opened is an OSError and no answer."""
    with path.open("rb") as stream:
        return zipfile.is_zipfile(stream)


class _OnDisk:
    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self) -> list[Member]:
        try:
            with os.scandir(self.path) as entries:
                found = [entry for entry in entries if entry.is_file()]
                return sorted((_on_disk(entry) for entry in found), key=lambda m: m.file)
        except OSError as error:
            raise NotAnExport(self.path, f"cannot be read: {error.strerror or error}") from error

    def open(self, file: str) -> BinaryIO:
        return (self.path / file).open("rb")


def _on_disk(entry: os.DirEntry[str]) -> Member:
    about = entry.stat()
    return Member("", entry.name, about.st_size, _file_time(about.st_mtime_ns))


def _file_time(ns: int) -> datetime:
    """Added up by hand: systems differ in which times they can turn into dates."""
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)
    except OverflowError:
        return datetime(1970, 1, 1, tzinfo=UTC)


class _InZip:
    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise BadFile(path, f"a broken ZIP ({error}): pack the export folder again") from error
        self._members = _checked(path, members)

    def files(self) -> list[Member]:
        return [
            Member("", name, info.file_size, _zip_time(info))
            for name, info in sorted(self._members.items())
        ]

    def open(self, file: str) -> BinaryIO:
        archive = zipfile.ZipFile(self.path)
        try:
            stream = cast(BinaryIO, archive.open(self._members[file]))
            return _closing(stream, archive.close)
        except BaseException:
            archive.close()
            raise


def _closing(stream: BinaryIO, also: Callable[[], None]) -> BinaryIO:
    """A stream that closes the ZIP that it comes from."""
    close = stream.close

    def close_both() -> None:
        close()
        also()

    stream.close = close_both  # type: ignore[method-assign]
    return stream


def _checked(path: Path, members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The files of a ZIP by their path inside it; refused as a whole when one is bad."""
    if len(members) > MAX_MEMBERS:
        raise UnsafeZip(path, "", f"holds {len(members)} files, more than {MAX_MEMBERS}")
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise UnsafeZip(path, "", f"unpacks to {total:,} bytes, more than {MAX_TOTAL_BYTES:,}")
    found: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for member in members:
        # Older Windows packs with backslashes.
        name = member.orig_filename.replace("\\", "/")
        reason = _objection(member, name)
        if name.casefold() in seen:
            reason = "is there twice"
        seen.add(name.casefold())
        if reason:
            raise UnsafeZip(path, member.orig_filename, reason)
        if not name.endswith("/"):
            found[name] = member
    return _of_one_folder(path, found)


def _objection(member: zipfile.ZipInfo, name: str) -> str:
    """Why a member of a ZIP is not read, or nothing."""
    parts = name.split("/")
    mode = member.external_attr >> 16
    if name.startswith("/") or ":" in parts[0] or ".." in parts or "\0" in name:
        return "leads out of the folder"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 0x1:
        return "is locked with a password"
    if member.file_size > MAX_FILE_BYTES:
        return f"unpacks to {member.file_size:,} bytes, more than {MAX_FILE_BYTES:,}"
    packed = max(member.compress_size, 1)
    if member.file_size > HARMLESS_BYTES and member.file_size > MAX_RATIO * packed:
        return f"unpacks to {member.file_size // packed} times its size, more than {MAX_RATIO}"
    return ""


def _of_one_folder(path: Path, found: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Only one folder of a ZIP may hold files of an export; what lies elsewhere is ignored."""
    folders = {PurePosixPath(name).parent for name in found if _is_ours(name)}
    if len(folders) > 1:
        names = ", ".join(sorted(str(folder) for folder in folders))
        raise NotAnExport(path, f"holds more than one export (folders {names}): pack one alone")
    return found


def _is_ours(name: str) -> bool:
    stem, _, ending = PurePosixPath(name).name.casefold().rpartition(".")
    return (ending in _SUFFIXES and stem in BY_NAME) or f"{stem}.{ending}" == MANIFEST


def _zip_time(member: zipfile.ZipInfo) -> datetime:
    """A ZIP has the local time of the machine that packed it; taken as that of this one."""
    try:
        return datetime(*member.date_time).astimezone(UTC)
    except ValueError:
        return datetime(1980, 1, 1, tzinfo=UTC)


def _manifest(raw: bytes, label: str) -> Manifest:
    if len(raw) > MAX_MANIFEST_BYTES:
        raise BadFile(label, f"larger than {MAX_MANIFEST_BYTES:,} bytes: this is no manifest")
    try:
        found = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadFile(label, f"not readable as JSON ({error}): export again") from error
    if not isinstance(found, dict) or not isinstance(found.get("files", []), list):
        raise BadFile(label, "not the manifest of an export")
    schema = found.get("schema")
    if schema != MANIFEST_SCHEMA:
        raise BadFile(label, f"schema {schema!r}, this mailmig knows {MANIFEST_SCHEMA}: upgrade it")
    claims = {
        str(line.get("name", "")): _claim(line)
        for line in found.get("files", [])
        if isinstance(line, dict)
    }
    return Manifest(
        present=True,
        started=_when(found.get("started"), label),
        finished=_when(found.get("finished"), label),
        culture=_word(found, "culture"),
        computer=_word(found, "computer"),
        server_version=_word(found, "server_version"),
        self_name=_word(found, "self"),
        claims=claims,
    )


def _claim(line: Mapping[str, Any]) -> Claim:
    count = line.get("count")
    whole = count if isinstance(count, int) and not isinstance(count, bool) else None
    return Claim(_word(line, "state"), whole, _word(line, "error"))


def _word(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return value.strip() if isinstance(value, str) else ""


def _when(value: object, label: str) -> datetime | None:
    if value is None:
        return None
    try:
        when = datetime.fromisoformat(str(value))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadFile(label, f"{value!r} is no time") from error
