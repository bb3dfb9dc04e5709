"""Plans that cannot be are refused with the resource that binds and the missing amount."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mailmig.model.migration import (
    Freeze,
    Mode,
    Pin,
    PlanData,
    PlanMailbox,
    SourceLimit,
    TargetDatabase,
    TargetServer,
)
from mailmig.model.quota import GIB
from mailmig.rules.planning.refusals import (
    BadPin,
    Infeasible,
    NoRoom,
    NoTargetDatabase,
    NoUsableWindow,
    PinsContradict,
    SameIdentity,
    ShortOf,
    TooLarge,
)
from tests.rules.planning.made import plan, small, window

M0, M1, M2 = (f"m{n}@corp.example" for n in range(3))


def pinned(*pins: Pin, **more: Any) -> PlanData:
    return small(pins=pins, **more)


def changed(data: PlanData, **more: Any) -> PlanData:
    """The data with another calendar."""
    return replace(data, calendar=replace(data.calendar, **more))


def server(speed: float) -> dict[str, Any]:
    """One database on a server that does `speed` bytes per hour: eight times that per window."""
    data = small(databases=(TargetDatabase("TDB1", 10**6, server="EX1"),))
    return {"target": replace(data.target, servers=(TargetServer("EX1", speed / GIB),))}


TIGHT = (window("w1", 1, capacity_bytes=25), window("w2", 2, capacity_bytes=30))

CASES: list[tuple[str, PlanData, type[Infeasible], str]] = [
    (
        "bytes of all windows",
        small(windows=TIGHT),
        ShortOf,
        ("no plan is possible: all mailboxes have 60 B, but the windows can take only 55 B"
        " (bytes given): 5 B too many"),
    ),
    (
        "bytes before the deadline",
        changed(small(windows=TIGHT), deadline=TIGHT[1].end),
        ShortOf,
        ("no plan is possible: all mailboxes have 60 B, but the windows before the deadline can"
        " take only 55 B (bytes given): 5 B too many"),
    ),
    (
        "bytes without the windows that cannot be used",
        changed(small(windows=(*TIGHT, window("w3", 3), window("w4", 4, cancelled=True))),
                freezes=(Freeze(window("w3", 3).start, window("w3", 3).end, "audit"),)),
        ShortOf,
        ("no plan is possible: all mailboxes have 60 B, but the windows can take only 55 B"
        ' (bytes given): 5 B too many (not counted: w3 lies in the freeze "audit"; w4 is'
        " cancelled)"),
    ),
    (
        "number of mailboxes",
        small(windows=(window("w1", 1, max_mailboxes=1), window("w2", 2, max_mailboxes=1))),
        ShortOf,
        ("no plan is possible: all mailboxes are 3 mailboxes, but the windows can take only"
        " 2 mailboxes (number of mailboxes): 1 mailbox too many"),
    ),
    (
        "throughput of the servers",
        small((16, 16, 16), **server(2)),
        ShortOf,
        ("no plan is possible: all mailboxes have 48 B, but the windows can take only 32 B"
        " (server throughput): 16 B too many"),
    ),
    (
        "log headroom",
        small(databases=(TargetDatabase("TDB1", 10**6, 29), ), sizes=(20, 20, 20)),
        ShortOf,
        ("no plan is possible: all mailboxes have 60 B, but the windows can take only 58 B"
        " (log headroom): 2 B too many"),
    ),
    (
        "room of the databases",
        small(databases=(TargetDatabase("TDB1", 30), TargetDatabase("TDB2", 20))),
        ShortOf,
        ("no plan is possible: all mailboxes have 60 B, but the target databases can take only"
        " 50 B (database room): 10 B too many"),
    ),
    (
        "those pinned to a window",
        pinned(Pin(M1, window="w1"), Pin(M2, window="w1"), windows=(
            window("w1", 1, capacity_bytes=45), window("w2", 2))),
        ShortOf,
        ("no plan is possible: the mailboxes pinned to window w1 have 50 B, but it can take only"
        " 45 B (bytes given): 5 B too many"),
    ),
    (
        "too many pinned to a window",
        pinned(Pin(M1, window="w1"), Pin(M2, window="w1"), windows=(
            window("w1", 1, max_mailboxes=1), window("w2", 2))),
        ShortOf,
        ("no plan is possible: the mailboxes pinned to window w1 are 2 mailboxes, but it can take"
        " only 1 mailbox (number of mailboxes): 1 mailbox too many"),
    ),
    (
        "those who must wait",
        pinned(Pin(M0, not_before="w2"), Pin(M2, not_before="w2"), windows=(
            window("w1", 1), window("w2", 2, capacity_bytes=30), window("w3", 3, capacity_bytes=5))),
        ShortOf,
        ("no plan is possible: the mailboxes that must move from window w2 to window w3 have 40 B,"
        " but these windows can take only 35 B (bytes given): 5 B too many"),
    ),
    (
        "prescribed database",
        pinned(Pin(M1, database="TDB1"), Pin(M2, database="TDB1"),
               databases=(TargetDatabase("TDB1", 45), TargetDatabase("TDB2", 45))),
        ShortOf,
        ("no plan is possible: the mailboxes prescribed for database TDB1 have 50 B, but it can"
        " take only 45 B (database room): 5 B too many"),
    ),
    (
        "source database",
        small((30, 30, 30), windows=(window("w1", 1, capacity_bytes=80), window("w2", 2, capacity_bytes=80)),
              mailboxes=tuple(PlanMailbox(f"m{n}", 30, source_database="SRC") for n in range(3)),
              target=replace(small().target, sources=(SourceLimit("src", 0.5),))),
        ShortOf,
        ("no plan is possible: all mailboxes have 90 B, but the windows can take only 80 B"
        " (share that source database SRC may fill): 10 B too many"),
    ),
    (
        "copied ahead",
        changed(small(), mode=Mode.PRESTAGE, copy_bytes_per_day=25),
        ShortOf,
        ("no plan is possible: all that must be moved by window w2 have 60 B, but the servers can"
        " take only 50 B (bytes copied per day): 10 B too many"),
    ),
    (
        "a mailbox larger than every window",
        small((10, 50), windows=(window("w1", 1, capacity_bytes=40), window("w2", 2, capacity_bytes=45))),
        TooLarge,
        (f"no plan is possible: {M1} has 50 B, but the largest window that it may use takes 45 B:"
        " 5 B too many"),
    ),
    (
        "a mailbox larger than every database",
        small((10, 50), databases=(TargetDatabase("TDB1", 45), TargetDatabase("TDB2", 45))),
        TooLarge,
        (f"no plan is possible: {M1} has 50 B, but the largest database has room for 45 B:"
        " 5 B too many"),
    ),
    (
        "a mailbox larger than every log headroom",
        small((10, 50), databases=(TargetDatabase("TDB1", 99, 45), TargetDatabase("TDB2", 99, 45))),
        TooLarge,
        (f"no plan is possible: {M1} has 50 B, but the largest log headroom is only 45 B:"
        " 5 B too many"),
    ),
    (
        "a mailbox larger than its source may fill",
        small(windows=(window("w1", 1, capacity_bytes=80),),
              mailboxes=(PlanMailbox(M0, 50, source_database="SRC"),),
              target=replace(small().target, sources=(SourceLimit("SRC", 0.5),))),
        TooLarge,
        (f"no plan is possible: {M0} has 50 B, but its source database may fill of a window at"
        " most 40 B: 10 B too many"),
    ),
    (
        "unknown mailbox in a pin",
        pinned(Pin("nobody@corp.example", window="w1")),
        BadPin,
        ("the pin of nobody@corp.example, window w1, cannot be kept: there is no such mailbox in"
        " the data"),
    ),
    (
        "unknown window in a pin",
        pinned(Pin(M0, "trip", not_after="w9")),
        BadPin,
        f"the pin of {M0}, not after w9 (trip), cannot be kept: there is no window w9",
    ),
    (
        "unknown database in a pin",
        pinned(Pin(M0, database="TDB9")),
        BadPin,
        f"the pin of {M0}, database TDB9, cannot be kept: there is no target database TDB9",
    ),
    (
        "two windows",
        pinned(Pin(M0, "pilot", window="w1"), Pin(M0, "audit", window="w2")),
        PinsContradict,
        f"the pins of {M0} contradict each other: window w1 (pilot) and window w2 (audit)",
    ),
    (
        "a window outside the range",
        pinned(Pin(M0, "pilot", window="w1"), Pin(M0, "audit", not_before="w2")),
        PinsContradict,
        f"the pins of {M0} contradict each other: window w1 (pilot) and not before w2 (audit)",
    ),
    (
        "two databases",
        pinned(Pin(M0, database="TDB1"), Pin(M0, database="TDB2"),
               databases=(TargetDatabase("TDB1", 100), TargetDatabase("TDB2", 100))),
        PinsContradict,
        f"the pins of {M0} contradict each other: database TDB1 and database TDB2",
    ),
    (
        "a pin that contradicts itself",
        pinned(Pin(M0, not_before="w2", not_after="w1")),
        BadPin,
        (f"the pin of {M0}, not before w2, not after w1, cannot be kept: no usable window lies"
        " between the two"),
    ),
    (
        "a pin into a frozen window",
        changed(pinned(Pin(M0, window="w1")), freezes=(
            Freeze(TIGHT[0].start, TIGHT[0].end, "audit"),)),
        BadPin,
        f'the pin of {M0}, window w1, cannot be kept: window w1 lies in the freeze "audit"',
    ),
    (
        "a pin behind all usable windows",
        pinned(Pin(M0, not_before="w2"), windows=(window("w1", 1), window("w2", 2, cancelled=True))),
        BadPin,
        f"the pin of {M0}, not before w2, cannot be kept: no usable window comes after w2",
    ),
    (
        "a pin before all usable windows",
        pinned(Pin(M0, not_after="w1"), windows=(window("w1", 1, cancelled=True), window("w2", 2))),
        BadPin,
        f"the pin of {M0}, not after w1, cannot be kept: no usable window comes before w1",
    ),
    (
        "identities that differ in case",
        small(mailboxes=(PlanMailbox("Ärger@corp.example", 1), PlanMailbox("ärger@corp.example", 1))),
        SameIdentity,
        ("two mailboxes have the same identity: Ärger@corp.example and ärger@corp.example"
        " (upper and lower case make no difference)"),
    ),
    (
        "no usable window",
        changed(small(windows=(window("w1", 1, cancelled=True), window("w2", 2))),
                deadline=TIGHT[0].end),
        NoUsableWindow,
        "no plan is possible: no window is left (w1 is cancelled; w2 ends after the deadline)",
    ),
    (
        "no database",
        small(databases=()),
        NoTargetDatabase,
        "no plan is possible: databases.json names no target database",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_what_cannot_be_is_refused_in_one_sentence(
    case: tuple[str, PlanData, type[Infeasible], str],
) -> None:
    _, data, error, sentence = case
    with pytest.raises(error) as refused:
        plan(data)
    assert str(refused.value) == sentence


def test_what_is_missing_can_be_read_off_the_error() -> None:
    with pytest.raises(ShortOf) as refused:
        plan(small(windows=TIGHT))
    assert (refused.value.needed, refused.value.available, refused.value.missing) == (60, 55, 5)


def test_sums_that_fit_and_still_no_plan_name_the_nearest_place() -> None:
    databases = (TargetDatabase("TDB1", 45), TargetDatabase("TDB2", 45))
    with pytest.raises(NoRoom) as refused:
        plan(small((30, 30, 30), (window("w1", 1),), databases))
    assert str(refused.value) == (
        f"no plan exists: {M2} (30 B) is left over; nearest is window w1 with database TDB1,"
        " where database room TDB1 lacks 15 B"
    )
    assert refused.value.proven


def test_a_window_that_is_not_used_still_says_when() -> None:
    windows = (window("w1", 1), window("w2", 2, cancelled=True), window("w3", 3))
    made = plan(pinned(Pin(M0, not_before="w2"), Pin(M1, not_after="w2"), windows=windows))
    assert [a.window for a in made.assignments[:2]] == ["w3", "w1"]


def test_a_window_that_ends_with_the_deadline_is_in_time() -> None:
    data = small()
    last = data.calendar.windows[-1].end
    assert plan(changed(data, deadline=last)).bounds.makespan == data.calendar.windows[0].end
    with pytest.raises(NoUsableWindow):
        plan(changed(data, deadline=data.calendar.windows[0].end - timedelta(seconds=1)))
