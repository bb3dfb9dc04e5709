"""`mailmig report quota`: what people gain."""

import re
import shutil
import sys
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailmig.cli.frame import deliver, session
from mailmig.model.bulk import no_search_for_cycles
from mailmig.model.errors import MailmigError
from mailmig.model.snapshot import Snapshot, SnapshotInfo

if TYPE_CHECKING:
    from mailmig.model.document import Document
    from mailmig.reports.quota import Wishes
    from mailmig.rules.quotas import Comparison
    from mailmig.store.snapshots import Snapshots

LATEST = "latest"
FORMATS = ("text", "csv", "json", "html", "xlsx")
# What the ending of a file's name says about its format.
ENDINGS = {
    "": "text", ".txt": "text", ".csv": "csv", ".json": "json",
    ".html": "html", ".htm": "html", ".xlsx": "xlsx",
}  # fmt: skip
MOST_GROWTH = 1000
# Parts of a snapshot that say nothing about quotas; a large organisation has most of its rows there.
_UNREAD = ("edges", "groups", "copies")
NARROWEST = 60


class NoPartner(MailmigError):
    """A snapshot with which there is nothing to compare: import another one, or name it."""

    def __init__(self, snapshot: SnapshotInfo, side: str) -> None:
        super().__init__(
            f"there is no {side} snapshot of {snapshot.organisation or 'this organisation'} to "
            f"compare {snapshot.id} with: import one, or take --target-defaults"
        )
        self.snapshot = snapshot
        self.side = side


class Percent(click.ParamType[Fraction]):
    """Per cent a year, as an exact number: 10, 2.5."""

    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        if isinstance(value, Fraction):
            return value
        text = str(value).strip().removesuffix("%").strip()
        if not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", text) or Fraction(text) > MOST_GROWTH:
            self.fail(
                f"{value!r} is no growth from 0 to {MOST_GROWTH} per cent, like 2.5", param, ctx
            )
        return Fraction(text)


@click.group(short_help="Reports for management: quota gains.")
def cmd() -> None:
    """Reports for management."""


@cmd.command()
@click.option("--before", metavar="REF", help="Snapshot to start from.")
@click.option("--after", metavar="REF", help="Snapshot to compare it with.")
@click.option(
    "--target-defaults", is_flag=True,
    help="Compare one snapshot with what everybody has in a database of the DAG.",
)  # fmt: skip
@click.option(
    "--by", type=click.Choice(["department", "database", "kind", "site"]), default="department",
    help="Sum people up by this (default: department).",
)  # fmt: skip
@click.option("--growth", type=Percent(), metavar="N", help="Mailboxes grow N per cent a year.")
@click.option("--with-archives", is_flag=True, help="Add the total with archive mailboxes.")
@click.option("--all-kinds", is_flag=True, help="Mailboxes of the system, too.")
@click.option(
    "--lines", type=click.IntRange(min=0), metavar="N",
    help="Lines of each list in text and HTML (default: 20 and 1000; 0: all).",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(FORMATS),
    help="How it is written (default: what the name of FILE ends in, else text).",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it to FILE.")
def quota(
    before: str | None,
    after: str | None,
    target_defaults: bool,
    by: str,
    growth: Fraction | None,
    with_archives: bool,
    all_kinds: bool,
    lines: int | None,
    form: str | None,
    out: Path | None,
) -> None:
    """What people may store more, by name, by department, and in total.

    Compares two snapshots, or one with the defaults of the target databases. Without --before,
    --after and --target-defaults: the two newest snapshots of the newest one's organisation,
    or the defaults of the target when there is but one.
    """
    from mailmig.reports.quota import Grouping, Wishes

    if target_defaults and after:
        raise click.UsageError("--target-defaults takes the place of --after: leave one out")
    wishes = Wishes(Grouping(by), growth, with_archives)
    form = form or _format_of(out)
    if form == "xlsx" and out is None and _to_terminal():
        raise click.UsageError("an Excel workbook is no text: name a file with --out FILE")
    snapshots = session().snapshots()
    old, new = _chosen(snapshots, before, after, target_defaults)
    with no_search_for_cycles():
        first = snapshots.load(old.id, without=_UNREAD)
        other = snapshots.load(new.id, without=_UNREAD) if new else None
        found = _compared(first, other, all_kinds)
        document = _composed(found, wishes)
        result = rendered(document, form, lines, width_for(out))
    deliver(result, out)


def rendered(
    document: "Document", form: str, lines: int | None = None, width: int | None = None
) -> str | bytes:
    """The document in one of `FORMATS`; `lines` as the option says it."""
    from mailmig.render import delimited, html, machine, text, xlsx

    match form:
        case "csv":
            return delimited.render(document)
        case "json":
            return machine.render(document)
        case "html":
            return html.render(document, lines=_limit(lines, html.LINES))
        case "xlsx":
            return xlsx.render(document)
    return text.render(document, width=width or text.WIDTH, lines=_limit(lines, text.LINES))


def _format_of(out: Path | None) -> str:
    if out is None:
        return "text"
    ending = out.suffix.lower()
    if ending not in ENDINGS:
        raise click.UsageError(
            f"{out}: the ending {out.suffix} names no format: say which with --format"
        )
    return ENDINGS[ending]


def _to_terminal() -> bool:
    return sys.stdout.isatty()


def _limit(lines: int | None, usual: int) -> int | None:
    if lines is None:
        return usual
    return lines or None


def width_for(out: Path | None) -> int | None:
    """As wide as the terminal; a file, or a pipe to one, gets the usual width."""
    if out:
        return None
    columns = shutil.get_terminal_size((0, 0)).columns
    return max(NARROWEST, columns) if columns else None


def _compared(old: Snapshot, new: Snapshot | None, all_kinds: bool) -> "Comparison":
    from mailmig.rules.quotas import at_target_defaults, compare

    if new is None:
        return at_target_defaults(old, all_kinds=all_kinds)
    return compare(old, new, all_kinds=all_kinds)


def _composed(found: "Comparison", wishes: "Wishes") -> "Document":
    from mailmig.reports.quota import compose

    return compose(found, wishes, datetime.now(UTC).replace(microsecond=0))


def _chosen(
    snapshots: "Snapshots", before: str | None, after: str | None, target_defaults: bool
) -> tuple[SnapshotInfo, SnapshotInfo | None]:
    """The snapshots to compare; what was not named is chosen and told. None: the target."""
    if target_defaults:
        return snapshots.info(before or LATEST), None
    if before and after:
        return snapshots.info(before), snapshots.info(after)
    named = snapshots.info(before or after or LATEST)
    others = [
        info
        for info in snapshots.list()
        if info.organisation == named.organisation and info.id != named.id
    ]
    if before:
        later = [info for info in others if info.taken_at >= named.taken_at]
        return _told(named, _partner(later, named, "later"))
    if after:
        earlier = [info for info in others if info.taken_at <= named.taken_at]
        return _told(_partner(earlier, named, "earlier"), named)
    return _told(others[-1], named) if others else _told(named, None)


def _told(old: SnapshotInfo, new: SnapshotInfo | None) -> tuple[SnapshotInfo, SnapshotInfo | None]:
    other = f"snapshot {new.id}" if new else "the defaults of the target databases"
    click.echo(f"comparing snapshot {old.id} with {other}", err=True)
    return old, new


def _partner(others: list[SnapshotInfo], anchor: SnapshotInfo, side: str) -> SnapshotInfo:
    """The newest of the others."""
    if not others:
        raise NoPartner(anchor, side)
    return others[-1]
