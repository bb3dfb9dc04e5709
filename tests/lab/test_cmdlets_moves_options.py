"""What a move request may be told, what it remembers, and what it refuses to be told."""

from datetime import datetime, timedelta

import pytest

from mailmig.lab.cultures import ENGLISH
from mailmig.lab.moving import SLOTS
from mailmig.lab.places import Places
from mailmig.lab.population import Mailbox
from mailmig.lab.rows import Bulk
from mailmig.model.directory import Kind
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, text, town

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TARGET = "SE-DB01"


@pytest.fixture(name="shell")
def _shell() -> Shell:
    shell = Shell(town(60), "LS-EX1")
    for move in list(shell.world.organisation.moves):  # the story's own pilot
        shell.world.organisation.cancel(move)
    return shell


@pytest.fixture(name="with_archive")
def _with_archive(shell: Shell) -> Mailbox:
    return next(m for m in shell.world.organisation.present(Kind.USER) if m.archive is not None)


@pytest.fixture(name="anna")
def _anna(shell: Shell) -> Mailbox:
    people = shell.world.organisation.present(Kind.USER)
    return next(
        m for m in people if m.used > 50 * 2**20 and m.use_database_quotas and not m.archive
    )


def start(shell: Shell, who: Mailbox, **more: object) -> Obj:
    call = {"Identity": who.alias, **({} if "ArchiveOnly" in more else {"TargetDatabase": TARGET})}
    (made,) = shell.objects("New-MoveRequest", **call, **more)
    return made


def statistics(shell: Shell, who: Mailbox, **more: object) -> Obj:
    (found,) = shell.objects("Get-MoveRequestStatistics", Identity=who.guid, **more)
    return found


def refused(shell: Shell, who: Mailbox, **more: object) -> str:
    return shell.error("New-MoveRequest", Identity=who.alias, **more).message


def databases(shell: Shell, who: Mailbox) -> tuple[str, str]:
    (found,) = shell.objects("Get-Mailbox", Identity=who.guid)
    return text(found, "Database"), text(found, "ArchiveDatabase")


def test_an_archive_follows_its_mailbox(shell: Shell, with_archive: Mailbox) -> None:
    made = start(shell, with_archive)
    assert text(made, "TargetArchiveDatabase") == TARGET and made["TotalArchiveSize"] is not None
    shell.world.advance(DAY)
    assert databases(shell, with_archive) == (TARGET, TARGET)


def test_an_archive_goes_to_a_database_of_its_own(shell: Shell, with_archive: Mailbox) -> None:
    made = start(shell, with_archive, ArchiveTargetDatabase="SE-DB02")
    assert text(made, "TargetArchiveDatabase") == "SE-DB02"
    shell.world.advance(DAY)
    assert databases(shell, with_archive) == (TARGET, "SE-DB02")


def test_the_mailbox_alone_leaves_its_archive_behind(shell: Shell, with_archive: Mailbox) -> None:
    before = with_archive.database
    made = start(shell, with_archive, PrimaryOnly=None)
    assert "MoveOnlyPrimaryMailbox" in text(made, "Flags") and made["TotalArchiveSize"] is None
    shell.world.advance(DAY)
    assert databases(shell, with_archive) == (TARGET, before)


def test_the_archive_alone_leaves_its_mailbox_behind(shell: Shell, with_archive: Mailbox) -> None:
    before = with_archive.database
    made = start(shell, with_archive, ArchiveOnly=None, ArchiveTargetDatabase="SE-DB02")
    assert "MoveOnlyArchiveMailbox" in text(made, "Flags")
    assert made["TargetDatabase"] is None and text(made, "TotalMailboxSize") == "0 B (0 bytes)"
    shell.world.advance(DAY)
    assert databases(shell, with_archive) == (before, "SE-DB02")


def test_halves_that_are_not_there_are_refused(
    shell: Shell, anna: Mailbox, with_archive: Mailbox
) -> None:
    assert "has no archive" in refused(shell, anna, PrimaryOnly=None, TargetDatabase=TARGET)
    assert "has no archive" in refused(shell, anna, ArchiveOnly=None)
    both = refused(shell, with_archive, PrimaryOnly=None, ArchiveOnly=None)
    assert "can't be used together" in both
    assert "ArchiveTargetDatabase" in refused(
        shell, with_archive, ArchiveOnly=None, TargetDatabase=TARGET
    )
    assert shell.objects("Get-MoveRequest") == []


def test_a_synced_move_copies_once_per_interval_what_came_in(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, CompleteAfter=shell.world.now + 30 * DAY, IncrementalSyncInterval="06:00:00")
    shell.world.advance(5 * HOUR)
    assert text(statistics(shell, anna), "Status") == "Synced"
    (move,) = shell.world.organisation.moves
    assert move.synced is not None
    shell.world.advance(move.synced + 12 * HOUR + MINUTE - shell.world.now)
    found = statistics(shell, anna)
    assert (text(found, "Status"), text(found, "StatusDetail")) == ("InProgress", "IncrementalSync")
    assert found["PercentComplete"] == 95
    shell.world.advance(5 * MINUTE)
    assert text(statistics(shell, anna), "Status") == "Synced"
    assert text(statistics(shell, anna), "IncrementalSyncInterval") == "06:00:00"


def test_a_move_that_waits_for_an_admin_copies_nothing_more(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, SuspendWhenReadyToComplete=None, IncrementalSyncInterval="01:00:00")
    shell.world.advance(5 * HOUR)
    for _ in range(20):
        shell.world.advance(3 * MINUTE)
        assert text(statistics(shell, anna), "Status") == "AutoSuspended"


@pytest.mark.parametrize(
    ("more", "words"),
    [({"IncrementalSyncInterval": "121.00:00:00"}, "120.00:00:00"),
     ({"IncrementalSyncInterval": "soon"}, "Cannot convert"),
     ({"CompletedRequestAgeLimit": "ages"}, "Cannot convert"),
     ({"BadItemLimit": -1}, "Cannot convert"),
     ({"AllowLargeItems": None, "LargeItemLimit": 3}, "AllowLargeItems"),
     ({"StartAfter": "2031-01-02 00:00:00Z", "CompleteAfter": "2031-01-01 00:00:00Z"}, "StartAfter")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(
    shell: Shell, anna: Mailbox, more: dict[str, object], words: str
) -> None:
    message = refused(shell, anna, TargetDatabase=TARGET, **more)
    assert words.lower() in message.lower()
    assert shell.objects("Get-MoveRequest") == []


@pytest.mark.parametrize(("limit", "days"), [("7", 7), ("2.00:00:00", 2), ("Unlimited", None)])
def test_a_completed_request_stays_as_long_as_it_was_told(
    shell: Shell, anna: Mailbox, limit: str, days: int | None
) -> None:
    start(shell, anna, CompletedRequestAgeLimit=limit)
    shell.world.advance(5 * HOUR)
    shell.world.advance(DAY * ((days or 300) - 1))
    assert len(shell.objects("Get-MoveRequest")) == 1
    shell.world.advance(2 * DAY)
    assert len(shell.objects("Get-MoveRequest")) == (0 if days else 1)


def test_a_report_tells_the_whole_story_only_where_it_is_asked_for(
    shell: Shell, anna: Mailbox
) -> None:
    start(shell, anna)
    shell.world.advance(5 * MINUTE)
    shell.ask("Suspend-MoveRequest", Identity=anna.guid, SuspendComment="Mittag", Confirm=False)
    shell.ask("Resume-MoveRequest", Identity=anna.guid)
    shell.world.advance(5 * HOUR)
    assert statistics(shell, anna)["Report"] is None
    report = statistics(shell, anna, IncludeReport=None)["Report"]
    assert isinstance(report, Obj)
    told = str(report.text)
    for words in (r"'TOWN\anna' created move request", "picked the request up", "Mittag",
                  "Resuming", "Request is complete"):  # fmt: skip
        assert words.lower() in told.lower()
    entries = report["Entries"]
    assert isinstance(entries, Obj) and isinstance(entries.value, list)
    assert len(entries.value) == len(told.splitlines())
    session = report["SessionStatistics"]
    assert isinstance(session, Obj)
    assert isinstance(session["SourceProviderInfo"], Obj)


def test_a_mailbox_remembers_its_completed_moves_even_without_the_request(
    shell: Shell, anna: Mailbox
) -> None:
    assert history(shell, anna) == []
    start(shell, anna, BatchName="there")
    shell.world.advance(5 * HOUR)
    shell.ask("Remove-MoveRequest", Identity=anna.guid, Confirm=False)
    shell.objects("New-MoveRequest", Identity=anna.alias, TargetDatabase="SE-DB02", BatchName="on")
    shell.world.advance(5 * HOUR)
    latest, first = history(shell, anna)
    assert (latest["BatchName"], first["BatchName"]) == ("on", "there")
    assert text(first, "TargetDatabase") == text(latest, "SourceDatabase") == TARGET
    assert first["Report"] is None
    latest, _ = history(shell, anna, IncludeMoveReport=None)
    assert isinstance(latest["Report"], Obj)
    (plain,) = shell.objects("Get-MailboxStatistics", Identity=anna.guid)
    assert plain["MoveHistory"] is None


def history(shell: Shell, who: Mailbox, **more: object) -> list[Obj]:
    call = more or {"IncludeMoveHistory": None}
    (found,) = shell.objects("Get-MailboxStatistics", Identity=who.guid, **call)
    told = found["MoveHistory"]
    if told is None:
        return []
    assert isinstance(told, Obj) and isinstance(told.value, list)
    return [one for one in told.value if isinstance(one, Obj)]


def test_durations_add_up(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, Suspend=None)
    shell.world.advance(2 * HOUR)
    shell.ask("Resume-MoveRequest", Identity=anna.guid)
    shell.world.advance(10 * HOUR)
    (move,) = shell.world.organisation.completed
    assert move.ended is not None
    spent = move.spent_on(shell.world.now)
    assert spent["Suspended"] == 7200
    assert sum(spent.values()) == pytest.approx((move.ended - move.queued).total_seconds())
    found = statistics(shell, anna)
    assert text(found, "TotalSuspendedDuration") == "02:00:00"


def test_what_finds_no_slot_shows_a_stall_that_is_none(shell: Shell) -> None:
    people = list(shell.world.organisation.present(Kind.USER))[: SLOTS + 3]
    for who in people:
        who.database, who.use_database_quotas = people[0].database, False
        start(shell, who)
    shell.world.advance(MINUTE)
    details = [text(statistics(shell, who), "StatusDetail") for who in people]
    assert details[SLOTS:] == ["StalledDueToSource_MdbReplication"] * 3
    assert not any("Stalled" in detail for detail in details[:SLOTS])
    shell.world.advance(2 * DAY)
    assert {text(statistics(shell, who), "Status") for who in people} == {"Completed"}


def test_requests_are_found_by_their_flags_and_the_unit_of_their_mailbox(
    shell: Shell, anna: Mailbox
) -> None:
    other = next(iter(shell.world.organisation.present(Kind.SHARED)))
    start(shell, anna, Priority="High")
    start(shell, other)
    places = shell.engine._view().places
    unit = places.unit(anna.path)[0]
    assert unit != places.unit(other.path)[0]
    for filters, who in (
        ({"Flags": "HighPriority"}, [anna]), ({"HighPriority": False}, [other]),
        ({"Offline": True}, []), ({"OrganizationalUnit": unit}, [anna]),
    ):  # fmt: skip
        found = shell.objects("Get-MoveRequest", **filters)
        assert [str(one["ExchangeGuid"]) for one in found] == [m.exchange_guid for m in who]
    names = [
        str(one["DisplayName"]) for one in shell.objects("Get-MoveRequest", SortBy="displayname")
    ]
    assert names == sorted(names, key=str.casefold) and len(names) == 2


def test_a_request_is_removed_by_its_queue_and_the_mailbox_guid(
    shell: Shell, anna: Mailbox
) -> None:
    start(shell, anna)
    wrong = shell.error(
        "Remove-MoveRequest", MoveRequestQueue="SE-DB02", MailboxGuid=anna.exchange_guid,
        Confirm=False,
    )  # fmt: skip
    assert wrong.reason == "ManagementObjectNotFoundException"
    assert shell.ask(
        "Remove-MoveRequest", MoveRequestQueue=TARGET, MailboxGuid=anna.exchange_guid, Confirm=False
    ) == []  # fmt: skip
    assert shell.objects("Get-MoveRequest") == []


def test_a_target_that_is_not_mounted_is_refused(shell: Shell, anna: Mailbox) -> None:
    state = shell.world.organisation
    state.dismount(state.databases[TARGET])
    assert "isn't mounted" in refused(shell, anna, TargetDatabase=TARGET)


def test_no_half_may_go_to_a_database_that_is_not_mounted_or_where_it_is(
    shell: Shell, with_archive: Mailbox
) -> None:
    state = shell.world.organisation
    state.dismount(state.databases["SE-DB02"])
    halves = {"TargetDatabase": TARGET, "ArchiveTargetDatabase": "SE-DB02"}
    assert "isn't mounted" in refused(shell, with_archive, **halves)
    state.mount(state.databases["SE-DB02"])
    start(shell, with_archive)
    for target, words in ((with_archive.database, "already on the target"), ("nix", "nix")):
        record = shell.error("Set-MoveRequest", Identity=with_archive.guid, TargetDatabase=target)
        assert words in record.message
    assert shell.ask("Set-MoveRequest", Identity=with_archive.guid, TargetDatabase="SE-DB02") == []
    assert text(statistics(shell, with_archive), "TargetDatabase") == "SE-DB02"


def test_a_request_for_one_half_is_not_turned_to_the_other(
    shell: Shell, with_archive: Mailbox
) -> None:
    start(shell, with_archive, ArchiveOnly=None, ArchiveTargetDatabase=TARGET)
    record = shell.error("Set-MoveRequest", Identity=with_archive.guid, TargetDatabase="SE-DB02")
    assert "ArchiveTargetDatabase" in record.message
    shell.ask("Remove-MoveRequest", Identity=with_archive.guid, Confirm=False)
    start(shell, with_archive, PrimaryOnly=None)
    record = shell.error(
        "Set-MoveRequest", Identity=with_archive.guid, ArchiveTargetDatabase="SE-DB02"
    )
    assert "the archive stays" in record.message


def test_sizes_are_those_of_the_source_at_the_start(shell: Shell, with_archive: Mailbox) -> None:
    start(shell, with_archive)
    names = ("TotalMailboxSize", "TotalArchiveSize")
    before = [text(statistics(shell, with_archive), name) for name in names]
    assert with_archive.archive is not None
    with_archive.archive.used += 10 * 2**20  # a PST file is imported meanwhile
    assert [text(statistics(shell, with_archive), name) for name in names] == before


def test_where_an_archive_comes_from_and_goes_to_is_told_only_where_there_is_one(
    shell: Shell, with_archive: Mailbox, anna: Mailbox
) -> None:
    start(shell, anna)
    start(shell, with_archive)
    one, other = statistics(shell, anna), statistics(shell, with_archive)
    for side in ("Source", "Target"):
        assert one[f"{side}ArchiveServer"] is one[f"{side}ArchiveVersion"] is None
        assert other[f"{side}ArchiveServer"] == other[f"{side}Server"]
        assert text(other, f"{side}ArchiveVersion") == text(other, f"{side}Version")


def test_a_move_without_a_halt_knows_when_its_last_copying_began(
    shell: Shell, anna: Mailbox
) -> None:
    start(shell, anna)
    whole = shell.world.organisation.move_time(anna)
    names = ("InitialSeedingCompletedTimestamp", "FinalSyncTimestamp")
    shell.world.advance(whole * 0.9)
    assert [statistics(shell, anna)[name] for name in names] == [None, None]
    shell.world.advance(whole * 0.07)
    found = statistics(shell, anna)
    assert text(found, "Status") == "CompletionInProgress"
    shell.world.advance(whole)
    after = statistics(shell, anna)
    assert [found[name] for name in names] == [after[name] for name in names]
    queued, seeded, done = (
        after[name] for name in ("QueuedTimestamp", names[0], "CompletionTimestamp")
    )
    assert isinstance(queued, datetime) and isinstance(seeded, datetime)
    assert isinstance(done, datetime) and (seeded - queued) / (done - queued) == pytest.approx(0.95)


@pytest.mark.parametrize("limit", ["1_0", "１０", "99999999999", "1e3", "-1"])
def test_a_limit_that_is_no_number_of_32_bits_is_refused(
    shell: Shell, anna: Mailbox, limit: str
) -> None:
    assert limit in refused(shell, anna, TargetDatabase=TARGET, LargeItemLimit=limit)


def held(shell: Shell, database: str) -> dict[str, Obj]:
    """What the database says that it holds of running moves, by mailbox or archive."""
    found = shell.objects("Get-MailboxStatistics", Database=database)
    return {str(one["MailboxGuid"]): one for one in found if one["IsMoveDestination"]}


def test_each_half_arrives_where_it_goes(shell: Shell, with_archive: Mailbox) -> None:
    start(shell, with_archive, ArchiveTargetDatabase="SE-DB02")
    shell.world.advance(shell.world.organisation.move_time(with_archive) / 2)
    assert with_archive.archive is not None
    assert set(held(shell, TARGET)) == {with_archive.exchange_guid}
    assert set(held(shell, "SE-DB02")) == {with_archive.archive.guid}
    shell.ask("Remove-MoveRequest", Identity=with_archive.guid, Confirm=False)
    start(shell, with_archive, ArchiveOnly=None, ArchiveTargetDatabase=TARGET)
    shell.world.advance(shell.world.organisation.move_time(with_archive) / 4)
    assert set(held(shell, TARGET)) == {with_archive.archive.guid}


def test_of_who_never_logged_on_nothing_arrives_and_nothing_breaks(shell: Shell) -> None:
    state = shell.world.organisation
    never = next(m for m in state.present(Kind.USER) if m.last_logon is None)
    start(shell, never)
    shell.world.advance(2 * MINUTE)
    assert state.moves[0].done_share(state.now) > 0
    assert held(shell, TARGET) == {}
    places = Places(state.domain, state.name)
    arriving = Bulk(state, places, ENGLISH).by_database()[TARGET]
    assert not any(one.coming_in for one in arriving)


def test_a_mailbox_shows_its_request_until_that_is_removed(shell: Shell, anna: Mailbox) -> None:
    def told() -> tuple[str, str]:
        (found,) = shell.objects("Get-Mailbox", Identity=anna.guid)
        return text(found, "MailboxMoveStatus"), text(found, "MailboxMoveFlags")

    assert told() == ("None", "None")
    start(shell, anna, SuspendWhenReadyToComplete=None)
    assert told() == ("Queued", "IntraOrg, Pull, SuspendWhenReadyToComplete")
    shell.ask("Set-MoveRequest", Identity=anna.guid, SuspendWhenReadyToComplete=False)
    assert told() == ("Queued", "IntraOrg, Pull")
    shell.world.advance(DAY)
    assert told() == ("Completed", "IntraOrg, Pull")
    shell.ask("Remove-MoveRequest", Identity=anna.guid, Confirm=False)
    assert told() == ("None", "None")
    state = shell.world.organisation
    state.move(anna, "SE-DB02").requested = True
    shell.world.advance(DAY)
    assert told()[0] == "Completed"
    shell.world.advance(31 * DAY)
    assert told()[0] == "None"
