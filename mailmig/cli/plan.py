"""`mailmig plan`: make, show, explain and export plans; the other commands stand beside it."""

import sys
from pathlib import Path

import click

from mailmig.cli import plan_changes, plan_people
from mailmig.cli.frame import deliver, session
from mailmig.cli.plan_frame import (
    CALENDAR,
    DATA,
    FINDINGS,
    FORMAT,
    LATEST,
    OUT,
    PATH,
    SECONDS,
    SNAPSHOT,
    Found,
    NoCalendar,
    find,
    from_folder,
    from_store,
    report,
    searched,
    settings,
)


@click.group(short_help="Make, show and explain a wave plan.")
def cmd() -> None:
    """Plan waves: which mailbox moves in which window, and to which database.

    A plan breaks no hard rule, or there is none: then the sentence names the resource that
    binds and how much of it is missing.
    """


@cmd.command()
@SNAPSHOT
@CALENDAR
@DATA
@click.option("--out", type=PATH, metavar="FILE", help="Write the plan, too (JSON).")
@click.option(
    "--assignment", type=PATH, metavar="FILE", help="Write mailbox,window,database, too (CSV)."
)
@click.option("--seed", type=click.IntRange(0), help="First seed of the search (default: 1).")
@click.option(
    "--seeds", type=click.IntRange(1),
    help="So many searches, the best counts (default: 4, 2 above 20,000 mailboxes, 1 above 100,000).",
)  # fmt: skip
@SECONDS
@FORMAT
def make(
    snapshot: str | None,
    calendar: Path | None,
    data: Path | None,
    out: Path | None,
    assignment: Path | None,
    seed: int | None,
    seeds: int | None,
    seconds: float | None,
    form: str,
) -> None:
    """Make a plan, keep it, and report what it costs.

    The same input and the same seed give the same plan for up to 2,000 mailboxes. Ctrl-C ends
    the search and keeps the best plan that it found.
    """
    from dataclasses import replace

    from mailmig.sources.calendars import read_calendar
    from mailmig.wire.planning.plans import write_plan
    from mailmig.wire.planning.tables import write_assignment

    if data and (snapshot or calendar):
        raise click.UsageError(
            "--data brings its own calendar: leave --snapshot and --calendar out"
        )
    config = settings()
    folder = calendar or config.calendar
    if data:
        found, origin = from_folder(data, config)
    elif folder is None:
        raise NoCalendar
    else:
        found, origin = from_store(snapshot, read_calendar(folder, config), config)
    if seed is not None:
        config = replace(config, seed=seed)
    if seeds is not None:
        config = replace(config, seeds=seeds)
    plan = searched(found, config, origin, seconds)
    text = write_plan(plan)
    if out:
        deliver(text, out)
    if assignment:
        deliver(write_assignment(plan.assignments), assignment)
    report(Found(plan, text, session().plans().add(text, origin or None)), form)


@cmd.command()
@click.argument("plan", default=LATEST)
@FORMAT
@OUT
def show(plan: str, form: str, out: Path | None) -> None:
    """Show PLAN, a file or the id of a stored plan (default: the newest).

    The plan is checked against every hard rule; if it breaks one, the exit code is 1.
    """
    if not report(find(plan), form, out, checked=True):
        sys.exit(FINDINGS)


@cmd.command()
@click.argument("what")
@click.argument("plan", default=LATEST)
def explain(what: str, plan: str) -> None:
    """Say why WHAT is as it is: a mailbox, a window, or a gap between two (w03..w04).

    A mailbox is named by its identity in PLAN, its exchange GUID, or the name before the "@".
    """
    from mailmig.render.units import plain
    from mailmig.rules.planning.explain_times import answer

    sentences = answer(find(plan).plan, what)
    deliver("".join(f"{plain(sentence)}\n" for sentence in sentences), None)


@cmd.command()
@click.argument("plan", default=LATEST)
@click.option(
    "--format", "form", type=click.Choice(["json", "csv"]), default="json",
    help="The whole plan (json), or mailbox,window,database (csv).",
)  # fmt: skip
@OUT
def export(plan: str, form: str, out: Path | None) -> None:
    """Write PLAN for programs and for other machines."""
    from mailmig.wire.planning.tables import write_assignment

    found = find(plan)
    deliver(found.text if form == "json" else write_assignment(found.plan.assignments), out)


for command in (*plan_changes.COMMANDS, *plan_people.COMMANDS):
    cmd.add_command(command)
