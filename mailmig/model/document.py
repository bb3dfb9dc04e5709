"""What a report is made of: title, paragraphs, key figures, tables with typed columns, notes.

A document holds values, never formatted text: bytes as `int`, quotas, months, aware times.
The unit stands on the column or the figure; whoever renders gives the form. More kinds of
blocks may come (a chart); a renderer meets each kind by its class.

No cell is ever empty by accident. There is no `None`: what is missing says why, as
`UNLIMITED`, `UNKNOWN`, `NONE` (there is no such thing: no mailbox before, no archive) or
`UNDEFINED` (the question has no number for an answer).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from typing import Final

from mailmig.model.errors import MailmigError
from mailmig.model.quota import Limit, Month, Outlook


class Nothing(Enum):
    """The two ways in which a cell has no value at all."""

    NONE = "none"
    UNDEFINED = "n/a"


NONE: Final = Nothing.NONE
UNDEFINED: Final = Nothing.UNDEFINED

Cell = str | int | float | datetime | Month | Outlook | Limit | Nothing
Row = tuple[Cell, ...]


class Unit(Enum):
    """What the numbers of a column are."""

    TEXT = "text"
    WORD = "word"  # one of a fixed set of words, in snake_case; people read it with spaces
    COUNT = "count"
    BYTES = "bytes"
    PERCENT = "percent"  # 12.5 is twelve and a half per cent
    MULTIPLE = "multiple"  # 3.0 is three times as much
    MONTH = "month"
    TIME = "time"


class Shown(IntEnum):
    """Where a column appears; each place shows all that the places before it show."""

    PAPER = 1  # wherever somebody reads: text, HTML
    SHEET = 2  # in a spreadsheet, where width costs little
    DATA = 3  # for programs: CSV, JSON


class Tone(Enum):
    """How something is meant; never the only bearer of a meaning."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `key` is its name for programs and never changes; `title` is for people.

    `signed` numbers are differences and show a plus.
    """

    key: str
    title: str
    unit: Unit = Unit.TEXT
    shown: Shown = Shown.PAPER
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that somebody should remember, with a few words about it."""

    key: str
    title: str
    value: Cell
    unit: Unit = Unit.COUNT
    signed: bool = False
    remark: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Figures:
    """Key figures, the most important one first."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader must know to understand the numbers; stands where it is put."""

    text: str
    tone: Tone = Tone.PLAIN


SUMMARY: Final = "Summary"  # the sheet with the title, the figures and the notes


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, one per column, in the order in which they are to be read.

    `sheet` names the sheet of a spreadsheet that it belongs to; tables of one sheet that
    have equal columns are joined there. `detail` marks the long one with a line for each
    subject: CSV is made of it. `marked` are the indexes of rows that must not be missed.
    `rest` says how to get the lines that a short rendering leaves out.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    text: str = ""
    tone: Tone = Tone.PLAIN
    sheet: str = SUMMARY
    detail: bool = False
    marked: frozenset[int] = frozenset()
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with a value; `label` says in words what it is, `name` in a short one."""

    begin: datetime
    end: datetime
    value: float
    label: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """Spans beside one name. In a tall lane their values are heights."""

    title: str
    spans: tuple[Span, ...]
    unit: Unit = Unit.COUNT
    tall: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happens when: lanes over one time axis, `shaded` times behind all of them.

    A picture: whoever shows text or data leaves it out, so it repeats what tables say.
    """

    key: str
    title: str
    text: str
    lanes: tuple[Lane, ...]
    shaded: tuple[Span, ...] = ()


Block = Paragraph | Figures | Table | Note | Timeline


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report.

    `name` and `version` name its shape for programs ("quota", 1); a change that would break
    a reader of its JSON raises the version.
    """

    name: str
    version: int
    title: str
    subtitle: str
    made_at: datetime
    blocks: tuple[Block, ...] = field(default_factory=tuple)

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Table))

    @property
    def detail(self) -> Table:
        """The table with a line for each subject. Raises `NoDetail` when there is none."""
        for table in self.tables:
            if table.detail:
                return table
        raise NoDetail(self.name)


class NoDetail(MailmigError):
    """A report that has no line for each subject: choose another format."""

    def __init__(self, report: str) -> None:
        super().__init__(
            f"the report {report!r} has no table with a line for each subject, so it cannot be "
            "written as CSV: choose another format"
        )
        self.report = report
