"""Work in a process of its own, which gives its answers one by one and can be ended at any moment.

For libraries that look at no signal while they work. Ctrl-C is for the first process alone:
the other one does not hear it, not even while it starts.
"""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

# How often the clock is looked at, in seconds.
TICK = 0.2


class NoProcess(Exception):
    """No process is to be had, as in some containers."""


def answers(
    target: "Callable[[Connection[Any, Any]], None]", work: object, ends: float
) -> Iterator[Any]:
    """What `target` sends, until it ends or the monotonic clock says `ends`.

    `target` is called in the other process with a connection, and receives `work` first.
    Errors that it sends are raised. Raises `NoProcess`. A process that ends by itself, or that
    a library ends, has said all.
    """
    processes = multiprocessing.get_context("spawn")
    try:
        ours, theirs = processes.Pipe()
        child = processes.Process(target=target, args=(theirs,), daemon=True)
        with _deaf():
            child.start()
    except OSError as error:
        raise NoProcess from error
    theirs.close()  # so that the end of the other process is seen
    try:
        # Not as arguments of the process: start() waits for ever for one that dies early.
        with suppress(OSError):  # nobody is there any more: no answer comes
            ours.send(work)
        yield from _received(ours, ends)
    finally:
        child.terminate()
        child.join()
        ours.close()


def _received(ours: "Connection[Any, Any]", ends: float) -> Iterator[Any]:
    while time.monotonic() < ends:
        try:
            if not ours.poll(TICK):
                continue
            answer = ours.recv()
        except (EOFError, OSError):
            return
        if isinstance(answer, Exception):
            raise answer
        yield answer


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started meanwhile never hear Ctrl-C, nor does this one for so long."""
    if threading.current_thread() is not threading.main_thread():  # only that one may say so
        yield
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)
