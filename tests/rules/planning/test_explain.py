"""Explanations that an admin can forward."""

from dataclasses import replace
from typing import Any

import pytest

from mailmig.model.migration import Pin, PlanData, PlanMailbox, Share, State
from mailmig.rules.planning.explain import AmbiguousMailbox, UnknownMailbox, explain
from tests.rules.planning.made import assigned, plan, small, window

WINDOWS = (
    window("w1", 2, capacity_bytes=40),
    window("w2", 12, capacity_bytes=60),
    window("w3", 13),
)


# Who moves when, in a plan by hand.
WHERE = {"w1": "anna@corp ben@corp info@corp", "w2": "cem@corp dora@corp dora@home"}


def town(**more: Any) -> PlanData:
    mailboxes = (
        PlanMailbox("anna@corp.example", 10, department="Bauamt", site="Köln", guid="0a-1b"),
        PlanMailbox("ben@corp.example", 10, department="Bauamt", site="Köln"),
        PlanMailbox("info@corp.example", 10, kind="shared"),
        PlanMailbox("cem@corp.example", 20, department="Kasse", site="Köln"),
        PlanMailbox("dora@corp.example", 30, department="Kasse", site="Köln"),
        PlanMailbox("dora@home.example", 1, department="Kasse", site="Köln"),
    )
    shares = (
        Share("info@corp.example", "anna@corp.example", "FullAccess", 5.0),
        Share("info@corp.example", "anna@corp.example", "SendAs", 3.0),
        Share("info@corp.example", "ben@corp.example", "FullAccess", 5.0),
        Share("info@corp.example", "cem@corp.example", "FullAccess", 5.0),
        Share("anna@corp.example", "ben@corp.example", "CalendarReviewer", 1.0),
    )
    return small(windows=WINDOWS, mailboxes=mailboxes, shares=shares, **more)


def test_a_shared_mailbox_tells_with_whom_it_goes_and_who_is_cut() -> None:
    made = assigned(town(), "Europe/Berlin", **WHERE)
    assert explain(made, "info@corp.example") == (
        (
            "info@corp.example (10 B) moves in window w1, Tue 2027-01-12 17:00 to Wed 2027-01-13 01:00"
            " (Europe/Berlin), to database TDB1."
        ),
        "It goes with those it shares most with.",
        "2 of its 3 partners, weight 13 of 18, move in the same window.",
        "w1 has 10 B left.",
        (
            "Cut from Wed 2027-01-13 01:00 to Sat 2027-01-23 01:00 (10 days, 50 weight-days):"
            " FullAccess of cem@corp.example on info@corp.example; cem@corp.example moves in w2."
        ),
        (
            "Of its 3 delegates 0 move before it, 2 with it and 1 after it;"
            " the last one follows on Sat 2027-01-23 01:00."
        ),
        "Next-best window with room: w3, 98 weight-days more; 0 of its 3 partners would move with it.",
    )


def test_the_next_best_window_has_room_and_a_price() -> None:
    made = assigned(town(), **WHERE)
    assert explain(made, "info")[-1].startswith(
        "Next-best window with room: w3, 98 weight-days more"
    )
    assert explain(made, "ANNA@corp.example")[1:] == (
        "Department Bauamt of site Köln moves together: 2 of its 2 mailboxes are in w1.",
        "2 of its 2 partners, weight 9 of 9, move in the same window.",
        "w1 has 10 B left.",
        "None of its shares is cut.",
        "Next-best window with room: w3, 99 weight-days more; 0 of its 2 partners would move with it.",
    )


def test_a_cheaper_window_without_room_is_named() -> None:
    """cem would rather go with info, whose window is full."""
    data = town()
    full = replace(data.calendar.windows[0], capacity_bytes=30)
    calendar = replace(data.calendar, windows=(full, *data.calendar.windows[1:]))
    tight = assigned(replace(data, calendar=calendar), **WHERE)
    assert "Window w1 would cost 50 weight-days less, but is full." in explain(
        tight, "cem@corp.example"
    )


def test_a_pin_is_told_with_its_reason_and_its_price() -> None:
    data = town(pins=(Pin("anna@corp.example", "Urlaub", window="w3"),))
    made = assigned(
        data, w1="ben@corp info@corp dora@home", w2="cem@corp dora@corp", w3="anna@corp"
    )
    said = explain(made, "0A-1B")
    assert "It is pinned: window w3 (Urlaub)." in said
    assert "This pin costs 99 weight-days." in said
    assert said[-1] == "Its pins leave no other window for it."


def test_system_mailboxes_and_strangers_are_explained_too() -> None:
    mailboxes = (
        PlanMailbox("SystemMailbox{1f05a927}", 1, kind="arbitration"),
        PlanMailbox("lone@corp.example", 1),
        PlanMailbox("gone@corp.example", 1, state=State.MOVED),
    )
    made = plan(small(mailboxes=mailboxes))
    assert explain(made, "SystemMailbox{1f05a927}")[1] == (
        "System mailboxes are moved before all others."
    )
    assert explain(made, "lone")[1:3] == ("It went where there was room.", "It shares with nobody.")
    assert explain(made, "gone") == ("gone@corp.example was moved before this plan was made.",)


def test_cuts_that_are_alike_are_one_sentence() -> None:
    mailboxes = (PlanMailbox("info", 1), *(PlanMailbox(f"p{n}", 1) for n in range(15)))
    shares = tuple(Share("info", f"p{n}", "FullAccess", 5.0) for n in range(15))
    data = small(mailboxes=mailboxes, shares=shares, pins=(Pin("info", window="w2"),))
    people = " ".join(f"p{n}" for n in range(15))
    said = explain(assigned(data, w1=people, w2="info"), "info")
    assert (
        "Cut from Tue 2027-01-12 00:00 to Wed 2027-01-13 00:00 (1 day, 75 weight-days): FullAccess"
        " of 15 mailboxes (p0, p1, p2 and 12 more) on info; they move in w1."
    ) in said
    assert "Of its 15 delegates 15 move before it, 0 with it and 0 after it." in said


def test_many_cuts_are_summed_up() -> None:
    mailboxes = (PlanMailbox("info", 1), *(PlanMailbox(f"p{n}", 1) for n in range(15)))
    windows = tuple(window(f"w{n}", n + 1) for n in range(16))
    shares = tuple(Share("info", f"p{n}", "FullAccess", 5.0) for n in range(15))
    data = small(mailboxes=mailboxes, windows=windows, shares=shares)
    where = {f"w{n}": f"p{n}" for n in range(15)}
    said = explain(assigned(data, w15="info", **where), "info")
    assert sum(sentence.startswith("Cut from") for sentence in said) == 10
    assert "5 more shares cut, 75 weight-days." in said  # 1 to 5 days, five each
    assert "All that is 600 weight-days, 100 % of the plan's exposure." in said


def test_a_partner_that_was_moved_before_is_named_as_such() -> None:
    mailboxes = (PlanMailbox("a", 1), PlanMailbox("b", 1, state=State.MOVED))
    data = small(mailboxes=mailboxes, shares=(Share("a", "b", "SendAs", 3.0),))
    assert (
        "Cut from the start of the project to Tue 2027-01-12 00:00 (1 day, 3 weight-days):"
        " SendAs of b on a; b was moved before."
    ) in explain(plan(data), "a")


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("dora", AmbiguousMailbox,
         "'dora' may be one of dora@corp.example, dora@home.example: give the whole identity"),
        ("anne@corp.example", UnknownMailbox,
         "the plan has no mailbox 'anne@corp.example' (did you mean \"anna@corp.example\"?)"),
        ("anne", UnknownMailbox, "the plan has no mailbox 'anne' (did you mean \"anna\"?)"),
        ("", UnknownMailbox, "the plan has no mailbox ''"),
    ],
)  # fmt: skip
def test_an_unclear_name_is_answered_with_a_question(
    name: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as refused:
        explain(plan(town()), name)
    assert str(refused.value) == sentence


def test_an_edited_plan_is_explained_as_far_as_it_goes() -> None:
    made = plan(town())
    lost = tuple(replace(a, window="w9") for a in made.assignments[:1])
    edited = replace(made, assignments=lost + made.assignments[1:])
    assert explain(edited, "anna")[0] == (
        "anna@corp.example (10 B) moves in window w9, which does not exist, to database TDB1."
    )
    missing = replace(made, assignments=made.assignments[1:])
    assert explain(missing, "anna") == ("anna@corp.example has no place in this plan.",)
