"""One machine of a running lab: its servers, and how they go and come back.

What is off refuses connections. What hangs takes connections and never says a word: they wait in
the kernel's queue. A machine whose site has no network gives nothing back at all: its queue is
full from the beginning, so Linux drops whoever wants to connect. UDP is silent in both cases.

Clients that are connected when a machine goes see their connections cut in any case.
"""

import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from typing import Final, Self

from mailmig.lab.following import Following
from mailmig.lab.machines import Reach
from mailmig.lab.running.layout import DNS, CannotListen, Machine, probe

# Takes this many connections of which nobody hears again.
_QUEUE: Final = 256
_FILL_S: Final = 0.05

Server = AbstractAsyncContextManager[object]


class RunningMachine(Following):
    """A machine with its servers, up as long as `wanted` says so."""

    def __init__(
        self, machine: Machine, port: Callable[[int], int], servers: Sequence[Server],
        wanted: Callable[[], Reach],
    ) -> None:  # fmt: skip
        self.name = machine.name
        self.site = machine.site
        self.reach = Reach.DOWN
        self._machine = machine
        self._port = port
        self._servers = servers
        self._wanted = wanted
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except OSError as error:
            probe(self._machine, self._port)  # names the port that somebody else has
            first = self._port(next(iter(self._machine.services)))
            raise CannotListen(self._machine.address, first, error) from error

    async def follow(self) -> None:
        """See `Following.follow`."""
        wanted = self._wanted()
        if wanted is self.reach:
            return
        await self.end()
        if wanted is Reach.UP:
            await self._start()
        elif wanted is not Reach.DOWN:
            self._stack.enter_context(self._silent(wanted))
        self.reach = wanted

    async def end(self) -> None:
        """See `Following.end`."""
        await self._stack.aclose()
        self.reach = Reach.DOWN

    async def _start(self) -> None:
        async with AsyncExitStack() as stack:
            for server in self._servers:
                await stack.enter_async_context(server)
            self._stack = stack.pop_all()

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
