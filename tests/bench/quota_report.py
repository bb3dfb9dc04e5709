"""The quota report for 100,000 people: from loaded snapshots to finished files.

Each format is timed from two snapshots in memory to the bytes of the file: comparison, sums,
document and rendering together, with growth. Beside it stands a bound for the rendering
alone: the library that the format needs anyway, given the same cells as plain values. The
ratio is whole over bound.

Seconds are of the processor: nothing here waits, so on a machine that does nothing else they
are those of the clock, and neighbours disturb them less.
"""

import csv
import html as escaping
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import xlsxwriter

from mailmig.cli.report import rendered
from mailmig.model.bulk import no_search_for_cycles
from mailmig.model.document import Document, Shown
from mailmig.model.quota import MIB
from mailmig.model.snapshot import Snapshot
from mailmig.render.units import exact, shown
from mailmig.reports.quota import Wishes, compose
from mailmig.rules.quotas import compare
from tests.reports.quota_cases import NOW
from tests.rules.quota_people import town

PEOPLE = 100_000
GOALS_S = {"json": 10.0, "csv": 10.0, "html": 10.0, "xlsx": 15.0}
Plain = list[list[str | int | float]]


def rows() -> Iterator[dict[str, object]]:
    """One row for each format."""
    before, after = town(PEOPLE)
    peers: dict[str, Callable[[Document], Callable[[], object]]] = {
        "json": json_peer,
        "csv": csv_peer,
        "html": html_peer,
        "xlsx": xlsx_peer,
    }
    for form, peer in peers.items():
        document, ours = whole(before, after, form)
        with no_search_for_cycles():
            other = seconds(peer(document))
        yield {
            "what": f"quota report, {PEOPLE:,} people, {form}",
            "ours": ours,
            "other": other,
            "unit": "s CPU",
            "ratio": ours / other,
            "goal": f"at most {GOALS_S[form]:g} s (beside: the library with the same cells)",
            "met": ours <= GOALS_S[form],
        }
        del document


def whole(before: Snapshot, after: Snapshot, form: str) -> tuple[Document, float]:
    """The document, and the seconds from snapshots to the finished file."""
    begin = time.process_time()
    with no_search_for_cycles():
        document = compose(compare(before, after), Wishes(growth=Fraction(10)), NOW)
        result = rendered(document, form)
        if isinstance(result, str):
            result = result.encode("utf-8")
    took = time.process_time() - begin
    assert len(result) > PEOPLE
    return document, took


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def json_peer(document: Document) -> Callable[[], object]:
    """The same rows through one call of json.dumps."""
    keys = [column.key for column in document.detail.columns]
    plain = [dict(zip(keys, map(exact, row), strict=True)) for row in document.detail.rows]
    return lambda: json.dumps(plain, ensure_ascii=False).encode("utf-8")


def csv_peer(document: Document) -> Callable[[], object]:
    """The same rows through csv.writer."""
    plain = [list(map(exact, row)) for row in document.detail.rows]

    def write() -> bytes:
        file = io.StringIO(newline="")
        csv.writer(file).writerows(plain)
        return file.getvalue().encode("utf-8")

    return write


def html_peer(document: Document) -> Callable[[], object]:
    """The same texts, ready made, joined and escaped once."""
    columns = document.detail.columns
    places = [i for i, column in enumerate(columns) if column.shown is Shown.PAPER]
    texts = [
        [shown(row[i], columns[i].unit, signed=columns[i].signed) for i in places]
        for row in document.detail.rows
    ]

    def write() -> bytes:
        lines = ("</td><td>".join(map(escaping.escape, line)) for line in texts)
        return "</td></tr>\n<tr><td>".join(lines).encode("utf-8")

    return write


def xlsx_peer(document: Document) -> Callable[[], object]:
    """The same cells through xlsxwriter, without formats, sums or other sheets."""
    columns = document.detail.columns
    places = [i for i, column in enumerate(columns) if column.shown <= Shown.SHEET]
    plain: Plain = [[exact(row[i]) for i in places] for row in document.detail.rows]

    def write() -> bytes:
        file = io.BytesIO()
        with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
            page = book.add_worksheet()
            for number, line in enumerate(plain):
                for place, cell in enumerate(line):
                    if isinstance(cell, str):
                        page.write_string(number, place, cell)
                    else:
                        page.write_number(number, place, cell / MIB)
        return file.getvalue()

    return write


if __name__ == "__main__":
    for row in rows():
        print(
            f"{row['what']}: {row['ours']:.1f} s, bound {row['other']:.1f} s, "
            f"ratio {row['ratio']:.1f}, goal met: {row['met']}"
        )
