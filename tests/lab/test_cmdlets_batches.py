"""Migration batches of the lab, beside the move requests that they make."""

from datetime import timedelta

import pytest

from mailmig.lab.batches import migration_mailbox
from mailmig.lab.population import Mailbox
from tests.lab.asking import Shell, read, text, town

DAY = timedelta(days=1)
TARGET = "SE-DB01"


@pytest.fixture(name="shell")
def _shell() -> Shell:
    """Somebody has moved the arbitration mailbox already: otherwise batches would hang."""
    shell = Shell(town(30), "LS-EX1")
    arbitration(shell).database = TARGET
    return shell


def arbitration(shell: Shell) -> Mailbox:
    found = migration_mailbox(shell.world.organisation)
    assert found is not None
    return found


def csv(shell: Shell, *numbers: int, more: str = "") -> bytes:
    rows = [shell.someone(number).address for number in numbers]
    return ("EmailAddress\r\n" + "\r\n".join([*rows, more]) + "\r\n").encode("utf-8-sig")


def new(shell: Shell, *numbers: int, name: str = "Welle Ü", **more: object) -> None:
    (one,) = shell.objects("New-MigrationBatch", Local=None, Name=name, TargetDatabases=[TARGET],
                           CSVData=csv(shell, *numbers), **more)  # fmt: skip
    assert text(one, "Identity") == name
    assert one["PendingCount"] == (0 if "AutoStart" in more else len(numbers))


def status(shell: Shell, name: str = "Welle Ü") -> str:
    (one,) = shell.objects("Get-MigrationBatch", Identity=name)
    return text(one, "Status")


def test_a_batch_goes_from_created_to_completed(shell: Shell) -> None:
    new(shell, 3, 4, 5)
    assert status(shell) == "Created"
    assert shell.ask("Start-MigrationBatch", Identity="Welle Ü") == []
    assert status(shell) == "Syncing"
    found = shell.objects("Get-MoveRequest", BatchName="MigrationService:Welle Ü")
    assert len(found) == 3
    shell.world.advance(DAY)
    assert status(shell) == "Synced"
    users = shell.objects("Get-MigrationUser", BatchId="Welle Ü")
    assert {text(one, "StatusSummary") for one in users} == {"Synced"}
    assert shell.ask("Complete-MigrationBatch", Identity="Welle Ü", Confirm=False) == []
    assert status(shell) == "Completing"
    shell.world.advance(DAY)
    assert status(shell) == "Completed"
    assert {shell.someone(number).database for number in (3, 4, 5)} == {TARGET}
    (one,) = shell.objects("Get-MigrationBatch")
    assert (one["TotalCount"], one["FinalizedCount"], one["FailedCount"]) == (3, 3, 0)


def test_a_batch_hangs_in_starting_until_the_migration_mailbox_is_on_the_newest_version(
    shell: Shell,
) -> None:
    arbitration(shell).database = shell.someone(3).database
    new(shell, 3, 4, AutoStart=None, AutoComplete=None)
    shell.world.advance(DAY)
    assert status(shell) == "Starting"
    assert shell.objects("Get-MoveRequest", BatchName="MigrationService:Welle Ü") == []
    shell.objects(
        "New-MoveRequest", Identity=arbitration(shell).exchange_guid, TargetDatabase=TARGET
    )
    shell.world.advance(DAY)
    assert status(shell) == "Syncing"
    shell.world.advance(DAY)
    assert status(shell) == "Completed"


def test_a_batch_that_completes_by_itself_needs_nobody(shell: Shell) -> None:
    new(shell, 3, AutoStart=None, AutoComplete=None)
    shell.world.advance(DAY)
    assert status(shell) == "Completed" and shell.someone(3).database == TARGET


def test_a_stopped_batch_goes_on_when_it_is_started_again(shell: Shell) -> None:
    new(shell, 3, 4, AutoStart=None)
    assert shell.ask("Stop-MigrationBatch", Identity="Welle Ü", Confirm=False) == []
    shell.world.advance(DAY)
    assert status(shell) == "Stopped"
    users = shell.objects("Get-MigrationUser", StatusSummary="Stopped")
    assert len(users) == 2
    shell.ask("Start-MigrationBatch", Identity="Welle Ü")
    shell.world.advance(DAY)
    assert status(shell) == "Synced"


def test_a_row_that_means_nobody_fails_alone(shell: Shell) -> None:
    data = csv(shell, 3, more="nobody@town.example")
    shell.objects("New-MigrationBatch", Local=None, Name="b", TargetDatabases=[TARGET],
                  CSVData=data, AutoStart=None)  # fmt: skip
    shell.world.advance(DAY)
    assert status(shell, "b") == "SyncedWithErrors"
    (batch,) = shell.objects("Get-MigrationBatch")
    assert (batch["FailedCount"], batch["SyncedCount"], batch["PendingCount"]) == (1, 1, 0)
    (failed,) = shell.objects("Get-MigrationUser", Status="Failed")
    assert "nobody@town.example" in text(failed, "ErrorSummary")


def test_a_move_that_somebody_made_alone_is_in_no_batch(shell: Shell) -> None:
    shell.ask("New-MoveRequest", Identity=shell.someone(3).guid, TargetDatabase=TARGET)
    assert shell.objects("Get-MigrationBatch") == []
    assert shell.objects("Get-MigrationUser") == []
    new(shell, 3, AutoStart=None)
    (user,) = shell.objects("Get-MigrationUser")
    assert text(user, "Status") == "Failed"


def test_removing_takes_the_moves_away_unless_it_is_forced(shell: Shell) -> None:
    new(shell, 3, name="one", AutoStart=None)
    new(shell, 4, name="two", AutoStart=None)
    shell.world.advance(DAY)
    assert shell.ask("Remove-MigrationBatch", Identity="one", Confirm=False) == []
    assert shell.objects("Get-MoveRequest", BatchName="MigrationService:one") == []
    shell.ask("Remove-MigrationBatch", Identity="two", Force=None, Confirm=False)
    assert len(shell.objects("Get-MoveRequest", BatchName="MigrationService:two")) == 1
    assert "can't be found" in shell.error("Get-MigrationBatch", Identity="two").message


def test_one_user_can_be_taken_out(shell: Shell) -> None:
    new(shell, 3, 4, AutoStart=None)
    address = shell.someone(3).address
    assert shell.ask("Remove-MigrationUser", Identity=address, Confirm=False) == []
    (left,) = shell.objects("Get-MigrationUser")
    assert text(left, "Identifier") == shell.someone(4).address


@pytest.mark.parametrize(("given", "words"), [
    ({"CSVData": b"Name\r\nx\r\n"}, "EmailAddress is missing"),
    ({"CSVData": b"EmailAddress,Colour\r\na@b,red\r\n"}, "Colour"),
    ({"CSVData": b"EmailAddress\r\n"}, "no rows"),
    ({"CSVData": b"\xff\xfe"}, "can't be used"),
    ({"CSVData": "text"}, "Cannot convert"),
    ({"TargetDatabases": ["Nix"]}, "couldn't be found"),
    ({"TargetDatabases": None}, "no target database"),
    ({"BadItemLimit": "many"}, "Cannot convert"),
])  # fmt: skip
def test_a_list_that_no_batch_can_be_made_of_is_refused(
    shell: Shell, given: dict[str, object], words: str
) -> None:
    good = {"Local": None, "Name": "b", "TargetDatabases": [TARGET], "CSVData": csv(shell, 3)}
    assert words in shell.error("New-MigrationBatch", **(good | given)).message
    assert shell.objects("Get-MigrationBatch") == []


def test_a_batch_is_only_completed_when_it_is_synced(shell: Shell) -> None:
    new(shell, 3, AutoStart=None)
    error = shell.error("Complete-MigrationBatch", Identity="Welle Ü", Confirm=False)
    assert "its status is 'Syncing'" in error.message
    assert "already exists" in shell.error(
        "New-MigrationBatch", Local=None, Name="WELLE ü", TargetDatabases=[TARGET],
        CSVData=csv(shell, 4)).message  # fmt: skip


def test_there_are_no_endpoints_and_room_for_a_hundred_batches(shell: Shell) -> None:
    assert shell.objects("Get-MigrationEndpoint") == []
    assert "couldn't be found" in shell.error("Get-MigrationEndpoint", Identity="x").message
    (config,) = shell.objects("Get-MigrationConfig")
    assert config["MaxNumberOfBatches"] == 100
    assert read(shell.ask("Get-MigrationBatch", Identity="")) == []


def test_the_number_of_batches_can_be_limited(shell: Shell) -> None:
    assert shell.ask("Set-MigrationConfig", MaxNumberOfBatches=1) == []
    new(shell, 3)
    (config,) = shell.objects("Get-MigrationConfig")
    assert (config["MaxNumberOfBatches"], config["CanSubmitNewBatch"]) == (1, False)
    given = {"Local": None, "TargetDatabases": [TARGET], "CSVData": csv(shell, 4)}
    assert "already 1" in shell.error("New-MigrationBatch", Name="b", **given).message
    assert "Cannot convert" in shell.error("Set-MigrationConfig", MaxNumberOfBatches=500).message


def test_the_users_of_a_batch_that_was_removed_by_force_are_removed_one_by_one(
    shell: Shell,
) -> None:
    new(shell, 3, AutoStart=None)
    shell.ask("Remove-MigrationBatch", Identity="Welle Ü", Force=None, Confirm=False)
    (user,) = shell.objects("Get-MigrationUser")
    given = {"Identity": text(user, "Identifier"), "Force": None, "Confirm": False}
    assert shell.ask("Remove-MigrationUser", **given) == []
    assert shell.objects("Get-MigrationUser") == []
    assert shell.objects("Get-MoveRequest", BatchName="MigrationService:Welle Ü") == []


def test_the_limit_of_a_row_counts_more_than_that_of_the_batch(shell: Shell) -> None:
    addresses = [shell.someone(number).address for number in (3, 4)]
    data = f"EmailAddress,BadItemLimit\r\n{addresses[0]},25\r\n{addresses[1]},\r\n".encode()
    shell.objects("New-MigrationBatch", Local=None, Name="b", TargetDatabases=[TARGET],
                  CSVData=data, BadItemLimit="7", AutoStart=None)  # fmt: skip
    found = shell.objects("Get-MoveRequestStatistics", MoveRequestQueue=TARGET)
    assert sorted(text(one, "BadItemLimit") for one in found) == ["25", "7"]


@pytest.mark.parametrize("columns", ["MailboxType", "TargetArchiveDatabase"])
def test_a_row_that_the_lab_cannot_follow_is_refused(shell: Shell, columns: str) -> None:
    value = {"MailboxType": "ArchiveOnly", "TargetArchiveDatabase": TARGET}[columns]
    data = f"EmailAddress,{columns}\r\n{shell.someone(3).address},{value}\r\n".encode()
    error = shell.error("New-MigrationBatch", Local=None, Name="b", TargetDatabases=[TARGET],
                        CSVData=data)  # fmt: skip
    assert "does not simulate" in error.message
