"""Makes a plan with searches on all cores; Ctrl-C, or the end of the time, keeps the best.

Each search is a process of its own with its own seed: a process can be ended in the middle,
also while it is in a library that looks at no signal. Small problems are searched here: they
are done before a process has started. Above `search.ANNEALED` mailboxes a search uses all
cores by itself, so one runs after the other.

Time is wall time in seconds. A plan that was cut short by time or Ctrl-C is sound, and says so.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from mailmig.model.migration import Assignment, Note, Plan, PlanData
from mailmig.rules.planning.maker import Start, finish, known, prepare
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.wording import count_text

if TYPE_CHECKING:
    from mailmig.rules.planning.field import Field, Ints

# Below so many mailboxes a search takes less than starting a process.
HERE = 60

# Searches where the settings name no number. The spread between seeds was 5-25 %.
# Up to so many mailboxes, so many searches.
SEEDS = ((20_000, 4), (100_000, 2))

# How often the clock is looked at, in seconds.
TICK = 0.2


Tell = Callable[[str, int, int | None], None]
"""A subject, how much of it is done, of how much."""


def make_plan(
    data: PlanData,
    now: datetime,
    settings: PlanSettings,
    snapshot: str = "",
    seconds: float | None = None,
    tell: Tell | None = None,
    old: Sequence[Assignment] = (),
) -> Plan:
    """The best plan of `settings.seeds` searches. No search is waited for after `seconds`.

    `old` are assignments of a plan that is there already: if they still fit, nothing worse
    than them is found.
    Raises an `Infeasible` when there is no plan, or none was found. Ctrl-C ends the searches,
    not the making: the best plan so far comes back.
    """
    start = prepare(data, settings)
    if start.field is None or start.windows is None:
        return finish(start, (), now, settings, snapshot)
    seeds = settings.seeds or next((n for most, n in SEEDS if start.field.rows <= most), 1)
    found = list(_searched(start, range(settings.seed, settings.seed + seeds), seconds, tell))
    if len(found) < seeds:
        done = count_text(len(found), "search", "searches")
        text = f"only {done} of {seeds} came to an end: a better plan may exist"
        start = replace(start, notes=(*start.notes, Note(text)))
    return finish(start, [*found, *(known(start, old) if old else ())], now, settings, snapshot)


def _searched(
    start: Start, seeds: range, seconds: float | None, tell: Tell | None
) -> "Iterator[Ints]":
    from mailmig.rules.planning.search import ANNEALED, searched

    field, windows = start.field, start.windows
    assert field is not None and windows is not None
    cores = os.cpu_count() or 1
    if field.rows <= HERE:
        answers: Iterator[Ints] = (searched(field, windows, seed) for seed in seeds)
    else:
        large = field.rows > ANNEALED
        workers, threads = (1, cores) if large else (min(cores, len(seeds)), 1)
        answers = _answers(field, windows, seeds, workers, threads, seconds)
    if tell is not None:
        tell("searches for a better plan", 0, len(seeds))
    try:
        for done, x in enumerate(answers, 1):
            if tell is not None:
                tell("searches for a better plan", done, len(seeds))
            yield x
    except KeyboardInterrupt:
        return


def _answers(
    field: "Field",
    windows: "Ints",
    seeds: range,
    workers: int,
    threads: int,
    seconds: float | None,
) -> "Iterator[Ints]":
    """Answers in the order in which they come, until the time is over."""
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    try:
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_deaf_to_ctrl_c
        )
    except OSError:  # no shared memory to be had, as in some containers: one after the other
        for seed in seeds:
            if time.monotonic() < ends:
                yield _search(field, windows, seed, threads)
        return
    with _ended(pool):
        waiting = {pool.submit(_search, field, windows, seed, threads) for seed in seeds}
        while waiting and time.monotonic() < ends:
            done: set[Future[Ints]]
            done, waiting = wait(waiting, TICK, FIRST_COMPLETED)
            for future in done:
                try:
                    yield future.result()
                except BrokenProcessPool:  # a library ended its process: what was found counts
                    return


@contextmanager
def _ended(pool: ProcessPoolExecutor) -> Iterator[None]:
    """Ends the processes with the block, whatever they are doing."""
    try:
        yield
    finally:
        running = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.terminate()
        for process in running:
            process.join()


def _deaf_to_ctrl_c() -> None:
    """The terminal sends Ctrl-C to all; only the first process decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _search(field: "Field", windows: "Ints", seed: int, threads: int) -> "Ints":
    from mailmig.rules.planning.search import searched

    return searched(field, windows, seed, threads)
