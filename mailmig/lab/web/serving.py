"""A web server of one machine: its listeners, as long as it runs and can be reached.

For an Exchange server that is IIS (W3Svc), for every machine WinRM.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from mailmig.lab.following import Following
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Service


class WebServer(Following):
    """Listeners that come and go with `runs`; the shells of `service` end with them."""

    def __init__(
        self, service: Service, listeners: Sequence[Listener], runs: Callable[[], bool]
    ) -> None:
        self._service = service
        self._listeners = listeners
        self._runs = runs
        self._up = AsyncExitStack()
        self._listens = False

    async def follow(self) -> None:
        """See `Following.follow`."""
        runs = self._runs()
        if runs and not self._listens:
            async with AsyncExitStack() as stack:
                for listener in self._listeners:
                    await stack.enter_async_context(listener)
                self._up = stack.pop_all()
        elif self._listens and not runs:
            await self._up.aclose()
            await self._service.expire_shells()
        self._listens = runs

    async def end(self) -> None:
        """See `Following.end`."""
        self._listens = False
        await self._up.aclose()
        await self._service.close()
