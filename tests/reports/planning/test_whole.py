"""A wave plan as a report: its figures are the plan's, in text and for programs."""

import json
from dataclasses import replace
from datetime import timedelta

from mailmig.model.document import Figures, Note, Table
from mailmig.model.migration import Mode, Pin, PlanMailbox, Rule, Share, Violation
from mailmig.model.migration import Note as PlanNote
from mailmig.render import machine, text
from mailmig.reports.planning.whole import compose
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.wording import UNFINISHED
from tests.rules.planning.companies import company
from tests.rules.planning.made import NOW, assigned, organisation, plan, small, window


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
    table = next(table for table in document.tables if table.key == "room")
    assert [row[5] for row in table.rows] == [40, 80]
    assert [row[4] for row in table.rows][-1] == 60  # all, by then
    assert {row[7] for row in table.rows} == {"bytes copied ahead"}


def test_the_mailboxes_that_carry_most_are_named_with_their_part() -> None:
    mailboxes = tuple(PlanMailbox(name, 1) for name in "abc")
    shares = (Share("a", "b", "FullAccess", 5.0), Share("a", "c", "SendAs", 3.0))
    made = assigned(small(mailboxes=mailboxes, shares=shares), w1="a", w2="b c")
    table = next(table for table in compose(made).tables if table.key == "carriers")
    assert [row[:1] + row[2:] for row in table.rows] == [
        ("a", "w1", 2, 8.0, 100.0), ("b", "w2", 1, 5.0, 62.5), ("c", "w2", 1, 3.0, 37.5),
    ]  # fmt: skip
    weights = next(table for table in compose(made).tables if table.key == "rights")
    assert [row[:4] for row in weights.rows] == [
        ("FullAccess", 1, 5.0, 5.0),
        ("SendAs", 1, 3.0, 3.0),
    ]


def test_a_plan_that_parts_people_says_why_and_what_would_help() -> None:
    windows = (window("w1", 1, max_mailboxes=1), window("w2", 2))
    shares = (Share("m0@corp.example", "m1@corp.example", "FullAccess", 5.0),)
    made = plan(
        small((10, 20), windows, shares=shares, pins=(Pin("m0@corp.example", window="w1"),))
    )
    said = " ".join(text.render(compose(made)).split())
    assert "mailmig plan explain w1..w2" in said
    assert "Nearly full is window w1" in said
    assert "The first remedy is to copy ahead" in said and "what-if with --mode prestage" in said


def test_a_search_that_was_cut_short_is_told_before_any_figure() -> None:
    made = replace(plan(small()), notes=(PlanNote(f"only 1 of 4 ended: {UNFINISHED}"),))
    notes = [block for block in compose(made).blocks if isinstance(block, Note)]
    assert [note.text for note in notes if UNFINISHED in note.text] == [
        f"only 1 of 4 ended: {UNFINISHED}."
    ]
    blocks = list(compose(made).blocks)
    where = next(n for n, b in enumerate(blocks) if isinstance(b, Note) and UNFINISHED in b.text)
    assert where < next(n for n, b in enumerate(blocks) if isinstance(b, Figures))


def test_the_text_of_a_plan_fits_a_terminal_of_80_columns() -> None:
    made = plan(company(260, 2))
    assert max(map(len, text.render(compose(made, "abcdef01"), width=80).splitlines())) <= 80


def test_a_dear_pilot_is_offered_those_who_had_better_join_it() -> None:
    windows = (window("w0", 1, pilot=True, max_mailboxes=5), window("w1", 15), window("w2", 16))
    names = [f"m{n}@corp.example" for n in range(3)]
    shares = tuple(Share(names[0], name, "FullAccess", 5.0) for name in names[1:])
    data = small((1, 2, 3), windows, shares=shares, pins=(Pin(names[0], window="w0"),))
    said = " ".join(text.render(compose(plan(data))).split())
    assert (
        "With 2 more mailboxes (5 B) in w0 the plan would cost 140 weight-days less (100 %), all"
        f" others staying where they are: {names[1]}, {names[2]}. To take them along, pin them"
    ) in said
