"""Excel workbooks, read back by a stranger."""

import io
import re
import zipfile
from datetime import datetime
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings

from mailmig.model.document import Column, Document, Shown, Table, Unit
from mailmig.model.errors import MissingExtra
from mailmig.model.quota import MIB, Month
from mailmig.render import xlsx
from mailmig.render.units import plain, shown
from tests.render.quota_documents import COLUMNS, DOCUMENTS, document, full_document, row, table

ON_SHEET = [(i, c) for i, c in enumerate(COLUMNS) if c.shown <= Shown.SHEET]


def book(drawn: Document) -> Any:
    return openpyxl.load_workbook(io.BytesIO(xlsx.render(drawn)))


def values(sheet: Any) -> list[list[object]]:
    return [list(line) for line in sheet.iter_rows(values_only=True)]


def test_each_name_of_a_sheet_is_one_sheet_with_the_summary_first() -> None:
    assert book(full_document()).sheetnames == ["Summary", "Lists", "People"]


def test_the_summary_has_title_figures_notes_and_its_tables() -> None:
    lines = values(book(full_document())["Summary"])
    assert lines[0][0] == "A report"
    assert ["Average (MB)", 600, "per person"] in [line[:3] for line in lines]
    assert ["Nobody", "n/a", ""] in [line[:3] for line in lines]
    assert "Take care." in [line[0] for line in lines]
    assert ["Word", "People", None] in [line[:3] for line in lines]


def test_lists_with_equal_columns_are_joined_under_one_filter() -> None:
    sheet = book(full_document())["Lists"]
    lines = values(sheet)
    assert lines[0][:3] == ["List", "Name", "Place"]
    assert [line[0] for line in lines[1:]] == ["A few", "Others"]
    assert sheet.auto_filter.ref == "A1:J3"
    assert sheet.freeze_panes == "C2"
    assert sheet["B2"].fill.fgColor.rgb == "FFFBE9E7"  # the marked one
    assert sheet["B3"].fill.fgColor.rgb != "FFFBE9E7"


def test_tables_with_other_columns_stand_below_each_other() -> None:
    one = Table("a", "Alpha", (Column("x", "X"),), [("1",)], sheet="Both")
    two = Table("b", "Beta", (Column("y", "Y", Unit.COUNT),), [(2,)], sheet="Both")
    lines = [line[0] for line in values(book(document(one, two))["Both"])]
    assert lines == ["Alpha", "X", "1", None, "Beta", "Y", 2]


def test_the_long_list_has_a_frozen_head_a_filter_and_numbers_with_units() -> None:
    sheet = book(full_document())["People"]
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == "A1:I4"
    assert values(sheet)[0] == [
        "Name", "Place", "Change", "People", "Quota (MB)", "Gain (MB)", "More", "Full", "Seen",
    ]  # fmt: skip
    assert sheet["E2"].number_format == "#,##0.0"
    assert sheet["F2"].number_format == "+#,##0.0;-#,##0.0;#,##0.0"
    assert sheet["G2"].number_format == "+0.0%;-0.0%;0.0%"
    assert sheet["H3"].value == datetime(2031, 4, 1)  # noqa: DTZ001
    assert sheet["H3"].number_format == "yyyy-mm"
    assert sheet["C2"].value == "eaten by growth"
    assert values(sheet)[3] == [
        "", "here", "eaten by growth", "unknown", "unlimited", "n/a", 0.125, "beyond 100 years", "–",
    ]  # fmt: skip


def formulas(raw: bytes) -> list[str]:
    """Formulas and links anywhere in the file, found without a library."""
    found = []
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for name in archive.namelist():
            text = archive.read(name).decode("utf-8")
            found += re.findall(r"<f[ >]|<hyperlink|<r>", text)
    return found


@given(DOCUMENTS)
@settings(max_examples=40, deadline=None)
def test_there_is_no_formula_and_every_number_is_exact(drawn: Document) -> None:
    raw = xlsx.render(drawn)
    assert formulas(raw) == []
    sheet = openpyxl.load_workbook(io.BytesIO(raw))["People"]
    for number, original in enumerate(drawn.tables[0].rows, 2):
        for place, (index, column) in enumerate(ON_SHEET, 1):
            found: Any = sheet.cell(number, place)
            cell = original[index]
            assert found.data_type != "f"
            if isinstance(cell, Month):
                assert found.value == datetime(cell.year, cell.month, 1)  # noqa: DTZ001
            elif not isinstance(cell, int | float):
                assert str(found.value).rstrip() == shown(cell, column.unit).rstrip()
            elif column.unit is Unit.BYTES:
                assert round(found.value * MIB) == cell
            elif column.unit is Unit.PERCENT:
                assert found.value == pytest.approx(cell / 100, rel=1e-12, abs=1e-300)
            else:
                assert found.value == cell


@pytest.mark.parametrize(
    "name", ["=1+1", "http://x.example", "0042", "<r>bold</r>", "_x0041_", "{=1}", "x" * 40_000]
)
def test_names_are_text_whatever_they_look_like(name: str) -> None:
    raw = xlsx.render(document(table(row(name))))
    assert formulas(raw) == []
    cell = openpyxl.load_workbook(io.BytesIO(raw))["People"]["A2"]
    assert cell.data_type == "s"
    assert cell.hyperlink is None
    # 32,767 characters is what a cell can hold
    text = str(cell.value).replace("_x005F_", "_")  # how the file format writes a plain "_x0041_"
    assert text.strip() == plain(name)[:32767]


def test_a_table_that_no_sheet_can_hold_is_refused_in_one_sentence() -> None:
    class Long(list[Any]):
        def __len__(self) -> int:
            return 2**20

    long = Table("t", "Everybody", (Column("a", "A"),), Long(), sheet="People")
    with pytest.raises(xlsx.TooManyRows) as caught:
        xlsx.render(document(long))
    assert str(caught.value) == (
        "'Everybody' has 1,048,576 lines and a sheet of Excel holds 1,048,560: "
        "choose the format csv or json"
    )


def test_without_the_extra_the_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xlsxwriter", None)
    with pytest.raises(MissingExtra) as caught:
        xlsx.render(document())
    assert (
        str(caught.value)
        == "an Excel report needs the extra 'report': pip install 'mailmig[report]'"
    )


def test_the_same_document_gives_the_same_file() -> None:
    assert xlsx.render(full_document()) == xlsx.render(full_document())
