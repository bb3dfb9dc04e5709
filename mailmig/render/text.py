"""A document as text for a terminal.

Only what fits a reader: the columns for paper, long tables cut to their first lines with a
sentence about the rest, and long names shortened so that a line keeps to the width.
"""

from collections.abc import Sequence
from textwrap import fill

from mailmig.model.document import Document, Figures, Note, Paragraph, Shown, Table, Tone, Unit
from mailmig.render.units import plain, shown, time_text

WIDTH = 120
LINES = 20
_GAP = 2  # between columns, as tabulate's "plain" sets it
# What may be cut when a line is too long, and down to how many characters. Numbers never are.
_CUTS = ((Unit.TEXT, 12), (Unit.WORD, 10), (Unit.TEXT, 8))
_LEFT = frozenset({Unit.TEXT, Unit.WORD, Unit.TIME})
_CALL = {Tone.PLAIN: "", Tone.GOOD: "", Tone.WARNING: "Note: ", Tone.BAD: "Attention: "}
_MARK = "! "

_Rows = Sequence[Sequence[str]]


def render(document: Document, *, width: int = WIDTH, lines: int | None = LINES) -> str:
    """The whole document; `lines` limits each table, `None` for no limit. Ends in a newline."""
    parts = [
        _heading(document.title, "="),
        _filled(f"{document.subtitle} Made {time_text(document.made_at)}.", width),
    ]
    for block in document.blocks:
        if isinstance(block, Figures):
            parts.append(_figures(block, width))
        elif isinstance(block, Table):
            parts.append(_table(block, width, lines))
        elif isinstance(block, Note):
            parts.append(_filled(_CALL[block.tone] + block.text, width))
        elif isinstance(block, Paragraph):
            parts.append(_filled(block.text, width))
    return "\n\n".join(parts) + "\n"


def _heading(title: str, rule: str) -> str:
    title = plain(title)
    return f"{title}\n{rule * len(title)}"


def _filled(text: str, width: int) -> str:
    return fill(plain(text), width, break_long_words=False, break_on_hyphens=False)


def _figures(block: Figures, width: int) -> str:
    rows = [
        (plain(f.title), shown(f.value, f.unit, signed=f.signed), plain(f.remark))
        for f in block.figures
    ]
    units = (Unit.COUNT, Unit.COUNT, Unit.TEXT)  # only the remark may be cut
    return _grid(_fitted(rows, units, width), ("left", "right", "left"))


def _table(table: Table, width: int, lines: int | None) -> str:
    places = [i for i, column in enumerate(table.columns) if column.shown is Shown.PAPER]
    columns = [table.columns[i] for i in places]
    rows = [
        [
            shown(row[i], column.unit, signed=column.signed)
            for i, column in zip(places, columns, strict=True)
        ]
        for row in (table.rows if lines is None else table.rows[:lines])
    ]
    for index in table.marked:
        if index < len(rows):
            rows[index][0] = _MARK + rows[index][0]
    units = [column.unit for column in columns]
    head, *body = _fitted([[column.title for column in columns], *rows], units, width)
    rule = ["-" * max(map(len, column)) for column in zip(head, *body, strict=True)]
    sides = ["left" if unit in _LEFT else "right" for unit in units]
    parts = [_heading(table.title, "-")]
    if table.text:
        parts.append(_filled(table.text, width))
    parts.append(_grid([head, rule, *body], sides))
    more = len(table.rows) - len(rows)
    if more:
        rest = f"; {table.rest}" if table.rest else ""
        parts.append(_filled(f"… and {more:,} more{rest}", width))
    return "\n".join(parts)


def _fitted(rows: _Rows, units: Sequence[Unit], width: int) -> list[list[str]]:
    """The same rows, the widest columns of words shortened until a line fits, if it can."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for unit, least in _CUTS:
        while sum(widths) + _GAP * (len(widths) - 1) > width:
            cuttable = [i for i, u in enumerate(units) if u is unit and widths[i] > least]
            if not cuttable:
                break
            widths[max(cuttable, key=widths.__getitem__)] -= 1
    return [[_cut(text, room) for text, room in zip(row, widths, strict=True)] for row in rows]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _grid(rows: _Rows, sides: Sequence[str]) -> str:
    """The rows in columns. Titles are rows like any other: tabulate would widen their columns."""
    from tabulate import tabulate

    # a department named 007 is no number, and a name keeps its spaces
    grid = tabulate(
        rows, tablefmt="plain", colalign=sides, disable_numparse=True, preserve_whitespace=True
    )
    return "\n".join(line.rstrip() for line in grid.split("\n"))
