"""CSV: exact, and harmless in a spreadsheet."""

import csv
import io
import re

import pytest
from hypothesis import given, settings

from mailmig.model.document import Document, NoDetail, Unit
from mailmig.render import delimited
from mailmig.render.delimited import harmless
from mailmig.render.units import exact, plain
from tests.render.quota_documents import (
    COLUMNS,
    DOCUMENTS,
    TEXTS,
    document,
    full_document,
    row,
    table,
)

EXPECTED = (
    "\ufeffguid,name,place,change,people,quota_bytes,gain_bytes,percent_more,full,seen\r\n"
    "g,Anna,here,eaten_by_growth,1234,1610612736,1024,12.5,already_full,2026-11-24T08:00:00+00:00\r\n"
    "g,Böhm & Söhne <b>,here,eaten_by_growth,1234,1610612736,-1024,-312.4,2031-04,"
    "2026-11-24T08:00:00+00:00\r\n"
    "g,,here,eaten_by_growth,unknown,unlimited,n/a,12.5,beyond_100_years,none\r\n"
)


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(
        csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    )


def test_every_row_of_the_detail_table_has_a_line() -> None:
    assert delimited.render(full_document()) == EXPECTED


def test_a_document_without_details_cannot_be_csv() -> None:
    with pytest.raises(NoDetail, match="has no table with a line for each subject"):
        delimited.render(document(table(detail=False)))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Anna", "Anna"),
        ("=1+1", "'=1+1"),
        ("+49 123", "'+49 123"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "' =1"),
        ("\r=1", "' =1"),
        ("\tx", "' x"),
        ("  =1", "'  =1"),
        ('"=1"', '\'"=1"'),
        ("＝1", "'＝1"),
        ("a;=1", "a;'=1"),
        ('a; "=1', "a; \"'=1"),
        ("Smith-Jones", "Smith-Jones"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_take_for_a_formula_gets_an_apostrophe(
    text: str, safe: str
) -> None:
    assert harmless(text) == safe


FORMULA = re.compile(r'[\s"]*[=+\-@＝＋－＠]')
NUMBERS = [i for i, column in enumerate(COLUMNS) if column.unit not in (Unit.TEXT, Unit.WORD)]


@given(DOCUMENTS)
@settings(max_examples=150, deadline=None)
def test_no_cell_of_a_directory_begins_a_formula_in_any_spreadsheet(drawn: Document) -> None:
    text = delimited.render(drawn)
    given = drawn.tables[0].rows
    read = rows(text)[1:]
    assert len(read) == len(given)
    for cells, original in zip(read, given, strict=True):
        for place, cell in enumerate(cells):
            if place in NUMBERS and isinstance(original[place], int | float):
                assert cell == str(original[place])
            else:
                assert not FORMULA.match(cell)
    # a spreadsheet with German settings splits at semicolons; numbers have none before them
    for line in text.removeprefix("\ufeff").split("\r\n"):
        for part in line.split(";")[1:]:
            assert not FORMULA.match(part)


@given(TEXTS)
@settings(deadline=None)
def test_the_apostrophes_are_all_that_is_added(text: str) -> None:
    assert harmless(text).replace("'", "") == plain(text).replace("'", "")


@given(DOCUMENTS)
@settings(max_examples=60, deadline=None)
def test_every_number_and_word_is_read_back_as_it_was(drawn: Document) -> None:
    read = rows(delimited.render(drawn))
    assert read[0] == [column.key for column in COLUMNS]
    for cells, original in zip(read[1:], drawn.tables[0].rows, strict=True):
        for place in NUMBERS:
            assert cells[place] == str(exact(original[place]))


def test_a_name_with_commas_quotes_and_line_breaks_is_one_cell_on_one_line() -> None:
    text = delimited.render(document(table(row('Ann, "Annie"\nSmith'))))
    assert text.count("\r\n") == 2
    assert rows(text)[1][1] == 'Ann, "Annie" Smith'
