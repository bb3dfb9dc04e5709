"""A migration in the middle: what is done counts, what is over is gone, what is copied stays."""

from dataclasses import replace

import pytest

from mailmig.model.migration import Pin, PlanData, Progress, Share, State, Told
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.progress import held, midway
from mailmig.rules.planning.refusals import NoUsableWindow
from mailmig.rules.planning.remaking import remake
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.made import NOW, assigned, small, window

WINDOWS = (window("w1", 1), window("w2", 5), window("w3", 9))
A, B, C, D = (f"m{n}@corp.example" for n in range(4))


def data() -> PlanData:
    shares = (Share(A, B, "FullAccess", 5.0), Share(B, C, "FullAccess", 5.0))
    pins = (
        Pin(A, "volunteer", window="w1"),
        Pin(B, "wait", not_before="w1"),
        Pin(C, "hurry", not_after="w1", database="TDB1"),
    )
    return small((10, 20, 30, 40), WINDOWS, shares=shares, pins=pins)


PLAN = assigned(replace(data(), pins=()), w1="m0@corp m1@corp", w2="m2@corp", w3="m3@corp")
AFTER_W1 = WINDOWS[0].end


def test_moved_ones_count_as_moved_and_fill_their_database() -> None:
    told = (Told(A.upper(), Progress.MOVED), Told(B, Progress.FAILED))
    now = midway(data(), PLAN.assignments, told, AFTER_W1)
    states = [mailbox.state for mailbox in now.data.mailboxes]
    assert states == [State.MOVED, State.PENDING, State.PENDING, State.PENDING]
    assert now.data.target.databases[0].capacity_bytes == 10**6 - 10
    assert [a.mailbox for a in now.left] == [A, C, D]
    read_later = midway(data(), PLAN.assignments, told, AFTER_W1, room_is_now=True)
    assert read_later.data.target == data().target


def test_a_window_that_is_over_takes_its_pins_along() -> None:
    now = midway(data(), PLAN.assignments, (Told(A, Progress.MOVED),), AFTER_W1)
    calendar = now.data.calendar
    assert [w.id for w in calendar.windows] == ["w2", "w3"]
    assert calendar.project_start == AFTER_W1
    assert now.data.pins == (Pin(C, "hurry", database="TDB1"),)
    (note,) = now.data.notes
    assert note.text == "pinned to a window that is over: the pin has no effect any more"
    assert note.items == (f"{C}, not after w1, database TDB1 (hurry)",)


def test_what_is_copied_keeps_its_database() -> None:
    told = (Told(D, Progress.SYNCED), Told(C, Progress.COPYING, "TDB1"))
    now = midway(data(), PLAN.assignments, told, NOW)
    assert {(pin.identity, pin.database) for pin in now.data.pins if "copied" in pin.reason} == {
        (C, "TDB1"), (D, "TDB1"),
    }  # fmt: skip
    again = midway(now.data, PLAN.assignments, told, NOW)
    assert again.data.pins == now.data.pins


def test_an_excluded_mailbox_and_strangers_are_listed_and_left_out() -> None:
    told = (Told(B, Progress.EXCLUDED), Told("x@y", Progress.MOVED))
    now = midway(data(), PLAN.assignments, told, NOW)
    assert [m.identity for m in now.data.mailboxes] == [A, C, D]
    assert now.data.shares == ()
    assert {note.text.split(":")[0]: note.items for note in now.data.notes} == {
        "states of mailboxes that are not in the plan, left aside": ("x@y",),
        "excluded": (B,),
    }
    assert check(make(now.data, NOW)) == ()


def test_when_all_windows_are_over_there_is_no_plan() -> None:
    with pytest.raises(NoUsableWindow, match=r"no window is left \(w1 is over; w2 is over"):
        midway(data(), PLAN.assignments, (), WINDOWS[2].end)


def test_nothing_told_changes_nothing() -> None:
    plain = replace(data(), pins=())
    now = midway(plain, PLAN.assignments, (), NOW)
    assert now.data == plain
    again = remake(now.left, now.data, NOW, PlanSettings())
    assert again is not None
    assert [(a.mailbox, a.window) for a in again.plan.assignments] == [
        (a.mailbox, a.window) for a in PLAN.assignments
    ]


def test_a_full_plan_keeps_announced_windows_as_they_are() -> None:
    plain = replace(data(), pins=())
    made = make(held(plain, PLAN.assignments, ["w2"]), NOW)
    assert [a.mailbox for a in made.assignments if a.window == "w2"] == [C]
