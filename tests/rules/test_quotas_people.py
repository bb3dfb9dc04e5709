"""Comparisons of two snapshots, and of one with the defaults of the target."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.model.database import Database
from mailmig.model.directory import Archive, Kind, Mailbox, Usage, UsageState
from mailmig.model.quota import (
    GIB,
    KIB,
    MIB,
    UNKNOWN,
    UNLIMITED,
    Change,
    Limit,
    QuotaGain,
    Quotas,
    Standing,
)
from mailmig.model.snapshot import Snapshot
from mailmig.rules.quota_sums import sums
from mailmig.rules.quota_target import NoTarget, find_target
from mailmig.rules.quotas import (
    Cause,
    Comparison,
    DifferentOrganisations,
    PersonGain,
    at_target_defaults,
    compare,
    size_factor,
)
from tests.rules.quota_people import (
    AFTER,
    NEW_NORTH,
    OLD,
    mailbox,
    new_databases,
    old_database,
    quotas,
    snapshot,
    town,
    used,
)


def pair(
    before: Mailbox,
    after: Mailbox,
    old: tuple[Database, ...] = (old_database(GIB),),
    new: tuple[Database, ...] | None = None,
) -> PersonGain:
    """One person seen twice."""
    return compare(
        snapshot(before, databases=old),
        snapshot(after, id="b2", taken_at=AFTER, databases=new or old),
    ).people[0]


def test_people_are_joined_by_guid_though_name_and_address_changed() -> None:
    married = mailbox(1, own=3 * GIB, display_name="Anna Neu", address="anna.neu@town.example")
    person = pair(mailbox(1, own=GIB, display_name="Anna Alt"), married)
    assert person.gain == QuotaGain(GIB, 3 * GIB, 0, 0)
    assert person.mailbox.display_name == "Anna Neu"


def test_two_people_of_one_name_are_never_joined() -> None:
    one = mailbox(1, display_name="Jan Kowalski", address="jan@town.example")
    other = mailbox(2, display_name="Jan Kowalski", address="jan@town.example")
    people = compare(snapshot(one), snapshot(other, id="b2")).people
    assert sorted(person.change.value for person in people) == ["gone", "new"]


def test_who_came_and_who_went_are_listed_and_stand_in_no_average() -> None:
    before = snapshot(mailbox(1, own=GIB), mailbox(2, own=GIB))
    after = snapshot(mailbox(1, own=2 * GIB), mailbox(3, own=9 * GIB), id="b2")
    people = compare(before, after).people
    assert [person.change for person in people] == [Change.GAINED, Change.NEW, Change.GONE]
    total = sums(people)
    assert (total.people, total.compared, total.gain_bytes) == (1, 1, GIB)


def test_a_mailbox_that_became_a_shared_one_is_converted_and_stands_in_no_average() -> None:
    person = pair(mailbox(1, own=GIB), mailbox(1, own=5 * GIB, kind=Kind.SHARED))
    assert person.change is Change.CONVERTED
    assert person.gain is None
    assert sums([person]).compared == 0


def test_the_system_is_left_out_and_counted_by_kind() -> None:
    boxes = [
        mailbox(1),
        mailbox(2, kind=Kind.ARBITRATION),
        mailbox(3, kind=Kind.MONITORING),
        mailbox(4, kind=Kind.PUBLIC_FOLDER),
        mailbox(5, kind=Kind.MONITORING),
    ]
    found = compare(snapshot(*boxes), snapshot(*boxes, id="b2"))
    assert len(found.people) == 1
    assert found.left_out == {Kind.ARBITRATION: 1, Kind.MONITORING: 2, Kind.PUBLIC_FOLDER: 1}
    everything = compare(snapshot(*boxes), snapshot(*boxes, id="b2"), all_kinds=True)
    assert len(everything.people) == 5
    assert not everything.left_out


def test_somebody_whose_mailbox_became_one_of_the_system_is_still_listed() -> None:
    person = pair(mailbox(1), mailbox(1, kind=Kind.OTHER))
    assert person.change is Change.CONVERTED


def test_a_never_used_mailbox_uses_nothing_and_has_all_its_quota_free() -> None:
    box = mailbox(1, own=GIB, usage=Usage(UsageState.NEVER_USED))
    person = pair(box, box)
    assert person.after
    assert person.after.used == 0
    assert person.after.headroom == GIB
    assert person.after.standing is Standing.BELOW_LIMIT


def test_unknown_usage_leaves_the_gain_known_and_the_rest_unknown() -> None:
    person = pair(mailbox(1, own=GIB, size=None), mailbox(1, own=2 * GIB, size=None))
    assert person.gain
    assert person.after
    assert person.gain.assigned == GIB
    assert person.gain.usable is UNKNOWN
    assert person.after.headroom is UNKNOWN
    assert person.after.standing is Standing.UNKNOWN


def test_a_database_that_is_not_in_the_snapshot_makes_the_quota_unknown() -> None:
    person = pair(mailbox(1, database="LOST"), mailbox(1))
    assert person.change is Change.UNKNOWN
    assert person.causes == ()


def test_names_of_databases_are_compared_without_case() -> None:
    person = pair(mailbox(1, database=OLD.lower()), mailbox(1))
    assert person.change is Change.UNCHANGED


RAISED = (old_database(2 * GIB),)


@pytest.mark.parametrize(
    ("before", "after", "new", "causes"),
    [
        (mailbox(1), mailbox(1), RAISED, [Cause.DATABASE_DEFAULT]),
        (mailbox(1, own=GIB), mailbox(1, own=2 * GIB), None, [Cause.OWN_VALUE]),
        (mailbox(1), mailbox(1, database=NEW_NORTH), new_databases(2 * GIB), [Cause.MOVED]),
        (
            mailbox(1, own=MIB),
            mailbox(1, own=MIB, use_database_quotas=True),
            None,
            [Cause.FLAG_TO_DATABASE],
        ),
        (
            mailbox(1, own=MIB),
            mailbox(1, use_database_quotas=True),
            RAISED,
            [Cause.FLAG_TO_DATABASE, Cause.DATABASE_DEFAULT],
        ),
        (
            mailbox(1, own=MIB),
            mailbox(1, use_database_quotas=True, database=NEW_NORTH),
            new_databases(2 * GIB),
            [Cause.FLAG_TO_DATABASE, Cause.MOVED],
        ),
        (
            mailbox(1, own=5 * GIB, use_database_quotas=True),
            mailbox(1, own=5 * GIB),
            None,
            [Cause.FLAG_TO_OWN],
        ),
        (
            mailbox(1, own=5 * GIB, use_database_quotas=True),
            mailbox(1, own=6 * GIB),
            None,
            [Cause.FLAG_TO_OWN, Cause.OWN_VALUE],
        ),
        # a switch of which nothing came is told all the same
        (mailbox(1), mailbox(1, own=GIB), None, [Cause.FLAG_TO_OWN]),
        # ignored values that were changed are no cause of anything
        (
            mailbox(1, own=MIB, use_database_quotas=True),
            mailbox(1, own=9 * GIB, use_database_quotas=True),
            None,
            [],
        ),
        # moved, but the quota is the same
        (mailbox(1), mailbox(1, database=NEW_NORTH), new_databases(GIB), []),
    ],
)
def test_a_change_has_its_causes(
    before: Mailbox, after: Mailbox, new: tuple[Database, ...] | None, causes: list[Cause]
) -> None:
    person = pair(
        before, after, new=(*new, old_database(GIB)) if new is not RAISED and new else new
    )
    assert list(person.causes) == causes


def test_a_switched_flag_shows_both_sources_of_the_limits() -> None:
    person = pair(mailbox(1), mailbox(1, own=9 * GIB))
    assert person.before
    assert person.after
    assert (person.before.limits_from, person.after.limits_from) == ("database", "mailbox")


def test_a_database_with_another_name_but_the_same_guid_is_the_same_database() -> None:
    old = Database("DB-A", guid="g", quotas=quotas(GIB))
    new = Database("DB-B", guid="g", quotas=quotas(2 * GIB))
    person = pair(mailbox(1, database="DB-A"), mailbox(1, database="DB-B"), (old,), (new,))
    assert person.causes == (Cause.DATABASE_DEFAULT,)


def test_somebody_who_was_moved_back_is_judged_by_the_last_snapshot() -> None:
    there = mailbox(1, database=NEW_NORTH)
    databases = (old_database(GIB), *new_databases(3 * GIB))
    assert pair(mailbox(1), there, databases).change is Change.GAINED
    assert pair(mailbox(1), mailbox(1), databases).change is Change.UNCHANGED


def archive(limit: int | Limit, warn: int | Limit = UNLIMITED) -> Archive:
    return Archive("a", OLD, warn, limit, used(MIB))


def test_an_archive_is_compared_by_its_own_quota_and_never_by_a_database() -> None:
    person = pair(mailbox(1, archive=archive(GIB)), mailbox(1, archive=archive(3 * GIB)))
    assert person.change is Change.UNCHANGED
    assert person.gain
    assert person.gain.assigned == 0
    assert person.archive_gain == 2 * GIB
    assert person.gain_with_archive == 2 * GIB


def test_an_archive_that_was_enabled_in_between_is_not_added_to_the_gain() -> None:
    person = pair(mailbox(1, own=GIB), mailbox(1, own=2 * GIB, archive=archive(5 * GIB)))
    assert person.before
    assert person.before.archive is None
    assert person.gain
    assert person.gain.assigned == GIB
    assert person.archive_gain == 5 * GIB
    assert person.gain_with_archive == 6 * GIB


def test_an_archive_without_limit_or_of_unknown_limit_is_no_number() -> None:
    unlimited = pair(mailbox(1), mailbox(1, archive=archive(UNLIMITED)))
    assert unlimited.archive_gain is None
    assert unlimited.gain_with_archive is None
    unknown = pair(mailbox(1), mailbox(1, archive=archive(UNKNOWN)))
    assert unknown.archive_gain is UNKNOWN
    assert unknown.gain_with_archive is UNKNOWN


def test_somebody_without_an_archive_has_no_gain_of_it() -> None:
    person = pair(mailbox(1, own=GIB), mailbox(1, own=2 * GIB))
    assert not person.has_archive
    assert person.archive_gain is None
    assert person.gain_with_archive == GIB


def test_values_that_break_the_order_are_data_errors_where_they_hold() -> None:
    wrong = Quotas(5 * KIB, 4 * KIB, 3 * KIB)
    boxes = [
        mailbox(1, own=GIB, display_name="Wrong"),
        mailbox(2, display_name="Ignored"),
        mailbox(3, display_name="Archive", archive=archive(GIB, 2 * GIB)),
    ]
    boxes = [replace(box, own=wrong) if box.archive is None else box for box in boxes]
    found = compare(snapshot(*boxes, databases=(Database(OLD, quotas=wrong),)), snapshot(id="b2"))
    told = [(error.subject, error.problem.split()[0], error.seen_in) for error in found.errors]
    assert told == [
        (f"database {OLD}", "IssueWarningQuota", "b1"),
        (f"database {OLD}", "ProhibitSendQuota", "b1"),
        ("Wrong", "IssueWarningQuota", "b1"),
        ("Wrong", "ProhibitSendQuota", "b1"),
        ("Archive", "ArchiveWarningQuota", "b1"),
    ]


def test_mailboxes_that_cannot_be_followed_are_data_errors() -> None:
    nobody = mailbox(1, exchange_guid="", display_name="Nobody")
    found = compare(snapshot(nobody, mailbox(2), mailbox(2, own=GIB)), snapshot(id="b2"))
    assert [error.subject for error in found.errors] == ["Nobody", "Person 2"]
    assert len(found.people) == 1


def test_snapshots_of_two_organisations_are_refused_in_one_sentence() -> None:
    with pytest.raises(DifferentOrganisations) as caught:
        compare(snapshot(), snapshot(id="b2", organisation="Village"))
    assert str(caught.value) == (
        "snapshot b1 is of Town and b2 of Village: choose two snapshots of the same organisation"
    )


def test_rounded_sizes_are_counted() -> None:
    rough = mailbox(1, usage=Usage(UsageState.KNOWN, GIB, approximate=True))
    assert compare(snapshot(rough, mailbox(2)), snapshot(mailbox(2), id="b2")).approximate == 1


def test_in_the_target_defaults_hold_for_those_who_use_defaults_and_own_limits_for_the_rest() -> (
    None
):
    boxes = [mailbox(1, size=MIB), mailbox(2, own=50 * MIB), mailbox(3, use_database_quotas=None)]
    databases = (old_database(200 * MIB), *new_databases(800 * MIB))
    first, second, third = at_target_defaults(snapshot(*boxes, databases=databases)).people
    assert first.gain == QuotaGain(200 * MIB, 800 * MIB, MIB, MIB)
    assert first.causes == (Cause.MOVED,)
    assert second.change is Change.UNCHANGED
    assert second.causes == ()
    assert third.change is Change.UNKNOWN


def test_nothing_changes_for_somebody_who_sits_in_a_target_database_already() -> None:
    databases = (old_database(), *new_databases(800 * MIB, 300 * MIB))
    found = at_target_defaults(snapshot(mailbox(1, database=NEW_NORTH), databases=databases))
    assert found.people[0].gain == QuotaGain(800 * MIB, 800 * MIB, 0, 0)


def test_where_target_databases_differ_the_smallest_promise_counts_and_all_are_named() -> None:
    databases = (old_database(), *new_databases(800 * MIB, 300 * MIB))
    found = at_target_defaults(snapshot(mailbox(1), databases=databases))
    assert found.target
    assert found.target.quotas.headline == 300 * MIB
    assert found.target.differing == (("MDB-NORTH", 800 * MIB), ("MDB-SOUTH", 300 * MIB))
    assert found.people[0].gain == QuotaGain(200 * MIB, 300 * MIB, 0, 0)


def test_a_target_database_of_unknown_quota_promises_nothing() -> None:
    databases = (*new_databases(800 * MIB), Database("MDB-X", dag="DAG01"))
    assert find_target(snapshot(databases=databases)).quotas.headline is UNKNOWN


def test_an_unlimited_target_database_is_the_largest_promise_of_all() -> None:
    databases = (*new_databases(800 * MIB), Database("MDB-X", quotas=quotas(UNLIMITED), dag="D"))
    assert find_target(snapshot(databases=databases)).quotas.headline == 800 * MIB


def test_without_a_dag_the_defaults_of_the_target_are_refused_in_one_sentence() -> None:
    with pytest.raises(NoTarget) as caught:
        at_target_defaults(snapshot(mailbox(1)))
    assert str(caught.value) == (
        "snapshot b1 has no database that belongs to a DAG, so nobody knows the defaults of the "
        "target: import one taken after the DAG was built, or compare two snapshots with "
        "--before and --after"
    )


def test_mailboxes_from_exchange_2010_are_counted_larger_on_arrival() -> None:
    assert size_factor("2016") == 1
    assert size_factor("2010") > 1
    databases = (old_database(GIB), *new_databases(100 * MIB))
    old = mailbox(1, size=80 * MIB, version="2010")
    person = at_target_defaults(snapshot(old, databases=databases)).people[0]
    assert person.after
    assert person.after.used == 80 * MIB
    assert person.after.counted == 112 * MIB
    assert person.after.standing is Standing.PROHIBIT_SEND
    assert person.after.headroom == -12 * MIB
    assert person.gain == QuotaGain(GIB, 100 * MIB, 80 * MIB, 80 * MIB)


def test_mailboxes_from_newer_versions_are_counted_as_they_are() -> None:
    databases = (old_database(GIB), *new_databases(100 * MIB))
    box = mailbox(1, size=80 * MIB, version="2013")
    person = at_target_defaults(snapshot(box, databases=databases)).people[0]
    assert person.after
    assert person.after.standing is Standing.BELOW_LIMIT


def shuffled(one: Snapshot, random: Random) -> Snapshot:
    boxes, databases = list(one.mailboxes), list(one.databases)
    random.shuffle(boxes)
    random.shuffle(databases)
    return replace(one, mailboxes=tuple(boxes), databases=tuple(databases))


@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_mailboxes_and_databases_does_not_matter(random: Random) -> None:
    before, after = town(60)
    straight = compare(before, after)
    mixed = compare(shuffled(before, random), shuffled(after, random))
    assert mixed.people == straight.people
    assert sums(mixed.people) == sums(straight.people)


@given(st.integers(1, 80), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_going_back_loses_exactly_what_was_gained(people: int, seed: int) -> None:
    before, after = town(people, seed)
    there, back = compare(before, after), compare(after, before)
    gained = {p.mailbox.exchange_guid: p.gain.assigned for p in there.people if p.gain}
    lost = {p.mailbox.exchange_guid: p.gain.assigned for p in back.people if p.gain}
    assert gained.keys() == lost.keys()
    for guid, gain in gained.items():
        loss = lost[guid]
        assert isinstance(gain, int)
        assert isinstance(loss, int)
        assert gain == -loss
    assert sums(there.people).gain_bytes == -sums(back.people).gain_bytes


def everybody(found: Comparison) -> int:
    return len(found.people) + sum((found.left_out or {}).values())


def test_nobody_is_dropped() -> None:
    before, after = town(100)
    guids = {box.exchange_guid for box in (*before.mailboxes, *after.mailboxes)}
    assert everybody(compare(before, after)) == len(guids)
