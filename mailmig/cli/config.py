"""`mailmig config init | check | show`."""

from pathlib import Path
from typing import Any

import click

from mailmig.cli.frame import SECTIONS, deliver, section_class, session
from mailmig.model.errors import MailmigError


class WouldOverwrite(MailmigError):
    """A configuration is there already: move it away, or name another file."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} is there already and stays as it is: move it away first")
        self.file = file


@click.group(short_help="Make, check and show the configuration.")
def cmd() -> None:
    """Make, check and show the configuration (mailmig.toml)."""


@cmd.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("mailmig.toml"))
def init(file: Path) -> None:
    """Write a sample FILE with every key, its description and its default."""
    from mailmig.config import sample

    if file.exists():
        raise WouldOverwrite(file)
    deliver(sample(_classes()), file)


@cmd.command()
def check() -> None:
    """Read the configuration and say whether it can be used."""
    for name, cls in _classes().items():
        session().config.section(name, cls)
    click.echo(f"good: {session().config.place}")


@cmd.command()
def show() -> None:
    """Print every value that holds, and where it comes from."""
    from tabulate import tabulate

    from mailmig.config import describe

    rows = [list(row) for row in describe(session().config, _classes())]
    if session().state_option is not None:
        for row in rows:
            if row[0] == "mailmig.state_folder":
                row[1:] = [f'"{session().state_folder}"', "--state or MAILMIG_STATE"]
    deliver(tabulate(rows, headers=["key", "value", "from"], disable_numparse=True), None)


def _classes() -> dict[str, type[Any]]:
    return {name: section_class(name) for name in SECTIONS}
