"""CSV in every shape that Export-Csv and spreadsheets write."""

import csv
import zipfile
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailmig.wire import export_csv, quantities
from mailmig.wire.export_csv import BrokenCsv

PLAIN = '"Name","Size"\r\n"DB01","2 GB (2,147,483,648 bytes)"\r\n"DB02","Unlimited"\r\n'
ROWS = [
    {"Name": "DB01", "Size": "2 GB (2,147,483,648 bytes)"},
    {"Name": "DB02", "Size": "Unlimited"},
]


def read(raw: bytes, **more: str) -> list[dict[str, str]]:
    return list(export_csv.read(raw, **more))


def broken(raw: bytes) -> BrokenCsv:
    with pytest.raises(BrokenCsv) as caught:
        read(raw)
    return caught.value


# What is found out from the file --------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le bom", "utf-16-be bom"]
)
@pytest.mark.parametrize("kind", ["", "#TYPE System.String\r\n", '"#TYPE System.String"\r\n'])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_one_table_in_every_encoding_and_with_every_delimiter(
    encoding: str, kind: str, delimiter: str
) -> None:
    text = kind + PLAIN.replace('","', f'"{delimiter}"').replace("DB02", "Büro")
    codec, _, mark = encoding.partition(" ")
    raw = ("\ufeff" + text if mark else text).encode(codec)
    assert read(raw) == [ROWS[0], {"Name": "Büro", "Size": "Unlimited"}]


def test_an_ansi_file_is_read_in_the_code_page_that_is_named() -> None:
    raw = '"Name"\r\n"Łódź"\r\n'.encode("cp1250")
    assert read(raw, code_page="cp1250") == [{"Name": "Łódź"}]


def test_a_long_file_is_utf_8_only_when_all_of_it_is() -> None:
    lines = '"Name"\n' + '"Ascii only"\n' * 200_000
    assert read((lines + '"é"\n').encode("cp1252"))[-1] == {"Name": "é"}
    assert read((lines + '"é"\n').encode())[-1] == {"Name": "é"}


def test_the_header_decides_the_delimiter_and_not_the_values() -> None:
    assert read(b"A;B\n1,1;2,2\n") == [{"A": "1,1", "B": "2,2"}]
    assert read(b'"A,1";"B"\n1;2\n') == [{"A,1": "1", "B": "2"}]
    assert read(b"A\n1;2,3\n".replace(b",", b";")) == [{"A": "1;2;3"}]


def test_quoted_values_hold_delimiters_line_breaks_and_doubled_quotation_marks() -> None:
    raw = b'"A","B"\r\n"1,\r\n2","say ""hello"""\r\n'
    assert read(raw) == [{"A": "1,\r\n2", "B": 'say "hello"'}]


def test_empty_lines_are_no_rows_and_empty_values_are_empty_texts() -> None:
    assert read(b'\r\n"A","B"\r\n\r\n,"x"\r\n\r\n') == [{"A": "", "B": "x"}]


def test_a_header_without_rows_is_an_empty_table() -> None:
    assert read(b'#TYPE X\r\n"A","B"\r\n') == []


def test_flattened_lists_and_sizes_stay_text_until_somebody_asks() -> None:
    (row,) = read(b'"Servers";"Quota"\r\n"{EX1, EX2}";"2 GB (2.147.483.648 Bytes)"\r\n')
    assert quantities.texts(row["Servers"]) == ("EX1", "EX2")
    assert quantities.quota(row["Quota"]) == 2**31


# Streams --------------------------------------------------------------------------------------


def test_a_stream_is_read_row_by_row_and_left_open() -> None:
    class Counting(BytesIO):
        taken = 0

        def read1(self, size: int | None = -1, /) -> bytes:
            piece = super().read1(size)
            self.taken += len(piece)
            return piece

    stream = Counting(b'"A"\n' + b'"some value"\n' * 100_000)
    rows = export_csv.read(stream)
    assert next(rows) == {"A": "some value"}
    assert stream.taken < 100_000
    assert sum(1 for _ in rows) == 99_999
    assert not stream.closed


def test_a_member_of_a_zip_is_a_stream_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("databases.csv", PLAIN.encode("utf-16"))
    with zipfile.ZipFile(tmp_path / "x.zip").open("databases.csv") as member:
        assert list(export_csv.read(member)) == ROWS


def test_a_reader_that_is_dropped_half_way_makes_no_noise(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(PLAIN.encode())
    with (tmp_path / "a.csv").open("rb") as stream:
        rows = export_csv.read(stream)
        next(rows)
    rows.close()  # type: ignore[attr-defined]


# Broken files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "line", "reason"),
    [
        (b"", 0, "empty"),
        (b"\xef\xbb\xbf", 0, "empty"),
        (b"\r\n\r\n", 0, "empty"),
        (b"#TYPE System.String\r\n", 0, "empty"),
        (b"A,B\n1,2\n3\n", 3, "1 values, the header 2 names"),
        (b"A,B\n1,2,3\n", 2, "3 values, the header 2 names"),
        (b'A,B\n"x\ny","z"\n1\n', 4, "1 values"),
        (b"A,b,B\n", 1, 'two columns "B"'),
        (b"#TYPE X\nA,,B\n", 2, "column 2 has no name"),
        (b"A,B\n1,\0\n", 2, "NUL"),
        (PLAIN.encode("utf-16-le"), 1, "NUL"),
        (PLAIN.encode("utf-16")[:-1], 3, "no text in utf-16"),
        (b"\xff\xfe\x00\xd8\x00\xd8", 1, "no text in utf-16"),
        (b"A\n\x81\x8d\n", 1, "no text in cp1252"),
        (b'A,B\n1,2\n3,"4\n5,6\n', 3, "never closed"),
        (b'A,B\n"1"x,2\n', 2, "more text"),
        (b'A\n1\n"' + b"x" * (export_csv.FIELD + 10), 3, "more than 4,194,304 characters"),
        (b'A\n1\n"' + b"x\n" * export_csv.FIELD, 3, "more than 4,194,304 characters"),
        (b"A\n" + b"x" * (export_csv.LINE + 10), 2, "longer than 8,388,608 characters"),
        (b",".join(b"c%d" % n for n in range(20_000)), 1, "20,000 columns"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_broken_file_says_where_and_why(raw: bytes, line: int, reason: str) -> None:
    error = broken(raw)
    assert error.line == line
    assert reason in str(error)


def test_the_rows_before_a_broken_one_are_read() -> None:
    rows = export_csv.read(b"A,B\n1,2\n3\n", "folder/statistics.csv")
    assert next(rows) == {"A": "1", "B": "2"}
    with pytest.raises(BrokenCsv, match=r"^folder/statistics\.csv, line 3: "):
        next(rows)


# Laws -----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = st.lists(
    TEXT.filter(lambda name: name.strip() != "" and not name.startswith("#TYPE ")),
    min_size=1,
    max_size=5,
    unique_by=str.casefold,
)
TABLES = NAMES.flatmap(
    lambda names: st.tuples(
        st.just(names),
        st.lists(st.lists(TEXT, min_size=len(names), max_size=len(names)), max_size=5),
    )
)


def written(
    table: tuple[list[str], list[list[str]]], delimiter: str, ending: str, kind: bool
) -> str:
    out = StringIO(newline="")
    if kind:
        out.write(f"#TYPE Selected.System.Object{ending}")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(table[0])
    writer.writerows(table[1])
    return out.getvalue()


@given(
    TABLES,
    st.sampled_from(export_csv.DELIMITERS),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_what_was_written_is_read_back(
    table: tuple[list[str], list[list[str]]], delimiter: str, ending: str, kind: bool, encoding: str
) -> None:
    text = written(table, delimiter, ending, kind)
    try:
        raw = text.encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    assume(encoding == "utf-8-sig" or not text.startswith("\ufeff"))
    if encoding == "cp1252":
        assume(_looks_like_ansi(raw))
    header, rows = table
    assert read(raw) == [dict(zip(header, row, strict=True)) for row in rows]


def _looks_like_ansi(raw: bytes) -> bool:
    """Bytes that cannot be mistaken for UTF-8 or UTF-16: nobody could tell those."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return not raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    return raw.isascii()


@given(TABLES, st.sampled_from(export_csv.DELIMITERS))
def test_values_that_are_quoted_only_where_they_must_be_are_read_back(
    table: tuple[list[str], list[list[str]]], delimiter: str
) -> None:
    header = [f"Column{number}" for number, _ in enumerate(table[0])]
    out = StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([header, *table[1]])
    assert read(out.getvalue().encode()) == [
        dict(zip(header, row, strict=True)) for row in table[1]
    ]


@given(st.binary() | st.text(',;\t"\r\n#TYPEab\0').map(str.encode))
def test_no_bytes_end_in_another_error(raw: bytes) -> None:
    try:
        rows = read(raw)
    except BrokenCsv as error:
        assert str(error).startswith("CSV")
        return
    assert all(row.keys() == rows[0].keys() for row in rows)
