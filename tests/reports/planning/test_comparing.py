"""Two plans side by side: differences are the second less the first."""

from dataclasses import replace

import pytest

from mailmig.model.document import Figures, Note, Paragraph
from mailmig.model.migration import Note as PlanNote
from mailmig.model.migration import Pin, PlanMailbox, Share
from mailmig.render import delimited, text
from mailmig.reports.planning.comparing import compose
from mailmig.rules.planning.wording import UNFINISHED
from tests.rules.planning.made import assigned, small, window

DATA = small(
    windows=(window("w1", 1), window("w2", 3)),
    mailboxes=tuple(PlanMailbox(name, 10) for name in ("anna", "ben", "cem")),
    shares=(Share("anna", "ben", "FullAccess", 5.0),),
)
APART = assigned(DATA, w1="anna cem", w2="ben")
TOGETHER = assigned(DATA, w1="anna ben", w2="cem")


def test_what_changes_is_said_for_the_whole_per_window_and_per_mailbox() -> None:
    document = compose(APART, TOGETHER, ("a1", "b2"), "Plan a1 beside b2")
    figures = next(block for block in document.blocks if isinstance(block, Figures))
    exposure = figures.figures[0]
    assert (exposure.value, exposure.remark) == (0.0, "before: 10 (-100 %)")
    said = [block.text for block in document.blocks if isinstance(block, Paragraph)]
    assert said == ["b2 parts people for 0 weight-days, 100 % less than a1 with 10."]
    tables = {table.key: table for table in document.tables}
    assert [(row[0], *row[2:]) for row in tables["windows"].rows] == [
        ("w1", 2, 2, 0), ("w2", 1, 1, 0),
    ]  # fmt: skip
    assert tables["gaps"].rows[-1] == ("w1..w2", 2.0, 10.0, 0.0)
    assert tables["changes"].title == "2 mailboxes in another window"
    assert "cem,w1,TDB1,w2,TDB1" in delimited.render(document)


def test_a_plan_beside_itself_differs_in_nothing() -> None:
    said = text.render(compose(APART, APART, ("a1", "a1"), "same"))
    assert "a1 parts people for 10 weight-days, as a1 does." in said
    assert "0 mailboxes in another window" in said and "same input" not in said


@pytest.mark.parametrize("word", ["pins", "the calendar", "mailboxes"])
def test_plans_from_other_input_are_marked(word: str) -> None:
    later = replace(DATA.calendar, windows=(*DATA.calendar.windows, window("w3", 5)))
    more = (*DATA.mailboxes, PlanMailbox("dora", 10))
    other = {
        "pins": lambda: replace(TOGETHER, data=replace(DATA, pins=(Pin("anna", window="w1"),))),
        "the calendar": lambda: replace(TOGETHER, data=replace(DATA, calendar=later)),
        "mailboxes": lambda: assigned(replace(DATA, mailboxes=more), w1="anna ben dora", w2="cem"),
    }[word]()
    notes = [b.text for b in compose(APART, other, ("a", "b"), "t").blocks if isinstance(b, Note)]
    assert notes == [f"The two were not made from the same input: different: {word}."]


def test_a_plan_that_was_cut_short_says_so_beside_another_one_too() -> None:
    short = replace(TOGETHER, notes=(PlanNote(f"only 1 of 4 came to an end: {UNFINISHED}"),))
    for pair, name in (((APART, short), "b"), ((short, APART), "a")):
        blocks = compose(*pair, ("a", "b"), "t").blocks
        notes = [b.text for b in blocks if isinstance(b, Note)]
        assert notes == [f"{name}: only 1 of 4 came to an end: {UNFINISHED}."]
