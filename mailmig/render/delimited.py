"""A document's long table as CSV, for Excel and for programs.

UTF-8 with a byte order mark, without which Excel takes umlauts for something else; commas,
CRLF (RFC 4180). The first line holds the columns' keys. Numbers are exact: bytes are whole
numbers. A cell that is no number says why: `unlimited`, `unknown`, `none` (there is no such
thing), `n/a` (no number answers the question). Only an empty text is an empty cell.

A text that a spreadsheet would take for a formula gets an apostrophe before it; so does
what stands behind a semicolon inside a text, where a spreadsheet with German or French
settings begins a new cell. Tabs and line breaks become spaces.
"""

import csv
import io
import re
from functools import lru_cache

from mailmig.model.document import Cell, Document
from mailmig.render.units import exact, plain

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
# What begins a formula, with the full-width forms that some spreadsheets take for the same.
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_AT_START = re.compile(f'[\\s"]*[{_SIGNS}]')
_BEHIND_SEPARATOR = re.compile(f'(;[\\s"]*)(?=[{_SIGNS}])')


def render(document: Document) -> str:
    """One line for each row of the document's detail table, to be written as UTF-8 as it is.

    It begins with the byte order mark. Raises `NoDetail` for a document without such a table.
    """
    table = document.detail
    file = io.StringIO(newline="")
    file.write(BOM)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([column.key for column in table.columns])
    writer.writerows([_cell(cell) for cell in row] for row in table.rows)
    return file.getvalue()


@lru_cache(maxsize=65536)
def harmless(text: str) -> str:
    """The text, on one line, such that no spreadsheet takes any part of it for a formula."""
    line = plain(text)
    if ";" in line:
        line = _BEHIND_SEPARATOR.sub(r"\1'", line)
    # a tab or a line break at the very beginning hides what comes after it
    return f"'{line}" if text[:1] in _HIDING or _AT_START.match(line) else line


_HIDING = ("\t", "\r", "\n")


def _cell(cell: Cell) -> str | int | float:
    kind = type(cell)
    if kind is int or kind is float:
        return cell  # type: ignore[return-value]
    return harmless(cell) if isinstance(cell, str) else exact(cell)
