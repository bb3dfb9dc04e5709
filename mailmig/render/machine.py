"""A document as JSON, for programs.

    {"schema": "mailmig.report.quota/1", "title", "subtitle", "made_at",
     "figures": {key: value}, "notes": [text],
     "tables": {key: {"title", "columns": [{"key", "title", "unit"}], "rows": [{key: value}]}}}

Numbers are exact: bytes are whole numbers, per cents and multiples are real ones. A value
that is no number is a string that says why: `unlimited`, `unknown`, `none` (there is no
such thing), `n/a` (no number answers the question); `null` never occurs. Months are
`2031-04`, times ISO 8601 with offset. The CSV of the same document holds the same values.
"""

import json
from collections.abc import Iterator

from mailmig.model.document import Cell, Document, Figures, Note, Paragraph, Table
from mailmig.render.units import exact, unbroken

_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def render(document: Document) -> str:
    """The whole document as one JSON object with a line for each row; ends in a newline."""
    return unbroken("".join(_parts(document)))


def _parts(document: Document) -> Iterator[str]:
    head = {
        "schema": f"mailmig.report.{document.name}/{document.version}",
        "title": document.title,
        "subtitle": document.subtitle,
        "made_at": document.made_at.isoformat(),
        "figures": {
            figure.key: exact(figure.value)
            for block in document.blocks
            if isinstance(block, Figures)
            for figure in block.figures
        },
        "notes": [block.text for block in document.blocks if isinstance(block, Note | Paragraph)],
    }
    yield _write(head)[:-1]
    yield ',\n"tables": {'
    for number, table in enumerate(document.tables):
        yield ",\n" if number else "\n"
        yield f"{_write(table.key)}: "
        yield from _table(table)
    yield "\n}}\n"


def _table(table: Table) -> Iterator[str]:
    columns = [{"key": c.key, "title": c.title, "unit": c.unit.value} for c in table.columns]
    yield _write({"title": table.title, "columns": columns})[:-1]
    yield ', "rows": ['
    keys = [column.key for column in table.columns]
    lines = [_write(dict(zip(keys, map(_value, row), strict=True))) for row in table.rows]
    yield "\n" if lines else ""
    yield ",\n".join(lines)
    yield "]}"


def _value(cell: Cell) -> str | int | float:
    kind = type(cell)
    if kind is str or kind is int or kind is float:
        return cell  # type: ignore[return-value]
    return exact(cell)
