"""Each fault of sessions, as our client and a stranger's meet it, and that it is over afterwards."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from mailmig import config
from mailmig.cli.frame import SECTIONS
from mailmig.lab.exchange import runspaces
from mailmig.lab.exchange.calls import Call
from mailmig.lab.faults.sessions import CUT_AT
from mailmig.lab.faults.switchboard import BadTarget, Switchboard, kinds
from mailmig.lab.running.whole import Lab
from mailmig.lab.wsman.switches import Switches
from mailmig.model.command import Command
from mailmig.model.directory import Kind
from mailmig.model.errors import MailmigError
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.remote_errors import (
    ServerFault,
    ShellExpired,
    TooManySessions,
    Unreachable,
)
from mailmig.sources.remote_settings import Scheme
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, read, text, town
from tests.lab.running_lab import addresses, running

SERVER = "LS-EX16"
FULL = "ls-ex16.ad.lindenstadt.example"
BROKEN: dict[str, type[MailmigError]] = {
    "session-hangs": Unreachable,
    "session-hangs-midway": Unreachable,
    "session-truncated": Unreachable,
    "session-none-left": TooManySessions,
    "session-unavailable": ServerFault,
}
HARMLESS = ("session-compressed", "session-stray-blank", "session-no-select")
PROFILES = {"session-bare-enums", "session-renamed-counters", "session-fewer-properties"}
TRIED_ALONE = {"session-expired", "session-page"} | PROFILES


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as lab:
        yield lab


def client(lab: Lab, **settings: object) -> Exchange:
    read = config.load(lab.settings, SECTIONS).section("exchange", ExchangeSettings)
    more = {"answer_timeout_s": 1.0, "connect_timeout_s": 2.0} | settings
    return Exchange(FULL, replace(read, **more), addresses(lab))  # type: ignore[arg-type]


async def servers(exchange: Exchange) -> list[str]:
    found = exchange.ask(Command("Get-ExchangeServer", ()), ("Name",))
    return sorted([str(one["Name"]) async for one in found])


ALL = ["LS-EX1", "LS-EX16", "LS-EX2"]


def test_every_fault_of_sessions_is_tried_here() -> None:
    ours = {name for name in kinds() if name.startswith("session-")}
    assert ours == set(BROKEN) | set(HARMLESS) | TRIED_ALONE
    with pytest.raises(BadTarget, match="name an Exchange server"):
        Switchboard(town(20)).on("session-hangs", "nix")


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_answer_is_told_as_what_it_is_and_in_time(lab: Lab, fault: str) -> None:
    lab.faults.on(fault, SERVER)
    start = time.monotonic()
    async with client(lab) as exchange:
        with pytest.raises(BROKEN[fault]):
            await servers(exchange)
    assert time.monotonic() - start < 15
    lab.faults.off(fault, SERVER)
    async with client(lab, answer_timeout_s=10.0) as exchange:
        assert await servers(exchange) == ALL


@pytest.mark.parametrize("scheme", [Scheme.BASIC, Scheme.NTLM])
@pytest.mark.parametrize("fault", HARMLESS)
async def test_an_oddity_changes_no_answer(lab: Lab, fault: str, scheme: Scheme) -> None:
    async with client(lab, scheme=scheme, answer_timeout_s=5.0) as exchange:
        before = await servers(exchange)
        lab.faults.on(fault, SERVER)
        assert await servers(exchange) == before == ALL


async def test_an_answer_that_is_complete_waits_for_nothing_more(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runspaces, "LINGER_S", 600.0)
    async with client(lab, answer_timeout_s=5.0) as exchange:
        assert await servers(exchange) == ALL


async def test_a_session_that_expired_is_told_or_opened_again(lab: Lab) -> None:
    async with client(lab, answer_timeout_s=5.0) as exchange:
        assert await servers(exchange) == ALL
        lab.faults.on("session-expired", SERVER)
        with pytest.raises(ShellExpired):
            await servers(exchange)
        lab.faults.off("session-expired", SERVER)
        assert await servers(exchange) == ALL


async def test_a_page_instead_of_an_answer_is_no_answer(lab: Lab) -> None:
    lab.faults.on("session-page", SERVER)
    async with client(lab) as exchange:
        with pytest.raises(MailmigError) as told:
            await servers(exchange)
    assert FULL in str(told.value)


async def test_an_account_whose_role_lacks_a_cmdlet_is_told_so(lab: Lab) -> None:
    lab.faults.on("role-lacks", "svc-mailmig:Get-ExchangeServer")
    async with client(lab, answer_timeout_s=5.0) as exchange:
        with pytest.raises(MailmigError, match="Get-ExchangeServer"):
            await servers(exchange)
        lab.faults.off("role-lacks", "svc-mailmig:Get-ExchangeServer")
    async with client(lab, answer_timeout_s=5.0) as exchange:
        assert await servers(exchange) == ALL


def statistics(shell: Shell, *names: str) -> Obj:
    (move,) = shell.world.organisation.moves
    call = Call("Get-MoveRequestStatistics", (("MoveRequestQueue", move.target),))
    if names:
        outputs = list(shell.engine.select(shell.account, (call,), names))
    else:
        outputs = shell.outputs(call)
    (found,) = read(outputs)
    return found


def test_objects_of_other_builds_say_the_same_in_other_ways() -> None:
    shell = Shell(town(40), "LS-EX1")
    board, state = Switchboard(shell.world), shell.world.organisation
    someone = next(m for m in state.present(Kind.USER) if m.used > 50 * 2**20)
    state.move(someone, "SE-DB01")
    shell.world.advance(state.move_time(someone) / 2)
    before = statistics(shell)
    asked = ("Status", "TotalStalledDueToHADuration", "TotalStalledDueToMdbReplicationDuration",
             "IncrementalSyncInterval", "DisplayName")  # fmt: skip
    for fault in PROFILES:
        board.on(fault, "LS-EX1")
    whole, chosen = statistics(shell), statistics(shell, *asked)
    for found in (whole, chosen):
        assert found["Status"] == 2 and text(before, "Status") == "InProgress"
        assert found["DisplayName"] == before["DisplayName"]
    assert "TotalStalledDueToMdbReplicationDuration" in whole.adapted
    assert not {"TotalStalledDueToHADuration", "IncrementalSyncInterval"} & set(whole.adapted)
    assert chosen["IncrementalSyncInterval"] is chosen["TotalStalledDueToHADuration"] is None
    board.all_off()
    assert statistics(shell) == before
    other = Shell(shell.world, "LS-EX2")
    board.on("session-bare-enums", "LS-EX1")
    assert text(statistics(other), "Status") == "InProgress", "the other server is as it was"


SWITCHES = {
    "session-hangs": {"hang": True},
    "session-hangs-midway": {"hang_midway": True},
    "session-truncated": {"truncate_at": CUT_AT},
    "session-none-left": {"no_new_shells": True},
    "session-unavailable": {"status": 503},
    "session-compressed": {"compress": True},
    "session-stray-blank": {"stray_blank": True},
    "session-no-select": {"no_select": True},
    "session-expired": {"forget_shells": True},
    "session-page": {"page": True},
}


@pytest.mark.parametrize("fault", SWITCHES)
def test_a_fault_turns_one_switch_of_one_server_and_turns_it_back(fault: str) -> None:
    world = town(20)
    board = Switchboard(world)
    switches = world.conditions(SERVER).management
    board.on(fault, SERVER)
    assert switches == replace(Switches(), **SWITCHES[fault])  # type: ignore[arg-type]
    assert world.conditions("LS-EX1").management == Switches()
    board.off(fault, SERVER)
    assert switches == Switches()


def test_every_switch_of_an_answer_has_a_fault() -> None:
    assert {name for name in kinds() if name.startswith("session-")} == set(SWITCHES) | PROFILES
