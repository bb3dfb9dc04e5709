"""The world's time stands still, is driven, or runs; faults come and go."""

import time
from datetime import timedelta

import pytest

from mailmig.lab.cmdlets.engine import Costs
from mailmig.lab.cmdlets.reference import cmdlets
from mailmig.lab.faults.switchboard import (
    BadTarget,
    Switchboard,
    UnknownFault,
)
from mailmig.lab.world import STEP, UnknownServer, World
from mailmig.model.directory import Kind
from tests.lab.asking import Shell, text, town

MINUTE = timedelta(minutes=1)


class Ticks:
    """Our own seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_world_without_speed_stands_still_until_it_is_driven() -> None:
    ticks = Ticks()
    world = World(town(20).organisation, clock=ticks)
    start = world.now
    ticks.now += 1e6
    world.sync()
    assert world.now == world.organisation.now == start
    world.advance(3 * MINUTE)
    assert world.now == world.organisation.now == start + 3 * MINUTE


def test_a_running_world_goes_as_fast_as_it_is_told() -> None:
    ticks = Ticks()
    world = World(town(20).organisation, speed=60, clock=ticks)
    start = world.now
    ticks.now += 2
    assert world.now == start + 2 * MINUTE
    assert world.organisation.now == start
    world.sync()
    assert world.organisation.now == start + 2 * MINUTE
    world.advance(MINUTE)
    ticks.now += 1
    assert world.now == start + 4 * MINUTE


def test_small_steps_do_not_move_the_organisation_each_time() -> None:
    ticks = Ticks()
    world = World(town(20).organisation, speed=1, clock=ticks)
    start = world.organisation.now
    ticks.now += STEP.total_seconds() / 2
    world.sync()
    assert world.organisation.now == start


def test_what_is_spent_is_counted_and_a_standing_world_waits_for_nothing() -> None:
    world = town(20)
    world.spend(1e9)
    assert world.spent_s == 1e9


def test_a_running_world_waits_as_long_as_its_speed_says() -> None:
    world = World(town(20).organisation, speed=100)
    before = time.monotonic()
    world.spend(10)
    assert 0.09 < time.monotonic() - before < 5


def test_a_closed_world_waits_no_more() -> None:
    world = World(town(20).organisation, speed=1)
    world.close()
    world.spend(1e9)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        World(town(20).organisation, speed=-1)
    with pytest.raises(UnknownServer, match="LS-EX16, LS-EX1, LS-EX2"):
        town(20).conditions("nix")


def test_an_unknown_fault_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownFault, match='did you mean "server-slow"'):
        Switchboard(town(20)).on("server-slo", "LS-EX1")


def test_a_slow_server_is_slow_and_its_neighbour_is_not() -> None:
    world = town(20)
    board = Switchboard(world)
    slow = Shell(world, "LS-EX1", costs=Costs({}, {"get-mailbox": 0.1}))
    quick = Shell(world, "LS-EX2", costs=Costs({}, {"get-mailbox": 0.1}))
    board.on("server-slow", "LS-EX1")
    quick.ask("Get-Mailbox", ResultSize=10)
    assert world.spent_s == pytest.approx(1.0)
    slow.ask("Get-Mailbox", ResultSize=10)
    assert world.spent_s == pytest.approx(1.0 + 20 + 10)
    board.all_off()
    slow.ask("Get-Mailbox", ResultSize=10)
    assert world.spent_s == pytest.approx(32.0)


def test_a_dismounted_database_answers_nothing_and_its_moves_stand_still() -> None:
    world = town(40)
    board, shell = Switchboard(world), Shell(world, "LS-EX1")
    anna = next(m for m in world.organisation.present(Kind.USER) if m.used > 50 * 2**20)
    shell.ask("New-MoveRequest", Identity=anna.guid, TargetDatabase="SE-DB01")
    world.advance(world.organisation.move_time(anna) / 2)
    board.on("database-dismounted", "SE-DB01")
    record = shell.error("Get-MailboxStatistics", Database="SE-DB01")
    assert "MapiExceptionMdbOffline" in record.message
    (shown,) = shell.objects("Get-MailboxDatabase", Identity="SE-DB01", Status=None)
    assert shown["Mounted"] is False
    world.advance(timedelta(days=1))
    (move,) = shell.objects("Get-MoveRequestStatistics", Identity=anna.guid)
    assert (text(move, "Status"), text(move, "StatusDetail")) == ("InProgress", "MDBOffline")
    board.all_off()
    world.advance(timedelta(days=1))
    assert anna.database == "SE-DB01"


def test_a_server_that_is_gone_leaves_its_databases_to_the_other_copies() -> None:
    world = town(20)
    board, shell = Switchboard(world), Shell(world, "LS-EX2")

    def copies() -> dict[str, str]:
        found = shell.objects("Get-MailboxDatabaseCopyStatus", Identity="SE-DB01")
        return {text(one, "MailboxServer"): text(one, "Status") for one in found}

    def preference() -> list[str]:
        (found,) = shell.objects("Get-MailboxDatabase", Identity="SE-DB01", Status=None)
        assert found["Mounted"] is True
        pairs = found["ActivationPreference"]
        return [str(getattr(pair, "text", "")) for pair in getattr(pairs, "value", [])]

    before = preference()
    assert copies() == {"LS-EX1": "Mounted", "LS-EX2": "Healthy"}
    board.on("server-down", "LS-EX1")
    assert copies() == {"LS-EX1": "ServiceDown", "LS-EX2": "Mounted"}
    assert preference() == before == ["[LS-EX1, 1]", "[LS-EX2, 2]"]
    board.on("server-down", "LS-EX16")
    record = shell.error("Get-MailboxStatistics", Database="Buerger")
    assert "unavailable" in record.message
    board.all_off()
    assert copies() == {"LS-EX1": "Initializing", "LS-EX2": "Mounted"}
    world.advance(MINUTE)
    assert copies() == {"LS-EX1": "Healthy", "LS-EX2": "Mounted"}
    assert shell.objects("Get-MailboxStatistics", Database="Buerger")


def test_a_copy_that_is_behind_catches_up_when_it_may() -> None:
    world = town(20)
    board, shell = Switchboard(world), Shell(world)

    def queue() -> object:
        (found,) = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=r"SE-DB01\LS-EX2")
        return found["CopyQueueLength"]

    board.on("copy-behind", r"se-db01\ls-ex2")
    assert queue() == 2500
    world.advance(timedelta(hours=1))
    assert queue() == 2500
    board.all_off()
    world.advance(MINUTE)
    assert queue() == 2500 - 12 * 60
    with pytest.raises(BadTarget):
        board.on("copy-behind", r"SE-DB01\LS-EX1")


def test_a_german_server_prints_german_sizes_and_names() -> None:
    world = town(40)
    board, shell = Switchboard(world), Shell(world)
    anna = next(m for m in world.organisation.present() if m.last_logon)

    def printed() -> tuple[str, str]:
        (size,) = shell.objects("Get-MailboxStatistics", Identity=anna.guid)
        first, *_ = shell.objects("Get-MailboxPermission", Identity=anna.guid)
        return text(size, "TotalItemSize"), text(first, "User")

    before = printed()
    assert before[0].endswith(" bytes)") and before[1] == r"NT AUTHORITY\SELF"
    board.on("server-german", "LS-EX16")
    size, myself = printed()
    assert size.endswith(" Bytes)") and "." in size and myself == r"NT-AUTORITÄT\SELBST"
    board.all_off()
    assert printed() == before


def test_a_role_may_lack_a_cmdlet_or_a_parameter() -> None:
    world = town(20)
    board, shell = Switchboard(world), Shell(world)
    board.on("role-lacks", "Anna:Get-ADPermission")
    board.on("role-lacks", "anna:get-mailbox/arbitration")
    assert not shell.engine.knows(shell.account, "Get-ADPermission")
    record = shell.error("Get-Mailbox", Arbitration=None)
    assert record.fully_qualified_id == "NamedParameterNotFound,Get-Mailbox"
    assert shell.objects("Get-Mailbox")
    board.all_off()
    assert shell.engine.knows(shell.account, "Get-ADPermission")
    assert shell.objects("Get-Mailbox", Arbitration=None)
    assert "Arbitration" in cmdlets("2016")["get-mailbox"].parameters
