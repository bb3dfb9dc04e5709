"""A plan made again: who is changed, and what a full plan would do instead."""

from dataclasses import replace

from mailmig.model.document import Figures, Note
from mailmig.model.migration import Note as PlanNote
from mailmig.model.migration import PlanMailbox, Share, State
from mailmig.reports.planning.again import compose
from mailmig.rules.planning.remaking import Remade
from mailmig.rules.planning.wording import UNFINISHED
from tests.reports.planning.test_comparing import APART, TOGETHER
from tests.rules.planning.made import plan, small


def notes(taken: Remade, offer: Remade | None) -> list[str]:
    document = compose(APART, taken, "5na9", offer)
    assert document.title == "Wave plan 5na9, made again"
    return [block.text for block in document.blocks if isinstance(block, Note)]


def test_the_full_plan_is_offered_with_its_price() -> None:
    taken, full = Remade(APART, (), ("cem",)), Remade(TOGETHER, ("ben", "cem"), ())
    assert notes(taken, full) == [
        (
            "A full plan would cost 0 weight-days (-100 %), but would give 2 mailboxes another window"
            " than they have: --full takes it."
        )
    ]
    figures = next(b for b in compose(APART, taken, "5na9", full).blocks if isinstance(b, Figures))
    assert {f.key: f.value for f in figures.figures}["inserted"] == 1


def test_a_full_plan_that_costs_no_less_is_no_offer() -> None:
    assert notes(Remade(TOGETHER, (), ()), Remade(APART, ("ben",), ())) == [
        "A full plan would cost no less."
    ]
    assert notes(Remade(TOGETHER, ("ben",), ()), None)[0].startswith("This is a full plan")


def test_an_offer_whose_search_was_cut_short_says_so() -> None:
    short = replace(TOGETHER, notes=(PlanNote(f"only 0 of 4: {UNFINISHED}"),))
    said = notes(Remade(APART, (), ()), Remade(short, ("ben",), ()))
    assert said[0] == f"The full plan that was made beside it: only 0 of 4: {UNFINISHED}."
    assert said[1].startswith("A full plan would cost 0 weight-days")


def test_who_waits_apart_from_moved_partners_comes_first() -> None:
    """anna's move failed, while ben and info, whom she shares with, are there already."""
    mailboxes = (
        PlanMailbox("anna", 1),
        PlanMailbox("cem", 1),
        PlanMailbox("ben", 1, state=State.MOVED),
        PlanMailbox("info", 1, state=State.MOVED),
    )
    shares = (
        Share("info", "anna", "FullAccess", 5.0),
        Share("anna", "ben", "SendAs", 3.0),
        Share("info", "cem", "CalendarReviewer", 1.0),
    )
    made = plan(small(mailboxes=mailboxes, shares=shares))
    document = compose(made, Remade(made, (), ("cem", "anna")), "5na9", None)
    table = next(table for table in document.tables if table.key == "waiting")
    assert list(table.rows) == [("anna", "w1", 2, 8.0), ("cem", "w1", 1, 1.0)]
    none = compose(made, Remade(made, (), ()), "5na9", None)
    assert "waiting" not in {table.key for table in none.tables}
