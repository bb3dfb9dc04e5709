"""Snapshots: what goes in comes out, once, whole, and never changed."""

import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from mailmig.model.database import Dag, Database, DatabaseCopy
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
from mailmig.model.organisation import Server
from mailmig.model.quota import UNKNOWN, UNLIMITED, Quotas
from mailmig.model.snapshot import Gap, Snapshot, SnapshotInfo
from mailmig.store.connection import StateFull
from mailmig.store.engine import Store
from mailmig.store.schema import NEVER_CHANGED
from mailmig.store.snapshots import NoSuchSnapshot

# Everything that SQLite keeps as text: no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BYTES = st.integers(0, 2**62)
QUOTAS = st.one_of(BYTES, st.sampled_from([UNKNOWN, UNLIMITED]))
THREE = st.builds(Quotas, QUOTAS, QUOTAS, QUOTAS)
MAYBE = st.one_of(st.none(), BYTES)
FLAGS = st.sampled_from([None, True, False])
NAMES = st.lists(TEXTS, max_size=3).map(tuple)
SMALL = st.one_of(st.none(), st.integers(0, 99))
USAGES = st.builds(Usage, st.sampled_from(UsageState), MAYBE, MAYBE, MAYBE, MAYBE, st.booleans())
BUILDS = st.tuples(*[st.integers(0, 99999)] * 4)
JSON = st.dictionaries(TEXTS, st.one_of(st.none(), st.booleans(), st.integers(), TEXTS), max_size=3)
MAILBOXES = st.lists(
    st.builds(
        Mailbox,
        exchange_guid=st.uuids().map(str),
        kind=st.sampled_from(Kind),
        **dict.fromkeys(("kind_text", "guid", "address", "display_name", "alias", "account", "user_principal_name", "canonical_name", "distinguished_name", "legacy_dn", "department", "organisational_unit", "database", "server", "site", "version"), TEXTS),
        use_database_quotas=FLAGS,
        own=THREE,
        recoverable=QUOTAS,
        usage=USAGES,
        archive=st.one_of(st.none(), st.builds(Archive, TEXTS, TEXTS, QUOTAS, QUOTAS, USAGES)),
        on_hold=FLAGS,
        hidden=FLAGS,
        root_public_folder=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda mailbox: mailbox.exchange_guid,
).map(tuple)  # fmt: skip


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=3).map(tuple)


MOMENTS = st.datetimes(
    datetime.fromisoformat("0001-01-02"),
    datetime.fromisoformat("9999-12-30"),
    timezones=st.just(timezone(timedelta(hours=9))),
)
SNAPSHOTS = st.builds(
    Snapshot,
    info=st.builds(
        SnapshotInfo,
        id=st.just(""),
        organisation=TEXTS,
        taken_at=MOMENTS,
        imported_at=st.just(datetime(2026, 1, 1, tzinfo=UTC)),
        origin=TEXTS,
        digest=st.text("0123456789abcdef", min_size=64, max_size=64),
        mailboxes=st.just(0),
        edges=st.just(0),
        gaps=several(st.builds(Gap, TEXTS, TEXTS)),
    ),
    servers=several(st.builds(Server, TEXTS, TEXTS, TEXTS, BUILDS, TEXTS, TEXTS)),
    dags=several(st.builds(Dag, TEXTS, NAMES, TEXTS, TEXTS)),
    databases=several(
        st.builds(Database, TEXTS, TEXTS, TEXTS, NAMES, TEXTS, THREE, QUOTAS, MAYBE, MAYBE, FLAGS)
    ),
    copies=several(st.builds(DatabaseCopy, TEXTS, TEXTS, TEXTS, SMALL, SMALL, SMALL, MAYBE)),
    mailboxes=MAILBOXES,
    edges=several(
        st.builds(Edge, TEXTS, st.sampled_from(Right), TEXTS, st.sampled_from(TrusteeKind), TEXTS)
    ),
    groups=several(st.builds(Group, TEXTS, TEXTS, NAMES)),
    facts=st.dictionaries(TEXTS, st.lists(JSON, min_size=1, max_size=2).map(tuple), max_size=2),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothesis.given(snapshot=SNAPSHOTS)
def test_what_is_added_is_what_is_loaded(
    snapshot: Snapshot, store: Store, given_snapshot: Callable[[Snapshot], Any]
) -> None:
    added = store.snapshots.add(given_snapshot(snapshot))
    if not added.new:  # hypothesis came back with a digest that is there
        return
    loaded = store.snapshots.load(added.info.id)
    for name in ("servers", "dags", "databases", "copies", "mailboxes", "edges", "groups"):
        assert getattr(loaded, name) == getattr(snapshot, name)
    assert loaded.facts == snapshot.facts
    assert loaded.info.gaps == snapshot.info.gaps
    assert loaded.info.taken_at == snapshot.info.taken_at
    assert loaded.info.organisation == snapshot.info.organisation
    assert (loaded.info.mailboxes, loaded.info.edges) == (
        len(snapshot.mailboxes),
        len(snapshot.edges),
    )


def test_parts_that_nobody_reads_may_stay_behind(store: Store, given: Callable[..., Any]) -> None:
    edge = Edge("g", Right.SEND_AS, "LAB\\anna", TrusteeKind.OTHER)
    store.snapshots.add(given(parts={"mailboxes": (Mailbox("g"),), "edges": (edge,)}))
    assert store.snapshots.load().edges == (edge,)
    light = store.snapshots.load(without=("edges",))
    assert light.edges == ()
    assert light.mailboxes == (Mailbox("g"),)
    assert light.info.edges == 1


def test_unknown_unlimited_and_zero_stay_three_things_in_the_file(
    store: Store, given: Callable[..., Any]
) -> None:
    box = Mailbox("g", own=Quotas(UNKNOWN, UNLIMITED, 0), recoverable=2**41)
    store.snapshots.add(given(parts={"mailboxes": (box,)}))
    with store.database.reading() as connection:
        row = connection.execute(text("SELECT warn, send, receive, recoverable FROM mailboxes"))
        assert tuple(row.one()) == (None, -1, 0, 2**41)
    assert store.snapshots.load().mailboxes[0].own == Quotas(UNKNOWN, UNLIMITED, 0)


def test_the_same_content_is_not_read_again(store: Store, given: Callable[..., Any]) -> None:
    first, again = given(), given()
    added = store.snapshots.add(first)
    assert added.new
    known = store.snapshots.add(again)
    assert not known.new
    assert known.info == added.info
    assert again.poured == 0
    assert len(store.snapshots.list()) == 1


def test_the_id_is_the_beginning_of_the_digest_and_longer_where_that_is_taken(
    store: Store, given: Callable[..., Any]
) -> None:
    one = store.snapshots.add(given("0123456789" + "0" * 54)).info
    other = store.snapshots.add(given("01234567ff" + "0" * 54)).info
    assert (one.id, other.id) == ("01234567", "01234567f")
    assert store.snapshots.load("01234567").info == one
    assert store.snapshots.load("01234567f").info == other


def test_snapshots_are_in_the_order_of_what_they_show(
    store: Store, given: Callable[..., Any]
) -> None:
    later = store.snapshots.add(given("aa" * 32, taken_at=datetime(2026, 12, 1, tzinfo=UTC))).info
    early = store.snapshots.add(given("bb" * 32, taken_at=datetime(2026, 11, 1, tzinfo=UTC))).info
    assert store.snapshots.list() == (early, later)
    assert store.snapshots.load("latest").info == later
    assert store.snapshots.load("previous").info == early
    assert store.snapshots.load("BB").info == early
    assert store.snapshots.info("aaa") == later


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("abcdef11", "there is no snapshot 'abcdef11' (did you mean \"abcdef12\"?)"),
        ("abc", "'abc' is the beginning of 2 snapshots"),
        ("", "there is no snapshot ''"),
        ("lastest", "there is no snapshot 'lastest' (did you mean \"latest\"?)"),
    ],
)
def test_a_name_that_means_none_or_several_says_what_there_is(
    ref: str, sentence: str, store: Store, given: Callable[..., Any]
) -> None:
    store.snapshots.add(given("abcdef12" + "0" * 56))
    store.snapshots.add(given("abcd0000" + "0" * 56))
    with pytest.raises(NoSuchSnapshot) as raised:
        store.snapshots.load(ref)
    assert str(raised.value) == (
        f"{sentence}; the newest are abcd0000, abcdef12; mailmig inventory list shows them all"
    )


def test_without_snapshots_there_is_neither_a_latest_nor_a_previous_one(
    store: Store, given: Callable[..., Any]
) -> None:
    with pytest.raises(NoSuchSnapshot, match=r"^there is no snapshot yet$"):
        store.snapshots.load()
    store.snapshots.add(given())
    with pytest.raises(
        NoSuchSnapshot, match=r"^there is no previous snapshot, only one; the newest"
    ):
        store.snapshots.load("previous")


def test_a_reading_that_fails_leaves_nothing(store: Store, given: Callable[..., Any]) -> None:
    def fail() -> None:
        raise ValueError("the file breaks off")

    store.snapshots.add(given("aa" * 32))
    lines = store.journal.entries()
    with pytest.raises(ValueError, match="breaks off"):
        store.snapshots.add(given("bb" * 32, count=20_000, then=fail))
    assert [info.digest for info in store.snapshots.list()] == ["aa" * 32]
    assert store.journal.entries() == lines
    with store.database.reading() as connection:
        for table in ("mailboxes", "edges", "contents"):
            rows = connection.scalars(text(f"SELECT DISTINCT snapshot FROM {table}")).all()
            assert rows == [1], table


def test_an_import_writes_one_line_into_the_journal(
    store: Store, given: Callable[..., Any]
) -> None:
    info = store.snapshots.add(given()).info
    *_, line = store.journal.entries()
    assert (line.what, line.subject) == ("snapshot stored", info.id)
    assert line.details["mailboxes"] == 3
    assert line.details["digest"] == info.digest


@pytest.mark.parametrize("table", [table.name for table in NEVER_CHANGED])
@pytest.mark.parametrize("change", ["UPDATE {} SET rowid = 1", "DELETE FROM {}"])
def test_rows_can_be_neither_changed_nor_deleted(
    table: str, change: str, store: Store, given: Callable[..., Any]
) -> None:
    store.snapshots.add(
        given(
            parts={
                "servers": (Server("EX1"),),
                "dags": (Dag("DAG1"),),
                "databases": (Database("DB1"),),
                "copies": (DatabaseCopy("DB1", "EX1", "Mounted"),),
                "mailboxes": (Mailbox("g"),),
                "edges": (Edge("g", Right.SEND_AS, "x", TrusteeKind.OTHER),),
                "groups": (Group("h", "all"),),
            },
            facts={"owa": ({"Name": "owa"},)},
            gaps=(Gap("owa is missing", "nothing"),),
        )
    )
    store.plans.add("{}")
    column = "n" if table in ("journal",) else "snapshot"
    column = "plan" if table == "plans" else column
    sentence = change.format(table).replace("rowid", column)
    with (
        pytest.raises(IntegrityError, match=f"{table} is never changed"),
        store.database.writing("test") as connection,
    ):
        connection.execute(text(sentence))


def test_a_full_disk_is_told_in_a_sentence_and_changes_nothing(
    store: Store, given: Callable[..., Any], folder: Path
) -> None:
    from sqlalchemy import event

    store.snapshots.add(given("aa" * 32))

    @event.listens_for(store.database.engine, "connect")
    def small(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 100")

    with pytest.raises(StateFull) as raised:
        store.snapshots.add(given("bb" * 32, count=50_000))
    assert str(raised.value) == (
        f"{folder / 'state.db'}: the disk is full; nothing was changed: make room and try again"
    )
    assert [info.digest for info in store.snapshots.list()] == ["aa" * 32]


def test_mailboxes_and_edges_can_be_walked_through_one_by_one(
    store: Store, given: Callable[..., Any]
) -> None:
    reading = given(count=12_345)
    store.snapshots.add(reading)
    assert tuple(store.snapshots.mailboxes()) == reading.parts["mailboxes"]
    assert tuple(store.snapshots.edges("latest")) == reading.parts["edges"]


def test_a_time_without_a_zone_is_refused(store: Store, given: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="a time without a zone is not stored"):
        store.snapshots.add(given(taken_at=datetime.fromisoformat("2026-01-01")))
    assert store.snapshots.list() == ()


def test_hex_ids_never_look_like_the_words_for_the_newest() -> None:
    assert set("latest") - set(string.hexdigits)
