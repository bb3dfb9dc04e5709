"""PST imports of the lab: requests, their states, and what comes into the mailbox."""

from datetime import timedelta

import pytest

from mailmig.lab import services
from mailmig.lab.faults.switchboard import Switchboard
from mailmig.lab.imports import BAD_ITEMS, ITEM_BYTES
from mailmig.lab.population import Mailbox, PstFile
from mailmig.model.quota import GIB, MIB, Quotas
from tests.lab.asking import ADMIN, Shell, text, town

SHARE = r"\\ls-fs1\archiv$"
IMPORTER = "Mailbox Import Export"
HOUR = timedelta(hours=1)


@pytest.fixture(name="shell")
def _shell() -> Shell:
    shell = Shell(town(20), "LS-EX16", ADMIN, IMPORTER)
    for number in range(3):
        put(shell, f"{number}.pst", 2 * GIB)
    mailbox = shell.someone()
    mailbox.use_database_quotas, mailbox.own = False, Quotas(90 * GIB, 95 * GIB, 100 * GIB)
    return shell


def put(shell: Shell, name: str, size: int) -> str:
    path = rf"{SHARE}\{name}"
    shell.world.organisation.pst_files.append(PstFile(0, path, size))
    return path


def new(shell: Shell, mailbox: Mailbox, name: str = "0.pst", **more: object) -> str:
    (one,) = shell.objects("New-MailboxImportRequest", Mailbox=mailbox.alias,
                           FilePath=rf"{SHARE}\{name}", **more)  # fmt: skip
    return str(one.text)


def state(shell: Shell, identity: str) -> tuple[str, str, int]:
    (one,) = shell.objects("Get-MailboxImportRequestStatistics", Identity=identity)
    percent = one["PercentComplete"]
    assert isinstance(percent, int)
    return text(one, "Status"), text(one, "StatusDetail"), percent


def test_a_file_comes_into_the_mailbox_and_counts_there(shell: Shell) -> None:
    mailbox = shell.someone()
    used, database = mailbox.used, shell.world.organisation.databases[mailbox.database].size
    identity = new(shell, mailbox, BatchName="welle 1")
    assert identity == rf"{mailbox.alias}\MailboxImport"
    assert state(shell, identity) == ("Queued", "Queued", 0)
    shell.world.advance(HOUR / 3)
    status, detail, percent = state(shell, identity)
    assert (status, detail) == ("InProgress", "CopyingMessages") and 0 < percent < 100
    shell.world.advance(HOUR)
    assert state(shell, identity) == ("Completed", "Completed", 100)
    assert mailbox.used - used >= 2 * GIB
    grown = shell.world.organisation.databases[mailbox.database].size - database
    assert grown >= 2 * GIB
    (one,) = shell.objects("Get-MailboxImportRequest", BatchName="Welle 1", Status="completed")
    assert text(one, "FilePath") == rf"{SHARE}\0.pst"
    assert shell.objects("Get-MailboxImportRequest", Status="Failed") == []


def test_one_mailbox_takes_one_file_after_the_other(shell: Shell) -> None:
    mailbox = shell.someone()
    first, second = new(shell, mailbox), new(shell, mailbox, "1.pst")
    assert second == rf"{mailbox.alias}\MailboxImport0"
    shell.world.advance(HOUR / 2)
    assert state(shell, first)[0] == "InProgress"
    assert state(shell, second)[:2] == ("Queued", "StalledDueToTarget_MailboxCapacityExceeded")
    shell.world.advance(2 * HOUR)
    assert [state(shell, one)[0] for one in (first, second)] == ["Completed", "Completed"]


def test_a_full_mailbox_stops_the_import_where_the_room_ended(shell: Shell) -> None:
    mailbox = shell.someone()
    mailbox.own = Quotas(1, 2, mailbox.used + 500 * MIB)
    identity = new(shell, mailbox)
    shell.world.advance(3 * HOUR)
    status, detail, percent = state(shell, identity)
    assert (status, detail) == ("Failed", "FailedMAPI") and 20 < percent < 30
    (one,) = shell.objects("Get-MailboxImportRequestStatistics", Identity=identity)
    assert "Quota" in text(one, "FailureType") and text(one, "FailureSide") == "Target"
    mailbox.own = Quotas(90 * GIB, 95 * GIB, 100 * GIB)
    assert shell.ask("Resume-MailboxImportRequest", Identity=identity) == []
    shell.world.advance(3 * HOUR)
    assert state(shell, identity)[0] == "Completed"


def test_a_request_rests_while_it_is_suspended_and_goes_on_from_there(shell: Shell) -> None:
    identity = new(shell, shell.someone(), Suspend=None)
    shell.world.advance(HOUR)
    assert state(shell, identity) == ("Suspended", "Suspended", 0)
    shell.ask("Resume-MailboxImportRequest", Identity=identity)
    shell.world.advance(HOUR / 4)
    shell.ask("Suspend-MailboxImportRequest", Identity=identity, Confirm=False)
    before = state(shell, identity)
    shell.world.advance(HOUR)
    assert state(shell, identity) == before and before[2] > 0
    shell.ask("Resume-MailboxImportRequest", Identity=identity)
    shell.world.advance(HOUR)
    assert state(shell, identity)[0] == "Completed"
    error = shell.error("Suspend-MailboxImportRequest", Identity=identity, Confirm=False)
    assert "state 'Completed'" in error.message


def test_nothing_is_imported_without_the_replication_service(shell: Shell) -> None:
    services.stop(shell.world, "LS-EX16", services.REPLICATION_OF_MAILBOXES)
    identity = new(shell, shell.someone())
    shell.world.advance(HOUR)
    assert state(shell, identity)[0] == "Queued"
    services.start(shell.world, "LS-EX16", services.REPLICATION_OF_MAILBOXES)
    shell.world.advance(HOUR)
    assert state(shell, identity)[0] == "Completed"


def test_a_mailbox_has_eleven_names_and_then_needs_one(shell: Shell) -> None:
    mailbox = shell.someone()
    names = {new(shell, mailbox, Suspend=None) for _ in range(11)}
    assert len(names) == 11 and rf"{mailbox.alias}\MailboxImport9" in names
    given = {"Mailbox": mailbox.alias, "FilePath": rf"{SHARE}\0.pst"}
    assert "unique" in shell.error("New-MailboxImportRequest", **given).message
    assert new(shell, mailbox, Name="elfter") == rf"{mailbox.alias}\elfter"
    error = shell.error("New-MailboxImportRequest", Name="ELFTER", **given)
    assert "already in use" in error.message


@pytest.mark.parametrize(("given", "words"), [
    ({"FilePath": r"D:\x.pst"}, "UNC path"),
    ({"FilePath": r"\\ls-fs1\nix.pst"}, "Could not find"),
    ({"Mailbox": "nobody"}, "couldn't be found"),
    ({"BadItemLimit": "60"}, "AcceptLargeDataLoss"),
    ({"BadItemLimit": "many"}, "Cannot convert"),
    ({"BadItemLimit": "-1"}, "Cannot convert"),
    ({"IsArchive": None}, "doesn't have an archive"),
])  # fmt: skip
def test_what_no_request_can_be_made_of_is_refused(
    shell: Shell, given: dict[str, object], words: str
) -> None:
    good = {"Mailbox": shell.someone().alias, "FilePath": rf"{SHARE}\0.pst"}
    assert words in shell.error("New-MailboxImportRequest", **(good | given)).message
    assert shell.objects("Get-MailboxImportRequest") == []


def test_requests_are_removed_and_a_lost_one_is_named(shell: Shell) -> None:
    identity = new(shell, shell.someone())
    assert "prompts" in shell.error("Remove-MailboxImportRequest", Identity=identity).message
    assert shell.ask("Remove-MailboxImportRequest", Identity=identity, Confirm=False) == []
    error = shell.error("Get-MailboxImportRequestStatistics", Identity=identity)
    assert "Couldn't find a mailbox import request" in error.message


def test_the_cmdlets_are_in_a_role_of_their_own(shell: Shell) -> None:
    plain = Shell(shell.world, "LS-EX16", ADMIN)
    assert "not recognized" in plain.error("Get-MailboxImportRequest").message


def test_a_locked_file_cannot_be_opened_and_a_damaged_one_fails_inside(shell: Shell) -> None:
    board = Switchboard(shell.world)
    path = rf"{SHARE}\0.pst"
    board.on("pst-locked", path)
    given = {"Mailbox": shell.someone().alias, "FilePath": path}
    assert "cannot access" in shell.error("New-MailboxImportRequest", **given).message
    board.off("pst-locked", path)
    board.on("pst-corrupt", path)
    identity = new(shell, shell.someone())
    shell.world.advance(HOUR)
    assert state(shell, identity)[:2] == ("Failed", "FailedBadItemLimit")
    board.off("pst-corrupt", path)
    shell.ask("Resume-MailboxImportRequest", Identity=identity)
    shell.world.advance(HOUR)
    assert state(shell, identity)[0] == "Completed"


def test_no_byte_gets_lost_in_the_steps_in_which_time_passes(shell: Shell) -> None:
    mailbox = shell.someone()
    mailbox.growth = 0.0
    put(shell, "small.pst", 7_654_321)
    used, items = mailbox.used, mailbox.items
    identity = new(shell, mailbox, "small.pst")
    for _ in range(60):
        shell.world.advance(timedelta(seconds=1))
    assert state(shell, identity)[0] == "Completed"
    assert mailbox.used - used == 7_654_321
    assert mailbox.items - items == 7_654_321 // ITEM_BYTES


def test_a_damaged_file_is_imported_when_its_loss_was_accepted(shell: Shell) -> None:
    Switchboard(shell.world).on("pst-corrupt", rf"{SHARE}\0.pst")
    identity = new(shell, shell.someone(), BadItemLimit="Unlimited", AcceptLargeDataLoss=None)
    shell.world.advance(HOUR)
    (one,) = shell.objects("Get-MailboxImportRequestStatistics", Identity=identity)
    assert (text(one, "Status"), one["BadItemsEncountered"]) == ("Completed", BAD_ITEMS)


def test_a_file_that_somebody_opens_later_is_imported_all_the_same(shell: Shell) -> None:
    identity = new(shell, shell.someone())
    Switchboard(shell.world).on("pst-locked", rf"{SHARE}\0.pst")
    shell.world.advance(HOUR)
    assert state(shell, identity)[0] == "Completed"


def test_what_fits_several_requests_changes_none(shell: Shell) -> None:
    mailbox = shell.someone()
    new(shell, mailbox)
    new(shell, mailbox, "1.pst")
    error = shell.error("Set-MailboxImportRequest", Identity=mailbox.alias, BatchName="x")
    assert "matches multiple entries" in error.message
    assert shell.objects("Get-MailboxImportRequest", BatchName="x") == []


def test_the_mailbox_that_is_not_there_is_named(shell: Shell) -> None:
    given = {"Mailbox": "niemand", "FilePath": rf"{SHARE}\0.pst"}
    assert "'niemand' couldn't be found" in shell.error("New-MailboxImportRequest", **given).message
