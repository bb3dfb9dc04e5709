"""Takes what an engine yields, whether it awaits or blocks, in portions.

A plain iterator runs in a thread of the lab's own pool: one portion per visit, so that slow
cmdlets stream and quick ones do not pay for each object. The pool belongs to one endpoint and
ends with it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from typing import cast

from mailmig.lab.exchange.calls import Item, Output

Portion = list[Output]

# A portion ends with whichever comes first.
PORTION_BYTES = 128 * 1024
PORTION_S = 0.05
THREADS = 32


class Pullers:
    """The threads in which blocking cmdlets run."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._busy: set[Future[tuple[Portion, bool]]] = set()

    @property
    def busy(self) -> int:
        """How many cmdlets are running in a thread now."""
        return len(self._busy)

    async def portions(
        self, outputs: AsyncIterator[Output] | Iterator[Output]
    ) -> AsyncGenerator[Portion]:
        """All that is yielded, in order. The iterator is closed when this ends or is closed."""
        if hasattr(outputs, "__aiter__"):
            awaited = cast("AsyncIterator[Output]", outputs)
            try:
                async for output in awaited:
                    yield [output]
            finally:
                if hasattr(awaited, "aclose"):
                    await awaited.aclose()
            return
        async with aclosing(self._in_threads(outputs)) as portions:
            async for portion in portions:
                yield portion

    async def _in_threads(self, outputs: Iterator[Output]) -> AsyncGenerator[Portion]:
        pull: Future[tuple[Portion, bool]] | None = None
        try:
            more = True
            while more:
                pull = self._submit(outputs)
                portion, more = await asyncio.shield(asyncio.wrap_future(pull))
                yield portion
        finally:
            # A generator that is running cannot be closed: then its thread does it afterwards.
            if pull is None or pull.done():
                _close(outputs)
            else:
                pull.add_done_callback(lambda _: _close(outputs))

    def _submit(self, outputs: Iterator[Output]) -> "Future[tuple[Portion, bool]]":
        if self._executor is None:
            self._executor = ThreadPoolExecutor(THREADS, "lab-cmdlet")
        pull = self._executor.submit(_pull, outputs)
        self._busy.add(pull)
        pull.add_done_callback(self._busy.discard)
        return pull

    async def close(self) -> None:
        """Waits for the cmdlets that are in a thread now, and ends the threads."""
        while self._busy:
            await asyncio.sleep(0.005)
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()


def _pull(outputs: Iterator[Output]) -> tuple[Portion, bool]:
    portion: Portion = []
    size = 0
    end = time.monotonic() + PORTION_S
    for output in outputs:
        portion.append(output)
        size += len(output.xml) if isinstance(output, Item) else 1024
        if size >= PORTION_BYTES or time.monotonic() >= end:
            return portion, True
    return portion, False


def _close(outputs: Iterator[Output]) -> None:
    close = getattr(outputs, "close", None)
    if close is not None:
        close()
