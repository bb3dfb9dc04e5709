"""The quota report: its rendered forms as files, and what its numbers must add up to.

`python -m tests.reports.test_quota` writes the files anew; read the difference before you
believe it.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mailmig.model.document import Document
from mailmig.model.quota import GIB, MIB, Change
from mailmig.render import delimited, html, machine, text
from mailmig.reports.quota import Grouping, Wishes, compose
from mailmig.rules.quotas import Comparison, compare
from tests.reports.quota_cases import NOW, good_town, planned_move, troubled_town
from tests.rules.quota_people import AFTER, mailbox, new_databases, old_database, snapshot

HERE = Path(__file__).parent
TEN_PERCENT = Wishes(growth=Fraction(10))


def good() -> Document:
    return compose(good_town(), TEN_PERCENT, NOW)


def troubled() -> Document:
    return compose(troubled_town(), Wishes(growth=Fraction(10), with_archives=True), NOW)


def planned() -> Document:
    return compose(planned_move(), Wishes(by=Grouping.SITE), NOW)


FILES: dict[str, Callable[[], str]] = {
    "quota_good_town.txt": lambda: text.render(good()),
    "quota_troubled_town.txt": lambda: text.render(troubled(), lines=None),
    "quota_troubled_town.csv": lambda: delimited.render(troubled()),
    "quota_troubled_town.json": lambda: machine.render(troubled()),
    "quota_planned_move.txt": lambda: text.render(planned()),
    "quota_planned_move.html": lambda: html.render(planned()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_report_is_the_file_byte_for_byte(name: str) -> None:
    assert FILES[name]().encode("utf-8") == (HERE / name).read_bytes()


def data(document: Document) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.render(document))
    return found


def rows(document: Document, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data(document)["tables"][table]["rows"]
    return found


def test_the_summary_of_the_town_says_what_the_case_says() -> None:
    """500 people, 600 MB more on average, 2 GB in single cases, 200 to 500 per cent more."""
    document = good()
    figures = data(document)["figures"]
    assert figures["people"] == 500
    assert round(figures["mean_gain_bytes"] / MIB) == 600
    assert figures["largest_gain_bytes"] == 2 * GIB
    spread = {row["measure"]: row["percent_more"] for row in rows(document, "spread")}
    assert 200 <= spread["smallest"] <= spread["largest"] <= 500
    said = text.render(document)
    assert "each of 500 people may store 600 MB more, in single cases 2 GB more" in said
    assert "Average gain         +600 MB" in said
    assert "Largest                +2 GB" in said


@pytest.mark.parametrize("by", Grouping)
def test_groups_add_up_to_the_total_to_the_byte(by: Grouping) -> None:
    document = compose(good_town(200), Wishes(by=by), NOW)
    figures = data(document)["figures"]
    groups = rows(document, f"by_{by.value}")
    assert sum(group["gain_bytes"] for group in groups) == figures["total_gain_bytes"]
    assert sum(group["people"] for group in groups) == figures["people"]
    assert sum(group["over_quota"] for group in groups) == figures["over_quota"]


@pytest.mark.parametrize("document", [good, troubled, planned])
def test_lines_of_people_add_up_to_the_total_and_to_the_kinds_of_change(
    document: Callable[[], Document],
) -> None:
    made = document()
    people = rows(made, "people")
    gains = [person["gain_bytes"] for person in people]
    total = sum(gain for gain in gains if isinstance(gain, int))
    assert total == data(made)["figures"]["total_gain_bytes"]
    changes = {row["change"]: row["people"] for row in rows(made, "changes")}
    assert Counter(changes) == Counter(person["change"] for person in people)
    for person in people:
        if isinstance(person["gain_bytes"], int):
            before, after = person["quota_before_bytes"], person["quota_after_bytes"]
            assert after - before == person["gain_bytes"]


def test_every_kind_of_change_occurs_in_the_troubled_town_and_has_its_list() -> None:
    document = troubled()
    counts = {row["change"]: row["people"] for row in rows(document, "changes")}
    assert all(counts[change.value] > 0 for change in Change)
    listed = (
        Change.REDUCED,
        Change.NEWLY_LIMITED,
        Change.EATEN_BY_GROWTH,
        Change.NOW_UNLIMITED,
        Change.NEW,
        Change.GONE,
        Change.CONVERTED,
    )
    for change in listed:
        assert len(rows(document, change.value)) == counts[change.value]


def test_losses_come_first_and_the_largest_loss_first_of_all() -> None:
    keys = [table.key for table in troubled().tables]
    lists = [key for key in keys if key in {"reduced", "newly_limited", "eaten_by_growth", "new"}]
    assert lists == ["reduced", "newly_limited", "eaten_by_growth", "new"]
    assert [row["gain_bytes"] for row in rows(troubled(), "reduced")] == [-2 * GIB, -10240]


def test_somebody_newly_limited_and_over_the_limit_is_marked() -> None:
    table = next(table for table in troubled().tables if table.key == "newly_limited")
    names = [row[1] for row in table.rows]
    assert [names[index] for index in table.marked] == ["No longer unlimited"]


def test_unlimited_unknown_zero_and_nothing_read_differently_everywhere() -> None:
    people = {row["name"]: row for row in rows(troubled(), "people")}
    befores = {
        "Always unlimited": "unlimited",
        "Flag unknown": "unknown",
        "Had zero": 0,
        "Came": "none",
    }
    for name, value in befores.items():
        assert people[name]["quota_before_bytes"] == value
    assert people["Had zero"]["percent_more"] == "n/a"
    assert people["Usage unknown"]["used_after_bytes"] == "unknown"
    assert people["Never logged on"]["used_after_bytes"] == 0
    raw = delimited.render(troubled()).removeprefix("\ufeff")
    lines = {line["name"]: line for line in csv.DictReader(io.StringIO(raw, newline=""))}
    for name, value in befores.items():
        assert lines[name]["quota_before_bytes"] == str(value)
    page, said = html.render(troubled()), text.render(troubled())
    for word in ("unlimited", "unknown", "0 B", "–", "n/a"):
        assert f"<td>{word}</td>" in page
        assert f" {word}" in said


def test_no_cell_of_the_csv_is_empty_but_an_empty_text() -> None:
    raw = delimited.render(troubled()).removeprefix("\ufeff")
    for line in csv.DictReader(io.StringIO(raw, newline="")):
        assert {key for key, value in line.items() if value == ""} <= {"department", "site"}


def test_a_comparison_with_nobody_is_a_report_without_averages() -> None:
    document = compose(compare(snapshot(), snapshot(id="b2", taken_at=AFTER)), TEN_PERCENT, NOW)
    figures = data(document)["figures"]
    assert figures["people"] == 0
    assert figures["mean_gain_bytes"] == "n/a"
    assert "there is no average" in text.render(document)
    assert "<td>" in html.render(document)
    assert rows(document, "people") == []


def one(before: int, after: int) -> Comparison:
    return compare(
        snapshot(mailbox(1, own=before, size=MIB)),
        snapshot(mailbox(1, own=after, size=MIB), id="b2", taken_at=AFTER),
    )


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (GIB, 3 * GIB, "one person may store 2 GB more. That is 200 % more than before."),
        (GIB, GIB, "one person may store as much as before."),
        (3 * GIB, GIB, "one person may store 2 GB less. 1 person loses room, by name below."),
    ],
)
def test_the_lead_fits_what_happened(before: int, after: int, sentence: str) -> None:
    said = " ".join(text.render(compose(one(before, after), Wishes(), NOW)).split())
    assert sentence in said


def test_a_comparison_that_looks_back_in_time_says_so() -> None:
    back = compare(snapshot(id="b2", taken_at=AFTER), snapshot())
    assert "Snapshot b2 is younger than b1" in text.render(compose(back, Wishes(), NOW))


def test_target_databases_that_differ_are_named_with_their_quotas() -> None:
    said = " ".join(text.render(planned()).split())
    assert (
        "Note: The target databases do not promise the same, so everybody is given the least that "
        "one of them would give him: MDB-NORTH 800 MB, MDB-SOUTH 600 MB." in said
    )


def test_many_target_databases_are_named_only_in_part() -> None:
    from dataclasses import replace

    from mailmig.rules.quotas import at_target_defaults

    north, _ = new_databases()
    databases = [replace(north, name=f"MDB{n:02d}") for n in range(30)]
    planned = at_target_defaults(snapshot(mailbox(1), databases=(old_database(), *databases)))
    said = " ".join(text.render(compose(planned, Wishes(), NOW)).split())
    assert "the defaults of MDB00, MDB01, MDB02, MDB03 and 26 more in DAG01" in said


def test_archives_stand_apart_and_in_a_total_only_on_request() -> None:
    alone = data(compose(troubled_town(), Wishes(), NOW))
    assert "total_gain_with_archives_bytes" not in alone["figures"]
    assert "gain_with_archive_bytes" not in alone["tables"]["people"]["rows"][0]
    both = data(troubled())
    assert alone["figures"]["total_gain_bytes"] == both["figures"]["total_gain_bytes"]
    person = next(p for p in both["tables"]["people"]["rows"] if p["archive_gain_bytes"] != "none")
    assert person["archive_before_bytes"] == "none"
    assert person["archive_gain_bytes"] == 2 * GIB
    assert person["gain_with_archive_bytes"] == person["gain_bytes"] + 2 * GIB


def test_without_growth_nothing_is_said_about_being_full() -> None:
    assert "Full" not in text.render(compose(good_town(20), Wishes(), NOW))


def test_the_lines_of_the_growth_table_add_up_to_everybody_who_stayed() -> None:
    for document in (good(), troubled()):
        lines = {row["full"]: row for row in rows(document, "growth")}
        ten_years = next(row for label, row in lines.items() if "(10 years)" in label)
        for side in ("with_quota_before", "with_quota_after"):
            apart = sum(lines[label][side] for label in ("later", "never", "unknown"))
            assert ten_years[side] + apart == data(document)["figures"]["people"]


if __name__ == "__main__":
    for name, make in FILES.items():
        (HERE / name).write_bytes(make().encode("utf-8"))
