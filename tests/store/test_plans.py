"""Plans and the journal: kept as they are, found again, in order."""

from datetime import UTC, datetime

import pytest

from mailmig.store.engine import Store
from mailmig.store.plans import NoSuchPlan


def test_a_plan_comes_back_as_the_text_it_was(store: Store) -> None:
    text = '{"waves": ["Büro", "\\u0000"]}\r\n'
    id = store.plans.add(text, "abcdef12")
    assert len(id) == 8
    assert store.plans.load(id) == text
    assert store.plans.load(id[:3]) == text
    (info,) = store.plans.list()
    assert (info.id, info.snapshot) == (id, "abcdef12")
    assert abs(datetime.now(UTC) - info.added_at).total_seconds() < 60


def test_the_same_plan_keeps_its_id_and_is_stored_once(store: Store) -> None:
    one, again, other = store.plans.add("{}"), store.plans.add("{}"), store.plans.add("[]")
    assert one == again != other
    assert [info.id for info in store.plans.list()] == [one, other]
    assert store.plans.load() == "[]"
    assert store.plans.load("previous") == "{}"
    assert [line.what for line in store.journal.entries()].count("plan added") == 2


def test_a_plan_that_is_not_there_is_told_with_those_that_are(store: Store) -> None:
    with pytest.raises(NoSuchPlan, match=r"^there is no plan yet$"):
        store.plans.load()
    id = store.plans.add("{}")
    with pytest.raises(NoSuchPlan) as raised:
        store.plans.load("xyz")
    assert str(raised.value) == f"there is no plan 'xyz'; the newest are {id}"


def test_the_journal_keeps_who_what_and_details_in_order(store: Store) -> None:
    store.journal.record("looked", "DB1", {"grün": [1, None, "ü"]})
    store.journal.record("looked", "DB2")
    *_, one, other = store.journal.entries()
    assert (one.what, one.subject, one.details) == ("looked", "DB1", {"grün": [1, None, "ü"]})
    assert other.details == {}
    assert "@" in one.who
    assert one.at.tzinfo is not None
    assert one.at <= other.at


def test_a_line_in_the_journal_needs_details_that_are_json(store: Store) -> None:
    before = store.journal.entries()
    with pytest.raises(TypeError):
        store.journal.record("looked", "DB1", {"x": object()})
    assert store.journal.entries() == before


def test_an_approval_belongs_to_one_text_and_has_a_name_and_a_time(store: Store) -> None:
    one, other = store.plans.add("{}"), store.plans.add("[]")
    store.plans.approve(one, "Änne")
    store.plans.approve(one, "Ben")
    assert [approval.by for approval in store.plans.approvals(one)] == ["Änne", "Ben"]
    assert abs(datetime.now(UTC) - store.plans.approvals(one)[0].at).total_seconds() < 60
    assert store.plans.approvals(other) == ()


def test_announced_windows_are_kept_until_released_and_given_to_the_next_plan(store: Store) -> None:
    one = store.plans.add("{}")
    for window in ("w2", "w1", "w3"):
        store.plans.announce(one, window)
    store.plans.release(one, "w1")
    assert store.plans.announced(one) == ("w2", "w3")
    other = store.plans.add("[]", None, store.plans.announced(one))
    assert store.plans.announced(other) == ("w2", "w3")
    store.plans.release(other, "w2")
    assert store.plans.announced(one) == ("w2", "w3")
