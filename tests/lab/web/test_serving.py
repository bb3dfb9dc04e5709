"""The web server of an Exchange server comes and goes with IIS, and with its machine."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from threading import Event, Thread
from typing import cast

import pytest

from mailmig.lab import following
from mailmig.lab.accounts import Accounts
from mailmig.lab.machines import Reach
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.serving import WebServer
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Service
from tests.lab.running_lab import running

PATIENCE_S = 10


class Ear:
    """Stands for a listener; `taken` is whether somebody else has its port."""

    def __init__(self) -> None:
        self.open = False
        self.taken = False

    async def __aenter__(self) -> None:
        assert not self.open
        if self.taken:
            raise OSError("address in use")
        self.open = True

    async def __aexit__(self, *_: object) -> None:
        self.open = False


class Server:
    """A web server with two listeners, while `runs`."""

    def __init__(self) -> None:
        self.runs = True
        self.ears = Ear(), Ear()
        listeners = cast("tuple[Listener, ...]", self.ears)
        self.web = WebServer(Service("x", Accounts(), ()), listeners, lambda: self.runs)

    @property
    def open(self) -> int:
        return sum(ear.open for ear in self.ears)


@pytest.fixture(name="quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_S", 0.001)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():
            await asyncio.sleep(0.005)


@pytest.mark.usefixtures("quick")
async def test_it_comes_and_goes_with_its_service() -> None:
    server = Server()
    async with server.web:
        assert server.open == 2
        server.runs = False
        await until(lambda: server.open == 0)
        server.runs = True
        await until(lambda: server.open == 2)
    assert server.open == 0


@pytest.mark.usefixtures("quick")
async def test_it_can_begin_again_after_its_machine_was_gone() -> None:
    server = Server()
    for _ in range(3):
        async with server.web:
            assert server.open == 2
        assert server.open == 0


@pytest.mark.usefixtures("quick")
async def test_one_whose_service_is_stopped_begins_without_listening() -> None:
    server = Server()
    server.runs = False
    async with server.web:
        assert server.open == 0
        server.runs = True
        await until(lambda: server.open == 2)


@pytest.mark.usefixtures("quick")
async def test_one_port_that_cannot_be_had_closes_the_other_one() -> None:
    server = Server()
    async with AsyncExitStack() as stack:
        server.ears[1].taken = True
        with pytest.raises(OSError, match="in use"):
            await stack.enter_async_context(server.web)
    assert server.open == 0
    server.ears[1].taken = False
    async with server.web:
        assert server.open == 2


async def test_a_machine_that_comes_back_serves_web_and_mail_again(lab: Lab) -> None:
    machine = lab.world.surroundings.machines.of("ls-ex1")
    running = next(one for one in lab.machines if one.name.startswith("ls-ex1."))
    assert machine is not None
    places = [lab.layout.addresses()[running.name, port] for port in (25, 443)]

    def answering() -> int:
        found = 0
        for place in places:
            try:
                socket.create_connection(place, PATIENCE_S).close()
            except ConnectionRefusedError:
                continue
            found += 1
        return found

    for _ in range(2):
        machine.down = True
        await until(lambda: running.reach is Reach.DOWN)
        assert answering() == 0
        machine.down = False
        await until(lambda: running.reach is Reach.UP)
        assert answering() == 2
        await asyncio.sleep(0.1)  # the servers have greeted whoever came and went


async def test_pages_are_served_while_somebody_has_the_world_for_long(tmp_path: Path) -> None:
    """The lab's own look at the time waits for nobody, and so holds nobody up."""
    async with running(tmp_path, speed=3600.0) as lab:
        has_it, enough = Event(), Event()

        async def ask() -> bytes:
            where = lab.layout.addresses()[f"ls-ex1.{lab.organisation.domain}", 80]
            reader, writer = await asyncio.open_connection(*where)
            writer.write(b"GET /owa/healthcheck.htm HTTP/1.1\r\nHost: x\r\n\r\n")
            status = (await reader.readline())[9:12]
            writer.transport.abort()
            return status

        def hold() -> None:
            with lab.world.lock:
                has_it.set()
                enough.wait(PATIENCE_S)

        assert await ask() == b"403"  # TLS is wanted; the logs have begun
        holder = Thread(target=hold)
        holder.start()
        try:
            async with asyncio.timeout(PATIENCE_S / 2):
                assert await asyncio.to_thread(has_it.wait, PATIENCE_S)
                before = lab.organisation.now
                await asyncio.sleep(0.5)  # it looks several times
                assert await ask() == b"403"
                assert lab.organisation.now == before
        finally:
            enough.set()
            holder.join()
        await until(lambda: lab.organisation.now > before)
