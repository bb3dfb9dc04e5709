"""`mailmig inventory`: take it live, import exports; list, show and compare snapshots."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailmig.cli.frame import deliver, session
from mailmig.cli.progress import Tell, line

if TYPE_CHECKING:
    from mailmig.config import Config
    from mailmig.model.document import Document
    from mailmig.model.snapshot import SnapshotInfo
    from mailmig.run.cross_check import CrossCheck
    from mailmig.run.taking import Taken

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


@click.group(name="inventory", short_help="Take or import snapshots; list, show, compare.")
def cmd() -> None:
    """Take the inventory live or import exports as snapshots; list, show and compare them.

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
    _tell_snapshot(info)
    _tell_gaps(info)


@cmd.command()
@click.option(
    "--ldap-only", is_flag=True,
    help="Ask the directory alone: no sizes, but no rights in Exchange are needed either.",
)  # fmt: skip
@click.option(
    "--server", metavar="NAME", help="The Exchange server's full name, if not [exchange] server."
)
@click.option(
    "--sample", type=click.IntRange(min=0), metavar="N",
    help="Of how many mailboxes the rights are compared with the cmdlets (default: 20).",
)  # fmt: skip
def take(ldap_only: bool, server: str | None, sample: int | None) -> None:
    """Take the inventory live as a new snapshot: all of it or nothing.

    The tables [directory] and [exchange] of the configuration say who is asked. A domain
    controller tells mailboxes, limits and rights, the Exchange server all else. Rights of some
    mailboxes are asked for both ways, and what differs is told. Nothing is changed there.
    """
    from mailmig.run.cross_check import SAMPLE

    if ldap_only and (server or sample is not None):
        raise click.UsageError("--ldap-only asks no Exchange server: leave --server and --sample")
    config = session().config
    snapshots = session().snapshots()  # first: a state folder that cannot be used costs no logon
    with line() as progress:
        taken = _take(
            config,
            None if ldap_only else _server(server),
            SAMPLE if sample is None else sample,
            progress,
        )
    info = snapshots.add(taken.reading).info
    _tell_snapshot(info)
    _tell_check(taken.check)
    _tell_gaps(info)


def _server(named: str | None) -> str:
    from mailmig.sources.exchange import ExchangeSettings

    server = named or session().config.section("exchange", ExchangeSettings).server
    if not server:
        raise click.UsageError(
            "name the server: --server ex1.example.com, or `server` in the table [exchange]; "
            "or ask the directory alone with --ldap-only"
        )
    return server


def _take(config: "Config", server: str | None, sample: int, progress: Tell | None) -> "Taken":
    import asyncio
    from dataclasses import replace

    from mailmig.model.addresses import AddressSettings
    from mailmig.run.controllers import controllers
    from mailmig.run.taking import open_directory, take
    from mailmig.sources.directory import DirectorySettings
    from mailmig.sources.exchange import Exchange, ExchangeSettings
    from mailmig.sources.names import Names, NamesSettings

    instead, gate = config.section("addresses", AddressSettings).map, session().gate

    async def run() -> "Taken":
        directory = config.section("directory", DirectorySettings)
        names = Names(config.section("names", NamesSettings), instead)
        directory = replace(directory, servers=await controllers(directory, names))
        async with open_directory(directory, instead, gate) as ldap:
            if server is None:
                return await take(ldap, None, progress=progress)
            settings = config.section("exchange", ExchangeSettings)
            async with Exchange(server, settings, instead, gate) as exchange:
                return await take(ldap, exchange, sample=sample, progress=progress)

    return asyncio.run(run())


def _tell_check(check: "CrossCheck | None") -> None:
    """How many mailboxes were compared; what differs is a gap and told with those."""
    if check is None:
        return
    found = len({one.mailbox for one in check.differences})
    mailboxes = "1 mailbox" if check.compared == 1 else f"{check.compared:,} mailboxes"
    differs = f"{found:,} of them differ" if found else "all agree"
    click.echo(f"rights of {mailboxes} compared with the cmdlets: {differs}")


@cmd.command(name="folder-rights")
@click.argument("ref", default="latest")
@click.option(
    "--server", metavar="NAME", help="The Exchange server's full name, if not [exchange] server."
)
def folder_rights(ref: str, server: str | None) -> None:
    """Ask who may use whose calendar and inbox, and add it to the snapshot REF as a new one.

    That takes some questions for each mailbox. What was answered is kept at once: a run that was
    stopped, however it was, goes on where it was.
    """
    import asyncio

    from mailmig.model.addresses import AddressSettings
    from mailmig.run.folder_rights import FolderRights
    from mailmig.sources.exchange import Exchange, ExchangeSettings

    config = session().config
    snapshots, named = session().snapshots(), _server(server)
    settings = config.section("exchange", ExchangeSettings)
    instead, gate = config.section("addresses", AddressSettings).map, session().gate
    run = FolderRights(snapshots.load(ref), session().state_folder)
    click.echo(f"folder rights: {run.forecast(settings.parallel)}", err=True)

    async def ask() -> None:
        with line() as progress:
            async with Exchange(named, settings, instead, gate) as exchange:
                await run.ask(exchange, progress)

    asyncio.run(ask())
    info = snapshots.add(run.reading(named, _now())).info
    run.forget()
    _tell_snapshot(info)
    _tell_gaps(info)


@cmd.command(name="list")
@_format
@_out
def list_(form: str, out: Path | None) -> None:
    """All snapshots, the newest last."""
    from mailmig.reports.inventory import listing

    infos = session().snapshots().list()
    if not infos and form == "text":
        click.echo("there is no snapshot yet: mailmig inventory take or import FOLDER makes one")
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


def _tell_snapshot(info: "SnapshotInfo") -> None:
    whose = info.organisation or "an organisation without a name"
    click.echo(
        f"snapshot {info.id}: {whose}, {info.mailboxes:,} mailboxes and {info.edges:,} rights "
        f"as of {info.taken_at:%Y-%m-%d %H:%M} UTC"
    )


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
