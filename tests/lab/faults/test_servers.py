"""Machines and sites that go away: what their connections meet, and what the others make of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import dns.exception
import pytest
import pytest_asyncio

from mailmig import config
from mailmig.cli.frame import SECTIONS
from mailmig.lab.faults.switchboard import BadTarget, Switchboard
from mailmig.lab.machines import Reach
from mailmig.lab.running.whole import Lab
from mailmig.model.command import Command
from mailmig.model.windows import NodeState
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.remote_errors import Unreachable
from mailmig.wire.windows_answers import ScriptError
from tests.lab.asking import town
from tests.lab.asking_windows import facts, full
from tests.lab.running_lab import addresses, dig, running, search, windows

PATIENCE_S = 20.0
# As long as nobody says a word.
SILENCE_S = 0.6


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as lab:
        yield lab


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():
            await asyncio.sleep(0.05)


async def is_(lab: Lab, name: str, reach: Reach) -> None:
    """Wait until the machine's servers are as the world says."""
    machine = next(one for one in lab.machines if one.name == full(name))
    await until(lambda: machine.reach is reach)


async def meets(lab: Lab, name: str, port: int, patience_s: float = SILENCE_S) -> str:
    """What a connection to a machine meets: "refused", "silence", "nothing" or "answer"."""
    where = addresses(lab)[full(name), port]
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection(*where)
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "nothing"
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(patience_s):
            return "answer" if await reader.read(1) else "closed"
    except TimeoutError:
        return "silence"
    finally:
        writer.transport.abort()


async def test_a_server_that_is_down_refuses_and_comes_back(lab: Lab) -> None:
    assert await meets(lab, "ls-ex1", 80, PATIENCE_S) == "answer"
    assert await meets(lab, "ls-ex1", 5985, PATIENCE_S) == "answer"
    lab.faults.on("server-down", "LS-EX1")
    await is_(lab, "ls-ex1", Reach.DOWN)
    for port in (80, 443, 5985, 5986):
        assert await meets(lab, "ls-ex1", port) == "refused"
    assert await meets(lab, "ls-ex2", 80, PATIENCE_S) == "answer"
    async with windows(lab, "ls-ex1", connect_timeout_s=1.0) as client:
        with pytest.raises(Unreachable, match="refused"):
            await client.run("boot_time")
    lab.faults.off("server-down", "LS-EX1")
    await is_(lab, "ls-ex1", Reach.UP)
    async with windows(lab, "ls-ex1") as client:
        (start,) = (await client.run("boot_time")).facts
        assert start.uptime.total_seconds() < 60  # type: ignore[union-attr]


async def test_a_server_goes_down_although_a_cmdlet_is_at_work(tmp_path: Path) -> None:
    """Two seconds of the organisation are more than three minutes of ours at this speed."""
    async with running(tmp_path, speed=0.01) as lab:
        read = config.load(lab.settings, SECTIONS).section("exchange", ExchangeSettings)
        settings = replace(read, patience_s=15.0, connect_timeout_s=2.0)
        async with Exchange(full("ls-ex1"), settings, addresses(lab)) as client:
            asking = asyncio.ensure_future(
                _all(client, Command("Get-ADPermission", (("Identity", "svc"),)))
            )
            await until(lambda: lab.world.spent_s > 0)
            lab.faults.on("server-down", "ls-ex1")
            with pytest.raises(Unreachable):
                await asking
            assert await meets(lab, "ls-ex1", 443) == "refused"


async def _all(client: Exchange, command: Command) -> list[object]:
    return [one async for one in client.ask(command)]


async def test_a_server_that_hangs_takes_connections_and_says_nothing(lab: Lab) -> None:
    lab.faults.on("server-hangs", "ls-ex1")
    await is_(lab, "ls-ex1", Reach.HUNG)
    for port in (80, 443, 5985):
        assert await meets(lab, "ls-ex1", port) == "silence"
    async with windows(lab, "ls-ex2") as client:
        nodes = (await client.run("cluster_nodes")).facts
        assert [one.state for one in nodes] == [  # type: ignore[union-attr]
            NodeState.DOWN, NodeState.UP,
        ]  # fmt: skip
    lab.faults.off("server-hangs", "ls-ex1")
    await is_(lab, "ls-ex1", Reach.UP)
    assert await meets(lab, "ls-ex1", 80, PATIENCE_S) == "answer"


async def test_a_site_without_network_is_silence_on_every_channel(lab: Lab) -> None:
    lab.faults.on("site-down", "Stadthaus")
    for name in ("ls-ex2", "ls-dc2", "ls-hv2"):
        await is_(lab, name, Reach.CUT)
        assert await meets(lab, name, 5985) == "nothing"
    assert await meets(lab, "ls-dc2", 389) == "nothing"
    for server in ("ls-dc2", "127.0.12.53"):
        with pytest.raises(dns.exception.Timeout):
            await dig(lab, server, full("ls-ex1"))
    assert (await dig(lab, "ls-dc1", full("ls-ex1")))[0] == ["127.0.11.22"]
    assert lab.organisation.down == {"LS-EX2"}
    lab.faults.off("site-down", "Stadthaus")
    await is_(lab, "ls-dc2", Reach.UP)
    assert (await dig(lab, "ls-dc2", full("ls-ex1")))[0] == ["127.0.11.22"]
    assert lab.organisation.down == set()


async def test_a_controller_that_was_away_lacks_changes_until_it_is_back(lab: Lab) -> None:
    lab.faults.on("server-hangs", "ls-dc2")
    lab.faults.on("ad-schema-old")
    lab.world.advance(lab.world.surroundings.forest.standing("ls-dc2").delay * 2)
    lab.faults.off("server-hangs", "ls-dc2")
    await is_(lab, "ls-dc2", Reach.UP)
    base = "CN=Schema,CN=Configuration,DC=ad,DC=lindenstadt,DC=example"
    found = await asyncio.to_thread(search, lab, "ls-dc2", base, "(rangeUpper=*)", "rangeUpper")
    assert [one["rangeUpper"] for one in found] == [["15334"]]


def test_two_faults_of_one_machine_end_with_the_last_of_them() -> None:
    world = town(20)
    board = Switchboard(world)
    board.on("server-down", "ls-ex2")
    board.on("site-down", "stadthaus")
    with pytest.raises(BadTarget):
        board.on("server-hangs", "ls-ex2")
    board.off("server-down", "ls-ex2")
    assert world.organisation.down == {"LS-EX2"}
    board.off("site-down", "stadthaus")
    assert world.organisation.down == set()
    for name, target in (("server-down", "nobody"), ("site-down", "nowhere")):
        with pytest.raises(BadTarget):
            board.on(name, target)


def test_the_witness_that_is_down_is_one_that_the_cluster_does_not_reach() -> None:
    world = town(20)
    board = Switchboard(world)

    def states() -> tuple[str, int]:
        (found,) = facts(world, "ls-ex1", "cluster_witness")
        return found.state.name, found.votes

    assert states() == ("ONLINE", 1)
    board.on("server-down", "ls-fs3")
    assert states()[0] == "FAILED"
    board.all_off()
    assert states() == ("ONLINE", 1)
    (start,) = facts(world, "ls-fs3", "boot_time")
    assert start.uptime.total_seconds() < 60


def test_a_cluster_without_quorum_does_not_answer() -> None:
    world = town(20)
    board = Switchboard(world)
    board.on("server-down", "ls-fs3")
    board.on("server-down", "ls-ex2")
    with pytest.raises(ScriptError, match="cluster service is not running"):
        facts(world, "ls-ex1", "cluster_nodes")
