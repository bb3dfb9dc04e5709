"""`mailmig probe`: the accounts that checks log on with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailmig.cli.frame import deliver, session

if TYPE_CHECKING:
    from mailmig.rules.probe_accounts import DatabaseProbes
    from mailmig.run.check_settings import CheckSettings
    from mailmig.run.probe_setup import Known

GOOD, FOUND = 0, 1
_PASSWORDS = "probe-passwords"


@click.group(name="probe")
def cmd() -> None:
    """The accounts that checks log on with: mailboxes of ours, on every database."""


@cmd.command()
@click.option(
    "--script", "print_script", is_flag=True, help="Print the PowerShell script that makes them."
)
@click.option(
    "--settings", "print_settings", is_flag=True,
    help="Print the part of mailmig.toml that names them.",
)  # fmt: skip
@click.option(
    "--passwords", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
    help="Make a password for each delegate that has no file there yet; only you may read them.",
)  # fmt: skip
@click.option(
    "--domain", metavar="DOMAIN", default="",
    help="The domain of their addresses (default: that of the first autodiscover. name).",
)  # fmt: skip
@click.option(
    "--snapshot", metavar="REF",
    help="Take databases from a snapshot instead of the directory (without [directory]: the newest).",
)  # fmt: skip
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it instead of the terminal; a script gets Windows line ends.",
)  # fmt: skip
def setup(
    print_script: bool, print_settings: bool, passwords: Path | None, domain: str,
    snapshot: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Say which probe accounts there are and which are missing; print what makes them.

    One delegate and one shared mailbox per database. Nothing is changed in the organisation: an
    admin reads the script and runs it in the Exchange Management Shell. The exit code is 1 if
    something is missing.
    """
    if print_script and print_settings:
        raise click.UsageError("--script and --settings go one at a time")
    import sys

    from mailmig.run.probe_setup import keep_passwords, planned, script, settings_text

    settings = _settings()
    known = _known(snapshot)
    made = planned(known, settings.names, domain)
    if passwords is not None:
        new = keep_passwords(passwords, made)
        click.echo(f"{passwords}: {len(new)} new passwords, {len(made) - len(new)} kept", err=True)
    if print_script:
        text = script(made)
        text = text if text.isascii() else f"\ufeff{text}"  # Windows PowerShell goes by that
        deliver(text if out is None else text.replace("\n", "\r\n"), out)
    elif print_settings:
        folder = passwords.resolve().as_posix() if passwords is not None else _PASSWORDS
        deliver(settings_text(made, folder), out)
    else:
        text, wrong = _table(made, known)
        deliver(text, out)
        sys.exit(FOUND if wrong else GOOD)


def _settings() -> "CheckSettings":
    from mailmig.run.check_settings import CheckSettings

    return session().config.section("check", CheckSettings)


def _known(snapshot: str | None) -> "Known":
    import asyncio

    from mailmig.model.addresses import AddressSettings
    from mailmig.run.probe_setup import NothingKnown, from_directory, from_snapshot
    from mailmig.sources.directory_settings import DirectorySettings
    from mailmig.store.ids import LATEST

    config = session().config
    if snapshot is None and "directory" in config.tables:
        directory = config.section("directory", DirectorySettings)
        addresses = config.section("addresses", AddressSettings).map
        return asyncio.run(from_directory(directory, addresses, session().gate))
    snapshots = session().snapshots()
    if snapshot is None and not snapshots.list():
        raise NothingKnown
    return from_snapshot(snapshots.load(snapshot or LATEST, without=("edges", "groups")))


def _table(made: "tuple[DatabaseProbes, ...]", known: "Known") -> tuple[str, int]:
    """All mailboxes as a table, and how many are not where they belong."""
    from tabulate import tabulate

    from mailmig.run.probe_setup import rows

    lines, lacking, moved = [], 0, 0
    for pair, one, database in rows(made, known):
        kind = "shared" if one.shared else "delegate"
        there = "NO" if database is None else "yes"
        if database is not None and database != pair.database:
            there, moved = f"on {database or 'no database'}", moved + 1
        lines.append((pair.database, pair.version, kind, one.address, there))
        lacking += database is None
    headers = ("database", "version", "kind", "address", "there")
    parts = [tabulate(lines, headers, disable_numparse=True)]
    if lacking:
        advice = "`mailmig probe setup --script` prints what makes them"
        parts.append(f"{lacking} of {len(lines)} are missing: {advice}")
    if moved:
        parts.append(f"{moved} of {len(lines)} are on another database: move them back")
    return "\n\n".join(parts), lacking + moved
