"""Windows and gaps in sentences that an admin can forward."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailmig.model.migration import Freeze, FreezePrice, Pin, Plan, PlanData, PlanMailbox, Share
from mailmig.rules.planning.explain_times import UnknownTime, answer, gap_name
from tests.rules.planning.made import START, assigned, small, window

WINDOWS = (
    window("w0", 1, pilot=True, max_mailboxes=5),
    window("w1", 15, capacity_bytes=200),
    window("w2", 16),
)


def town() -> PlanData:
    mailboxes = tuple(
        PlanMailbox(f"{name}@corp", 10, department=department)
        for name, department in (("anna", "IT"), ("ben", "IT"), ("cem", "IT"), ("dora", "Kasse"))
    )
    shares = (
        Share("anna@corp", "ben@corp", "FullAccess", 5.0),
        Share("ben@corp", "cem@corp", "FullAccess", 5.0),
    )
    data = small(windows=WINDOWS, mailboxes=mailboxes, shares=shares)
    freeze = Freeze(START + timedelta(days=2), START + timedelta(days=12), "audit")
    calendar = replace(data.calendar, freezes=(freeze,))
    return replace(data, calendar=calendar, pins=(Pin("anna@corp", "volunteer", window="w0"),))


@pytest.fixture
def plan() -> Plan:
    return assigned(town(), w0="anna@corp", w1="ben@corp cem@corp", w2="dora@corp")


def test_a_window_says_what_it_takes_what_it_cuts_and_who_had_better_join(plan: Plan) -> None:
    assert answer(plan, "W0") == (
        (
            "Window w0, Mon 2027-01-11 16:00 to Tue 2027-01-12 00:00 (UTC), moves 1 mailbox, 10 B. It"
            " is a pilot."
        ),
        "It takes 1 of at most 5 mailboxes.",
        "Departments that move in it: IT of site  (1 of 3).",
        "This is anna@corp.",
        "1 mailbox is pinned to it; the dearest pin, of anna@corp, costs 70 weight-days.",
        (
            "From its end to the next stop, w1, 14 days, shares of weight 5 are cut: 70 weight-days"
            " (100 % of the plan's)."
        ),
        "2 mailboxes carry 100 % of it: anna@corp (70), ben@corp (70).",
        "1 delegate has at least one share cut in this time.",
        (
            "With 2 more mailboxes (20 B) in w0 the plan would cost 70 weight-days less (100 %), all"
            " others staying where they are: ben@corp, cem@corp."
        ),
    )


def test_a_gap_says_what_is_cut_and_what_its_freeze_costs(plan: Plan) -> None:
    assert (
        answer(plan, "w0..w1")
        == answer(plan, "w0..")
        == answer(plan, "..w1")
        == (
            (
                "Between the end of window w0 and the end of window w1 lie 14 days (Tue 2027-01-12 00:00 to Tue"
                " 2027-01-26 00:00, UTC), in them the freeze 'audit'."
            ),
            "Meanwhile shares of weight 5 are cut: 70 weight-days, 100 % of the plan's exposure.",
            "Without the 10 days of 'audit' this plan would cost 50 weight-days less.",
            "1 delegate has at least one share cut in this time.",
            "2 mailboxes carry 100 % of it: anna@corp (70), ben@corp (70).",
        )
    )
    assert answer(plan, "w1..w2")[1:] == ("Nothing is cut meanwhile.",)
    assert answer(plan, "start..w0")[0].startswith(
        "Between the start of the project and the end of"
    )


def test_a_window_names_its_few_and_counts_those_who_share_with_nobody(plan: Plan) -> None:
    said = answer(plan, "w2")
    assert "This is dora@corp." in said
    assert "1 of 1 shares with nobody: any window would do." in said


def test_a_pilot_that_nobody_should_join_says_so() -> None:
    data = town()
    few = tuple(replace(w, max_mailboxes=1) if w.pilot else w for w in data.calendar.windows)
    data = replace(data, calendar=replace(data.calendar, windows=few))
    full = assigned(data, w0="anna@corp", w1="ben@corp cem@corp", w2="dora@corp")
    assert answer(full, "w0")[-1] == (
        "Nobody was found whose joining it would save much, all others staying where they are."
    )


def test_freeze_and_pilot_have_a_price(plan: Plan) -> None:
    assert plan.metrics.freeze_prices == (FreezePrice("audit", 10.0, 50.0),)
    assert plan.metrics.pilot_price == 70.0


def test_what_is_no_window_is_a_mailbox(plan: Plan) -> None:
    assert answer(plan, "dora")[0].startswith("dora@corp (10 B) moves in window w2")


def test_a_window_that_moves_nobody_says_why() -> None:
    data = town()
    last = replace(data.calendar.windows[2], cancelled=True)
    calendar = replace(data.calendar, windows=(*data.calendar.windows[:2], last))
    plan = assigned(
        replace(data, calendar=calendar), w0="anna@corp", w1="ben@corp cem@corp dora@corp"
    )
    assert answer(plan, "w2")[0].endswith("moves nobody: it is cancelled.")


def test_a_time_that_is_not_there_is_told_with_those_that_are(plan: Plan) -> None:
    with pytest.raises(UnknownTime, match=r"no mailbox or window 'w9'; there are w0, w1, w2$"):
        answer(plan, "w9")
    with pytest.raises(UnknownTime, match=r"no gap 'x\.\.y'; there are start\.\.w0, w0\.\.w1, w1"):
        answer(plan, "x..y")
    assert gap_name(plan.metrics.per_gap[0]) == "start..w0"
