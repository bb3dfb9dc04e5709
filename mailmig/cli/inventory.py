"""`mailmig inventory`: import exports; list, show and compare snapshots."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailmig.cli.frame import deliver, session

if TYPE_CHECKING:
    from mailmig.model.document import Document
    from mailmig.model.snapshot import SnapshotInfo

FORMATS = ("text", "json", "csv")
# From this size on an import takes long enough that somebody wants to see it move.
SHOW_PROGRESS_BYTES = 16 * 1024**2

_format = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True,
    help="How it is written.",
)  # fmt: skip
_out = click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it to FILE."
)
_mailboxes = click.option(
    "--mailboxes", is_flag=True, help="Name each mailbox; in CSV they always are."
)
_lines = click.option(
    "--lines", type=click.IntRange(min=0), default=40, show_default=True, metavar="N",
    help="Lines of each list in text; 0: all.",
)  # fmt: skip


@click.group(name="inventory", short_help="Import exports; list, show and compare snapshots.")
def cmd() -> None:
    """Import exports as snapshots; list, show and compare them.

    REF is the id of a snapshot, the beginning of one, `latest` or `previous`.
    """


@cmd.command(name="import")
@click.argument("path", metavar="FOLDER|ZIP", type=click.Path(path_type=Path))
@click.option(
    "--accept-partial", is_flag=True,
    help="Take what is whole of files that break off, and say what is missing.",
)  # fmt: skip
def import_(path: Path, accept_partial: bool) -> None:
    """Keep the export in FOLDER or ZIP as a new snapshot: all of it or nothing.

    The export is what the script of `mailmig collect --script` makes. Importing the same
    one again changes nothing.
    """
    from mailmig.sources import exports

    with _progress() as progress:
        reading = exports.read(path, accept_partial=accept_partial, progress=progress)
        added = session().snapshots().add(reading)
    info = added.info
    if not added.new:
        click.echo(f"snapshot {info.id} holds this export already; nothing was changed")
        return
    whose = info.organisation or "an organisation without a name"
    click.echo(
        f"snapshot {info.id}: {whose}, {info.mailboxes:,} mailboxes and {info.edges:,} rights "
        f"as of {info.taken_at:%Y-%m-%d %H:%M} UTC"
    )
    _tell_gaps(info)


@cmd.command(name="list")
@_format
@_out
def list_(form: str, out: Path | None) -> None:
    """All snapshots, the newest last."""
    from mailmig.reports.inventory import listing

    infos = session().snapshots().list()
    if not infos and form == "text":
        click.echo("there is no snapshot yet: mailmig inventory import FOLDER makes one")
        return
    _hand_over(listing(infos, _now()), form, 0, out)


@cmd.command()
@click.argument("ref", default="latest")
@_mailboxes
@_lines
@_format
@_out
def show(ref: str, mailboxes: bool, lines: int, form: str, out: Path | None) -> None:
    """What the snapshot REF holds (default: latest), in numbers, and what is missing in it."""
    from mailmig.model.bulk import no_search_for_cycles
    from mailmig.reports.inventory import compose

    with no_search_for_cycles():
        snapshot = session().snapshots().load(ref)
        document = compose(snapshot, _now(), mailboxes=mailboxes or form == "csv")
        _hand_over(document, form, lines, out)


@cmd.command()
@click.argument("before", metavar="[BEFORE]", default="previous")
@click.argument("after", metavar="[AFTER]", default="latest")
@_mailboxes
@_lines
@_format
@_out
def diff(before: str, after: str, mailboxes: bool, lines: int, form: str, out: Path | None) -> None:
    """What changed from BEFORE (default: previous) to AFTER (default: latest).

    Mailboxes are joined by ExchangeGuid, so a new name is no new mailbox.
    """
    from mailmig.model.bulk import no_search_for_cycles
    from mailmig.reports.inventory_diff import compose
    from mailmig.rules.quotas import compare

    snapshots = session().snapshots()
    with no_search_for_cycles():
        old, new = snapshots.load(before), snapshots.load(after)
        comparison = compare(old, new, all_kinds=True)
        named = mailboxes or form == "csv"
        document = compose(comparison, old, new, _now(), mailboxes=named)
        _hand_over(document, form, lines, out)


def _hand_over(document: "Document", form: str, lines: int, out: Path | None) -> None:
    from mailmig.render import delimited, machine, text

    if form == "csv":
        deliver(delimited.render(document), out)
    elif form == "json":
        deliver(machine.render(document), out)
    else:
        deliver(text.render(document, lines=lines or None), out)


def _tell_gaps(info: "SnapshotInfo") -> None:
    """What is missing, one line each, on standard error: the import went well all the same."""
    for gap in info.gaps:
        click.echo(f"missing: {gap.what}: {gap.cost}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar on a terminal for exports that take a while; nothing in a pipe or a log."""
    if not sys.stderr.isatty():
        yield None
        return
    bar: list[Any] = []

    def tell(file: str, done: int, total: int) -> None:
        if total < SHOW_PROGRESS_BYTES:
            return
        if not bar:
            bar.append(click.progressbar(length=total, file=sys.stderr, label="reading"))
            bar[0].__enter__()
        bar[0].label = file.ljust(24)
        bar[0].update(max(0, done - bar[0].pos))

    try:
        yield tell
    finally:
        if bar:
            bar[0].__exit__(None, None, None)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
