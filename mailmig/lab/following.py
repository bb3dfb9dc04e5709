"""A server that follows the world: it listens as long as its service runs, and only then.

Like Windows it refuses connections while the service is stopped, and is back when somebody starts
it. How often it looks: `LOOK_S` seconds of ours. What a look has begun is never broken off.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self

LOOK_S: Final = 0.1
_LOG = logging.getLogger(__name__)


class Following(ABC):
    """Enter it, and it looks again and again; what it does then is `follow`."""

    _watching: "asyncio.Task[None] | None" = None
    _looks = _over = False

    @abstractmethod
    async def follow(self) -> None:
        """Listen as things are now. Raises `OSError` when a port cannot be had."""

    @abstractmethod
    async def end(self) -> None:
        """Listen no more, and leave nobody connected."""

    async def __aenter__(self) -> Self:
        try:
            await self.follow()
        except OSError:
            await self.end()
            raise
        self._over = False
        self._watching = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watching is not None:
            self._over = True
            if not self._looks:
                self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.end()

    async def _watch(self) -> None:
        failed = False
        while not self._over:
            await asyncio.sleep(LOOK_S)
            self._looks = True
            try:
                await self.follow()
                failed = False
            except OSError as error:  # somebody has the port for a moment: the next look tries
                if not failed:
                    _LOG.warning("a server cannot come back: %s", error)
                failed = True
            finally:
                self._looks = False
