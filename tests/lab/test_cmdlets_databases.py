"""Cmdlets about copies and databases: what they change, what they refuse, what they show."""

from datetime import timedelta

import pytest

from mailmig.lab.exchange.calls import ErrorRecord
from mailmig.lab.world import World
from mailmig.model.quota import MIB
from tests.lab.asking import Shell, read, said, text, town

HERE, THERE = "LS-EX1", "LS-EX2"
COPY = rf"SE-DB01\{THERE}"
NO_ASKING = {"Confirm": False}


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(20), HERE)


def copy(shell: Shell, name: str, identity: str = COPY) -> str:
    (found,) = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=identity)
    return text(found, name)


def server_of(shell: Shell, database: str = "SE-DB01") -> str:
    (found,) = shell.objects("Get-MailboxDatabase", Identity=database, Status=None)
    return text(found, "Server") if found["Mounted"] is True else ""


def move(shell: Shell, **parameters: object) -> ErrorRecord:
    """The error of a switchover to the other server that is refused."""
    more = {"Identity": "SE-DB01", "ActivateOnServer": THERE, **NO_ASKING, **parameters}
    before = server_of(shell)
    record = shell.error("Move-ActiveMailboxDatabase", **more)
    assert server_of(shell) == before
    return record


def test_a_server_is_asked_about_its_own_copies_unless_another_one_is_named(shell: Shell) -> None:
    own = shell.objects("Get-MailboxDatabaseCopyStatus")
    assert {text(one, "MailboxServer") for one in own} == {HERE} and len(own) == 4
    others = shell.objects("Get-MailboxDatabaseCopyStatus", Server=THERE)
    assert {text(one, "MailboxServer") for one in others} == {THERE}
    active = shell.objects("Get-MailboxDatabaseCopyStatus", Server=THERE, Active=None)
    assert [one["ActiveCopy"] for one in active] == [True, True]
    record = shell.error("Get-MailboxDatabaseCopyStatus", Identity=r"SE-DB01\nix")
    assert "couldn't be found" in record.message


def test_of_the_active_copy_no_log_times_are_told(shell: Shell) -> None:
    (active,) = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=rf"SE-DB01\{HERE}")
    (passive,) = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=COPY)
    times = ("LatestAvailableLogTime", "LastCopiedLogTime", "LastInspectedLogTime",
             "LastReplayedLogTime", "LastCopyNotificationedLogTime")  # fmt: skip
    numbers = ("LastLogCopyNotified", "LastLogCopied", "LastLogInspected", "LastLogReplayed")
    assert all(active[name] is None for name in times)
    assert all(passive[name] is not None for name in times)
    assert [text(active, name) for name in numbers] == ["0"] * 4
    assert {text(passive, name) for name in numbers} == {text(active, "LastLogGenerated")}


def test_a_switchover_makes_the_other_copy_the_active_one(shell: Shell) -> None:
    (done,) = shell.objects(
        "Move-ActiveMailboxDatabase", Identity="SE-DB01", ActivateOnServer=THERE,
        MountDialOverride="Lossless", MoveComment="change 4711", **NO_ASKING,
    )  # fmt: skip
    shown = [text(done, name) for name in ("ActiveServerAtStart", "ActiveServerAtEnd", "Status")]
    assert shown == ["ls-ex1", "ls-ex2", "Succeeded"]
    assert text(done, "NumberOfLogsLost") == "0"
    assert (server_of(shell), copy(shell, "Status"), copy(shell, "Status", rf"SE-DB01\{HERE}")) == (
        THERE, "Mounted", "Healthy",
    )  # fmt: skip
    assert copy(shell, "ActiveDatabaseCopy") == "ls-ex2"
    again = shell.ask(
        "Move-ActiveMailboxDatabase", Identity="SE-DB01", ActivateOnServer=THERE, **NO_ASKING
    )
    assert "already active" in said(again)[0] and read(again) == []


def test_who_does_not_confirm_is_asked_and_nothing_happens(shell: Shell) -> None:
    record = shell.error("Move-ActiveMailboxDatabase", Identity="SE-DB01", ActivateOnServer=THERE)
    assert record.fully_qualified_id.startswith("HostFunctionNotSupported")
    assert shell.ask("Move-ActiveMailboxDatabase", Identity="SE-DB01", WhatIf=None) == []
    assert server_of(shell) == HERE


def test_all_databases_of_a_server_move_and_come_back_to_their_preferred_one(shell: Shell) -> None:
    moved = shell.objects("Move-ActiveMailboxDatabase", Server=HERE, **NO_ASKING)
    assert len(moved) == 2
    assert {server_of(shell, f"SE-DB0{n}") for n in range(1, 5)} == {THERE}
    back = shell.objects("Move-ActiveMailboxDatabase", ActivatePreferredOnServer=HERE, **NO_ASKING)
    assert len(back) == 2
    assert [server_of(shell, f"SE-DB0{n}") for n in range(1, 5)] == [HERE, THERE, HERE, THERE]


def broken(world: World, check: str) -> None:
    (one,) = (c for c in world.organisation.copies if c.identity == COPY)
    if check == "health":
        one.failed = "damaged"
    elif check == "lag":
        one.queue_logs, one.fetching = 40.0, False
    elif check == "active":
        one.seeding = 1e9
    else:
        world.organisation.activation[THERE].preferred = 2


@pytest.mark.parametrize(("check", "skip", "words"), [
    ("health", "SkipHealthChecks", "in state 'Failed'"),
    ("lag", "SkipLagChecks", "copy queue length is 40"),
    ("maximum", "SkipMaximumActiveDatabasesChecks", "preferred 2 active databases"),
])  # fmt: skip
def test_a_switchover_looks_first_unless_it_is_told_not_to(
    shell: Shell, check: str, skip: str, words: str
) -> None:
    broken(shell.world, check)
    record = move(shell)
    assert words in record.message and record.category == "InvalidOperation"
    assert record.exception.endswith("AmDbActionWrapperException")
    others = {"SkipActiveCopyChecks": None, "SkipClientExperienceChecks": None}
    assert words in move(shell, **others).message
    shell.objects(
        "Move-ActiveMailboxDatabase", Identity="SE-DB01", ActivateOnServer=THERE,
        **NO_ASKING, **{skip: None},
    )  # fmt: skip
    assert server_of(shell) == THERE


def test_a_seeding_source_stays_and_skipping_that_cancels_the_seeding(shell: Shell) -> None:
    shell.ask("Suspend-MailboxDatabaseCopy", Identity=COPY, **NO_ASKING)
    shell.ask("Update-MailboxDatabaseCopy", Identity=COPY, BeginSeed=None, **NO_ASKING)
    assert copy(shell, "Status") == "Seeding"
    assert "seeding source" in move(shell).message
    assert (
        shell.ask("Update-MailboxDatabaseCopy", Identity=COPY, CancelSeed=None, **NO_ASKING) == []
    )
    assert copy(shell, "Status") == "FailedAndSuspended"


def test_the_content_index_counts_where_there_is_one(shell: Shell) -> None:
    for name in (HERE, THERE):
        shell.world.organisation.change_server(name, build=(15, 1, 2507, 6))
    (one,) = (c for c in shell.world.organisation.copies if c.identity == COPY)
    one.index = "Crawling"
    assert "content index is in state 'Crawling'" in move(shell).message
    repaired = shell.ask("Update-MailboxDatabaseCopy", Identity=COPY, CatalogOnly=None, **NO_ASKING)
    assert repaired == []
    assert copy(shell, "ContentIndexState") == "Healthy"


def test_log_files_that_nobody_can_fetch_any_more_are_counted_and_refused(shell: Shell) -> None:
    world = shell.world
    (one,) = (c for c in world.organisation.copies if c.identity == COPY)
    one.queue_logs, one.fetching = 9.0, False
    world.organisation.activation[THERE].policy = "Blocked"
    world.organisation.take_down(HERE)
    there = Shell(world, THERE)
    assert server_of(there) == ""
    assert "9 log files" in move(there, SkipHealthChecks=None).message
    (done,) = there.objects(
        "Move-ActiveMailboxDatabase", Identity="SE-DB01", ActivateOnServer=THERE,
        SkipHealthChecks=None, MountDialOverride="BestAvailability", **NO_ASKING,
    )  # fmt: skip
    assert text(done, "NumberOfLogsLost") == "9" and server_of(there) == THERE


def test_a_copy_is_suspended_and_resumed(shell: Shell) -> None:
    suspended = shell.ask(
        "Suspend-MailboxDatabaseCopy", Identity=COPY, SuspendComment="Wartung für Müller",
        **NO_ASKING,
    )  # fmt: skip
    assert suspended == []
    assert (copy(shell, "Status"), copy(shell, "SuspendComment")) == (
        "Suspended", "Wartung für Müller",
    )  # fmt: skip
    assert shell.ask("Resume-MailboxDatabaseCopy", Identity=COPY) == []
    assert copy(shell, "Status") == "Initializing"
    shell.world.advance(timedelta(minutes=1))
    assert (copy(shell, "Status"), copy(shell, "ActivationSuspended")) == ("Healthy", "False")


def test_only_activation_may_be_suspended(shell: Shell) -> None:
    shell.ask("Suspend-MailboxDatabaseCopy", Identity=COPY, ActivationOnly=None, **NO_ASKING)
    assert (copy(shell, "Status"), copy(shell, "ActivationSuspended")) == ("Healthy", "True")
    assert "is suspended" in move(shell).message
    shell.ask("Resume-MailboxDatabaseCopy", Identity=COPY, ReplicationOnly=None)
    assert copy(shell, "ActivationSuspended") == "True"
    shell.ask("Resume-MailboxDatabaseCopy", Identity=COPY)
    assert copy(shell, "ActivationSuspended") == "False"


@pytest.mark.parametrize(("cmdlet", "identity", "words"), [
    ("Suspend-MailboxDatabaseCopy", rf"SE-DB01\{HERE}", "that copy is active"),
    ("Suspend-MailboxDatabaseCopy", r"Nix\LS-EX2", "couldn't be found"),
    ("Suspend-MailboxDatabaseCopy", "SE-DB01", "couldn't be found"),
    ("Update-MailboxDatabaseCopy", COPY, "must be suspended"),
    ("Update-MailboxDatabaseCopy", rf"SE-DB01\{HERE}", "that copy is active"),
    ("Mount-Database", "SE-DB01", "already mounted"),
    ("Dismount-Database", "nix", "couldn't be found"),
])  # fmt: skip
def test_what_cannot_be_is_refused(shell: Shell, cmdlet: str, identity: str, words: str) -> None:
    asked = {} if cmdlet == "Mount-Database" else NO_ASKING
    assert words in shell.error(cmdlet, Identity=identity, **asked).message


def test_a_dismounted_database_stays_so_until_somebody_mounts_it(shell: Shell) -> None:
    assert shell.ask("Dismount-Database", Identity="SE-DB01", **NO_ASKING) == []
    assert server_of(shell) == ""
    shell.world.advance(timedelta(hours=3))
    assert server_of(shell) == ""
    assert shell.ask("Mount-Database", Identity="SE-DB01") == []
    assert server_of(shell) == HERE


def test_what_no_server_can_mount_is_not_mounted(shell: Shell) -> None:
    state = shell.world.organisation
    shell.ask("Dismount-Database", Identity="Buerger", **NO_ASKING)
    state.take_down("LS-EX16")
    record = shell.error("Mount-Database", Identity="Buerger")
    assert "Couldn't mount" in record.message
    state.bring_back("LS-EX16")
    assert server_of(shell, "Buerger") == "LS-EX16"


def test_circular_logging_keeps_the_volume_free_and_makes_no_log_backups(shell: Shell) -> None:
    state = shell.world.organisation
    database = state.databases["SE-DB01"]
    database.size = 300 * 1024 * MIB
    assert shell.ask("Set-MailboxDatabase", Identity="SE-DB01", CircularLoggingEnabled=True) == []
    shell.world.advance(timedelta(hours=20))
    shell.world.advance(timedelta(hours=1))
    backup = state.backups.of("SE-DB01")
    assert backup.kept == 0 and backup.written > 48_211 + 1000
    assert backup.incremental is not None
    assert shell.world.now - backup.incremental > timedelta(hours=20)
    source = shell.ask("Set-MailboxDatabase", Identity="Buerger", CircularLoggingEnabled=True)
    assert "dismounted and mounted again" in said(source)[0]


def test_a_parameter_that_is_not_simulated_is_refused(shell: Shell) -> None:
    record = shell.error("Set-MailboxDatabase", Identity="SE-DB01", Name="other")
    assert record.fully_qualified_id == "LabNotSimulated"
    record = shell.error(
        "Move-ActiveMailboxDatabase", Identity="SE-DB01", SkipAllChecks=None, **NO_ASKING
    )
    assert record.fully_qualified_id == "LabNotSimulated"


def test_an_override_of_the_mount_dial_that_is_none_is_refused(shell: Shell) -> None:
    assert "DatabaseMountDialOverride" in move(shell, MountDialOverride="Magic").message


def test_of_several_databases_one_that_cannot_move_keeps_no_other_back(shell: Shell) -> None:
    assert shell.ask("Suspend-MailboxDatabaseCopy", Identity=COPY, **NO_ASKING) == []
    outputs = shell.ask("Move-ActiveMailboxDatabase", Server=HERE, **NO_ASKING)
    (refused,) = said(outputs)
    assert "SE-DB01" in refused and len(read(outputs)) == 1
    assert (server_of(shell), server_of(shell, "SE-DB02")) == (HERE, THERE)
