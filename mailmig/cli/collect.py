"""`mailmig collect --script`."""

from pathlib import Path

import click

from mailmig.cli.frame import deliver


@click.command(short_help="Print the script that exports what an inventory needs.")
@click.option("--script", "print_script", is_flag=True, help="Print the PowerShell script.")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the script to FILE, with Windows line ends.",
)
def cmd(print_script: bool, out: Path | None) -> None:
    """Print the script that exports what an inventory needs.

    An admin reads it, runs it in the Exchange Management Shell and brings back the folder that
    it makes; `mailmig inventory import FOLDER` reads that. It changes nothing in the
    organisation.
    """
    if not print_script:
        raise click.UsageError(
            "mailmig cannot ask the organisation itself yet: use mailmig collect --script"
        )
    from mailmig import __version__
    from mailmig.wire.collect_script import script

    text = script(__version__)
    deliver(text if out is None else text.replace("\n", "\r\n"), out)
