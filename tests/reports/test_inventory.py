"""The inventory report: unknown, unlimited and zero stay apart in every sum."""

from datetime import UTC, datetime
from typing import Any

from mailmig.model.database import Database
from mailmig.model.directory import (
    Archive,
    Edge,
    Kind,
    Mailbox,
    Right,
    TrusteeKind,
    Usage,
    UsageState,
)
from mailmig.model.document import NONE, Document, Figures, Table
from mailmig.model.organisation import Server
from mailmig.model.quota import UNKNOWN, UNLIMITED, Quotas
from mailmig.model.snapshot import Gap, Snapshot, SnapshotInfo
from mailmig.render import delimited, machine, text
from mailmig.reports import inventory, inventory_diff
from mailmig.rules.quotas import compare

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def known(size: int) -> Usage:
    return Usage(UsageState.KNOWN, size, 3, 0, 0)


def snapshot(*mailboxes: Mailbox, id: str = "abcd1234", **parts: Any) -> Snapshot:
    gaps = parts.pop("gaps", ())
    info = SnapshotInfo(id, "Town", NOW, NOW, "here", "ab" * 32, len(mailboxes), 0, gaps)
    return Snapshot(info, mailboxes=mailboxes, **parts)


def figures(document: Document) -> dict[str, object]:
    return {
        figure.key: figure.value
        for block in document.blocks if isinstance(block, Figures) for figure in block.figures
    }  # fmt: skip


def table(document: Document, key: str) -> Table:
    return next(table for table in document.tables if table.key == key)


def test_a_sum_has_what_is_known_and_says_how_much_is_not() -> None:
    document = inventory.compose(
        snapshot(
            Mailbox("1", Kind.USER, usage=known(100)),
            Mailbox("2", Kind.USER, usage=Usage(UsageState.NEVER_USED, 0, 0, 0, 0)),
            Mailbox("3", Kind.USER),
            Mailbox("4", Kind.ROOM),
        ),
        NOW,
    )
    assert table(document, "kinds").rows == [
        ("room", 1, UNKNOWN, 1, 0, 0, NONE),
        ("user", 3, 100, 1, 1, 0, NONE),
    ]
    assert figures(document)["size"] == 100
    assert "2 sizes are unknown" in text.render(document)


def test_archives_are_summed_apart() -> None:
    one = Archive("a", quota=UNLIMITED, usage=known(7))
    document = inventory.compose(
        snapshot(Mailbox("1", archive=one), Mailbox("2", archive=Archive("b"))), NOW
    )
    assert table(document, "kinds").rows == [("other", 2, UNKNOWN, 2, 0, 2, 7)]


def test_a_database_that_only_mailboxes_name_is_shown_all_the_same() -> None:
    document = inventory.compose(
        snapshot(
            Mailbox("1", database="db1", usage=known(5)),
            Mailbox("2", database="Lost", usage=known(6)),
            databases=(Database("DB1", server="EX1", quotas=Quotas(1, UNLIMITED, 2048)),),
            servers=(Server("EX1", build=(15, 1, 2507, 6)),),
        ),
        NOW,
    )
    assert table(document, "databases").rows == [
        ("DB1", "EX1", "2016", NONE, 1, 5, 0, UNKNOWN, UNKNOWN, 2048),
        ("lost", UNKNOWN, UNKNOWN, UNKNOWN, 1, 6, 0, UNKNOWN, UNKNOWN, UNKNOWN),
    ]


def test_rights_are_counted_by_who_holds_them() -> None:
    edges = (
        Edge("1", Right.FULL_ACCESS, "x", TrusteeKind.MAILBOX, "2"),
        Edge("1", Right.FULL_ACCESS, "g", TrusteeKind.GROUP, "g"),
        Edge("2", Right.FULL_ACCESS, "S-1", TrusteeKind.ORPHAN),
        Edge("2", Right.SEND_AS, "y", TrusteeKind.OTHER),
    )
    document = inventory.compose(snapshot(edges=edges), NOW)
    assert table(document, "rights").rows == [
        ("FullAccess", 2, 1, 1, 1, 0),
        ("SendAs", 1, 0, 0, 0, 1),
    ]


def test_gaps_are_shown_with_their_cost_and_a_whole_export_says_so() -> None:
    gaps = (Gap("users is missing", "departments are unknown"),)
    shown = text.render(inventory.compose(snapshot(gaps=gaps), NOW))
    assert "users is missing  departments are unknown" in shown
    assert "Nothing is missing." in text.render(inventory.compose(snapshot(), NOW))


def test_what_the_import_counted_is_shown_when_it_is_not_zero() -> None:
    about = {"counts": {"disconnected": 4, "move destinations": 0}}
    found = figures(inventory.compose(snapshot(facts={"import": (about,)}), NOW))
    assert found["disconnected"] == 4
    assert "move_destinations" not in found


def test_the_list_of_mailboxes_has_exact_bytes_and_words_for_what_is_no_number() -> None:
    document = inventory.compose(
        snapshot(
            Mailbox("1", Kind.USER, address="a@town.example", use_database_quotas=False,
                    own=Quotas(UNLIMITED, UNLIMITED, UNLIMITED), usage=known(123)),
            Mailbox("2", Kind.USER, address="=1+1"),
        ),
        NOW,
        mailboxes=True,
    )  # fmt: skip
    _, one, other = delimited.render(document).splitlines()
    assert one == "1,a@town.example,,user,,,,unknown,123,3,known,unlimited,none,none"
    assert other == "2,'=1+1,,user,,,,unknown,unknown,unknown,unknown,unknown,none,none"


def diff(before: Snapshot, after: Snapshot, **options: bool) -> Document:
    comparison = compare(before, after, all_kinds=True)
    return inventory_diff.compose(comparison, before, after, NOW, **options)


def test_never_moved_is_unknown_where_nobody_asked_and_zero_where_there_is_none() -> None:
    for rows, value in (({}, UNKNOWN), ({"monitoring_mailboxes": 0}, 0)):
        facts = {"import": ({"rows": rows},)}
        found = figures(inventory.compose(snapshot(Mailbox("1", Kind.USER), facts=facts), NOW))
        assert found["never_moved"] == value
    seen = snapshot(Mailbox("1", Kind.SYSTEM))
    assert figures(inventory.compose(seen, NOW))["never_moved"] == 1


def test_a_limit_that_became_known_is_no_other_limit() -> None:
    limits = {
        "bare": Quotas(), "whole": Quotas(1024, 2048, 4096), "more": Quotas(1024, 2048, 8192),
        "partly": Quotas(UNKNOWN, 2048, 8192), "open": Quotas(1024, 2048, UNLIMITED),
    }  # fmt: skip

    def changed(before: str, after: str) -> object:
        old, new = (
            Mailbox("1", Kind.USER, use_database_quotas=False, own=limits[name])
            for name in (before, after)
        )
        return figures(diff(snapshot(old), snapshot(new, id="ef")))["quota"]

    assert (changed("bare", "whole"), changed("whole", "bare")) == (0, 0)
    assert (changed("whole", "more"), changed("whole", "partly")) == (1, 1)
    assert (changed("whole", "open"), changed("more", "partly")) == (1, 0)


def test_what_changed_is_counted_once_per_kind_of_change() -> None:
    own: dict[str, Any] = {"use_database_quotas": False, "own": Quotas(1024, 2048, 2048)}
    before = snapshot(
        Mailbox("1", Kind.USER, database="DB1", usage=known(100), **own),
        Mailbox("2", Kind.USER, database="DB1", usage=known(100), **own),
        Mailbox("3", Kind.USER, database="DB1", **own),
        Mailbox("4", Kind.USER, database="DB1", usage=known(5), **own),
        edges=(Edge("1", Right.SEND_AS, "TOWN\\x", TrusteeKind.OTHER),
               Edge("1", Right.SEND_AS, "y", TrusteeKind.MAILBOX, "2")),
        databases=(Database("DB1", size_bytes=10),),
    )  # fmt: skip
    after = snapshot(
        Mailbox("1", Kind.USER, database="DB2", usage=known(150), display_name="new name",
                use_database_quotas=False, own=Quotas(1024, 4096, 4096)),
        Mailbox("2", Kind.SHARED, database="db1", usage=known(90), **own),
        Mailbox("3", Kind.USER, database="DB1", usage=known(7), archive=Archive("a"), **own),
        Mailbox("5", Kind.ROOM, database="DB2"),
        id="ef", edges=(Edge("1", Right.SEND_AS, "town\\X", TrusteeKind.OTHER),
                        Edge("1", Right.FULL_ACCESS, "y", TrusteeKind.MAILBOX, "2")),
        databases=(Database("DB1", size_bytes=8), Database("DB2")),
        servers=(Server("EX2", build=(15, 2, 2562, 17)),),
        gaps=(Gap("users is missing", "?"),),
    )  # fmt: skip
    document = diff(before, after, mailboxes=True)
    assert figures(document) == {
        "came": 1, "gone": 1, "moved": 1, "converted": 1, "quota": 1, "archive": 1,
        "growth": 40, "rights_came": 1, "rights_gone": 1,
    }  # fmt: skip
    assert table(document, "databases").rows[0][:5] == ("DB1", 4, 2, 10, 8)
    assert table(document, "databases").rows[1][:5] == ("DB2", 0, 2, NONE, UNKNOWN)
    assert table(document, "servers").rows == [("EX2", NONE, "SE (15.2.2562.17)")]
    assert table(document, "gaps").rows == [("ef", "users is missing", "?")]
    changed = {row[0]: (row[4], row[9]) for row in table(document, "changed").rows}
    assert changed["1"] == ("moved, quota", 50)
    assert changed["2"] == ("converted", -10)
    assert changed["3"] == ("archive", UNKNOWN)
    assert changed["4"][0] == "gone"
    assert changed["5"][0] == "came"
    machine.render(document)
    text.render(document)


def test_a_number_made_of_files_that_one_side_lacks_says_so() -> None:
    edge = Edge("1", Right.FULL_ACCESS, "y", TrusteeKind.MAILBOX, "2")
    gaps = (Gap("full_access is missing", "?"), Gap("audit_log_mailboxes is missing", "?"))
    document = diff(snapshot(edges=(edge,)), snapshot(id="ef", gaps=gaps))
    remarks = {
        figure.key: figure.remark
        for block in document.blocks if isinstance(block, Figures) for figure in block.figures
    }  # fmt: skip
    assert remarks["rights_gone"] == "not sure: full_access is not whole on both sides"
    assert remarks["gone"] == "not sure: audit_log_mailboxes is not whole on both sides"
    assert remarks["moved"] == ""


def test_growth_of_nobody_is_zero_and_of_unknown_sizes_unknown() -> None:
    box = Mailbox("1", Kind.USER)
    assert figures(diff(snapshot(), snapshot(id="ef")))["growth"] == 0
    assert figures(diff(snapshot(box), snapshot(box, id="ef")))["growth"] is UNKNOWN
