"""Makes a plan with searches on all cores; Ctrl-C, or the end of the time, keeps the best.

The searches, each with its own seed, share a process of their own: a process can be ended in
the middle, also while it is in a library that looks at no signal, and one takes half the
memory of two. In it they run side by side, a thread for each core. Small problems are
searched here: they are done before a process has started. Above `search.ANNEALED` mailboxes
a search uses all cores by itself, so one runs after the other.

Time is wall time in seconds. A plan that was cut short by time or Ctrl-C is sound, and says so.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from mailmig.model.migration import Assignment, Note, Plan, PlanData
from mailmig.rules.planning.maker import Start, finish, known, prepare
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.wording import UNFINISHED, count_text
from mailmig.run.apart import NoProcess, answers
from mailmig.run.proving import proof

if TYPE_CHECKING:
    from mailmig.rules.planning.field import Field, Ints
    from mailmig.rules.planning.proving import Optimum

# Up to so many mailboxes a search takes less than starting a process.
HERE = 60

# Searches where the settings name no number. The spread between seeds was 5-25 %.
# Up to so many mailboxes, so many searches.
SEEDS = ((20_000, 4), (100_000, 2))

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
    not the making: the best plan so far comes back; a second one ends the making, too.
    """
    ends = time.monotonic() + (float("inf") if seconds is None else seconds)
    start = prepare(data, settings)
    if start.field is None or start.windows is None:
        return finish(start, (), now, settings, snapshot)
    seeds = settings.seeds or next((n for most, n in SEEDS if start.field.rows <= most), 1)
    found = list(_searched(start, range(settings.seed, settings.seed + seeds), ends, tell))
    if len(found) < seeds:
        done = count_text(len(found), "search", "searches")
        text = f"only {done} of {seeds} came to an end: {UNFINISHED}"
        start = replace(start, notes=(*start.notes, Note(text)))
    found += known(start, old) if old else []
    best = _proven(start, found, ends, tell) if len(found) >= seeds else None
    if best is not None:
        found.append(best.windows)
    least = best.least if best is not None else 0.0
    try:
        return finish(start, found, now, settings, snapshot, least)
    except KeyboardInterrupt:  # a plan was found already: nothing but a second one loses it
        return finish(start, found, now, settings, snapshot, least)


def _proven(
    start: Start, found: "Sequence[Ints]", ends: float, tell: Tell | None
) -> "Optimum | None":
    from mailmig.rules.planning.search import price

    field, windows = start.field, start.windows
    assert field is not None and windows is not None
    if tell is not None:
        tell("tries to prove that no plan is better", 0, None)
    # of equal prices one by the windows themselves: answers come in any order
    best = min([windows, *found], key=lambda x: (price(field, x), x.tolist()))
    return proof(start, best, ends)


def _searched(start: Start, seeds: range, ends: float, tell: Tell | None) -> "Iterator[Ints]":
    from mailmig.rules.planning.search import ANNEALED, searched

    field, windows = start.field, start.windows
    assert field is not None and windows is not None
    cores = os.cpu_count() or 1
    if field.rows <= HERE:
        found: Iterator[Ints] = (searched(field, windows, seed) for seed in seeds)
    else:
        at_once, threads = (1, cores) if field.rows > ANNEALED else (cores, 1)
        found = _answers(field, windows, seeds, at_once, threads, ends)
    if tell is not None:
        tell("searches for a better plan", 0, len(seeds))
    try:
        for done, x in enumerate(found, 1):
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
    ends: float,
) -> "Iterator[Ints]":
    """Answers in the order in which they come, until the time is over."""
    try:
        yield from answers(_search_all, (field, windows, seeds, at_once, threads), ends)
    except NoProcess:  # then one after the other
        for seed in seeds:
            if time.monotonic() < ends:
                yield _search(field, windows, seed, threads)


def _search_all(there: "Connection[Any, Any]") -> None:
    """Sends an answer, or the error, of each search."""
    field, windows, seeds, at_once, threads = there.recv()
    with ThreadPoolExecutor(at_once) as pool:
        searches = [pool.submit(_search, field, windows, seed, threads) for seed in seeds]
        for done in as_completed(searches):
            there.send(done.exception() or done.result())


def _search(field: "Field", windows: "Ints", seed: int, threads: int) -> "Ints":
    from mailmig.rules.planning.search import searched

    return searched(field, windows, seed, threads)
