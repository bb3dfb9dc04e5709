"""A document as an Excel workbook.

One sheet for each name that tables give; tables of one sheet with equal columns are joined,
so that one filter serves all. Sizes are in MB (1,048,576 bytes) and not rounded: the cell
times 1,048,576 is the exact number of bytes. Months are dates, per cents are real ones.

Whatever came from a directory is written as text, never as a formula, a number or a link.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from mailmig.model.document import (
    SUMMARY,
    Cell,
    Column,
    Document,
    Figures,
    Note,
    Paragraph,
    Shown,
    Table,
    Unit,
)
from mailmig.model.errors import MailmigError, MissingExtra
from mailmig.model.quota import MIB, Month
from mailmig.render.units import plain, shown

# A sheet holds 2**20 rows; a few are for titles.
MOST_ROWS = 2**20 - 16
_SAMPLE = 200  # rows that decide how wide a column is
_NUMBERS = {
    Unit.COUNT: "#,##0",
    Unit.BYTES: "#,##0.0",
    Unit.PERCENT: "0.0%",
    Unit.MULTIPLE: "0.0",
    Unit.MONTH: "yyyy-mm",
}
# A size in MB is exact: the divisor is a power of two. Excel's per cents are parts of one.
_DIVISORS = {Unit.BYTES: MIB, Unit.PERCENT: 100}
_TEXTS = frozenset({Unit.TEXT, Unit.WORD})


class TooManyRows(MailmigError):
    """More lines than a sheet can hold: take CSV."""

    def __init__(self, table: str, rows: int) -> None:
        super().__init__(
            f"{table!r} has {rows:,} lines and a sheet of Excel holds {MOST_ROWS:,}: "
            "choose the format csv or json"
        )
        self.table = table
        self.rows = rows


def render(document: Document) -> bytes:
    """The workbook. Raises `MissingExtra` without xlsxwriter, `TooManyRows` for huge tables."""
    try:
        import xlsxwriter
    except ImportError as error:
        raise MissingExtra("report", "an Excel report") from error
    file = io.BytesIO()
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
    }
    with xlsxwriter.Workbook(file, options) as book:
        book.set_properties({"title": plain(document.title), "created": document.made_at})
        _Writer(book).write(document)
    return file.getvalue()


@dataclass
class _Sheet:
    """A sheet and the first row that is still free."""

    page: Any
    row: int = 0
    widths: dict[int, int] = field(default_factory=dict)


class _Writer:
    """Writes the blocks in order; each sheet keeps its own place."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.formats: dict[tuple[Any, ...], Any] = {}

    def write(self, document: Document) -> None:
        by_sheet: dict[str, list[Table]] = {}
        for table in document.tables:
            by_sheet.setdefault(table.sheet, []).append(table)
        front = self._sheet(SUMMARY)
        self._line(front, document.title, bold=True, size=16)
        self._line(front, document.subtitle, grey=True)
        front.row += 1
        for block in document.blocks:
            if isinstance(block, Figures):
                self._figures(front, block)
            elif isinstance(block, Table) and block.sheet == SUMMARY:
                self._titled(front, block)
            elif isinstance(block, Paragraph | Note):
                self._line(front, block.text)
        for name, tables in by_sheet.items():
            if name != SUMMARY:
                self._own_sheet(self._sheet(name), tables)

    def _sheet(self, name: str) -> _Sheet:
        page = self.book.add_worksheet(name)
        page.set_landscape()
        page.set_paper(9)  # A4
        page.fit_to_pages(1, 0)
        return _Sheet(page)

    def _own_sheet(self, sheet: _Sheet, tables: Sequence[Table]) -> None:
        """Tables with equal columns as one with a filter; others below each other."""
        if any(table.columns != tables[0].columns for table in tables):
            for table in tables:
                self._titled(sheet, table)
            return
        joined = len(tables) > 1
        columns = _sheet_columns(tables[0])
        self._head(sheet, [*(["List"] if joined else []), *(_title(c) for _, c in columns)])
        for table in tables:
            self._rows(sheet, table, [plain(table.title)] if joined else [])
        sheet.page.freeze_panes(1, 2 if joined else 1)
        sheet.page.autofilter(0, 0, max(1, sheet.row - 1), len(columns) - 1 + joined)
        sheet.page.repeat_rows(0)

    def _titled(self, sheet: _Sheet, table: Table) -> None:
        self._line(sheet, table.title, bold=True, size=13)
        if table.text:
            self._line(sheet, table.text, grey=True)
        self._head(sheet, [_title(column) for _, column in _sheet_columns(table)])
        self._rows(sheet, table, [])
        sheet.row += 1

    def _figures(self, sheet: _Sheet, block: Figures) -> None:
        for figure in block.figures:
            column = Column(figure.key, figure.title, figure.unit, signed=figure.signed)
            self._text(sheet, 0, _title(column), self._format(bold=True))
            self._cell(sheet, 1, figure.value, column, self._column_format(column))
            self._text(sheet, 2, figure.remark, self._format(grey=True))
            sheet.row += 1
        sheet.row += 1

    def _head(self, sheet: _Sheet, titles: Sequence[str]) -> None:
        for place, title in enumerate(titles):
            self._text(sheet, place, title, self._format(head=True))
            self._widen(sheet, place, len(title) + 3)
        sheet.row += 1

    def _rows(self, sheet: _Sheet, table: Table, lead: Sequence[str]) -> None:
        if sheet.row + len(table.rows) > MOST_ROWS:
            raise TooManyRows(table.title, len(table.rows))
        columns = _sheet_columns(table)
        plain_plan, red_plan = (self._plan(columns, len(lead), red) for red in (False, True))
        self._measure(sheet, table, columns, lead)
        number, text, marked = sheet.page.write_number, sheet.page.write_string, table.marked
        for position, row in enumerate(table.rows):
            for place, words in enumerate(lead):
                text(sheet.row, place, words)
            plan = red_plan if position in marked else plain_plan
            for place, index, column, divisor, form in plan:
                cell = row[index]
                if isinstance(cell, (int, float)):  # the many cells of the long table, directly
                    number(sheet.row, place, cell / divisor, form)
                elif isinstance(cell, str):
                    text(sheet.row, place, _text(cell, column.unit), form)
                else:
                    self._cell(sheet, place, cell, column, form)
            sheet.row += 1

    def _plan(
        self, columns: Sequence[tuple[int, Column]], first: int, red: bool
    ) -> list[tuple[int, int, Column, int, Any]]:
        """For each column: its place on the sheet and in the row, its divisor and its format."""
        return [
            (place, index, column, _DIVISORS.get(column.unit, 1), self._column_format(column, red))
            for place, (index, column) in enumerate(columns, first)
        ]

    def _cell(self, sheet: _Sheet, place: int, cell: Cell, column: Column, form: Any) -> None:
        """One value; what is no number or month is a word."""
        if isinstance(cell, int | float):
            sheet.page.write_number(sheet.row, place, cell / _DIVISORS.get(column.unit, 1), form)
        elif isinstance(cell, Month):
            first = datetime(cell.year, cell.month, 1)  # noqa: DTZ001  Excel knows no zones
            sheet.page.write_datetime(sheet.row, place, first, form)
        else:
            sheet.page.write_string(sheet.row, place, _text(shown(cell, column.unit)), form)

    def _text(self, sheet: _Sheet, place: int, text: str, form: Any) -> None:
        sheet.page.write_string(sheet.row, place, _text(plain(text)), form)

    def _line(self, sheet: _Sheet, text: str, **look: Any) -> None:
        self._text(sheet, 0, text, self._format(**look))
        sheet.row += 1

    def _measure(
        self,
        sheet: _Sheet,
        table: Table,
        columns: Sequence[tuple[int, Column]],
        lead: Sequence[str],
    ) -> None:
        """Columns as wide as their first rows need."""
        for place, text in enumerate(lead):
            self._widen(sheet, place, len(text) + 1)
        for place, (index, column) in enumerate(columns, len(lead)):
            sample = islice(table.rows, _SAMPLE)
            longest = max((len(shown(row[index], column.unit)) for row in sample), default=0)
            self._widen(sheet, place, longest + 2)

    def _widen(self, sheet: _Sheet, place: int, width: int) -> None:
        width = min(48, max(10, width))
        if width > sheet.widths.get(place, 0):
            sheet.widths[place] = width
            sheet.page.set_column(place, place, width)

    def _column_format(self, column: Column, red: bool = False) -> Any:
        """None for plain text: xlsxwriter spends a quarter of a cell's time on its format."""
        if column.unit in _TEXTS and not red:
            return None
        number = _NUMBERS.get(column.unit, "")
        if column.signed and number:
            number = f"+{number};-{number};{number}"
        return self._format(number=number, right=column.unit not in _TEXTS, red=red)

    def _format(
        self,
        *,
        bold: bool = False,
        size: int = 0,
        grey: bool = False,
        head: bool = False,
        number: str = "",
        right: bool = False,
        red: bool = False,
    ) -> Any:
        key = (bold, size, grey, head, number, right, red)
        if key not in self.formats:
            look: dict[str, Any] = {}
            if head:
                look |= {"bold": True, "bg_color": "#E8EEF4", "bottom": 1}
            if bold:
                look["bold"] = True
            if size:
                look["font_size"] = size
            if grey:
                look["font_color"] = "#5A6675"
            if number:
                look["num_format"] = number
            if right:
                look["align"] = "right"
            if red:
                look |= {"font_color": "#9B1C1C", "bg_color": "#FBE9E7"}
            self.formats[key] = self.book.add_format(look)
        return self.formats[key]


def _sheet_columns(table: Table) -> list[tuple[int, Column]]:
    return [(i, column) for i, column in enumerate(table.columns) if column.shown <= Shown.SHEET]


def _title(column: Column) -> str:
    return f"{column.title} (MB)" if column.unit is Unit.BYTES else column.title


def _text(text: str, unit: Unit = Unit.TEXT) -> str:
    """Text for a cell. xlsxwriter takes `<r>...</r>` for markup of its own: a space ends that."""
    text = text.replace("_", " ") if unit is Unit.WORD else plain(text)
    return f"{text} " if text.startswith("<r>") else text
