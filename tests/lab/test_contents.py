"""What lies in mailboxes: folders that add up, whatever comes and goes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab import founding, story
from mailmig.lab.contents import (
    DUMPSTER,
    FOLDERS,
    INBOX,
    ROOT,
    TOP,
    TRASH,
    Contents,
    Message,
    below,
    is_recoverable,
)
from mailmig.lab.organisation import Organisation
from mailmig.lab.population import Mailbox

HOLD = [key for key in FOLDERS if key not in (ROOT, TOP, DUMPSTER)]


def town() -> Organisation:
    return founding.found(story.read("town"), 12)


def add_up(contents: Contents, mailbox: Mailbox) -> None:
    """The folders hold exactly what the statistics say, and each as much as its items."""
    for half, items, size in (
        (False, mailbox.items, mailbox.used), (True, mailbox.deleted_items, mailbox.deleted),
    ):  # fmt: skip
        keys = [key for key in FOLDERS if is_recoverable(key) is half]
        assert sum(contents.count(mailbox, key) for key in keys) == items
        assert sum(contents.size(mailbox, key) for key in keys) == size


def written(contents: Contents, mailbox: Mailbox, key: str, size: int) -> Message:
    like = Message(
        key, 0, True, "new", mailbox.address, (), mailbox.created, mailbox.created, 0, ""
    )
    return contents.put(mailbox, replace(like, size=size))


def test_the_folders_of_every_mailbox_add_up() -> None:
    found = founding.found(story.read("town"), 300)
    contents = Contents(found)
    for mailbox in found.present():
        add_up(contents, mailbox)


def test_the_items_of_a_folder_are_as_many_and_as_large_as_the_folder_says() -> None:
    found = town()
    contents = Contents(found)
    for mailbox in list(found.present())[:4]:
        for key in FOLDERS:
            items = list(contents.items(mailbox, key))
            assert len(items) == contents.count(mailbox, key)
            assert sum(one.size for one in items) == contents.size(mailbox, key)
            assert all(one.size > 0 for one in items)
            dates = [one.received for one in items]
            assert dates == sorted(dates, reverse=True)


def test_looking_twice_shows_the_same() -> None:
    one, other = Contents(town()), Contents(town())
    mailbox = next(town().present())
    assert list(one.items(mailbox, INBOX)) == list(other.items(mailbox, INBOX))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "take", "move"]), st.sampled_from(HOLD), st.sampled_from(HOLD),
        st.integers(0, 5), st.integers(1, 10**6),
    ),
    max_size=12,
)  # fmt: skip


@given(ACTIONS, st.integers(0, 40), st.integers(0, 10**7))
def test_whatever_comes_and_goes_the_folders_add_up(
    actions: list[tuple[str, str, str, int, int]], items: int, used: int
) -> None:
    found = town()
    contents, mailbox = Contents(found), next(found.present())
    mailbox.items, mailbox.used = items, used if items else 0
    for what, key, target, number, size in actions:
        here = list(contents.items(mailbox, key))
        if what == "put":
            kept = written(contents, mailbox, key, size)
            assert contents.item(mailbox, key, kept.number, stored=True) == kept
        elif number < len(here):
            one = here[number]
            if what == "take":
                contents.take(mailbox, one)
            else:
                moved = contents.move(mailbox, one, target)
                assert (moved.folder, moved.size) == (target, one.size)
            assert contents.item(mailbox, key, one.number, stored=one.stored) is None
        add_up(contents, mailbox)


def test_what_is_gone_leaves_white_space_and_what_is_moved_does_not() -> None:
    found = town()
    contents = Contents(found)
    mailbox = next(one for one in found.present() if one.items > 10)
    database = found.databases[mailbox.database]
    before = database.size, database.white_space
    first, second = list(contents.items(mailbox, INBOX))[:2]
    moved = contents.move(mailbox, first, TRASH)
    assert (database.size, database.white_space) == before
    contents.take(mailbox, second)
    contents.take(mailbox, moved)
    gone = first.size + second.size
    assert (database.size, database.white_space) == (before[0] - gone, before[1] + gone)


def test_a_mailbox_that_grew_since_still_adds_up() -> None:
    found = town()
    contents = Contents(found)
    mailbox = next(one for one in found.present() if one.items > 100)
    contents.take(mailbox, next(contents.items(mailbox, INBOX)))
    written(contents, mailbox, INBOX, 5000)
    mailbox.used, mailbox.items = round(mailbox.used * 1.7), round(mailbox.items * 1.7)
    add_up(contents, mailbox)


def test_folders_lie_below_each_other() -> None:
    assert [one.key for one in below(ROOT)] == list(FOLDERS)[1:]
    assert {one.key for one in below(INBOX)} == {"invoices"}
    assert not list(below("tasks"))


def test_what_was_made_can_be_changed_and_stays_the_same_item() -> None:
    organisation = town()
    contents = Contents(organisation)
    mailbox = next(one for one in organisation.present() if one.items > 50)
    before = mailbox.used, contents.count(mailbox, INBOX)
    first, second, *_ = contents.items(mailbox, INBOX)
    contents.edit(mailbox, replace(first, read=False, subject="x", size=first.size + 7))
    (found, *rest) = contents.items(mailbox, INBOX)
    assert (found.number, found.stored, found.subject) == (first.number, False, "x")
    assert found.size == first.size, "what was made keeps its size"
    assert contents.item(mailbox, INBOX, first.number, stored=False) == found
    assert (rest[0], contents.unread(mailbox, INBOX)) == (second, 1)
    assert (mailbox.used, contents.count(mailbox, INBOX)) == before
    add_up(contents, mailbox)
    moved = contents.move(mailbox, found, TRASH)
    assert (moved.subject, moved.read) == ("x", False)
    assert contents.unread(mailbox, INBOX) == 0
    add_up(contents, mailbox)


@given(st.lists(st.tuples(st.sampled_from(HOLD), st.integers(0, 9000)), min_size=1, max_size=6))
def test_what_grows_or_shrinks_counts(changes: list[tuple[str, int]]) -> None:
    organisation = town()
    contents = Contents(organisation)
    mailbox = next(one for one in organisation.present() if one.items > 50)
    database = organisation.databases[mailbox.database]
    for key, size in changes:
        kept = written(contents, mailbox, key, 5000)
        before = database.size
        contents.edit(mailbox, replace(kept, size=size))
        assert database.size - before == size - 5000
        add_up(contents, mailbox)
