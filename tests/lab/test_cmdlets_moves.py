"""Move requests go through the states of Exchange, and are refused what they are refused there."""

from datetime import timedelta

import pytest

from mailmig.lab.exchange.calls import Call, ErrorRecord
from mailmig.lab.hindering import SEEDED
from mailmig.lab.moving import STATUS_NUMBERS
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, read, text, town

HOUR = timedelta(hours=1)


@pytest.fixture(name="shell")
def _shell() -> Shell:
    shell = Shell(town(40), "LS-EX1")
    for move in list(shell.world.organisation.moves):  # the story's own pilot
        shell.world.organisation.cancel(move)
    return shell


@pytest.fixture(name="anna")
def _anna(shell: Shell) -> Mailbox:
    people = shell.world.organisation.present(Kind.USER)
    return next(m for m in people if m.used > 50 * 2**20 and m.use_database_quotas)


def start(shell: Shell, who: Mailbox, **more: object) -> Obj:
    (made,) = shell.objects("New-MoveRequest", Identity=who.alias, TargetDatabase="SE-DB01", **more)
    return made


def state(shell: Shell, who: Mailbox) -> tuple[str, int]:
    (found,) = shell.objects("Get-MoveRequestStatistics", Identity=who.guid)
    percent = found["PercentComplete"]
    assert isinstance(percent, int)
    return text(found, "Status"), percent


def pass_(shell: Shell, time: timedelta) -> None:
    shell.world.advance(time)


def half(shell: Shell, who: Mailbox) -> timedelta:
    return shell.world.organisation.move_time(who) / 2


def test_a_plain_move_is_queued_runs_and_completes(shell: Shell, anna: Mailbox) -> None:
    made = start(shell, anna, BatchName="wave 1", Priority="High", BadItemLimit=5)
    assert (text(made, "Status"), made["PercentComplete"]) == ("Queued", 0)
    assert (made["BatchName"], text(made, "Priority")) == ("wave 1", "High")
    assert text(made, "BadItemLimit") == "5"
    pass_(shell, half(shell, anna))
    status, percent = state(shell, anna)
    assert status == "InProgress" and 40 < percent < 70
    (mailbox,) = shell.objects("Get-Mailbox", Identity=anna.guid)
    assert text(mailbox, "MailboxMoveStatus") == "InProgress"
    pass_(shell, half(shell, anna) * 0.96)
    assert state(shell, anna)[0] == "CompletionInProgress"
    pass_(shell, HOUR)
    assert state(shell, anna) == ("Completed", 100)
    (mailbox,) = shell.objects("Get-Mailbox", Identity=anna.guid)
    assert text(mailbox, "Database") == anna.database == "SE-DB01"


def test_an_empty_identity_gives_all_requests(shell: Shell, anna: Mailbox) -> None:
    others = list(shell.world.organisation.present(Kind.SHARED))[:2]
    for one in (anna, *others):
        start(shell, one)
    for nothing in (None, ""):
        assert len(shell.objects("Get-MoveRequest", Identity=nothing)) == 3
        assert len(shell.objects("Get-MoveRequestStatistics", Identity=nothing)) == 3


def test_one_that_is_suspended_when_ready_waits_at_95_until_it_is_resumed(
    shell: Shell, anna: Mailbox
) -> None:
    start(shell, anna, SuspendWhenReadyToComplete=None)
    pass_(shell, 10 * HOUR)
    assert state(shell, anna) == ("AutoSuspended", 95)
    assert anna.database != "SE-DB01"
    assert shell.ask("Resume-MoveRequest", Identity=anna.guid) == []
    pass_(shell, timedelta(seconds=1))
    assert state(shell, anna)[0] == "CompletionInProgress"
    pass_(shell, HOUR)
    assert state(shell, anna)[0] == "Completed"


def test_one_with_a_later_completion_is_synced_until_then(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, CompleteAfter=shell.world.now + 20 * HOUR)
    pass_(shell, 19 * HOUR)
    assert state(shell, anna) == ("Synced", 95)
    pass_(shell, 3 * HOUR)
    assert state(shell, anna)[0] == "Completed"
    (move,) = shell.world.organisation.completed
    assert move.final is not None and move.final - move.queued == 20 * HOUR


def test_a_completion_that_is_past_holds_nothing_back(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, CompleteAfter=shell.world.now - HOUR)
    pass_(shell, 10 * HOUR)
    assert state(shell, anna)[0] == "Completed"


def test_a_prevented_completion_is_allowed_and_then_resumed(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, PreventCompletion=None)
    pass_(shell, 10 * HOUR)
    assert state(shell, anna)[0] == "Synced"
    shell.ask("Resume-MoveRequest", Identity=anna.guid)
    pass_(shell, 10 * HOUR)
    assert state(shell, anna)[0] == "Synced"
    assert shell.ask("Set-MoveRequest", Identity=anna.guid, PreventCompletion=False) == []
    shell.ask("Resume-MoveRequest", Identity=anna.guid)
    pass_(shell, HOUR)
    assert state(shell, anna)[0] == "Completed"


def test_a_suspended_one_keeps_what_it_carried(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna)
    pass_(shell, half(shell, anna))
    before = state(shell, anna)[1]
    assert shell.ask(
        "Suspend-MoveRequest", Identity=anna.guid, SuspendComment="why not", Confirm=False
    ) == []  # fmt: skip
    pass_(shell, 10 * HOUR)
    assert state(shell, anna) == ("Suspended", before)
    shell.ask("Resume-MoveRequest", Identity=anna.guid)
    pass_(shell, half(shell, anna) * 0.9)
    status, percent = state(shell, anna)
    assert status == "InProgress" and percent > before
    pass_(shell, half(shell, anna))
    assert state(shell, anna)[0] == "Completed"


def test_a_completed_one_cannot_be_suspended_resumed_or_changed(
    shell: Shell, anna: Mailbox
) -> None:
    start(shell, anna)
    pass_(shell, 10 * HOUR)
    for name, more in (
        ("Suspend-MoveRequest", {"Confirm": False}), ("Resume-MoveRequest", {}),
        ("Set-MoveRequest", {"BatchName": "x"}),
    ):  # fmt: skip
        record = shell.error(name, Identity=anna.guid, **more)
        assert "'Completed'" in record.message and record.category == "InvalidOperation"


def test_a_removed_one_leaves_the_mailbox_where_it_is(shell: Shell, anna: Mailbox) -> None:
    source = anna.database
    start(shell, anna)
    pass_(shell, half(shell, anna))
    assert shell.ask("Remove-MoveRequest", Identity=anna.guid, Confirm=False) == []
    pass_(shell, 10 * HOUR)
    assert anna.database == source
    record = shell.error("Get-MoveRequest", Identity=anna.guid)
    assert record.reason == "ManagementObjectNotFoundException"
    start(shell, anna)  # nothing is in the way


def test_a_completed_request_is_in_the_way_until_removed_or_30_days_old(
    shell: Shell, anna: Mailbox
) -> None:
    start(shell, anna)
    again = {"Identity": anna.alias, "TargetDatabase": "SE-DB02"}
    assert "pending" in shell.error("New-MoveRequest", **again).message
    pass_(shell, 10 * HOUR)
    assert "completed" in shell.error("New-MoveRequest", **again).message
    pass_(shell, timedelta(days=29))
    assert len(shell.objects("Get-MoveRequest")) == 1
    pass_(shell, timedelta(days=2))
    assert shell.objects("Get-MoveRequest") == []
    assert shell.objects("New-MoveRequest", **again)


def test_cmdlets_that_ask_fail_in_a_session_without_a_host(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna)
    for name in ("Remove-MoveRequest", "Suspend-MoveRequest"):
        record = shell.error(name, Identity=anna.guid)
        assert record.reason == "HostException" and record.terminating
    assert state(shell, anna)[0] == "Queued"


def test_what_if_changes_nothing(shell: Shell, anna: Mailbox) -> None:
    call = {"Identity": anna.alias, "TargetDatabase": "SE-DB01", "WhatIf": None}
    assert shell.ask("New-MoveRequest", **call) == []
    assert shell.objects("Get-MoveRequest") == []
    start(shell, anna)
    for name in ("Remove-MoveRequest", "Suspend-MoveRequest"):
        assert shell.ask(name, Identity=anna.alias, WhatIf=None) == []
    assert state(shell, anna)[0] == "Queued"


def test_a_mailbox_too_large_for_its_new_place_is_refused(shell: Shell, anna: Mailbox) -> None:
    anna.used = 3 * 2**30
    record = shell.error("New-MoveRequest", Identity=anna.alias, TargetDatabase="SE-DB01")
    assert "exceeds the target quota" in record.message
    anna.use_database_quotas = False
    start(shell, anna)


@pytest.mark.parametrize("limit", [51, "Unlimited"])
def test_many_bad_items_must_be_accepted_by_name(
    shell: Shell, anna: Mailbox, limit: object
) -> None:
    call = {"Identity": anna.alias, "TargetDatabase": "SE-DB01", "BadItemLimit": limit}
    assert "AcceptLargeDataLoss" in shell.error("New-MoveRequest", **call).message
    odd = shell.error("New-MoveRequest", **(call | {"BadItemLimit": "many"}))
    assert odd.fully_qualified_id.startswith("CannotConvertArgument")
    assert shell.objects("Get-MoveRequest") == []
    assert shell.objects("New-MoveRequest", **call, AcceptLargeDataLoss=None)


@pytest.mark.parametrize(("target", "words"), [("nix", "'nix' couldn't be found"),
                                               ("here", "already on the target")])  # fmt: skip
def test_a_wrong_target_is_refused(shell: Shell, anna: Mailbox, target: str, words: str) -> None:
    name = anna.database if target == "here" else target
    record = shell.error("New-MoveRequest", Identity=anna.alias, TargetDatabase=name)
    assert words in record.message


def test_without_a_target_exchange_picks_one_of_the_site(shell: Shell, anna: Mailbox) -> None:
    (made,) = shell.objects("New-MoveRequest", Identity=anna.alias)
    site = shell.engine.server.site
    picked = shell.world.organisation.databases[text(made, "TargetDatabase")]
    assert shell.world.organisation.server(picked.server).site == site


def test_filters_narrow_the_requests(shell: Shell, anna: Mailbox) -> None:
    other = next(m for m in shell.world.organisation.present(Kind.SHARED))
    start(shell, anna, BatchName="w1")
    start(shell, other, BatchName="w2", Suspend=None)
    for filters, who in (
        ({"BatchName": "W1"}, [anna]), ({"MoveStatus": "suspended"}, [other]),
        ({"Suspend": False}, [anna]), ({"SourceDatabase": anna.database, "BatchName": "w1"}, [anna]),
        ({"TargetDatabase": "SE-DB02"}, []), ({"TargetDatabase": "se-db01"}, [anna, other]),
    ):  # fmt: skip
        found = shell.objects("Get-MoveRequest", **filters)
        assert [str(one["ExchangeGuid"]) for one in found] == [m.exchange_guid for m in who]
    record = shell.error("Get-MoveRequest", Identity=anna.alias, BatchName="w1")
    assert record.fully_qualified_id == "AmbiguousParameterSet,Get-MoveRequest"
    queue = shell.objects("Get-MoveRequestStatistics", MoveRequestQueue="SE-DB01")
    assert len(queue) == 2


def test_a_pipeline_leads_from_requests_to_their_statistics(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, BatchName="w1")
    found = read(
        shell.outputs(
            Call("Get-MoveRequest", (("BatchName", "w1"),)), Call("Get-MoveRequestStatistics")
        )
    )
    assert [str(one["ExchangeGuid"]) for one in found] == [anna.exchange_guid]
    gone = shell.outputs(Call("Get-MoveRequest"), Call("Remove-MoveRequest", (("Confirm", False),)))
    assert gone == [] and shell.objects("Get-MoveRequest") == []


def test_a_start_in_the_future_waits_for_it(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna, StartAfter=shell.world.now + 5 * HOUR)
    pass_(shell, 4 * HOUR)
    assert state(shell, anna) == ("Queued", 0)
    pass_(shell, 10 * HOUR)
    assert state(shell, anna)[0] == "Completed"
    (move,) = shell.world.organisation.completed
    assert move.started is not None and move.started - move.queued == 5 * HOUR


def test_a_target_changes_only_while_it_is_queued(shell: Shell, anna: Mailbox) -> None:
    start(shell, anna)
    assert shell.ask("Set-MoveRequest", Identity=anna.guid, TargetDatabase="SE-DB02") == []
    pass_(shell, half(shell, anna))
    record = shell.error("Set-MoveRequest", Identity=anna.guid, TargetDatabase="SE-DB01")
    assert isinstance(record, ErrorRecord) and "'InProgress'" in record.message
    pass_(shell, 10 * HOUR)
    assert anna.database == "SE-DB02"


def test_time_in_small_steps_leads_to_the_same_end_as_in_one(shell: Shell, anna: Mailbox) -> None:
    ends = []
    for steps in (1, 50):
        one = Shell(town(40), "LS-EX1")
        who = one.world.organisation.mailboxes[anna.number]
        start(one, who, CompleteAfter=one.world.now + 3 * HOUR)
        for _ in range(steps):
            one.world.advance(10 * HOUR / steps)
        (move,) = [m for m in one.world.organisation.completed if m.mailbox == anna.number]
        ends.append((move.seeded, move.final, move.ended))
    assert ends[0] == ends[1]


def test_every_status_has_its_number_and_95_is_where_it_waits() -> None:
    assert STATUS_NUMBERS["AutoSuspended"] == 3 and STATUS_NUMBERS["Failed"] == 99
    assert SEEDED == 0.95
