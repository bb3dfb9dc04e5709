"""`mailmig plan make | show | explain`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailmig.cli.frame import deliver, session
from mailmig.model.errors import MailmigError

if TYPE_CHECKING:
    from mailmig.model.migration import Plan, PlanData, Violation
    from mailmig.rules.planning.settings import PlanSettings

FINDINGS = 1
LATEST = "latest"
PREVIOUS = "previous"

PATH = click.Path(path_type=Path)
FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text",
    help="How the report is written (default: text).",
)  # fmt: skip


class NoCalendar(MailmigError):
    """A plan from an inventory needs a calendar: say where it lies."""

    def __init__(self) -> None:
        super().__init__(
            "a plan needs a calendar: --calendar FOLDER with windows.json and databases.json,"
            " or `calendar` in [plan] of mailmig.toml; or --data FOLDER with everything"
        )


@click.group(short_help="Make, show and explain a wave plan.")
def cmd() -> None:
    """Plan waves: which mailbox moves in which window, and to which database.

    A plan breaks no hard rule, or there is none: then the sentence names the resource that
    binds and how much of it is missing.
    """


@cmd.command()
@click.option("--snapshot", metavar="REF", help="Inventory to plan for (default: the newest).")
@click.option(
    "--calendar", type=PATH, metavar="FOLDER",
    help="Folder with windows.json, databases.json and constraints.json.",
)  # fmt: skip
@click.option(
    "--data", type=PATH, metavar="FOLDER",
    help="Plan these files instead of an inventory: mailboxes.csv and shares.csv beside the calendar.",
)  # fmt: skip
@click.option("--out", type=PATH, metavar="FILE", help="Write the plan, too (JSON).")
@click.option(
    "--assignment", type=PATH, metavar="FILE", help="Write mailbox,window,database, too (CSV)."
)
@FORMAT
def make(
    snapshot: str | None,
    calendar: Path | None,
    data: Path | None,
    out: Path | None,
    assignment: Path | None,
    form: str,
) -> None:
    """Make a plan, keep it, and report what it costs."""
    from mailmig.rules.planning.maker import make as make_plan
    from mailmig.rules.planning.settings import PlanSettings
    from mailmig.wire.planning.plans import write_plan
    from mailmig.wire.planning.tables import write_assignment

    if data and (snapshot or calendar):
        raise click.UsageError(
            "--data brings its own calendar: leave --snapshot and --calendar out"
        )
    settings = session().config.section("plan", PlanSettings)
    found, origin = _from_folder(data, settings) if data else _from_store(
        snapshot, calendar, settings
    )  # fmt: skip
    plan = make_plan(found, datetime.now(UTC).replace(microsecond=0), settings, origin)
    text = write_plan(plan)
    if out:
        deliver(text, out)
    if assignment:
        deliver(write_assignment(plan.assignments), assignment)
    id = session().plans().add(text, origin or None)
    _report(plan, id, form)


@cmd.command()
@click.argument("plan", default=LATEST)
@FORMAT
def show(plan: str, form: str) -> None:
    """Show PLAN, a file or the id of a stored plan (default: the newest).

    The plan is checked against every hard rule; if it breaks one, the exit code is 1.
    """
    from mailmig.rules.planning.checker import check

    found, id = _load(plan)
    if not _report(found, id, form, check(found)):
        sys.exit(FINDINGS)


@cmd.command()
@click.argument("mailbox")
@click.argument("plan", default=LATEST)
def explain(mailbox: str, plan: str) -> None:
    """Say why MAILBOX moves when it does, what is cut meanwhile, and what else would do.

    MAILBOX is the identity in PLAN, the exchange GUID, or the name before the "@".
    """
    from mailmig.render.units import plain
    from mailmig.rules.planning.explain import explain as sentences

    found, _ = _load(plan)
    deliver("".join(f"{plain(sentence)}\n" for sentence in sentences(found, mailbox)), None)


def _from_folder(folder: Path, settings: "PlanSettings") -> "tuple[PlanData, str]":
    from mailmig.sources.calendars import read_data

    return read_data(folder, settings), ""


def _from_store(
    ref: str | None, calendar: Path | None, settings: "PlanSettings"
) -> "tuple[PlanData, str]":
    from dataclasses import replace

    from mailmig.rules.planning.inventory import from_snapshot
    from mailmig.sources.calendars import read_calendar

    folder = calendar or settings.calendar
    if folder is None:
        raise NoCalendar
    found = read_calendar(folder, settings)
    snapshot = session().snapshots().load(ref or LATEST)
    data = from_snapshot(snapshot, found.calendar, found.target, found.pins, settings)
    return replace(data, notes=(*found.notes, *data.notes)), snapshot.info.id


def _load(ref: str) -> "tuple[Plan, str]":
    """A plan and its id; a file has none."""
    from mailmig.sources.calendars import read_text
    from mailmig.wire.planning.plans import read_plan

    file = Path(ref)
    if file.is_file():
        return read_plan(read_text(file), file), ""
    text = session().plans().load(ref)
    id = _id(ref, [info.id for info in session().plans().list()])
    return read_plan(text, f"plan {id}"), id


def _id(ref: str, ids: list[str]) -> str:
    """The whole id of a plan that was found by `ref`."""
    back = {LATEST: 1, PREVIOUS: 2}.get(ref)
    return ids[-back] if back else next(id for id in ids if id.startswith(ref.lower()))


def _report(plan: "Plan", id: str, form: str, violations: "tuple[Violation, ...]" = ()) -> bool:
    """Print the report; False when something is wrong with the plan."""
    from mailmig.render import machine, text
    from mailmig.reports.plan import compose

    document = compose(plan, id, violations)
    deliver(machine.render(document) if form == "json" else text.render(document), None)
    return not violations
