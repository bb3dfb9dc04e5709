"""JSON: one schema, exact values, no null."""

import csv
import io
import json
from typing import Any

from hypothesis import given, settings

from mailmig.model.document import Document, Unit
from mailmig.render import delimited, machine
from mailmig.render.delimited import harmless
from mailmig.render.units import exact, unbroken
from tests.render.quota_documents import COLUMNS, DOCUMENTS, document, full_document, row, table


def read(drawn: Document) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(machine.render(drawn), parse_constant=refuse)
    return found


def test_a_document_is_one_object_with_a_schema() -> None:
    found = read(full_document())
    assert list(found) == [
        "schema", "title", "subtitle", "made_at", "figures", "notes", "tables",
    ]  # fmt: skip
    assert found["schema"] == "mailmig.report.test/3"
    assert found["made_at"] == "2026-11-24T08:00:00+00:00"
    assert found["figures"] == {"mean": 629145600, "nobody": "n/a"}
    assert found["notes"] == ["First of all.", "Take care."]
    assert list(found["tables"]) == ["few", "others", "people", "sums"]
    assert found["tables"]["sums"] == {
        "title": "Sums",
        "columns": [
            {"key": "word", "title": "Word", "unit": "text"},
            {"key": "people", "title": "People", "unit": "count"},
        ],
        "rows": [{"word": "a", "people": 1}],
    }
    assert found["tables"]["people"]["rows"][2] == {
        "guid": "g",
        "name": "",
        "place": "here",
        "change": "eaten_by_growth",
        "people": "unknown",
        "quota_bytes": "unlimited",
        "gain_bytes": "n/a",
        "percent_more": 12.5,
        "full": "beyond_100_years",
        "seen": "none",
    }


def test_a_line_holds_one_row() -> None:
    text = machine.render(document(table(row("Anna"), row("Bert"))))
    lines = [line for line in text.splitlines() if '"name"' in line and "columns" not in line]
    assert len(lines) == 2


def test_a_document_without_tables_is_whole() -> None:
    assert read(document())["tables"] == {}
    assert read(document(table()))["tables"]["people"]["rows"] == []


@given(DOCUMENTS)
@settings(max_examples=80, deadline=None)
def test_every_value_is_exact_and_nothing_is_null(drawn: Document) -> None:
    machine.render(drawn).encode("utf-8")
    rows = read(drawn)["tables"]["people"]["rows"]
    for found, original in zip(rows, drawn.tables[0].rows, strict=True):
        for column, cell in zip(COLUMNS, original, strict=True):
            value = found[column.key]
            wanted = exact(cell)
            assert value == (unbroken(wanted) if isinstance(wanted, str) else wanted)
            assert type(value) is type(wanted)


@given(DOCUMENTS)
@settings(max_examples=80, deadline=None)
def test_csv_and_json_say_the_same_to_the_byte(drawn: Document) -> None:
    text = delimited.render(drawn).removeprefix("\ufeff")
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    # a number as the JSON text spells it, not as Python reads it
    found = json.loads(machine.render(drawn), parse_float=str, parse_int=str)
    rows = found["tables"]["people"]["rows"]
    assert len(lines) == len(rows)
    for line, same in zip(lines, rows, strict=True):
        for column in COLUMNS:
            value = same[column.key]
            if column.unit is Unit.TEXT:
                value = harmless(value)
            assert line[column.key] == value
