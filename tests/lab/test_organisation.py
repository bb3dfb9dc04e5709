"""The laws of the simulated organisation, as properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.cluster import Dag
from mailmig.lab.databases import Copy, Database
from mailmig.lab.moving import SLOTS
from mailmig.lab.organisation import (
    LOG_SHARE,
    AlreadyMoving,
    Organisation,
    UnknownDatabase,
    guid,
    headline,
    share,
)
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind
from mailmig.model.quota import GIB, MIB, UNLIMITED, Quotas

START = datetime(2027, 1, 30, 8, tzinfo=UTC)
SOURCES = ("OLD1", "OLD2")
TARGETS = ("NEW1", "NEW2")
SIZES = st.lists(st.integers(1, 3 * GIB), min_size=1, max_size=60)
STEPS = st.lists(st.integers(1, 90), min_size=1, max_size=12)


def organisation(sizes: list[int], growth: float = 0.0) -> Organisation:
    """An organisation with mailboxes of these sizes, spread over two source databases."""
    found = Organisation(
        name="Test", domain="test.example", netbios="TEST", mail_domains=("test.example",),
        namespace="mail.test.example", seed=7, now=START, servers=(),
        dag=Dag("DAG", guid("dag"), ("EX1", "EX2"), "fs", "C:\\w"), witness_site="C",
        answering="OLD", source="OLD", departments=(),
    )  # fmt: skip
    for name in (*SOURCES, *TARGETS):
        target = name in TARGETS
        servers = ("EX1", "EX2") if target else ("OLD",)
        found.databases[name] = Database(
            name, guid(name), servers, Quotas(90 * MIB, 100 * MIB, 4 * GIB),
            dag="DAG" if target else "",
        )  # fmt: skip
        for place, server in enumerate(servers):
            found.copies.append(Copy(name, server, place + 1, place == 0))
    for number, size in enumerate(sizes):
        database = SOURCES[number % 2]
        found.mailboxes.append(
            Mailbox(
                number, Kind.USER, guid("o", number), guid("m", number), f"u{number}",
                f"u{number}", f"u{number}", f"u{number}", "test.example", ("Users",), database,
                START, used=size, items=size // 500_000 + 1, last_logon=START, growth=growth,
            )
        )  # fmt: skip
        found.databases[database].size += size
    return found


def move_all(found: Organisation) -> None:
    found.move_all({m.number: TARGETS[m.number // 2 % 2] for m in found.mailboxes})


def where(found: Organisation) -> list[str]:
    return [mailbox.database for mailbox in found.mailboxes]


@given(SIZES)
def test_given_time_every_mailbox_arrives_and_nothing_is_lost(sizes: list[int]) -> None:
    found = organisation(sizes)
    move_all(found)
    found.advance(START + timedelta(days=20))
    assert found.moves == []
    assert [TARGETS[n // 2 % 2] for n in range(len(sizes))] == where(found)
    assert [mailbox.used for mailbox in found.mailboxes] == sizes
    assert sum(found.databases[name].size for name in TARGETS) == sum(sizes)
    assert sum(found.databases[name].white_space for name in SOURCES) == sum(sizes)


@given(SIZES, STEPS)
def test_it_does_not_matter_in_how_many_steps_time_passes(
    sizes: list[int], steps: list[int]
) -> None:
    once, often = organisation(sizes), organisation(sizes)
    move_all(once)
    move_all(often)
    once.advance(START + timedelta(minutes=sum(steps)))
    for step in steps:
        often.advance(often.now + timedelta(minutes=step))
    assert once.moves == often.moves
    assert once.leftovers == often.leftovers
    assert once.mailboxes == often.mailboxes
    assert once.databases == often.databases


@given(SIZES, STEPS)
def test_no_database_ever_has_more_moves_than_slots(sizes: list[int], steps: list[int]) -> None:
    found = organisation(sizes)
    move_all(found)
    for step in steps:
        found.advance(found.now + timedelta(minutes=step))
        for name in found.databases:
            running = [m for m in found.moves if m.due is not None and name in (m.source, m.target)]
            assert len(running) <= SLOTS
        waiting = [m for m in found.moves if m.due is None]
        assert all(m.started is None and m.done_share(found.now) == 0 for m in waiting)


@pytest.mark.parametrize("side", ["source", "target"])
def test_the_eleventh_move_of_a_database_waits_for_a_slot(side: str) -> None:
    found = organisation([100 * MIB] * 22)
    if side == "source":  # eleven out of one database, into two
        chosen = [m for m in found.mailboxes if m.database == "OLD1"]
        found.move_all({m.number: TARGETS[m.number // 2 % 2] for m in chosen})
    else:  # eleven out of two databases, into one
        found.move_all({m.number: "NEW1" for m in found.mailboxes[:11]})
    found.advance(START + timedelta(seconds=1))
    assert sum(move.started is not None for move in found.moves) == SLOTS == 10
    assert sum(move.started is None for move in found.moves) == 1


@given(st.integers(1, 3 * GIB), st.integers(1, 3 * GIB))
def test_more_bytes_never_move_faster(one: int, other: int) -> None:
    found = organisation([1])
    mailbox = found.mailboxes[0]
    times = []
    for size in sorted((one, other)):
        mailbox.used = size
        times.append(found.move_time(mailbox))
    assert times[0] <= times[1]


@given(st.integers(1, 500 * MIB), STEPS)
def test_a_mailbox_stays_in_its_source_until_the_move_is_due(size: int, steps: list[int]) -> None:
    found = organisation([size])
    move = found.move(found.mailboxes[0], "NEW1")
    for step in steps:
        found.advance(found.now + timedelta(minutes=step))
        done = START + found.move_time(found.mailboxes[0]) <= found.now
        assert where(found) == ["NEW1" if done else "OLD1"]
        assert (move in found.moves) is not done


def test_a_moved_mailbox_leaves_a_disconnected_one_behind() -> None:
    found = organisation([10 * MIB])
    found.move(found.mailboxes[0], "NEW2")
    found.advance(START + timedelta(hours=1))
    (left,) = found.leftovers
    assert (left.database, left.exchange_guid, left.moved) == (
        "OLD1", found.mailboxes[0].exchange_guid, True,
    )  # fmt: skip
    assert START < left.since < START + timedelta(hours=1)


@given(st.lists(st.integers(6 * GIB, 8 * GIB), min_size=20, max_size=30))
def test_a_copy_falls_behind_while_moves_come_in_and_catches_up(sizes: list[int]) -> None:
    found = organisation(sizes)
    found.move_all({m.number: "NEW1" for m in found.mailboxes})
    (passive,) = [c for c in found.copies if c.database == "NEW1" and not c.active]
    others = [copy for copy in found.copies if copy is not passive]
    found.advance(START + timedelta(hours=1))
    behind = passive.queue_logs
    carried = sum(
        found.move_size(found.mailboxes[m.mailbox]) * m.done_share(found.now) for m in found.moves
    )
    assert 0 < behind <= carried * LOG_SHARE / MIB
    assert all(copy.queue_logs == 0 for copy in others)
    found.advance(START + timedelta(days=2))
    found.advance(START + timedelta(days=4))
    assert passive.queue_logs == 0


@given(SIZES, STEPS)
def test_a_copy_is_never_further_behind_than_what_was_moved(
    sizes: list[int], steps: list[int]
) -> None:
    found = organisation(sizes)
    move_all(found)
    for step in steps:
        found.advance(found.now + timedelta(minutes=step))
        most = sum(sizes) * LOG_SHARE / MIB
        assert all(0 <= copy.queue_logs <= most for copy in found.copies)


@given(st.integers(0, 3 * GIB), st.floats(0, 0.5), st.integers(1, 900))
def test_mailboxes_grow_by_their_rate_and_never_shrink(size: int, growth: float, days: int) -> None:
    found = organisation([size], growth)
    found.advance(START + timedelta(days=days))
    used = found.mailboxes[0].used
    assert size <= used <= max(size, 4 * GIB)
    assert abs(used - min(size * (1 + growth) ** (days / 365.25), max(size, 4 * GIB))) <= 1


def test_a_full_mailbox_takes_no_more() -> None:
    found = organisation([4 * GIB], growth=0.5)
    found.advance(START + timedelta(days=365))
    assert found.mailboxes[0].used == 4 * GIB


def test_whoever_never_logged_on_has_nothing_to_grow_and_leaves_nothing_behind() -> None:
    found = organisation([0], growth=0.1)
    found.mailboxes[0].last_logon = None
    found.move(found.mailboxes[0], "NEW1")
    found.advance(START + timedelta(days=1))
    assert (found.mailboxes[0].used, found.leftovers, where(found)) == (0, [], ["NEW1"])


def test_what_cannot_be_is_refused() -> None:
    found = organisation([1, 2])
    found.move(found.mailboxes[0], "NEW1")
    with pytest.raises(AlreadyMoving):
        found.move(found.mailboxes[0], "NEW2")
    with pytest.raises(AlreadyMoving):
        found.move_all({0: "NEW1"})
    with pytest.raises(UnknownDatabase):
        found.move(found.mailboxes[1], "NOWHERE")
    with pytest.raises(UnknownDatabase):
        found.move_all({1: "NOWHERE"})
    with pytest.raises(ValueError, match="time does not run backwards"):
        found.advance(START - timedelta(seconds=1))


@given(st.text(), st.text())
def test_a_guid_follows_from_its_words(one: str, other: str) -> None:
    assert guid(one, 1) == guid(one, 1)
    assert (guid(one) == guid(other)) == (one == other)
    assert 0 <= share(one) < 1


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        (Quotas(1, 2, 3), 2),
        (Quotas(1, UNLIMITED, 3), 3),
        (Quotas(1, 4, 3), 3),
        (Quotas(1, UNLIMITED, UNLIMITED), UNLIMITED),
        (Quotas(1, 5, UNLIMITED), 5),
    ],
)
def test_the_headline_is_the_smaller_finite_limit(quotas: Quotas, expected: object) -> None:
    assert headline(quotas) == expected
