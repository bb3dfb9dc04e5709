"""Documents for tests of renderers: small ones by hand, and drawn ones with wild texts."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from mailmig.model.document import (
    NONE,
    UNDEFINED,
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Figures,
    Note,
    Paragraph,
    Row,
    Shown,
    Table,
    Tone,
    Unit,
)
from mailmig.model.quota import UNKNOWN, UNLIMITED, Month, Outlook

MADE = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

COLUMNS = (
    Column("guid", "Guid", shown=Shown.DATA),
    Column("name", "Name"),
    Column("place", "Place", shown=Shown.SHEET),
    Column("change", "Change", Unit.WORD),
    Column("people", "People", Unit.COUNT),
    Column("quota_bytes", "Quota", Unit.BYTES),
    Column("gain_bytes", "Gain", Unit.BYTES, signed=True),
    Column("percent_more", "More", Unit.PERCENT, signed=True),
    Column("full", "Full", Unit.MONTH),
    Column("seen", "Seen", Unit.TIME),
)
WORDS: tuple[Cell, ...] = (UNLIMITED, UNKNOWN, NONE, UNDEFINED)


def document(*blocks: Block, title: str = "A report") -> Document:
    return Document("test", 3, title, "About something.", MADE, blocks)


def row(name: str, gain: Cell = 0, **more: Cell) -> Row:
    """One row for `COLUMNS`."""
    cells: dict[str, Cell] = {
        "guid": "g",
        "name": name,
        "place": "here",
        "change": "eaten_by_growth",
        "people": 1234,
        "quota_bytes": 1536 * 1024**2,
        "gain_bytes": gain,
        "percent_more": 12.5,
        "full": Month(2031, 4),
        "seen": MADE,
    }
    return tuple((cells | more)[column.key] for column in COLUMNS)


def table(*rows: Row, **more: object) -> Table:
    given = {"key": "people", "title": "Everybody", "detail": True, "sheet": "People"}
    return Table(columns=COLUMNS, rows=rows, **(given | more))  # type: ignore[arg-type]


def full_document() -> Document:
    """One block of each kind, every kind of cell, and two lists that share a sheet."""
    figures = Figures(
        (
            Figure("mean", "Average", 600 * 1024**2, Unit.BYTES, True, "per person"),
            Figure("nobody", "Nobody", UNDEFINED, Unit.PERCENT, tone=Tone.BAD),
        )
    )
    rows = (
        row("Anna", 1024, full=Outlook.ALREADY_FULL),
        row("Böhm & Söhne <b>", -1024, percent_more=-312.4),
        row("", UNDEFINED, quota_bytes=UNLIMITED, people=UNKNOWN, seen=NONE, full=Outlook.BEYOND),
    )
    few = table(
        rows[1], key="few", title="A few", detail=False, sheet="Lists", marked=frozenset({0})
    )
    return document(
        Paragraph("First of all."),
        figures,
        Note("Take care.", Tone.WARNING),
        few,
        table(rows[0], key="others", title="Others", detail=False, sheet="Lists"),
        table(*rows, text="All of them."),
        Table("sums", "Sums", (Column("word", "Word"), COLUMNS[4]), [("a", 1)], text="Short."),
    )


# Texts that a directory may really hold, and those that somebody may put there.
_SIGNS = "=+-@;,\"'\t\r\n|<>&_ x1￼＝＋－＠\u202e\u2028\x00\x1b\ud800é字"
TEXTS = st.text(st.sampled_from(_SIGNS), max_size=12) | st.text(max_size=12)
NUMBERS = st.integers(-(2**53), 2**53)
CELLS: dict[Unit, st.SearchStrategy[Cell]] = {
    Unit.TEXT: TEXTS,
    Unit.WORD: st.sampled_from(["now_unlimited", "gained"]),
    Unit.COUNT: NUMBERS | st.sampled_from(WORDS),
    Unit.BYTES: NUMBERS | st.sampled_from(WORDS),
    Unit.PERCENT: st.floats(-1e9, 1e9) | st.sampled_from(WORDS),
    Unit.MONTH: st.builds(Month, st.integers(1901, 9999), st.integers(1, 12))
    | st.sampled_from(Outlook),
    Unit.TIME: st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)) | st.just(NONE),  # noqa: DTZ001
}
ROWS = st.tuples(*(CELLS[column.unit] for column in COLUMNS))
DOCUMENTS = st.lists(ROWS, max_size=6).map(lambda rows: document(table(*rows)))
