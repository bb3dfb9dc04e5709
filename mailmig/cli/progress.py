"""How far something is: one line on a terminal, nothing in a pipe or a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

WIDTH = 78
# Seconds between two changes of the line: more often nobody can read it, and it costs time.
EVERY_S = 0.1

Tell = Callable[[str, int, int | None], None]


@contextmanager
def line() -> Iterator[Tell | None]:
    """Gives a function to be told: a subject, how much is done, of how much (None: unknown).

    Subjects that run side by side stand beside each other; one that is done goes away.
    """
    if not sys.stderr.isatty():
        yield None
        return
    running: dict[str, str] = {}
    shown = [0.0]

    def tell(subject: str, done: int, total: int | None) -> None:
        if done == total:
            running.pop(subject, None)
        else:
            running[subject] = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        now = time.monotonic()
        if now - shown[0] >= EVERY_S:
            shown[0] = now
            _show(", ".join(f"{name}: {far}" for name, far in running.items()))

    try:
        yield tell
    finally:
        if shown[0]:
            _show("")
            click.echo("\r", nl=False, err=True)


def _show(text: str) -> None:
    click.echo(f"\r{text[:WIDTH]:<{WIDTH}}", nl=False, err=True)
