"""The web server of one Exchange server: its listeners, as long as IIS runs.

Like Windows it refuses connections while the service W3Svc is stopped, and is back when somebody
starts it.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Final, Self

from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Service

# How often it looks: seconds of ours.
LOOK_S: Final = 0.1


class WebServer:
    """Listeners that come and go with `runs`; `remote_powershell` ends with them."""

    def __init__(
        self, remote_powershell: Service, listeners: Sequence[Listener], runs: Callable[[], bool]
    ) -> None:
        self._remote_powershell = remote_powershell
        self._listeners = listeners
        self._runs = runs
        self._up = AsyncExitStack()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._runs():
            await self._begin()
        self._watching = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await self._up.aclose()
        await self._remote_powershell.close()

    async def _begin(self) -> None:
        async with AsyncExitStack() as stack:
            for listener in self._listeners:
                await stack.enter_async_context(listener)
            self._up = stack.pop_all()

    async def _watch(self) -> None:
        listens = self._runs()
        while True:
            await asyncio.sleep(LOOK_S)
            runs = self._runs()
            if runs and not listens:
                with suppress(OSError):  # somebody has the port for a moment: the next look tries
                    await self._begin()
                    listens = True
            elif listens and not runs:
                await self._up.aclose()
                await self._remote_powershell.expire_shells()
                listens = False
