"""Documents for a terminal."""

import pytest
from hypothesis import given, settings

from mailmig.model.document import Column, Document, Note, Table, Tone
from mailmig.render import text
from tests.render.quota_documents import DOCUMENTS, document, full_document, row, table

FULL = """\
A report
========

About something. Made 2026-11-24 08:00 UTC.

First of all.

Average  +600 MB  per person
Nobody       n/a

Note: Take care.

A few
-----
Name                Change           People   Quota   Gain    More     Full  Seen
------------------  ---------------  ------  ------  -----  ------  -------  --------------------
! Böhm & Söhne <b>  eaten by growth   1,234  1.5 GB  -1 KB  -312 %  2031-04  2026-11-24 08:00 UTC

Others
------
Name  Change           People   Quota   Gain   More          Full  Seen
----  ---------------  ------  ------  -----  -----  ------------  --------------------
Anna  eaten by growth   1,234  1.5 GB  +1 KB  +12 %  already full  2026-11-24 08:00 UTC

Everybody
---------
All of them.
Name              Change            People      Quota   Gain    More              Full  Seen
----------------  ---------------  -------  ---------  -----  ------  ----------------  --------------------
Anna              eaten by growth    1,234     1.5 GB  +1 KB   +12 %      already full  2026-11-24 08:00 UTC
Böhm & Söhne <b>  eaten by growth    1,234     1.5 GB  -1 KB  -312 %           2031-04  2026-11-24 08:00 UTC
                  eaten by growth  unknown  unlimited    n/a   +12 %  beyond 100 years  –

Sums
----
Short.
Word  People
----  ------
a          1
"""


def test_every_kind_of_block_has_its_form() -> None:
    assert text.render(full_document()) == FULL


def names(*given: str, **more: object) -> Document:
    return document(table(*(row(name) for name in given), **more))


def test_a_long_table_ends_with_what_is_left_out_and_how_to_get_it() -> None:
    shown = text.render(names(*"abcdefgh", rest="all: --lines 0"), lines=5)
    assert shown.endswith("\n… and 3 more; all: --lines 0\n")
    assert "more" not in text.render(names(*"abcdefgh", rest="all: --lines 0"), lines=None)
    assert "more;" not in text.render(names(*"abcde"), lines=5)


def test_long_names_are_cut_so_that_lines_keep_to_the_width() -> None:
    shown = text.render(names("A very long name indeed, of somebody who has titles"), width=100)
    assert max(map(len, shown.splitlines())) <= 100
    assert "A very long name indee…  eaten by growth" in shown


def test_numbers_are_never_cut_even_where_they_do_not_fit() -> None:
    shown = text.render(names("A very long name indeed"), width=40)
    assert "1.5 GB" in shown
    assert "2026-11-24 08:00 UTC" in shown
    assert "A very …" in shown


def test_what_looks_like_a_number_stays_the_text_that_it_is() -> None:
    columns = (Column("department", "Department"),)
    sums = Table("t", "T", columns, [("007",), ("1e5",), ("  two",), ("3.10",)])
    assert text.render(document(sums)).splitlines()[-4:] == ["007", "1e5", "  two", "3.10"]


def test_an_empty_table_keeps_its_head() -> None:
    shown = text.render(document(Table("t", "T", (Column("a", "Alpha"),), [])))
    assert shown.endswith("T\n-\nAlpha\n-----\n")


@pytest.mark.parametrize(
    ("tone", "call"),
    [(Tone.PLAIN, ""), (Tone.WARNING, "Note: "), (Tone.BAD, "Attention: ")],
)
def test_a_note_calls_as_loud_as_it_is_meant(tone: Tone, call: str) -> None:
    assert text.render(document(Note("Words.", tone))).endswith(f"\n\n{call}Words.\n")


@given(DOCUMENTS)
@settings(max_examples=60, deadline=None)
def test_no_text_of_a_directory_reaches_the_terminal_with_an_effect(drawn: Document) -> None:
    shown = text.render(drawn, lines=None)
    assert not any(ord(c) < 32 and c != "\n" for c in shown)
    assert "\u202e" not in shown
    # a line for each row, whatever line breaks the names hold
    assert len(shown.splitlines()) == 9 + len(drawn.tables[0].rows)
