"""`mailmig collect`: the script for an admin, or asking a server live."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailmig.cli.frame import deliver, session
from mailmig.cli.progress import line

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
@click.option(
    "--server",
    metavar="NAME",
    help="With --live: the server's full name, if not [exchange] server.",
)
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
        _live(folder, server)
        return
    if server:
        raise click.UsageError("--server goes with --live FOLDER")
    if not print_script:
        raise click.UsageError("use mailmig collect --script, or mailmig collect --live FOLDER")
    from mailmig import __version__
    from mailmig.wire.collect_script import script

    text = script(__version__)
    deliver(text if out is None else text.replace("\n", "\r\n"), out)


def _live(folder: Path, server: str | None) -> None:
    import asyncio

    from mailmig.model.addresses import AddressSettings
    from mailmig.run.collecting import collect
    from mailmig.sources.exchange import Exchange, ExchangeSettings

    config = session().config
    settings = config.section("exchange", ExchangeSettings)
    server = server or settings.server
    if not server:
        raise click.UsageError(
            "name the server: --server ex1.example.com, or `server` in the table [exchange]"
        )
    instead = config.section("addresses", AddressSettings).map

    gate = session().gate

    async def run() -> "Collected":
        with line() as progress:
            async with Exchange(server, settings, instead, gate) as exchange:
                return await collect(exchange, folder, progress=progress)

    collected = asyncio.run(run())
    files = sum(entry.state != "not available" for entry in collected.files)
    click.echo(f"{server}: {collected.objects:,} objects in {files} files, in {folder}")
    for entry in collected.lacking:
        click.echo(f"{entry.name}: {entry.state}: {entry.error}", err=True)
