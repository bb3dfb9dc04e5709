"""Faults of databases, backups and versions, seen through the cmdlets that tell of them."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from mailmig.lab.faults.switchboard import BadTarget, Switchboard
from mailmig.lab.machines import LOGS
from mailmig.lab.world import World
from mailmig.model.quota import MIB
from mailmig.wire.clixml import Int64, Obj, items
from tests.lab.asking import Shell, text, town
from tests.lab.asking_windows import facts

HERE, THERE = "LS-EX1", "LS-EX2"
COPY = rf"SE-DB01\{THERE}"
OLD = r"Buerger\LS-EX16"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def copy(shell: Shell, identity: str = COPY) -> Obj:
    (found,) = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=identity)
    return found


def database(shell: Shell, name: str = "SE-DB01") -> Obj:
    (found,) = shell.objects("Get-MailboxDatabase", Identity=name, Status=None)
    return found


def of_copy(*names: str, identity: str = COPY) -> Callable[[Shell], object]:
    return lambda shell: [text(copy(shell, identity), name) for name in names]


def of_database(*names: str) -> Callable[[Shell], object]:
    def look(shell: Shell) -> object:
        found = database(shell)
        return [_shown(found[name]) for name in names]

    return look


def _shown(value: object) -> object:
    if isinstance(value, Obj) and isinstance(value.value, list):
        return [str(one.text if isinstance(one, Obj) else one) for one in items(value)]
    return value.text if isinstance(value, Obj) else value


def active_on_each(shell: Shell) -> list[int]:
    found = shell.objects("Get-MailboxDatabaseCopyStatus", Server=HERE)
    active = sum(one["ActiveCopy"] is True for one in found)
    return [active, len(found) - active]


def builds(shell: Shell) -> list[str]:
    return [text(one, "AdminDisplayVersion") for one in shell.objects("Get-ExchangeServer")]


SE, CU15 = "Version 15.2 (Build 2562.17)", "Version 15.2 (Build 1748.10)"
E2016, CU22 = "Version 15.1 (Build 2507.6)", "Version 15.1 (Build 2375.7)"
# Fault, target, what is looked at, what is seen without and with it.
SEEN: list[tuple[str, str, Callable[[Shell], object], object, object]] = [
    ("database-dismounted", "SE-DB01", of_database("Mounted"), [True], [False]),
    ("database-dismounted", "SE-DB01", of_copy("Status", identity=rf"SE-DB01\{HERE}"),
     ["Mounted"], ["Dismounted"]),
    ("copy-failed", COPY, of_copy("Status", "ErrorMessage"), ["Healthy", ""],
     ["Failed", "The log file is damaged or missing. The database copy needs to be reseeded."]),
    ("copy-suspended", COPY, of_copy("Status", "SuspendComment"), ["Healthy", ""],
     ["Suspended", "left from the last maintenance"]),
    ("copy-disconnected", COPY, of_copy("Status"), ["Healthy"], ["DisconnectedAndHealthy"]),
    ("copy-seeding", COPY, of_copy("Status", "DatabaseSeedStatus"), ["Healthy", "None"],
     ["Seeding", "Percentage:0; Type:Database"]),
    ("activation-suspended", COPY, of_copy("Status", "ActivationSuspended"),
     ["Healthy", "False"], ["Healthy", "True"]),
    ("copy-lagged", COPY, of_database("ReplayLagTimes"),
     [["[LS-EX1, 00:00:00]", "[LS-EX2, 00:00:00]"]],
     [["[LS-EX1, 00:00:00]", "[LS-EX2, 7.00:00:00]"]]),
    ("copy-removed", COPY, of_database("DatabaseCopies", "ReplicationType"),
     [[rf"SE-DB01\{HERE}", COPY], "Remote"], [[rf"SE-DB01\{HERE}"], "None"]),
    ("copy-half-removed", COPY, of_database("InvalidDatabaseCopies"), [[]], [[COPY]]),
    ("index-failed", OLD,
     of_copy("ContentIndexState", "ContentIndexErrorMessage", identity=OLD), ["Healthy", ""],
     ["Failed", "The index is corrupt: an internal error occurred while reading the catalog."]),
    ("index-backlog", OLD, of_copy("ContentIndexState", "ContentIndexBacklog", identity=OLD),
     ["Healthy", "0"], ["Healthy", "14400"]),
    ("database-elsewhere", "SE-DB01", of_database("Server", "ActivationPreference"),
     [HERE, ["[LS-EX1, 1]", "[LS-EX2, 2]"]], [THERE, ["[LS-EX1, 1]", "[LS-EX2, 2]"]]),
    ("all-on-one", HERE, active_on_each, [2, 2], [4, 0]),
    ("mount-at-startup-off", "SE-DB01", of_database("MountAtStartup"), [True], [False]),
    ("circular-logging", "SE-DB01", of_database("CircularLoggingEnabled"), [False], [True]),
    ("backup-hanging", "SE-DB01", of_database("BackupInProgress"), [False], [True]),
    ("node-version-differs", THERE, builds, [E2016, SE, SE], [E2016, SE, CU15]),
    ("server-outdated", "LS-EX16", builds, [E2016, SE, SE], [CU22, SE, SE]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "target", "look", "before", "seen"), SEEN, ids=[f"{s[0]}-{s[1]}" for s in SEEN]
)
def test_a_fault_is_seen_while_it_is_on(
    name: str, target: str, look: Callable[[Shell], object], before: object, seen: object
) -> None:
    world = town(20)
    board, shell = Switchboard(world), Shell(world, HERE)
    assert look(shell) == before
    board.on(name, target)
    assert look(shell) == seen
    board.off(name, target)
    world.advance(MINUTE)
    assert look(shell) == before


def lab(*, asked: str = HERE) -> tuple[World, Switchboard, Shell]:
    world = town(20)
    return world, Switchboard(world), Shell(world, asked)


def number(found: Obj, name: str) -> int:
    value = found[name]
    assert isinstance(value, Int64 | int) and not isinstance(value, bool)
    return int(value)


def free(world: World, server: str = THERE) -> int:
    """Bytes on the volume of the log files, as Windows tells."""
    volumes = [one for one in facts(world, server, "volumes") if one.path == LOGS]
    return int(volumes[0].free)


def gap(found: Obj) -> timedelta:
    """The age of the newest log file that the passive copy has."""
    available, inspected = found["LatestAvailableLogTime"], found["LastInspectedLogTime"]
    assert isinstance(available, datetime) and isinstance(inspected, datetime)
    return available - inspected


def test_a_copy_that_does_not_replay_says_so_and_catches_up() -> None:
    world, board, shell = lab()
    assert number(copy(shell), "ReplayQueueLength") == 0
    board.on("replay-behind", COPY)
    world.advance(HOUR)
    found = copy(shell)
    assert number(found, "ReplayQueueLength") >= 900 and found["LogReplayQueueIncreasing"] is True
    assert number(found, "LastLogCopied") - number(found, "LastLogReplayed") >= 900
    board.all_off()
    world.advance(HOUR)
    assert number(copy(shell), "ReplayQueueLength") == 0
    assert copy(shell)["LogReplayQueueIncreasing"] is False


def test_a_copy_that_fetches_nothing_falls_behind_by_all_that_is_written() -> None:
    world, board, shell = lab()
    world.organisation.databases["SE-DB01"].size = 200 * 1024 * MIB
    board.on("copy-behind", COPY)
    world.advance(HOUR)
    found = copy(shell)
    written = number(found, "LastLogGenerated") - 48_211
    assert number(found, "CopyQueueLength") == 2500 + written > 2500
    assert found["LogCopyQueueIncreasing"] is True
    assert number(found, "LastLogGenerated") - number(found, "LastLogCopied") == 2500 + written
    world.advance(HOUR)
    assert gap(copy(shell)) > 2 * HOUR
    board.all_off()
    world.advance(HOUR)
    assert number(copy(shell), "CopyQueueLength") == 0
    assert gap(copy(shell)) < MINUTE


def test_a_lagged_copy_keeps_what_is_younger_than_its_lag() -> None:
    world, board, shell = lab()
    world.organisation.databases["SE-DB01"].size = 200 * 1024 * MIB
    board.on("copy-lagged", COPY)
    world.advance(timedelta(days=3))
    waiting = number(copy(shell), "ReplayQueueLength")
    assert waiting == pytest.approx(3 * 200 * 10, rel=0.1)
    board.all_off()
    world.advance(HOUR)
    assert number(copy(shell), "ReplayQueueLength") < 50


def test_a_failed_copy_does_not_heal_itself_but_by_seeding() -> None:
    world, board, shell = lab()
    board.on("copy-failed", COPY)
    world.advance(timedelta(days=1))
    assert text(copy(shell), "Status") == "Failed"
    assert shell.ask("Suspend-MailboxDatabaseCopy", Identity=COPY, Confirm=False) == []
    assert text(copy(shell), "Status") == "FailedAndSuspended"
    assert shell.ask("Resume-MailboxDatabaseCopy", Identity=COPY) == []
    assert text(copy(shell), "Status") == "Failed"
    seeding = {"Identity": COPY, "DeleteExistingFiles": None, "Confirm": False}
    assert shell.ask("Update-MailboxDatabaseCopy", **seeding) == []
    assert text(copy(shell), "Status") == "Seeding"
    world.advance(HOUR)
    assert text(copy(shell), "Status") in ("Initializing", "Resynchronizing", "Healthy")
    world.advance(MINUTE)
    assert text(copy(shell), "Status") == "Healthy"


def test_a_suspended_copy_keeps_the_log_files_of_all() -> None:
    world, board, shell = lab()
    world.organisation.databases["SE-DB01"].size = 200 * 1024 * MIB
    before = free(world)
    world.advance(timedelta(days=2))
    truncated = free(world)
    board.on("copy-suspended", COPY)
    world.advance(timedelta(days=2))
    kept = before - free(world)
    assert kept >= 2 * 2000 * MIB > before - truncated > 0
    assert before - free(world, HERE) == kept
    assert number(copy(shell), "CopyQueueLength") > 2 * 2000 * 0.9
    board.all_off()
    world.advance(timedelta(days=2))
    assert before - free(world) < 2 * 2000 * MIB


def test_a_database_that_is_elsewhere_goes_back_by_itself() -> None:
    world, board, shell = lab()
    board.on("database-elsewhere", "SE-DB01")
    assert text(database(shell), "Server") == THERE
    world.advance(HOUR + MINUTE)
    assert text(database(shell), "Server") == HERE
    board.all_off()
    assert text(database(shell), "Server") == HERE


def test_what_is_all_on_one_stays_there() -> None:
    world, board, shell = lab()
    board.on("all-on-one", THERE)
    world.advance(timedelta(days=2))
    assert active_on_each(shell) == [0, 4]
    board.all_off()
    assert active_on_each(shell) == [2, 2]


def test_a_database_that_is_not_mounted_at_startup_waits_for_somebody() -> None:
    world, board, shell = lab()
    board.on("mount-at-startup-off", "Buerger")
    board.on("server-down", "LS-EX16")
    board.off("server-down", "LS-EX16")
    assert database(shell, "Buerger")["Mounted"] is False
    assert database(shell, "Technik")["Mounted"] is True
    world.advance(MINUTE)
    assert shell.ask("Mount-Database", Identity="Buerger") == []
    assert database(shell, "Buerger")["Mounted"] is True


def test_a_suspended_activation_is_no_copy_to_fail_over_to() -> None:
    _, board, shell = lab(asked=THERE)
    board.on("activation-suspended", COPY)
    board.on("server-down", HERE)
    assert database(shell)["Mounted"] is False
    board.off("activation-suspended", COPY)
    assert (database(shell)["Mounted"], text(database(shell), "Server")) == (True, THERE)


def test_a_copy_that_lacks_too_much_is_not_mounted_by_itself() -> None:
    world, board, shell = lab(asked=THERE)
    (lacking,) = (one for one in world.organisation.copies if one.identity == COPY)
    lacking.fetching, lacking.queue_logs = False, 7.0
    board.on("server-down", HERE)
    assert database(shell)["Mounted"] is False
    shell.ask("Set-MailboxServer", Identity=THERE, AutoDatabaseMountDial="BestAvailability")
    assert database(shell)["Mounted"] is True


def hours(shell: Shell, world: World, name: str) -> float | None:
    value = database(shell)[name]
    assert value is None or isinstance(value, datetime)
    return None if value is None else (world.now - value).total_seconds() / 3600


def test_a_backup_that_fails_grows_old_and_fills_the_volumes() -> None:
    world, board, shell = lab()
    world.advance(timedelta(days=1))
    age, room = hours(shell, world, "LastFullBackup"), free(world)
    assert age is not None and age < 24
    board.on("backup-failing", "SE-DB01")
    world.advance(timedelta(days=1))
    later = hours(shell, world, "LastFullBackup")
    assert later == pytest.approx(5 * 24)
    assert copy(shell)["LatestFullBackupTime"] == database(shell)["LastFullBackup"]
    assert room - free(world) >= 6000 * MIB
    board.all_off()
    world.advance(timedelta(days=1))
    after = hours(shell, world, "LastFullBackup")
    assert after is not None and after < 24
    assert free(world) > room - 100 * MIB


def test_a_database_that_was_never_backed_up_has_no_date() -> None:
    world, board, shell = lab()
    board.on("backup-never", "SE-DB01")
    world.advance(timedelta(days=2))
    assert (hours(shell, world, "LastFullBackup"), hours(shell, world, "LastIncrementalBackup")) == (
        None, None,
    )  # fmt: skip
    board.all_off()
    assert hours(shell, world, "LastFullBackup") is not None


def test_log_backups_may_fail_alone() -> None:
    world, board, shell = lab()
    board.on("log-backup-failing", "SE-DB01")
    world.advance(timedelta(days=1))
    full, logs = (hours(shell, world, f"Last{kind}Backup") for kind in ("Full", "Incremental"))
    assert full is not None and logs is not None
    assert full < 24 and logs == pytest.approx(5 * 24)
    board.all_off()
    world.advance(timedelta(days=1))
    after = hours(shell, world, "LastIncrementalBackup")
    assert after is not None and after < 24


def test_a_snapshot_is_in_progress_at_night_for_a_while() -> None:
    world, _, shell = lab()
    begun = []
    for _ in range(24 * 4):
        world.advance(timedelta(minutes=15))
        if database(shell)["BackupInProgress"] is True:
            begun.append(world.now.hour)
    assert set(begun) == {0, 1} and 3 <= len(begun) <= 6


def test_a_backup_that_hangs_makes_no_backup() -> None:
    world, board, shell = lab()
    board.on("backup-hanging", "SE-DB01")
    world.advance(timedelta(days=3))
    age = hours(shell, world, "LastFullBackup")
    assert age is not None and age > 3 * 24
    assert database(shell, "SE-DB02")["BackupInProgress"] is False


def test_a_2013_server_lies_about_the_index_of_later_ones_and_has_fewer_cmdlets() -> None:
    world, board, _ = lab()
    asked = Shell(world, "LS-EX16")

    def state() -> tuple[str, object]:
        found = copy(asked)["ContentIndexState"]
        assert isinstance(found, Obj)
        return str(found.text), found.value

    assert state() == ("NotApplicable", 11)
    assert asked.engine.knows(asked.account, "Get-ClientAccessService")
    board.on("server-2013-asked", "LS-EX16")
    assert state() == ("11", 11)
    assert not asked.engine.knows(asked.account, "Get-ClientAccessService")
    assert text(copy(asked, OLD), "ContentIndexState") == "Healthy"
    assert builds(asked)[0] == "Version 15.0 (Build 1497.2)"
    own = Shell(world, HERE)
    assert text(copy(own), "ContentIndexState") == "NotApplicable"
    board.all_off()
    assert state() == ("NotApplicable", 11)


def test_what_setup_left_stands_in_the_component_states() -> None:
    world, board, shell = lab()

    def states() -> dict[str, str]:
        world.advance(MINUTE)
        found = shell.objects("Get-ServerComponentState", Identity=HERE)
        return {text(one, "Component"): text(one, "State") for one in found}

    before = states()
    board.on("setup-residue", HERE)
    assert states()["ServerWideOffline"] == states()["Monitoring"] == "Inactive"
    assert set(states().values()) == {"Inactive"}
    board.off("setup-residue", HERE)
    assert states() == before


WRONG = [
    ("database-dismounted", "nix"), ("copy-behind", rf"SE-DB01\{HERE}"), ("copy-failed", "SE-DB01"),
    ("copy-removed", OLD), ("index-failed", COPY), ("database-elsewhere", "Buerger"),
    ("all-on-one", "LS-EX16"), ("backup-failing", "nix"), ("node-version-differs", "LS-EX16"),
    ("server-2013-asked", HERE), ("setup-residue", "nix"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "target"), WRONG)
def test_a_wrong_target_is_refused(name: str, target: str) -> None:
    board = Switchboard(town(20))
    with pytest.raises(BadTarget, match=f'for "{target}"'.replace("\\", r"\\")):
        board.on(name, target)
    assert list(board) == []
