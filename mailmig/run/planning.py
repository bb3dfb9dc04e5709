"""Makes a plan with searches on all cores; Ctrl-C, or the end of the time, keeps the best.

The searches, each with its own seed, share a process of their own: a process can be ended in
the middle, also while it is in a library that looks at no signal, and one takes half the
memory of two. In it they run side by side, a thread for each core. Small problems are
searched here: they are done before a process has started. Above `search.ANNEALED` mailboxes
a search uses all cores by itself, so one runs after the other.

Time is wall time in seconds. A plan that was cut short by time or Ctrl-C is sound, and says so.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from mailmig.model.migration import Assignment, Note, Plan, PlanData
from mailmig.rules.planning.maker import Start, finish, known, prepare
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.wording import UNFINISHED, count_text
from mailmig.run.proving import proof

if TYPE_CHECKING:
    from mailmig.rules.planning.field import Field, Ints
    from mailmig.rules.planning.proving import Optimum

# Up to so many mailboxes a search takes less than starting a process.
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
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    start = prepare(data, settings)
    if start.field is None or start.windows is None:
        return finish(start, (), now, settings, snapshot)
    seeds = settings.seeds or next((n for most, n in SEEDS if start.field.rows <= most), 1)
    found = list(_searched(start, range(settings.seed, settings.seed + seeds), seconds, tell))
    if len(found) < seeds:
        done = count_text(len(found), "search", "searches")
        text = f"only {done} of {seeds} came to an end: {UNFINISHED}"
        start = replace(start, notes=(*start.notes, Note(text)))
    found += known(start, old) if old else []
    best = _proven(start, found, ends, tell) if len(found) >= seeds else None
    if best is not None:
        found.append(best.windows)
    return finish(start, found, now, settings, snapshot, best.least if best is not None else 0.0)


def _proven(
    start: Start, found: "Sequence[Ints]", ends: float, tell: Tell | None
) -> "Optimum | None":
    from mailmig.rules.planning.search import price

    field, windows = start.field, start.windows
    assert field is not None and windows is not None
    if tell is not None:
        tell("tries to prove that no plan is better", 0, None)
    return proof(start, min([windows, *found], key=lambda x: price(field, x)), ends)


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
        at_once, threads = (1, cores) if field.rows > ANNEALED else (cores, 1)
        answers = _answers(field, windows, seeds, at_once, threads, seconds)
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
    at_once: int,
    threads: int,
    seconds: float | None,
) -> "Iterator[Ints]":
    """Answers in the order in which they come, until the time is over."""
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    processes = multiprocessing.get_context("spawn")
    try:
        ours, theirs = processes.Pipe()
        child = processes.Process(target=_search_all, args=(theirs,), daemon=True)
        child.start()
    except OSError:  # no process to be had, as in some containers: one after the other
        for seed in seeds:
            if time.monotonic() < ends:
                yield _search(field, windows, seed, threads)
        return
    theirs.close()  # so that the end of the other process is seen
    try:
        # Not as arguments of the process: start() waits for ever for one that dies early.
        _send(ours, (field, windows, seeds, at_once, threads))
        while (answer := _next(ours, ends)) is not None:
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        child.terminate()
        child.join()
        ours.close()


def _send(there: "Connection[Any, Any]", what: Any) -> None:
    with suppress(OSError):  # nobody is there any more: the next answer is None
        there.send(what)


def _next(answers: "Connection[Any, Any]", ends: float) -> "Ints | Exception | None":
    """None after the last one, when the time is over, or when a library ended the process."""
    try:
        while time.monotonic() < ends:
            if answers.poll(TICK):
                answer: Ints | Exception | None = answers.recv()
                return answer
    except (EOFError, OSError):
        pass
    return None


def _search_all(there: "Connection[Any, Any]") -> None:
    """Sends an answer, or the error, of each search. Only the first process minds Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    field, windows, seeds, at_once, threads = there.recv()
    with ThreadPoolExecutor(at_once) as pool:
        searches = [pool.submit(_search, field, windows, seed, threads) for seed in seeds]
        for done in as_completed(searches):
            there.send(done.exception() or done.result())


def _search(field: "Field", windows: "Ints", seed: int, threads: int) -> "Ints":
    from mailmig.rules.planning.search import searched

    return searched(field, windows, seed, threads)
