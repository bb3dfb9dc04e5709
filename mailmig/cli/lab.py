"""mailmig lab: the simulated organisation."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailmig.lab.faults.switchboard import Active
    from mailmig.lab.running.whole import Lab


@click.group(name="lab")
def cmd() -> None:
    """The simulated organisation: rehearse before you touch the real one."""


@cmd.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--story", "story_name", default="town", show_default=True, help="Which story.")
@click.option("--mailboxes", type=int, help="How many mailboxes (default: as the story has).")
@click.option("--seed", type=int, default=1, show_default=True, help="Another town, same story.")
@click.option(
    "--moment",
    type=click.Choice(["before", "after"]),
    default="before",
    show_default=True,
    help="Before or after the migration.",
)
@click.option(
    "--culture",
    type=click.Choice(["en-US", "de-DE"]),
    default="en-US",
    show_default=True,
    help="The culture of the session that exported.",
)
@click.option("--whole", is_flag=True, help="Whole objects instead of the selected properties.")
def export(
    folder: Path,
    story_name: str,
    mailboxes: int | None,
    seed: int,
    moment: str,
    culture: str,
    whole: bool,
) -> None:
    """Write FOLDER as the collect script would in the story's organisation.

    The planning calendar of the story lies in FOLDER/calendar. An older export of the lab
    in FOLDER is replaced; a folder that holds anything else is left alone.
    """
    from mailmig.lab.cultures import CULTURES
    from mailmig.lab.export import write_export
    from mailmig.lab.founding import found
    from mailmig.lab.story import read
    from mailmig.render.units import number_of

    story = read(story_name)
    organisation = found(story, mailboxes, seed)
    if moment == "after":
        from mailmig.lab.afterwards import migrate

        migrate(organisation, story)
    written = write_export(organisation, story, folder, culture=CULTURES[culture], whole=whole)
    click.echo(
        f"{organisation.name}, {moment} the migration: "
        f"{number_of(written.counts['mailboxes'], 'mailbox', 'mailboxes')} and "
        f"{number_of(written.rights, 'right', 'rights')} in {len(written.counts)} files, "
        f"{written.bytes / 1024**2:.1f} MB, in {folder}"
    )


@cmd.command()
@click.option("--story", "story_name", default="town", show_default=True, help="Which story.")
@click.option("--mailboxes", type=int, help="How many mailboxes (default: as the story has).")
@click.option("--seed", type=int, default=1, show_default=True, help="Another town, same story.")
@click.option(
    "--speed",
    type=float,
    default=1.0,
    show_default=True,
    help="Seconds of the organisation per second of ours; 0: its time stands still.",
)
@click.option(
    "--port-offset",
    type=int,
    help="Added to every standard port (default: 10000; 0 for root).",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("lab"),
    show_default=True,
    help="Where mailmig.toml, certificate and passwords are written.",
)
@click.option(
    "--cut-over", is_flag=True, help="Clients' names lead to both nodes already, not to the source."
)
@click.option(
    "--probes", is_flag=True,
    help="With probe accounts on every database, as `mailmig probe setup` has them made.",
)  # fmt: skip
def run(
    story_name: str,
    mailboxes: int | None,
    seed: int,
    speed: float,
    port_offset: int | None,
    folder: Path,
    cut_over: bool,
    probes: bool,
) -> None:
    """Run the servers of the story's organisation on loopback, until Ctrl-C or SIGTERM.

    FOLDER gets a ready mailmig.toml: `mailmig --config FOLDER/mailmig.toml` then talks to the
    lab. The folder of an earlier lab is written anew; one that holds anything else is left alone.
    """
    import asyncio
    import os

    from mailmig.lab.running.whole import DEFAULT_OFFSET, Lab
    from mailmig.lab.story import read

    if port_offset is None:
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        port_offset = 0 if root else DEFAULT_OFFSET
    story = read(story_name)
    lab = Lab(
        story, folder, mailboxes=mailboxes, seed=seed, speed=speed, offset=port_offset,
        cut_over=cut_over, probes=probes,
    )  # fmt: skip
    asyncio.run(_until_told(lab))


_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("lab"),
    show_default=True,
    help="The folder of the lab that runs.",
)


@cmd.group()
def fault() -> None:
    """Let things go wrong in a lab that runs, and put them right again."""


@fault.command(name="list")
@_FOLDER
def list_faults(folder: Path) -> None:
    """List all faults by family, what each is switched for, and which are on now."""
    from tabulate import tabulate

    from mailmig.lab.faults.switchboard import kinds
    from mailmig.lab.running.control import NoLab, talk

    found = sorted(kinds().values(), key=lambda kind: (kind.family, kind.id))
    rows = [[kind.family, kind.id, kind.wants or "-", kind.description] for kind in found]
    headers = ["family", "fault", "target", "what happens"]
    click.echo(tabulate(rows, headers=headers, maxcolwidths=[None, None, 28, 60]))
    try:
        click.echo(_what_is_on(talk(folder, "list")))
    except NoLab as none:
        click.echo(f"nothing is on: {none}")


@fault.command()
@click.argument("name", metavar="FAULT")
@click.argument("target", default="")
@_FOLDER
def on(name: str, target: str, folder: Path) -> None:
    """Switch FAULT on, for TARGET where it has one (`mailmig lab fault list` says what it is)."""
    from mailmig.lab.running.control import talk

    click.echo(_what_is_on(talk(folder, "on", name, target)))


@fault.command()
@click.argument("name", metavar="[FAULT]", default="")
@click.argument("target", default="")
@_FOLDER
def off(name: str, target: str, folder: Path) -> None:
    """Switch FAULT off, for TARGET where it has one; without FAULT all that are on."""
    from mailmig.lab.running.control import talk

    click.echo(_what_is_on(talk(folder, "off", name, target)))


def _what_is_on(active: "Sequence[Active]") -> str:
    named = [f"{one.id} {one.target}".rstrip() for one in active]
    return "\n".join(["on now:", *(f"  {one}" for one in named)]) if named else "nothing is on"


async def _until_told(lab: "Lab") -> None:
    """Runs it until the first Ctrl-C or SIGTERM, which may come while it starts."""
    import asyncio
    import signal

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    before = {}
    for one in (signal.SIGINT, signal.SIGTERM):
        before[one] = signal.signal(one, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        async with lab:
            click.echo(_how_to_reach(lab))
            await stop.wait()
        click.echo("ended")
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _how_to_reach(lab: "Lab") -> str:
    from tabulate import tabulate

    from mailmig.lab.running.trying import trials
    from mailmig.render.units import number_of

    rows = [
        [
            machine.name,
            machine.site,
            what,
            standard,
            f"{machine.address}:{lab.layout.port(standard)}",
        ]
        for machine in lab.layout
        for standard, what in machine.services.items()
    ]
    accounts = [
        f"  {account.logon_name}, password {account.password.reveal()} ({use})"
        for use, account in lab.accounts_for.items()
    ]
    accounts += [
        f"  {one.logon_name}, password {one.password} ({one.what})" for one in lab.web.examples()
    ]
    size = number_of(lab.mailboxes, "mailbox", "mailboxes")
    lines = [
        tabulate(rows, headers=["name", "site", "service", "port", "listens on"]),
        "accounts, good for nothing but this lab:",
        *accounts,
        f"settings: {lab.settings}",
        "try, as it stands:",
        *(line for one in trials(lab) for line in (f"  # {one.what}", f"  {one.line}")),
        f"{lab.organisation.name}, {size}, speed {lab.world.speed:g}; Ctrl-C ends it.",
    ]
    return "\n".join(lines)
