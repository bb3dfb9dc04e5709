"""Many questions to one server: what the table says to give, and answers in order.

Questions run ahead of the answers that are waited for, so that the sessions of a server are
never idle; the order stays that of the questions, so that two runs give the same.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from typing import Final, TypeVar

from mailmig.model.command import Parameter
from mailmig.wire.collection import Export

Progress = Callable[[str, int, int | None], None]
"""Told of each subject: its name, how much is done, of how much (None: unknown)."""

# These show the objects of one domain unless they are told to look at the whole forest.
_WIDE: Final = ("Get-Mailbox", "Get-User", "Get-Group")

Q = TypeVar("Q")
A = TypeVar("A")


def given(export: Export, cmdlet: str) -> Iterator[tuple[str, Parameter]]:
    """The parameters of a file of the table, as they are sent."""
    for name, value in export.parameters:
        yield name, True if value is None else value
    if cmdlet in _WIDE:
        yield "IgnoreDefaultScope", True


async def in_order(
    questions: Iterable[Q], answer: Callable[[Q], Awaitable[A]], ahead: int
) -> AsyncGenerator[tuple[Q, A]]:
    """The answers in the order of the questions, of which `ahead` run at a time.

    Whatever an answer raises is raised in its turn; those that still run are cancelled then, and
    when the caller stops (use `contextlib.aclosing`).
    """
    upcoming = iter(questions)
    running: deque[tuple[Q, asyncio.Future[A]]] = deque()
    try:
        while True:
            while len(running) < ahead:
                try:
                    question = next(upcoming)
                except StopIteration:
                    break
                running.append((question, asyncio.ensure_future(answer(question))))
            if not running:
                return
            question, task = running[0]
            found = await task
            running.popleft()
            yield question, found
    finally:
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
