"""One machine of a running lab: its servers, and how they go and come back.

What is off refuses connections. What hangs takes connections and never says a word: they wait in
the kernel's queue. A machine whose site has no network gives nothing back at all: its queue is
full from the beginning, so Linux drops whoever wants to connect. UDP is silent in both cases.

Clients that are connected when a machine goes see their connections cut in any case.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from types import TracebackType
from typing import Final, Self

from mailmig.lab.machines import Reach
from mailmig.lab.running.layout import DNS, CannotListen, Machine, probe

_LOG = logging.getLogger(__name__)
# Takes this many connections of which nobody hears again.
_QUEUE: Final = 256
_FILL_S: Final = 0.05

Server = AbstractAsyncContextManager[object]


class RunningMachine:
    """A machine with its servers, up when it is entered."""

    def __init__(
        self, machine: Machine, port: Callable[[int], int], servers: Sequence[Server]
    ) -> None:
        self.name = machine.name
        self.site = machine.site
        self.reach = Reach.DOWN
        self._machine = machine
        self._port = port
        self._servers = servers
        self._stack = AsyncExitStack()
        self._change: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except OSError as error:
            probe(self._machine, self._port)  # names the port that somebody else has
            first = self._port(next(iter(self._machine.services)))
            raise CannotListen(self._machine.address, first, error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._change is not None:
            await asyncio.gather(self._change, return_exceptions=True)
        await self._stack.aclose()

    def become(self, reach: Reach) -> None:
        """Begin to be what the world says; what takes long holds nobody up."""
        changing = self._change is not None and not self._change.done()
        if reach is not self.reach and not changing:
            self._change = asyncio.ensure_future(self._become(reach))

    async def _become(self, reach: Reach) -> None:
        await self._stack.aclose()
        self.reach = Reach.DOWN
        try:
            if reach is Reach.UP:
                await self._start()
            elif reach is not Reach.DOWN:
                self._stack.enter_context(self._silent(reach))
                self.reach = reach
        except OSError as error:  # tried again at the next look
            _LOG.warning("%s cannot come back: %s", self.name, error)

    async def _start(self) -> None:
        async with AsyncExitStack() as stack:
            for server in self._servers:
                await stack.enter_async_context(server)
            self._stack = stack.pop_all()
        self.reach = Reach.UP

    def _silent(self, reach: Reach) -> ExitStack:
        """Sockets on all its ports, of which nobody hears anything."""
        with ExitStack() as stack:
            for standard in self._machine.services:
                where = self._machine.address, self._port(standard)
                backlog = 0 if reach is Reach.CUT else _QUEUE
                stack.enter_context(socket.create_server(where, backlog=backlog))
                if reach is Reach.CUT:
                    stack.enter_context(_filler(where))
                if standard == DNS:
                    packets = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                    packets.bind(where)
            return stack.pop_all()


def _filler(where: tuple[str, int]) -> socket.socket:
    """A connection that fills the queue, so that nobody else gets in."""
    return socket.create_connection(where, timeout=_FILL_S)
