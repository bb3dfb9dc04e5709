"""A plan made again: who is changed, and what a full plan would do instead."""

from mailmig.model.document import Figures, Note
from mailmig.reports.planning.again import compose
from mailmig.rules.planning.remaking import Remade
from tests.reports.planning.test_comparing import APART, TOGETHER


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
