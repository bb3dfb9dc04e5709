"""A wave plan as a report: its figures are the plan's, in text and for programs."""

import json
from dataclasses import replace
from datetime import timedelta

from mailmig.model.document import Figures, Note, Table
from mailmig.model.migration import Mode, Pin, Rule, Violation
from mailmig.render import machine, text
from mailmig.reports.planning.whole import compose
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.made import NOW, organisation, plan, small, window


def test_every_figure_and_table_says_what_the_plan_says() -> None:
    made = plan(organisation(260))
    document = compose(made, "5na9")
    assert document.title == "Wave plan 5na9"
    tables = {table.key: table for table in document.tables}
    assert sum(row[3] for row in tables["windows"].rows if isinstance(row[3], int)) == 260
    assert len(tables["windows"].rows) == 8
    assert sum(float(str(row[4])) for row in tables["gaps"].rows) == round(made.metrics.exposure, 6)
    assert len(tables["databases"].rows) == 4
    figures = next(block for block in document.blocks if isinstance(block, Figures))
    assert {f.key: f.value for f in figures.figures}["exposure"] == made.metrics.exposure


def test_times_are_shown_in_the_zone_of_the_plan() -> None:
    made = make(small(), NOW, PlanSettings(zone="Europe/Berlin"))
    said = text.render(compose(made))
    assert "2027-01-12 01:00 +0100" in said
    assert "times in Europe/Berlin" in said


def test_a_plan_without_anything_to_move_can_be_read() -> None:
    said = text.render(compose(plan(small(sizes=()))))
    assert "There is nothing to move." in said
    assert (
        json.loads(machine.render(compose(plan(small(sizes=())))))["figures"]["makespan"] == "none"
    )


def test_violations_come_first() -> None:
    broken = (Violation(Rule.WINDOW_BYTES, "w1", "too full"),)
    document = compose(plan(small()), "", broken)
    first = document.blocks[0]
    assert isinstance(first, Table) and first.title == "1 violation"
    assert "too full" in text.render(document)


def test_pins_and_notes_are_told() -> None:
    data = organisation(260)
    ends = data.calendar.windows[0].id, data.calendar.windows[-1].id
    pins = tuple(
        Pin(m.identity, "audit", window=ends[n % 2]) for n, m in enumerate(data.mailboxes[:20])
    )
    windows = (*data.calendar.windows, window("w99", 40, cancelled=True))
    data = replace(
        data,
        pins=pins,
        calendar=replace(
            data.calendar, windows=windows, deadline=windows[-1].end + timedelta(days=1)
        ),
    )
    document = compose(plan(data))
    costs = next(table for table in document.tables if table.key == "pins")
    assert 1 <= len(costs.rows) <= 20
    notes = [block.text for block in document.blocks if isinstance(block, Note)]
    assert "window w99 is cancelled: not used." in notes


def test_prestage_tells_what_can_be_copied_until_a_window() -> None:
    data = small(windows=(window("w1", 1, capacity_bytes=1), window("w2", 2)))
    ahead = replace(data.calendar, mode=Mode.PRESTAGE, copy_bytes_per_day=40)
    document = compose(plan(replace(data, calendar=ahead)))
    table = next(table for table in document.tables if table.key == "windows")
    assert [row[6:8] for row in table.rows] == [
        (40, "bytes copied ahead"), (80, "bytes copied ahead"),
    ]  # fmt: skip
