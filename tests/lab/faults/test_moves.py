"""Each fault of moves is seen in the cmdlets while it is on, and goes on or away when it is off."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailmig.lab.batches import migration_mailbox
from mailmig.lab.faults.moves import BAD_ITEMS, INFLATION, LARGE_ITEMS, MISSING_ITEMS
from mailmig.lab.faults.switchboard import BadTarget, Switchboard, kinds
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, text, town

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TARGET = "SE-DB01"
STALLS = {
    "move-disk-latency": ("DiskLatency", "WriteThrottle"),
    "move-processor": ("Processor", "WriteCpu"),
    "move-content-index": ("ContentIndexing", "CIDuration"),
    "move-data-guarantee": ("DataGuaranteeWait", ""),
    "move-replay-queue": ("MdbAvailability", "HADuration"),
    "move-replication": ("MdbReplication", "HADuration"),
    "move-unknown-reason": ("UnknownReason", "WriteUnknown"),
}


class Case:
    """A town in which one mailbox is being moved, with the board that switches faults."""

    def __init__(self) -> None:
        world = town(40)
        self.shell, self.board = Shell(world, "LS-EX1"), Switchboard(world)
        for move in list(world.organisation.moves):  # the story's own pilot
            world.organisation.cancel(move)
        people = world.organisation.present(Kind.USER)
        self.anna: Mailbox = next(
            m for m in people if m.used > 50 * 2**20 and m.use_database_quotas and not m.archive
        )
        self.source = self.anna.database

    def start(self, **more: object) -> None:
        self.shell.objects(
            "New-MoveRequest", Identity=self.anna.alias, TargetDatabase=TARGET, **more
        )

    def refused(self) -> str:
        return self.shell.error(
            "New-MoveRequest", Identity=self.anna.alias, TargetDatabase=TARGET
        ).message

    def resume(self) -> None:
        assert self.shell.ask("Resume-MoveRequest", Identity=self.anna.guid) == []

    def pass_(self, time: timedelta) -> None:
        self.shell.world.advance(time)

    def half(self) -> None:
        self.pass_(self.shell.world.organisation.move_time(self.anna) / 2)

    def seen(self, **more: object) -> Obj:
        (found,) = self.shell.objects("Get-MoveRequestStatistics", Identity=self.anna.guid, **more)
        return found

    def state(self) -> tuple[str, str]:
        found = self.seen()
        (request,) = self.shell.objects("Get-MoveRequest", Identity=self.anna.guid)
        assert text(request, "Status") == text(found, "Status")
        return text(found, "Status"), text(found, "StatusDetail")


@pytest.fixture(name="case")
def _case() -> Case:
    return Case()


def test_every_fault_of_moves_has_kinds_of_its_own_and_a_test_here() -> None:
    ours = [kind for kind in kinds().values() if kind.family == "moves"]
    shown = [kind for fault in ours for kind in fault.shows]
    assert len(shown) == len(set(shown)) and all(kind.startswith("move:") for kind in shown)
    tried = set(STALLS) | set(FAILURES) | TRIED_ALONE
    assert {fault.id for fault in ours} == tried


@pytest.mark.parametrize("fault", STALLS)
def test_a_resource_stalls_a_move_until_it_is_free_again(case: Case, fault: str) -> None:
    resource, counter = STALLS[fault]
    case.start()
    case.half()
    before = case.seen()["PercentComplete"]
    case.board.on(fault, TARGET)
    case.pass_(5 * HOUR)
    found = case.seen()
    assert case.state() == ("InProgress", f"StalledDueToTarget_{resource}")
    assert found["PercentComplete"] == before and 20 < int(str(before)) < 95
    name = f"TotalStalledDueTo{counter}" if counter else "TotalDataReplicationWaitDuration"
    assert text(found, name) == "05:00:00"
    case.board.off(fault, TARGET)
    case.pass_(case.shell.world.organisation.move_time(case.anna) / 4)
    assert int(str(case.seen()["PercentComplete"])) > int(str(before))
    assert case.state()[0] in ("InProgress", "CompletionInProgress")
    case.pass_(2 * HOUR)
    assert case.state() == ("Completed", "Completed") and case.anna.database == TARGET


def test_a_resource_of_the_source_is_named_as_such(case: Case) -> None:
    case.start()
    case.board.on("move-disk-latency", case.source)
    case.pass_(HOUR)
    assert case.state() == ("InProgress", "StalledDueToSource_DiskLatency")
    assert text(case.seen(), "TotalStalledDueToReadThrottle") == "01:00:00"


FAILURES = {
    "move-bad-items": ("TooManyBadItemsPermanentException", "FailedBadItemLimit"),
    "move-large-items": ("TooManyLargeItemsPermanentException", "FailedOther"),
    "move-missing-items": ("TooManyMissingItemsPermanentException", "FailedOther"),
    "move-store-error": ("MapiExceptionNotFound", "FailedMAPI"),
    "move-rules-too-big": ("MapiExceptionRulesTooBig", "FailedMAPI"),
    "move-named-properties": ("MapiExceptionNamedPropsQuotaExceeded", "FailedMAPI"),
    "move-network": ("CommunicationErrorTransientException", "FailedNetwork"),
    "move-target-full": ("MapiExceptionNotEnoughDisk", "FailedMAPI"),
    "move-target-quota": ("MapiExceptionShutoffQuotaExceeded", "FailedMAPI"),
    "move-mailbox-gone": ("MailboxNotFoundPermanentException", "FailedOther"),
}


@pytest.mark.parametrize("fault", FAILURES)
def test_a_failed_move_waits_until_it_is_resumed_without_its_cause(case: Case, fault: str) -> None:
    target = TARGET if fault.startswith("move-target") else case.anna.alias
    case.start()
    case.half()
    case.board.on(fault, target)
    case.pass_(5 * HOUR)
    kind, detail = FAILURES[fault]
    (found,) = case.shell.objects("Get-MoveRequestStatistics", MoveRequestQueue=TARGET)
    assert (text(found, "Status"), text(found, "StatusDetail")) == ("Failed", detail)
    assert found["FailureType"] == kind and str(found["Message"]).startswith("Error: ")
    assert found["FailureTimestamp"] == found["LastUpdateTimestamp"] != case.shell.world.now
    assert case.anna.database == case.source
    case.board.off(fault, target)
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Failed"
    case.resume()
    assert case.state()[0] in ("Queued", "InProgress")
    case.pass_(5 * HOUR)
    assert case.state() == ("Completed", "Completed") and case.anna.database == TARGET


@pytest.mark.parametrize(
    ("fault", "limit", "number"),
    [("move-bad-items", "BadItemLimit", BAD_ITEMS), ("move-large-items", "LargeItemLimit", LARGE_ITEMS),
     ("move-missing-items", "BadItemLimit", MISSING_ITEMS)],
)  # fmt: skip
def test_items_fail_a_move_only_beyond_its_limit(
    case: Case, fault: str, limit: str, number: int
) -> None:
    case.board.on(fault, case.anna.alias)
    case.start(**{limit: number - 1})
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Failed"
    failed_at = int(str(case.seen()["PercentComplete"]))
    assert 20 < failed_at <= 95
    case.resume()
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Failed", "nothing has changed"
    case.shell.ask("Set-MoveRequest", Identity=case.anna.guid, **{limit: number})
    case.resume()
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Completed"
    found = case.seen(IncludeReport=None)
    report = found["Report"]
    assert isinstance(report, Obj)
    kind = "LargeItems" if limit == "LargeItemLimit" else "BadItems"
    items = report[kind]
    assert isinstance(items, Obj) and isinstance(items.value, list) and len(items.value) == number
    assert found[f"{kind}Encountered"] == number


def test_large_items_may_be_allowed_altogether(case: Case) -> None:
    case.board.on("move-large-items", case.anna.alias)
    case.start(AllowLargeItems=None)
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Completed" and case.seen()["AllowLargeItems"] is True


def test_a_new_signature_helps_where_named_properties_are_used_up(case: Case) -> None:
    case.board.on("move-named-properties", case.anna.alias)
    case.start(DoNotPreserveMailboxSignature=None)
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Completed"


def test_missing_items_end_a_move_that_waited_only_when_it_completes(case: Case) -> None:
    case.board.on("move-missing-items", case.anna.alias)
    case.start(CompleteAfter=case.shell.world.now + 9 * HOUR)
    case.pass_(8 * HOUR)
    assert case.state() == ("Synced", "Synced")
    case.pass_(2 * HOUR)
    assert case.state()[0] == "Failed" and case.anna.database == case.source


def test_a_short_break_of_the_network_resolves_itself(case: Case) -> None:
    case.start()
    case.half()
    case.board.on("move-network", case.anna.alias)
    case.pass_(20 * MINUTE)
    assert case.state() == ("InProgress", "TransientFailure")
    assert str(case.seen()["Message"]).startswith("Informational: Communication")
    assert text(case.seen(), "TotalTransientFailureDuration") == "00:20:00"
    case.board.off("move-network", case.anna.alias)
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Completed"


def test_a_locked_mailbox_stalls_its_move_and_refuses_another(case: Case) -> None:
    case.board.on("move-locked", case.anna.alias)
    assert "is locked" in case.refused()
    case.board.off("move-locked", case.anna.alias)
    case.start()
    case.half()
    case.board.on("move-locked", case.anna.alias)
    case.pass_(3 * HOUR)
    assert case.state() == ("InProgress", "StalledDueToMailboxLock")
    assert text(case.seen(), "TotalStalledDueToMailboxLockedDuration") == "03:00:00"
    case.board.off("move-locked", case.anna.alias)
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Completed"


def test_a_warning_completes_the_move_all_the_same(case: Case) -> None:
    case.board.on("move-warning", case.anna.alias)
    case.start()
    case.pass_(5 * HOUR)
    assert case.state() == ("CompletedWithWarning", "CompletedWithWarning")
    assert case.anna.database == TARGET
    report = case.seen(IncludeReport=None)["Report"]
    assert isinstance(report, Obj) and "inbox rules" in str(report.text)
    record = case.shell.error("Resume-MoveRequest", Identity=case.anna.guid)
    assert "CompletedWithWarning" in record.message


def test_a_slow_line_makes_moves_take_six_times_as_long(case: Case) -> None:
    case.start()
    case.board.on("move-slow-line", TARGET)
    whole = case.shell.world.organisation.move_time(case.anna)
    case.pass_(3 * whole)
    status, detail = case.state()
    assert (status, detail) == ("InProgress", "CopyingMessages")
    case.board.off("move-slow-line", TARGET)
    case.pass_(whole * 0.6)
    assert case.state()[0] == "Completed"


def test_without_its_service_nothing_is_picked_up_and_nothing_goes_on(case: Case) -> None:
    case.board.on("move-service-stopped", "LS-EX1")
    case.start()
    case.pass_(5 * HOUR)
    assert case.state() == ("Queued", "Queued")
    assert case.seen()["PositionInQueue"] == "1/1" and case.seen()["StartTimestamp"] is None
    case.board.off("move-service-stopped", "LS-EX1")
    case.half()
    before = case.seen()
    case.board.on("move-service-stopped", "LS-EX1")
    case.pass_(5 * HOUR)
    after = case.seen()
    assert case.state()[0] == "InProgress"
    assert after["PercentComplete"] == before["PercentComplete"]
    assert after["LastUpdateTimestamp"] == before["LastUpdateTimestamp"]
    case.board.off("move-service-stopped", "LS-EX1")
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Completed"


def test_a_mailbox_is_larger_after_its_move_where_sizes_are_counted_anew(case: Case) -> None:
    used = case.anna.used
    case.board.on("move-inflation", TARGET)
    case.start()
    case.pass_(2 * HOUR)
    assert case.state()[0] == "Completed"
    assert case.anna.used == pytest.approx(used * INFLATION, rel=0.01)


def test_a_small_quota_refuses_a_new_request(case: Case) -> None:
    case.board.on("move-target-quota", TARGET)
    assert "exceeds the target quota" in case.refused()
    case.board.off("move-target-quota", TARGET)
    case.start()


def test_a_request_that_vanishes_leaves_the_mailbox_where_it_was(case: Case) -> None:
    with pytest.raises(BadTarget, match="is being moved"):
        case.board.on("move-vanished", case.anna.alias)
    case.start()
    case.half()
    case.board.on("move-vanished", case.anna.alias)
    assert case.shell.objects("Get-MoveRequest") == []
    case.pass_(5 * HOUR)
    assert case.anna.database == case.source
    case.board.off("move-vanished", case.anna.alias)
    assert case.state() == ("Queued", "Queued"), "asked for once more"


def test_somebody_elses_request_is_in_the_way_of_ours(case: Case) -> None:
    case.board.on("move-foreign", case.anna.alias)
    assert "pending move request" in case.refused()
    (found,) = case.shell.objects("Get-MoveRequest")
    assert found["BatchName"] == "somebody else's" and text(found, "Status") == "Suspended"
    case.board.off("move-foreign", case.anna.alias)
    case.start()
    with pytest.raises(BadTarget, match="not being moved"):
        case.board.on("move-foreign", case.anna.alias)


def test_a_copy_that_is_behind_or_gone_stalls_moves_into_its_database(case: Case) -> None:
    case.start()
    case.half()
    case.board.on("copy-behind", rf"{TARGET}\LS-EX2")
    case.pass_(3 * HOUR)
    assert case.state() == ("InProgress", "StalledDueToTarget_MdbReplication")
    assert "DataMoveReplicationConstraint" in str(case.seen()["Message"])
    case.board.off("copy-behind", rf"{TARGET}\LS-EX2")
    case.board.on("server-down", "LS-EX2")
    case.pass_(3 * HOUR)
    assert case.state() == ("InProgress", "StalledDueToHA")
    assert text(case.seen(), "TotalStalledDueToHADuration") == "06:00:00"
    case.board.off("server-down", "LS-EX2")
    case.pass_(5 * HOUR)
    assert case.state()[0] == "Completed"


def test_a_copy_that_is_gone_for_a_day_fails_the_move(case: Case) -> None:
    case.start()
    case.board.on("server-down", "LS-EX2")
    case.pass_(25 * HOUR)
    assert case.state() == ("Failed", "FailedStallDueToHA")


def test_moves_to_a_dismounted_database_wait_and_say_so(case: Case) -> None:
    case.start()
    case.half()
    case.board.on("database-dismounted", TARGET)
    case.pass_(3 * HOUR)
    assert case.state() == ("InProgress", "MDBOffline")


@pytest.mark.parametrize("step", [MINUTE, 30 * HOUR])
def test_a_copy_that_comes_back_lets_moves_go_on_however_finely_time_passes(
    case: Case, step: timedelta
) -> None:
    case.start()
    case.board.on("server-down", "LS-EX2")
    case.pass_(30 * MINUTE)
    case.board.off("server-down", "LS-EX2")
    for _ in range(30 * HOUR // step):
        case.pass_(step)
    assert case.state()[0] == "Completed"
    assert text(case.seen(), "TotalStalledDueToHADuration")[:5] in ("00:30", "00:31")


def test_a_failover_leaves_alone_what_only_waits(case: Case) -> None:
    case.start(SuspendWhenReadyToComplete=None)
    case.pass_(5 * HOUR)
    assert case.state()[0] == "AutoSuspended"
    case.board.on("server-down", "LS-EX1")
    case.board.off("server-down", "LS-EX1")
    assert case.state()[0] == "AutoSuspended" and case.seen()["PercentComplete"] == 95


def test_a_resumed_move_is_queued_until_the_service_picks_it_up(case: Case) -> None:
    case.start()
    case.half()
    before = case.seen()["PercentComplete"]
    assert case.shell.ask("Suspend-MoveRequest", Identity=case.anna.guid, Confirm=False) == []
    case.board.on("move-service-stopped", "LS-EX1")
    case.resume()
    case.pass_(HOUR)
    assert case.state() == ("Queued", "Queued") and case.seen()["PositionInQueue"] == "1/1"
    assert case.seen()["PercentComplete"] == before
    case.board.off("move-service-stopped", "LS-EX1")
    case.pass_(MINUTE)
    assert case.state()[0] == "InProgress"


def test_a_full_disk_is_given_back_to_the_copy_that_lost_it(case: Case) -> None:
    state = case.shell.world.organisation
    database = state.databases[TARGET]
    before = {copy.identity: copy.disk_free for copy in state.copies_of(database)}
    case.board.on("move-target-full", TARGET)
    case.board.on("server-down", database.server)
    assert database.server == "LS-EX2"
    case.board.off("move-target-full", TARGET)
    assert {copy.identity: copy.disk_free for copy in state.copies_of(database)} == before


def test_a_quota_that_somebody_set_meanwhile_stays(case: Case) -> None:
    database = case.shell.world.organisation.databases[TARGET]
    before = database.quotas
    case.board.on("move-target-quota", TARGET)
    database.quotas = replace(database.quotas, receive=3 * 2**30)
    case.board.off("move-target-quota", TARGET)
    assert database.quotas == replace(before, receive=3 * 2**30)


def test_a_request_that_vanished_is_not_made_anew_for_who_has_arrived(case: Case) -> None:
    case.start()
    case.board.on("move-vanished", case.anna.alias)
    case.start()
    case.pass_(5 * HOUR)
    assert case.anna.database == TARGET
    case.board.off("move-vanished", case.anna.alias)
    assert case.shell.world.organisation.move_of(case.anna) is None


def test_somebody_elses_request_that_completes_just_now_is_left_alone(case: Case) -> None:
    case.board.on("move-foreign", case.anna.alias)
    case.resume()
    case.pass_(case.shell.world.organisation.move_time(case.anna) * 0.97)
    assert case.state()[0] == "CompletionInProgress"
    case.board.off("move-foreign", case.anna.alias)
    case.pass_(HOUR)
    assert case.state()[0] == "Completed"


def test_a_batch_hangs_while_the_migration_mailbox_is_on_the_old_version(case: Case) -> None:
    state = case.shell.world.organisation
    mailbox = migration_mailbox(state)
    assert mailbox is not None
    mailbox.database = TARGET
    case.board.on("move-batch-hangs")
    rows = f"EmailAddress\r\n{case.anna.address}\r\n".encode()
    case.shell.objects("New-MigrationBatch", Local=None, Name="Welle", CSVData=rows,
                       TargetDatabases=[TARGET], AutoStart=None, AutoComplete=None)  # fmt: skip
    case.pass_(5 * HOUR)
    (batch,) = case.shell.objects("Get-MigrationBatch")
    assert text(batch, "Status") == "Starting" and case.shell.objects("Get-MoveRequest") == []
    case.board.off("move-batch-hangs")
    assert mailbox.database == TARGET
    case.pass_(MINUTE)
    case.pass_(5 * HOUR)
    (batch,) = case.shell.objects("Get-MigrationBatch")
    assert text(batch, "Status") == "Completed" and case.anna.database == TARGET


TRIED_ALONE = {
    "move-locked", "move-warning", "move-slow-line", "move-service-stopped", "move-inflation",
    "move-vanished", "move-foreign", "move-batch-hangs",
}  # fmt: skip
