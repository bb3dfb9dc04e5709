"""mailmig lab: the simulated organisation."""

from pathlib import Path

import click


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
