"""`mailmig collect`: the script for an admin, or asking a server live."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailmig.cli.frame import deliver, session

if TYPE_CHECKING:
    from mailmig.run.collecting import Collected


@click.command(short_help="Export what an inventory needs: live, or by a script.")
@click.option("--script", "print_script", is_flag=True, help="Print the PowerShell script.")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the script to FILE, with Windows line ends.",
)
@click.option(
    "--live",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Ask a server now and write the export into FOLDER, which is new or empty.",
)
@click.option("--server", metavar="NAME", help="With --live: the server's full name.")
def cmd(print_script: bool, out: Path | None, folder: Path | None, server: str | None) -> None:
    """Export what an inventory needs: live, or by a script.

    An admin reads the script, runs it in the Exchange Management Shell and brings back the
    folder that it makes. --live makes the same folder by asking one server over remote
    PowerShell, as the table [exchange] of the configuration says. `mailmig inventory import
    FOLDER` reads either. Nothing is changed in the organisation.
    """
    if folder is not None:
        if print_script or out is not None:
            raise click.UsageError("--live goes without --script and --out")
        if not server:
            raise click.UsageError("name the server: --live FOLDER --server ex1.example.com")
        _live(folder, server)
        return
    if server:
        raise click.UsageError("--server goes with --live FOLDER")
    if not print_script:
        raise click.UsageError(
            "use mailmig collect --script, or mailmig collect --live FOLDER --server NAME"
        )
    from mailmig import __version__
    from mailmig.wire.collect_script import script

    text = script(__version__)
    deliver(text if out is None else text.replace("\n", "\r\n"), out)


def _live(folder: Path, server: str) -> None:
    import asyncio

    from mailmig.model.addresses import AddressSettings
    from mailmig.run.collecting import collect
    from mailmig.sources.exchange import Exchange, ExchangeSettings

    config = session().config
    settings = config.section("exchange", ExchangeSettings)
    instead = config.section("addresses", AddressSettings).map

    async def run() -> "Collected":
        with _progress() as progress:
            async with Exchange(server, settings, instead) as exchange:
                return await collect(exchange, folder, progress=progress)

    collected = asyncio.run(run())
    files = sum(entry.state != "not available" for entry in collected.files)
    click.echo(f"{server}: {collected.objects:,} objects in {files} files, in {folder}")
    for entry in collected.lacking:
        click.echo(f"{entry.name}: {entry.state}: {entry.error}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """One line on a terminal that says how far it is; nothing in a pipe or a log."""
    if not sys.stderr.isatty():
        yield None
        return
    shown: list[Any] = [""]

    def tell(name: str, done: int, total: int | None) -> None:
        if done % 20 and done != total:
            return
        far = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        shown[0] = f"{name}: {far}"
        click.echo(f"\r{shown[0]:<60}", nl=False, err=True)

    try:
        yield tell
    finally:
        if shown[0]:
            click.echo("\r" + " " * 60 + "\r", nl=False, err=True)
