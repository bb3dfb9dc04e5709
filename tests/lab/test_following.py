"""A server that follows the world."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from mailmig.lab import following
from mailmig.lab.following import Following

PATIENCE_S = 10


class Server(Following):
    """Listens as `wanted` says, or cannot; a change waits for `may`."""

    def __init__(self) -> None:
        self.wanted = True
        self.listens = False
        self.taken = False
        self.may = asyncio.Event()
        self.may.set()
        self.looks = self.begun = self.ends = 0
        self.broken_off = False

    async def follow(self) -> None:
        self.looks += 1
        if self.wanted is self.listens:
            return
        if self.taken:
            raise OSError("address in use")
        self.begun += 1
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.broken_off = True
            raise
        self.listens = self.wanted

    async def end(self) -> None:
        self.ends += 1
        self.listens = False


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_S", 0.001)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():
            await asyncio.sleep(0.001)


async def test_it_listens_from_the_first_moment_and_follows() -> None:
    async with Server() as server:
        assert server.listens
        server.wanted = False
        await until(lambda: not server.listens)
        server.wanted = True
        await until(lambda: server.listens)
    assert (server.listens, server.ends) == (False, 1)


async def test_one_that_cannot_begin_leaves_nothing() -> None:
    server = Server()
    server.taken = True
    before = asyncio.all_tasks()
    with pytest.raises(OSError, match="in use"):
        await server.__aenter__()
    assert server.ends == 1 and asyncio.all_tasks() == before


async def test_one_that_cannot_come_back_tries_again_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Server() as server:
        server.wanted = False
        await until(lambda: not server.listens)
        with caplog.at_level(logging.WARNING):
            server.taken = server.wanted = True
            seen = server.looks
            await until(lambda: server.looks > seen + 5)
        assert [one.getMessage() for one in caplog.records] == [
            "a server cannot come back: address in use"
        ]
        server.taken = False
        await until(lambda: server.listens)


async def test_a_change_that_has_begun_is_finished_before_the_end() -> None:
    server = await Server().__aenter__()
    server.may.clear()
    server.wanted = False
    await until(lambda: server.begun == 2)
    ending = asyncio.ensure_future(server.__aexit__(None, None, None))
    await asyncio.sleep(0.01)
    assert not ending.done() and server.ends == 0
    server.may.set()
    await asyncio.wait_for(ending, PATIENCE_S)
    assert (server.broken_off, server.ends) == (False, 1)


async def test_the_end_does_not_wait_for_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_S", 3600.0)
    server = await Server().__aenter__()
    await asyncio.sleep(0)
    await asyncio.wait_for(server.__aexit__(None, None, None), PATIENCE_S)
    assert server.ends == 1
