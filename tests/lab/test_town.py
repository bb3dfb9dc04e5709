"""The story of the town: what it holds, what its migration gains, and that it scales."""

from collections import Counter
from functools import cache
from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab import afterwards, founding, story
from mailmig.lab.organisation import Organisation, headline
from mailmig.lab.population import Mailbox
from mailmig.model.directory import PEOPLE, Kind
from mailmig.model.quota import MIB, UNLIMITED, Quota

STAFF = (Kind.USER, Kind.LINKED)


@cache
def town(mailboxes: int | None = None, seed: int = 1, *, after: bool = False) -> Organisation:
    """The town, founded once for all tests; they only look at it."""
    told = story.read("town")
    found = founding.found(told, mailboxes, seed)
    if after:
        afterwards.migrate(found, told)
    return found


def people(found: Organisation) -> list[Mailbox]:
    return list(found.present(*STAFF))


def test_the_town_has_500_employees_and_what_belongs_to_them() -> None:
    kinds = Counter(mailbox.kind for mailbox in town().present())
    assert kinds[Kind.USER] + kinds[Kind.LINKED] == 500
    assert {kind: kinds[kind] for kind in kinds if kind not in STAFF} == {
        Kind.SHARED: 60, Kind.ROOM: 16, Kind.EQUIPMENT: 11, Kind.DISCOVERY: 1,
        Kind.ARBITRATION: 7, Kind.AUDIT_LOG: 1, Kind.PUBLIC_FOLDER: 3, Kind.MONITORING: 12,
    }  # fmt: skip
    assert sum(mailbox.archive is not None for mailbox in town().mailboxes) == 26
    assert sum(mailbox.root_public_folder for mailbox in town().mailboxes) == 1
    assert {"Stadtplanung", "Naturschutz", "Bürgerbüro", "Kinder, Jugend und Familie"} <= {
        mailbox.department for mailbox in people(town())
    }


def test_one_server_is_left_for_two_in_two_sites_and_a_witness_at_a_third_place() -> None:
    found = town()
    old, one, other = found.servers
    assert (old.version, one.version, other.version) == ("2016", "SE", "SE")
    assert len({one.site, other.site, found.witness_site}) == 3
    assert found.dag.servers == (one.name, other.name) == tuple(s.name for s in (one, other))
    targets = [database for database in found.databases.values() if database.dag]
    assert len(targets) == 4
    assert all(set(database.servers) == set(found.dag.servers) for database in targets)
    assert Counter(database.server for database in targets) == {one.name: 2, other.name: 2}
    assert all(m.database not in {d.name for d in targets} for m in found.present(*PEOPLE))


def test_the_single_cases_are_there() -> None:
    found = town()
    staff = people(found)
    effective = {m.number: found.effective(m) for m in staff}
    full = [m for m in staff if reaches(m.used, effective[m.number].receive)]
    over = [m for m in staff if reaches(m.used, effective[m.number].send)]
    assert len(full) == 1 and len(over) >= 7
    assert sum(m.last_logon is None for m in staff) == 9
    assert sum(headline(effective[m.number]) is UNLIMITED for m in staff) == 2
    assert sum(effective[m.number].send is UNLIMITED for m in staff) == 3
    assert sum(not m.use_database_quotas for m in staff) == 20
    assert len(found.moves) == 1 and 0 < found.moves[0].done_share(found.now) < 1
    assert [left.moved for left in found.leftovers] == [False]
    assert len(found.pst_files) > 100 and max(f.size for f in found.pst_files) > 500 * MIB


def reaches(used: int, limit: Quota) -> bool:
    return isinstance(limit, int) and used >= limit


def test_architects_have_raised_quotas_of_their_own() -> None:
    own = [m for m in people(town()) if not m.use_database_quotas and m.own.send == 512 * MIB]
    assert Counter(m.department for m in own) == {
        "Stadtplanung": 6, "Hochbau": 4, "Naturschutz": 3,
    }  # fmt: skip


def test_rights_look_like_those_of_an_authority() -> None:
    found = town()
    rights = [*found.full_access, *found.send_as]
    assert 2_500 < len(rights) < 3_500
    trustees = Counter(trustee for _, trustee in rights)
    groups = {-1 - i: p for i, p in enumerate(found.principals) if p.is_group}
    orphans = {-1 - i for i, p in enumerate(found.principals) if not p.is_group}
    assert all(found.principals[-1 - i].text.startswith("S-1-5-21-") for i in orphans)
    assert sum(trustees[i] for i in orphans) > 5
    assert sum(trustees[i] for i in groups) > 5
    everybody = next(p for p in groups.values() if p.name == "Alle Mitarbeitenden")
    assert len(everybody.members) > 500
    assert any(trustees[i] and groups[i] is everybody for i in groups)
    (service,) = [m for m in people(found) if m.title == "Dienstkonto"]
    assert trustees[service.number] > 0.05 * len(found.mailboxes)
    assert sum(bool(m.on_behalf) for m in found.mailboxes) > 40
    assert all(owner != trustee for owner, trustee in rights)


def test_most_rights_stay_within_a_department() -> None:
    found = town()
    shared = [
        (found.mailboxes[owner].department, found.mailboxes[trustee].department)
        for owner, trustee in found.full_access
        if trustee >= 0 and found.mailboxes[trustee].title != "Dienstkonto"
    ]
    assert sum(one == other for one, other in shared) > 0.9 * len(shared)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_moving_to_the_target_defaults_gives_600_mb_more_on_average(seed: int) -> None:
    found = town(seed=seed)
    target = story.read("town").target_quotas.send
    gains = []
    for mailbox in people(found):
        before = headline(found.effective(mailbox))
        after = target if mailbox.use_database_quotas else before
        if isinstance(before, int) and isinstance(after, int):
            gains.append(after - before)
    assert abs(mean(gains) / MIB - 600) <= 0.04 * 600


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("mailboxes", [None, 3_000])
def test_the_migration_gives_600_mb_more_on_average_and_up_to_2_gb(
    seed: int, mailboxes: int | None
) -> None:
    pairs = before_and_after(seed, mailboxes)
    gains = [after - before for before, after in pairs]
    percent = [100 * (after - before) / before for before, after in pairs]
    assert abs(mean(gains) / MIB - 600) <= 0.04 * 600
    assert max(gains) == 2048 * MIB
    assert sum(200 <= p <= 500 for p in percent) > 0.95 * len(percent)
    assert 500 * MIB < median(gains) < 700 * MIB
    assert sum(gain < 0 for gain in gains) == 1


def before_and_after(seed: int, mailboxes: int | None = None) -> list[tuple[int, int]]:
    """Headline quotas of those who are there at both moments and limited at both."""
    before, after = town(mailboxes, seed), town(mailboxes, seed, after=True)
    there = {m.exchange_guid: m for m in after.present(*STAFF)}
    pairs = []
    for mailbox in people(before):
        now = there.get(mailbox.exchange_guid)
        one = headline(before.effective(mailbox))
        other = headline(after.effective(now)) if now else UNLIMITED
        if isinstance(one, int) and isinstance(other, int):
            pairs.append((one, other))
    return pairs


def test_after_the_migration_every_kind_of_change_has_its_case() -> None:
    before, after = town(), town(after=True)
    was = {m.exchange_guid: m for m in before.present(*PEOPLE)}
    now = {m.exchange_guid: m for m in after.present(*PEOPLE)}
    assert len(was.keys() - now.keys()) == 3
    assert len(now.keys() - was.keys()) == 4
    both = was.keys() & now.keys()
    assert sum(was[g].kind is Kind.USER and now[g].kind is Kind.SHARED for g in both) == 1
    limits = Counter(
        (
            isinstance(headline(before.effective(was[g])), int),
            isinstance(headline(after.effective(now[g])), int),
        )
        for g in both
    )
    assert limits[False, True] == limits[True, False] == limits[False, False] == 1
    eaten = [
        g for g in both
        if 0 < gain(before, after, was[g], now[g]) <= now[g].used - was[g].used
    ]  # fmt: skip
    assert len(eaten) == 1
    assert sum(now[g].used > was[g].used for g in both) > 10


def gain(before: Organisation, after: Organisation, was: Mailbox, now: Mailbox) -> int:
    one, other = headline(before.effective(was)), headline(after.effective(now))
    return other - one if isinstance(one, int) and isinstance(other, int) else 0


def test_all_content_moves_in_two_days_and_the_old_server_keeps_leftovers() -> None:
    told, found = story.read("town"), town(after=True)
    start = told.moments["moving"]
    moved = [left.since for left in found.leftovers if left.moved]
    assert len(moved) > 550
    assert all((since - start).days < 2 for since in moved)
    old = {d.name for d in found.databases.values() if not d.dag}
    assert {m.kind for m in found.present() if m.database in old} == {Kind.MONITORING}
    assert found.moves == [] and found.answering in found.dag.servers


def test_nobody_has_more_than_he_may_receive() -> None:
    for moment in (town(), town(after=True)):
        for mailbox in moment.present(*PEOPLE):
            limit = moment.effective(mailbox).receive
            if isinstance(limit, int):
                assert mailbox.used <= limit


@pytest.mark.parametrize("mailboxes", [1, 2, 7, 60, 588, 2_000])
def test_any_number_of_mailboxes_can_be_founded(mailboxes: int) -> None:
    found = town(mailboxes)
    ordinary = (*PEOPLE, Kind.DISCOVERY)
    assert sum(1 for _ in found.present(*ordinary)) == mailboxes
    assert len({m.exchange_guid for m in found.mailboxes}) == len(found.mailboxes)
    assert len({m.guid for m in found.mailboxes}) == len(found.mailboxes)
    assert len({m.alias for m in found.mailboxes}) == len(found.mailboxes)
    assert len({m.account for m in found.mailboxes}) == len(found.mailboxes)
    assert all(m.database in found.databases for m in found.mailboxes)


def test_a_larger_organisation_keeps_the_proportions() -> None:
    small, large = town(), town(12_000)
    factor = 12_000 / 588
    for kind in (Kind.SHARED, Kind.ROOM, Kind.EQUIPMENT):
        count = sum(1 for _ in large.present(kind))
        assert abs(count - factor * sum(1 for _ in small.present(kind))) <= 2
    rights = len(large.full_access) + len(large.send_as)
    assert 4.5 <= rights / 12_000 <= 5.5
    sizes = Counter(m.department for m in people(large))
    assert max(sizes.values()) <= 60, "departments keep their size; there are more of them"
    per_database = Counter(m.database for m in large.mailboxes)
    assert max(per_database.values()) < 2_500 and len(per_database) > 8
    heads = {m.department for m in people(large) if m.title == "Leitung"}
    assert heads == set(sizes)


def test_the_seed_decides_and_nothing_else() -> None:
    one, same, other = town(200, 5), founding.found(story.read("town"), 200, 5), town(200, 6)
    assert one == same
    assert [m.name for m in one.mailboxes] != [m.name for m in other.mailboxes]
    assert {m.exchange_guid for m in one.mailboxes}.isdisjoint(
        m.exchange_guid for m in other.mailboxes
    )


@pytest.mark.parametrize("mailboxes", [0, -3, 200_001])
def test_a_number_out_of_range_is_refused(mailboxes: int) -> None:
    with pytest.raises(founding.WrongNumber, match="take a number from 1 to 200000"):
        founding.found(story.read("town"), mailboxes)


def test_an_unknown_story_names_the_known_ones() -> None:
    with pytest.raises(story.UnknownStory, match=r'there is no story "twon".*known: .*town'):
        story.read("twon")


@given(st.integers(0, 10_000), st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_dividing_loses_nothing_and_is_fair(total: int, weights: list[int]) -> None:
    parts = founding.divide(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1
