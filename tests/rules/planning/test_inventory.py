"""From an inventory to planning data: who is planned, how large, and who shares with whom."""

from dataclasses import replace
from typing import Any

import pytest

from mailmig.model.directory import (
    Archive,
    Edge,
    Group,
    Kind,
    Mailbox,
    Right,
    TrusteeKind,
    Usage,
    UsageState,
)
from mailmig.model.migration import Pin, PlanData, State
from mailmig.model.snapshot import Gap, Snapshot, SnapshotInfo
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.inventory import NoSizes, from_snapshot
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.settings import PlanSettings
from tests.rules.planning.made import NOW, small

INFO = SnapshotInfo("5na9", "Corp", NOW, NOW, "export", "abc", 0, 0)
TARGET = small().target
CALENDAR = small().calendar


def box(guid: str, size: int | None = 100, deleted: int | None = 0, **more: Any) -> Mailbox:
    state = UsageState.UNKNOWN if size is None else UsageState.KNOWN
    made = Mailbox(
        exchange_guid=guid, kind=Kind.USER, address=f"{guid}@corp.example", department="Amt",
        database="OLD", usage=Usage(state, size, 10, deleted, 1),
    )  # fmt: skip
    return replace(made, **more)


def edge(
    owner: str, delegate: str, right: Right = Right.FULL_ACCESS, kind: str = "mailbox"
) -> Edge:
    return Edge(owner, right, f"CORP\\{delegate}", TrusteeKind(kind), delegate)


def data(
    *mailboxes: Mailbox,
    edges: tuple[Edge, ...] = (),
    groups: tuple[Group, ...] = (),
    pins: tuple[Pin, ...] = (),
    settings: PlanSettings | None = None,
    gaps: tuple[Gap, ...] = (),
) -> PlanData:
    info = replace(INFO, gaps=gaps)
    snapshot = Snapshot(info, mailboxes=mailboxes, edges=edges, groups=groups)
    return from_snapshot(snapshot, CALENDAR, TARGET, pins, settings or PlanSettings())


def sizes(made: PlanData) -> list[int]:
    return [mailbox.size_bytes for mailbox in made.mailboxes]


def said(made: PlanData) -> list[str]:
    return [note.text for note in made.notes]


def test_all_that_travels_counts() -> None:
    archive = Archive("arch", "OLD", usage=Usage(UsageState.KNOWN, 1000, 5, 200, 2))
    made = data(box("a", 50, 7, archive=archive), box("b", 1, 2))
    assert sizes(made) == [50 + 7 + 1000 + 200, 3]
    assert made.mailboxes[0].item_count == 10 + 1 + 5 + 2
    assert (made.mailboxes[0].identity, made.mailboxes[0].guid) == ("a@corp.example", "a")


def test_an_archive_that_is_in_the_target_already_stays_there() -> None:
    archive = Archive("arch", "tdb1", usage=Usage(UsageState.KNOWN, 1000, 5, 200, 2))
    assert sizes(data(box("a", 50, 7, archive=archive))) == [57]


def test_an_unknown_size_is_the_mean_of_the_known_ones_and_is_listed() -> None:
    made = data(box("a", 100, 10), box("b", 300, 30), box("c", None, None))
    assert sizes(made) == [110, 330, 200 + 20]
    note = made.notes[0]
    assert (
        note.text
        == "size unknown for 1 mailbox: planned with 200 B each, the mean of the 2 known ones"
    )
    assert note.items == ("c@corp.example",)


def test_a_mailbox_never_used_is_empty_and_not_unknown() -> None:
    never = Usage(UsageState.NEVER_USED)
    made = data(box("a", 100), box("b", usage=never), box("c", None, None))
    assert sizes(made) == [100, 0, 100]


def test_a_part_that_nobody_knows_counts_as_zero_and_says_so() -> None:
    made = data(box("a", 100, None), box("b", 300, None))
    assert sizes(made) == [100, 300]
    assert said(made) == [
        "size of recoverable items unknown for 2 mailboxes, and for all others: counted as zero"
    ]


def test_an_inventory_without_any_size_is_refused() -> None:
    with pytest.raises(NoSizes, match="snapshot 5na9 knows the size of no mailbox"):
        data(box("a", None, None))


def test_kinds_that_do_not_move_are_left_out_and_listed() -> None:
    made = data(
        box("a"),
        box("p", kind=Kind.PUBLIC_FOLDER),
        box("h", kind=Kind.MONITORING),
        box("r", kind=Kind.REMOTE),
        box("s", kind=Kind.ARBITRATION),
        box("d", kind=Kind.DISCOVERY),
        box("x", kind=Kind.OTHER, kind_text="FutureMailbox"),
    )
    assert [m.guid for m in made.mailboxes] == ["a", "s", "d", "x"]
    assert said(made) == [
        "not planned: 1 mailbox of kind public folder, they have a migration of their own",
        "not planned: 1 mailbox of kind monitoring, they are never moved",
        "not planned: 1 mailbox of kind remote, they are in the cloud",
        "planned, although of a kind that mailmig does not know",
    ]


def test_who_lives_in_a_target_database_takes_part_as_moved() -> None:
    made = data(box("a"), box("b", database="tdb1"), edges=(edge("a", "b"),))
    assert [m.state for m in made.mailboxes] == [State.PENDING, State.MOVED]
    plan = make(made, NOW)
    assert [a.guid for a in plan.assignments] == ["a"]
    assert plan.metrics.exposure == 5.0
    assert check(plan) == ()


def test_a_missing_or_doubled_address_gives_way_to_the_guid() -> None:
    made = data(
        box("a", address="Info@corp.example"), box("b", address="info@corp.example"),
        box("c", address="", display_name="Çelik"),
    )  # fmt: skip
    assert [m.identity for m in made.mailboxes] == ["a", "b", "c"]
    assert made.notes[0].items == ("a (Info@corp.example)", "b (info@corp.example)", "c (Çelik)")


def test_units_stand_in_where_nobody_has_a_department() -> None:
    unit = "corp.example/Rathaus"
    made = data(box("a", department="", organisational_unit=unit))
    assert made.mailboxes[0].department == unit
    assert said(made) == [
        "no mailbox has a department: organisational units stand in for departments"
    ]
    other = data(box("a", department="", organisational_unit=unit), box("b"))
    assert other.mailboxes[0].department == ""


def test_rights_become_shares_with_their_weights() -> None:
    rights = tuple(edge("a", "b", right) for right in Right)
    made = data(box("a"), box("b"), edges=rights, settings=PlanSettings(weights={"SendAs": 9.0}))
    assert {share.right: share.weight for share in made.shares} == {
        "FullAccess": 5.0, "SendAs": 9.0, "SendOnBehalf": 2.0, "Delegate": 6.0,
        "CalendarEditor": 2.0, "CalendarReviewer": 1.0,
    }  # fmt: skip


def test_a_group_is_expanded_once_and_ones_own_right_comes_first() -> None:
    group = Group("g", "Team", ("a", "b", "c", "stranger"))
    edges = (
        edge("a", "g", kind="group"), edge("a", "g", kind="group"), edge("a", "c"),
    )  # fmt: skip
    made = data(box("a"), box("b"), box("c"), edges=edges, groups=(group,))
    assert [(s.owner, s.delegate, s.via_group) for s in made.shares] == [
        ("a@corp.example", "c@corp.example", ""), ("a@corp.example", "b@corp.example", "Team"),
    ]  # fmt: skip


def test_what_is_no_share_is_dropped_and_listed() -> None:
    everybody = Group("all", "Everybody", tuple(f"x{n}" for n in range(501)))
    made = data(
        box("a"),
        box("h", kind=Kind.MONITORING),
        edges=(
            edge("a", "a"),
            edge("a", "all", kind="group"),
            edge("a", "lost", kind="group"),
            edge("a", "empty", kind="group"),
            edge("a", "", kind="orphan"),
            edge("a", "", kind="other"),
            edge("a", "h"),
            edge("h", "a"),
            edge("z", "a"),
        ),
        groups=(everybody, Group("empty", "Nobody")),
    )
    assert made.shares == ()
    listed = {note.text.partition(": ")[2]: note.items for note in made.notes[1:]}
    assert listed == {
        'a group of more than 500 is "everybody" and weighs nothing': (
            "Everybody, 501 members (1 right)",
        ),
        "the group's members are not in the inventory": ("CORP\\lost (1 right)",),
        "the group is empty": ("Nobody (1 right)",),
        "the account no longer exists": ("CORP\\ (1 right)",),
        "the delegate has no mailbox": ("CORP\\ (1 right)",),
        "the delegate's mailbox is not planned": ("CORP\\h (1 right)",),
        "the mailbox is not planned": ("h (1 right)",),
        "the mailbox is not in the inventory": ("z (1 right)",),
    }


def test_a_service_account_weighs_little_and_is_listed() -> None:
    boxes = [box(f"m{n}") for n in range(100)]
    edges = (*tuple(edge(f"m{n}", "m99") for n in range(20)), edge("m0", "m1"))
    made = data(*boxes, edges=edges)
    weights = {share.delegate: share.weight for share in made.shares}
    assert weights == {"m99@corp.example": 0.5, "m1@corp.example": 5.0}
    assert made.notes[-1].items == ("m99@corp.example (20 rights)",)
    fewer = data(*boxes, edges=edges[1:])
    assert {share.weight for share in fewer.shares} == {5.0}


def test_pins_name_an_address_or_a_guid_and_idle_ones_are_listed() -> None:
    made = data(
        box("a"), box("b"), box("h", kind=Kind.MONITORING),
        pins=(Pin("A@CORP.example", window="w1"), Pin("B", window="w2"), Pin("h@corp.example", window="w1"),
              Pin("nobody", window="w1")),
    )  # fmt: skip
    assert [pin.identity for pin in made.pins] == ["a@corp.example", "b@corp.example", "nobody"]
    assert made.notes[-1].items == ("h@corp.example",)


def test_gaps_of_the_inventory_are_told_in_the_plan() -> None:
    made = data(box("a"), gaps=(Gap("no permissions", "the plan cannot keep people together"),))
    assert said(made) == [
        "the inventory has a gap: no permissions: the plan cannot keep people together"
    ]


def test_settings_reach_directions_and_logs() -> None:
    made = data(box("a"), settings=PlanSettings(new_owner=3.0, log_factor=1.3))
    assert (made.new_delegate, made.new_owner, made.target.log_factor) == (1.0, 3.0, 1.3)
