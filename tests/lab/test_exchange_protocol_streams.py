"""How objects flow: in step with the client, in flat memory, and with clients that vanish."""

import asyncio
import socket
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psrpcore
import pytest
import requests
from psrpcore.types import PSInt64

from mailmig.lab.accounts import Account
from mailmig.lab.exchange.calls import Call, Item, Output
from mailmig.lab.exchange.runspaces import PAUSE_AT
from mailmig.lab.wsman.shells import ANSWER_SIZE
from tests.lab.raw_remoting import SHELL, RawClient, objects
from tests.lab.remote_servers import (
    NAME,
    PASSWORD,
    Cmdlets,
    Machine,
    invoke,
    machine,
    mailbox,
    names,
    outside,
    text_of,
)

BIG = text_of("x" * 20_000)


class Many:
    """Gives so many objects of 20 kB as fast as they are fetched."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.given = 0
        self.closed = 0

    def knows(self, caller: Account, name: str) -> bool:
        return True

    def invoke(self, caller: Account, pipeline: tuple[Call, ...]) -> AsyncIterator[Output]:
        return self._run()

    async def _run(self) -> AsyncIterator[Output]:
        try:
            for _ in range(self.count):
                self.given += 1
                yield Item(BIG)
        finally:
            self.closed += 1


class ManyBlocking(Many):
    def invoke(  # type: ignore[override]
        self, caller: Account, pipeline: tuple[Call, ...]
    ) -> Iterator[Output]:
        for _ in range(self.count):
            self.given += 1
            yield Item(BIG)


def client(server: Machine, **options: Any) -> RawClient:
    return RawClient(server.tls.url + "/PowerShell", server.authority, NAME, PASSWORD, **options)


async def test_psrpcore_reads_what_pypsrp_reads(tmp_path: Path) -> None:
    def talk(server: Machine) -> tuple[list[Any], list[str]]:
        with client(server, envelope_size=8192) as raw:
            command = raw.start("Get-Mailbox", ResultSize=200)
            found: list[Any] = []
            while not raw.done:
                found += raw.events(raw.receive(command))
            return found, names(server.call("Get-Mailbox", ResultSize=200))

    async with machine(tmp_path) as server:
        events, others = await outside(talk, server)
    items = [event.data for event in events if isinstance(event, psrpcore.PipelineOutputEvent)]
    assert [item.Name for item in items] == others
    assert items[7].PSObject.type_names[0].endswith("Management.Mailbox")
    states = [event.state.name for event in events if hasattr(event, "state")]
    assert states == ["Running", "Completed"]
    warnings = [e for e in events if isinstance(e, psrpcore.WarningRecordEvent)]
    assert len(warnings) == 1


async def test_a_large_number_arrives_whole(tmp_path: Path) -> None:
    cmdlets = Cmdlets()

    def talk(server: Machine) -> None:
        with client(server) as raw:
            raw.receive(raw.start("Get-Mailbox", Size=PSInt64(2**40)))

    async with machine(tmp_path, cmdlets) as server:
        await outside(talk, server)
    assert cmdlets.called[0][1][0].get("Size") == 2**40


@pytest.mark.parametrize("size", [16_384, 150_000, 512_000])
async def test_an_answer_fits_into_the_clients_envelope(tmp_path: Path, size: int) -> None:
    def talk(server: Machine) -> tuple[int, int]:
        found = 0
        with client(server, envelope_size=size) as raw:
            command = raw.start("Get-Mailbox")
            while not raw.done:
                found += objects(raw.receive(command))
            return found, raw.largest_answer

    async with machine(tmp_path, Many(60)) as server:
        found, largest = await outside(talk, server)
    assert found == 60
    assert size // 2 < largest <= size
    assert largest < ANSWER_SIZE + 4096


@pytest.mark.parametrize("engine", [Many, ManyBlocking])
async def test_cmdlets_are_paused_while_nobody_fetches(tmp_path: Path, engine: type[Many]) -> None:
    cmdlets = engine(2000)
    ahead: list[int] = []

    def talk(server: Machine) -> None:
        fetched = 0
        with client(server) as raw:
            command = raw.start("Get-Mailbox")
            while not raw.done:
                fetched += objects(raw.receive(command))
                ahead.append(cmdlets.given - fetched)
        assert fetched == 2000

    async with machine(tmp_path, cmdlets) as server:
        tracemalloc.start()
        try:
            await outside(talk, server)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert max(ahead) <= (PAUSE_AT + 2 * ANSWER_SIZE) / len(BIG)
    assert peak < 12 * 1024**2, f"{peak:,} bytes for 40 MB of objects"


async def test_a_client_that_vanishes_leaves_its_shell_until_it_expires(tmp_path: Path) -> None:
    cmdlets = Cmdlets()

    def vanish(server: Machine) -> None:
        raw = client(server, timeout_s=5)
        raw.__enter__()
        command = raw.start("Wait-Forever")
        raw.receive(command)
        with pytest.raises(requests.RequestException):
            raw._http.post(
                server.tls.url + "/PowerShell",
                raw.envelope(f"{SHELL}/Receive", raw.wanted(command)),
                timeout=0.3,
            )
        raw._http.close()

    async with machine(tmp_path, cmdlets) as server:
        await outside(vanish, server)
        async with asyncio.timeout(5):
            while any(shell.under_way for shell in server.service.shells):
                await asyncio.sleep(0.02)
        assert len(server.service.shells) == 1
        assert cmdlets.closed == 0
        server.clock.pass_(timedelta(minutes=16))
        await outside(server.call, "Get-Mailbox")
        assert len(server.service.shells) == 0
        assert cmdlets.closed == 2


async def test_a_client_that_cuts_the_line_amid_an_answer_hurts_nobody(tmp_path: Path) -> None:
    def cut(server: Machine) -> None:
        server.service.allow_unencrypted = True
        raw = client(server)
        raw.__enter__()
        command = raw.start("Get-Mailbox")
        body = raw.envelope(f"{SHELL}/Receive", raw.wanted(command))
        user = b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
        head = f"Authorization: Basic {user}\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(server.plain.where, timeout=5) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.sendall(f"POST /PowerShell HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body)
            assert line.recv(100).startswith(b"HTTP/1.1 200")
        raw._http.close()

    cmdlets = Many(500)
    async with machine(tmp_path, cmdlets) as server:
        for _ in range(3):
            await outside(cut, server)
        assert len(server.service.shells) == 3
        await outside(healthy, server)
    assert cmdlets.closed == 4


def healthy(server: Machine) -> None:
    with server.pool() as pool:
        assert len(invoke(pool, "Get-Mailbox").output) == 500


async def test_a_server_that_ends_ends_its_pipelines(tmp_path: Path) -> None:
    cmdlets = Cmdlets()

    def talk(server: Machine) -> None:
        with pytest.raises(requests.RequestException), server.pool() as pool:
            invoke(pool, "Wait-Forever")

    async with machine(tmp_path, cmdlets) as server:
        waiting = asyncio.ensure_future(outside(talk, server))
        async with asyncio.timeout(5):
            while not cmdlets.given:
                await asyncio.sleep(0.02)
    await waiting
    assert cmdlets.closed == 1


async def test_thousands_of_small_objects_come_in_order(tmp_path: Path) -> None:
    texts = [text_of(mailbox(number)) for number in range(2000)]

    class Cached(Many):
        async def _run(self) -> AsyncIterator[Output]:
            for text in texts:
                yield Item(text)

    async with machine(tmp_path, Cached(0)) as server:
        shell = await outside(server.call, "Get-Mailbox")
    assert names(shell) == [f"user{number}" for number in range(2000)]


async def test_rubbish_in_place_of_messages_gets_faults(tmp_path: Path) -> None:
    def talk(server: Machine) -> list[int]:
        codes = []
        line, stream = "<rsp:CommandLine", '<rsp:Stream Name="stdin">'
        for data in (
            "",
            "???",
            "AAAA",
            b64encode(bytes(21)).decode(),
            b64encode(b"x" * 90).decode(),
        ):
            with client(server) as raw:
                for action, body in (
                    ("Command", f"{line}><rsp:Arguments>{data}</rsp:Arguments></rsp:CommandLine>"),
                    ("Command", f'{line} CommandId="{data}"/>'),
                    ("Send", f"<rsp:Send>{stream}{data}</rsp:Stream></rsp:Send>"),
                    ("Receive", raw.wanted(UUID(int=7))), ("Receive", ""), ("Signal", ""),
                    ("Signal", "<rsp:Signal/>"), ("Disconnect", ""),
                ):  # fmt: skip
                    answer = server.post(raw.envelope(f"{SHELL}/{action}", body))
                    codes.append(answer.status_code)
        return codes

    async with machine(tmp_path) as server:
        codes = await outside(talk, server)
        assert set(codes) <= {200, 500}
        assert codes.count(500) > 30
        assert names(await outside(server.call, "Get-Mailbox")) == ["user0", "user1", "user2"]
