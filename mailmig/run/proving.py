"""Tries to prove that a small plan is the best; Ctrl-C, or the end of the time, keeps what is known.

The solver looks at no signal while it works, so it works in a process of its own, which can be
ended at any moment: after the bound of each gap, and again after the proof, it says how far it
came. Its effort is limited by `proving.PROOF_EFFORT`, its memory by the number of mailboxes.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from mailmig.rules.planning.maker import Start
from mailmig.run.apart import NoProcess, answers

if TYPE_CHECKING:
    from mailmig.rules.planning.field import Field, Ints
    from mailmig.rules.planning.proving import Optimum

# Up to so many mailboxes a proof takes less than starting a process.
HERE = 12


def proof(start: Start, windows: "Ints", ends: float) -> "Optimum | None":
    """How good the best `windows` (n) are at least, and better ones where they were found.

    None where nothing is tried: too many mailboxes, or no solver. `ends` is when to stop, on the
    monotonic clock.
    """
    from mailmig.rules.planning.proving import PROVED, Optimum, available
    from mailmig.rules.planning.search import price

    field = start.field
    if field is None or field.rows > PROVED or not available():
        return None
    work = field, windows
    steps = _steps(*work) if field.rows <= HERE else _elsewhere(work, ends)
    best = Optimum(windows, 0.0, proven=False)
    with suppress(KeyboardInterrupt):
        for step in steps:
            better = min(best, step, key=lambda of: price(field, of.windows))
            least, proven = max(best.least, step.least), best.proven or step.proven
            best = Optimum(better.windows, least, proven)
    return best


def _steps(field: "Field", windows: "Ints") -> "Iterator[Optimum]":
    """The bound of each gap; then the proof and, beside it, a finer search for windows."""
    from mailmig.rules.planning.lower_bounds import boundary_bound
    from mailmig.rules.planning.proving import Optimum, optimum, refined

    bound = boundary_bound(field)
    yield Optimum(windows, bound.least, proven=False)
    if field.rows <= HERE:
        yield optimum(field, windows, bound.gaps)
        return
    with ThreadPoolExecutor(2) as pool:
        proven = pool.submit(optimum, field, windows, bound.gaps)
        yield Optimum(pool.submit(refined, field, windows).result(), bound.least, proven=False)
        yield proven.result()


def _elsewhere(work: "tuple[Field, Ints]", ends: float) -> "Iterator[Optimum]":
    """The steps from another process, until the time is over; nothing is proven without one."""
    with suppress(NoProcess):
        yield from answers(_prove, work, ends)


def _prove(there: "Connection[Any, Any]") -> None:
    for step in _steps(*there.recv()):
        there.send(step)
