"""A document as one self-contained HTML file.

No script, no link to anything outside, and a content policy in the file that forbids both.
Readable on a screen and on paper (A4, landscape). The template escapes every text by itself;
no text of a document is ever marked as safe. Colours repeat what the words say.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mailmig.model.document import SUMMARY, Cell, Document, Figures, Shown, Table, Unit
from mailmig.model.errors import MissingExtra
from mailmig.render.timeline import drawn
from mailmig.render.units import MINUS, plain, shown, time_text

# Long lists other than the one with everybody end here; the rest stands in that one.
LINES = 1000
_SEPARATOR = "\x1f"
_LEFT = frozenset({Unit.TEXT, Unit.WORD, Unit.TIME})


@dataclass(frozen=True, slots=True)
class _Line:
    marked: bool
    cells: Sequence[str]


def render(document: Document, *, lines: int | None = LINES) -> str:
    """The whole document. `lines` limits the tables other than the detail table.

    Raises `MissingExtra` without jinja2.
    """
    template = _template()
    blocks = [
        {"kind": type(block).__name__.lower(), "block": block, "more": _more(block, lines)}
        for block in document.blocks
    ]
    page = template.generate(
        document=document,
        made=time_text(document.made_at),
        blocks=blocks,
        summary=SUMMARY,
        contents=[table for table in document.tables if table.rows],
        figures=_figures,
        titles=_titles,
        numbers=_numbers,
        words=_words,
        rows=lambda table: _rows(table, lines),
        plain=plain,
        row_of=_between_cells(),
        drawn=drawn,
    )
    return "".join(page)


def _between_cells() -> Callable[[Sequence[str]], object]:
    """Escapes the cells of a row, all in one go, and puts them apart.

    The separator is a control character, of which `plain` lets none through.
    """
    from markupsafe import Markup, escape

    border = Markup("</td><td>")
    return lambda cells: escape(_SEPARATOR.join(cells)).replace(_SEPARATOR, border)


def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtra("report", "an HTML report") from error
    environment = Environment(
        loader=PackageLoader("mailmig.render", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _figures(block: Figures) -> Iterator[dict[str, str]]:
    for figure in block.figures:
        yield {
            "title": figure.title,
            "value": _typographic(shown(figure.value, figure.unit, signed=figure.signed)),
            "remark": _typographic(plain(figure.remark)),
            "tone": figure.tone.value,
        }


def _places(table: Table) -> list[int]:
    return [i for i, column in enumerate(table.columns) if column.shown is Shown.PAPER]


def _titles(table: Table) -> list[str]:
    return [table.columns[place].title for place in _places(table)]


def _numbers(table: Table) -> list[int]:
    """The places of columns with numbers, which stand on the right, as CSS counts: from 1."""
    columns = (table.columns[place] for place in _places(table))
    return [n for n, column in enumerate(columns, 1) if column.unit not in _LEFT]


def _words(table: Table) -> list[int]:
    """The places of columns with fixed words, which are never broken in the middle."""
    columns = (table.columns[place] for place in _places(table))
    return [n for n, column in enumerate(columns, 1) if column.unit is Unit.WORD]


def _rows(table: Table, lines: int | None) -> Iterator[_Line]:
    plan = [
        (i, column.unit, column.signed)
        for i, column in ((place, table.columns[place]) for place in _places(table))
    ]
    rows = table.rows if table.detail or lines is None else table.rows[:lines]
    for number, row in enumerate(rows):
        cells = [_cell(row[i], unit, signed) for i, unit, signed in plan]
        yield _Line(number in table.marked, cells)


def _cell(cell: Cell, unit: Unit, signed: bool) -> str:
    if type(cell) is str:  # the most frequent kind, and never a number
        return shown(cell, unit)
    text = shown(cell, unit, signed=signed)
    return _typographic(text) if text[:1] == MINUS else text


def _more(block: object, lines: int | None) -> int:
    """How many rows of a table are left out."""
    if not isinstance(block, Table) or block.detail or lines is None:
        return 0
    return max(0, len(block.rows) - lines)


def _typographic(text: str) -> str:
    """A real minus before a number."""
    return f"−{text[1:]}" if text[:1] == MINUS and text[1:2].isdigit() else text
