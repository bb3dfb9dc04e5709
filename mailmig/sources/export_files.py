"""The rows of the files of an export, one file after the other, and how whole each file is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, Final

from mailmig.model.errors import MailmigError
from mailmig.sources.export_folder import ExportFolder, Member
from mailmig.sources.export_rows import Cells, Faults
from mailmig.wire import clixml, clixml_rows, export_csv
from mailmig.wire.collection import BY_NAME

# Export-Csv of nothing leaves an empty file, or a byte order mark.
_NO_ROWS_BYTES: Final = 3
_OWNER: Final = "OwnerGuid"  # the column in front of those of a call per mailbox
_LISTS: Final = 3  # one in the other
_REPORT_EVERY: Final = 2000  # rows between two reports of progress

Report = Callable[[str, int], None]
"""Called with the name of a file and the bytes read so far, of this file and those before it."""


class BrokenExport(MailmigError):
    """A file breaks off or is damaged: export it again, or accept what is whole."""

    def __init__(self, file: str, where: str, reason: str, rows: int) -> None:
        super().__init__(
            f"{file}, {where or 'whole file'}: {reason}; nothing was kept: export it again, or "
            f"take the {rows:,} objects before it with --accept-partial"
        )
        self.file = file
        self.where = where
        self.reason = reason
        self.rows = rows


class Files:
    """Reads the files of one export and remembers what it saw.

    `counts` are the rows of each file that was read to its end or to where it breaks, `broken`
    the reasons why files break, `faults` the values that could not be read. `bytes_read` is
    how far it came, over all files.
    """

    def __init__(
        self, folder: ExportFolder, accept_partial: bool, report: Report | None = None
    ) -> None:
        self.folder = folder
        self.faults = Faults()
        self.counts: dict[str, int] = {}
        self.broken: dict[str, str] = {}
        self._accept_partial = accept_partial
        self.bytes_read = 0
        self._report = report
        self._bytes_before = 0

    def rows(self, name: str) -> Iterator[Cells]:
        """The rows of one file of the table; nothing when it is not there.

        Raises BrokenExport where the file breaks, unless partial files are accepted.
        """
        member = self.folder.members.get(name)
        if member is None:
            return
        cells = Cells(f"{name}.{'csv' if member.is_csv else 'xml'}", self.faults)
        if not (member.is_csv and member.size_bytes <= _NO_ROWS_BYTES):
            with self.folder.open(member.file) as stream:
                yield from self._cells(cells, member, stream)
        self.counts[name] = cells.number
        self._bytes_before += member.size_bytes
        self._tell(name, self._bytes_before)

    def whole(self, name: str) -> bool:
        """Whether a file is there to its end, with as many rows as the script counted."""
        rows = self.counts.get(name)
        if rows is None or name in self.broken:
            return False
        claim = self.folder.manifest.claim(name)
        return claim is None or claim.count in (None, rows)

    def _cells(self, cells: Cells, member: Member, stream: BinaryIO) -> Iterator[Cells]:
        number = 0
        try:
            for value in _objects(member, stream):
                for row in _rows_in(value):
                    number += 1
                    cells.number, cells.row = number, row
                    yield cells
                    if number % _REPORT_EVERY == 0:
                        self._tell(member.name, self._bytes_before + stream.tell())
        except (clixml.BrokenClixml, export_csv.BrokenCsv) as error:
            label = self.folder.label(member.file)
            if not self._accept_partial:
                raise BrokenExport(label, error.where, error.reason, number) from error
            self.broken[member.name] = f"{error.where}: {error.reason}"

    def _tell(self, name: str, bytes_read: int) -> None:
        self.bytes_read = bytes_read
        if self._report:
            self._report(name, bytes_read)


def _objects(member: Member, stream: BinaryIO) -> Iterable[Any]:
    """The objects of a file; those of depth 1 are flat in what the script writes."""
    if member.is_csv:
        return _in_our_names(export_csv.read(stream), member.name)
    if BY_NAME[member.name].depth > 1:
        return clixml.read(stream)
    return clixml_rows.read(stream)


def _in_our_names(rows: Iterator[dict[str, str]], name: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV file whose header somebody may have written in other capitals."""
    ours = {p.casefold(): p for p in (*BY_NAME[name].properties, _OWNER)}
    first = next(rows, None)
    if first is None:
        return
    renamed = {column: ours.get(column.casefold(), column) for column in first}
    all_rows = chain([first], rows)
    if all(column == ours for column, ours in renamed.items()):
        yield from all_rows
    for row in all_rows:
        yield {renamed[column]: value for column, value in row.items()}


def _rows_in(value: Any, depth: int = _LISTS) -> tuple[Any, ...]:
    """The rows in one top-level value: itself, or those of a list that was exported as one.

    Lists in lists come from `,@(...)` and the like; only so deep, as a list may hold itself.
    """
    if not isinstance(value, clixml.Obj):
        return (value,) if isinstance(value, dict) else ()
    inner = value.value
    if isinstance(inner, list) and not value.extended and not value.adapted:
        return tuple(row for item in inner for row in _rows_in(item, depth - 1)) if depth else ()
    return (value,)
