"""`mailmig plan compare | what-if | replan`: a plan beside another one."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailmig.cli.frame import deliver, session
from mailmig.cli.plan_frame import (
    CALENDAR,
    DATA,
    FORMAT,
    LATEST,
    OUT,
    PATH,
    SECONDS,
    SNAPSHOT,
    find,
    from_folder,
    from_store,
    now,
    searched,
    settings,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailmig.model.migration import Plan, PlanData, Told
    from mailmig.rules.planning.settings import PlanSettings


class Percent(click.ParamType[float]):
    """A change in per cent: +20, -10%."""

    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            percent = float(str(value).strip().removesuffix("%"))
        except ValueError:
            percent = float("nan")
        if not -100 < percent <= 10_000:
            self.fail(f"{value!r} is no change in per cent above -100, like +20", param, ctx)
        return percent


@click.command()
@click.argument("one")
@click.argument("other")
@FORMAT
@OUT
def compare(one: str, other: str, form: str, out: Path | None) -> None:
    """Compare plan ONE with plan OTHER: what it costs, and who moves when."""
    from mailmig.reports.planning.comparing import compose

    first, second = find(one), find(other)
    names = first.id or one, second.id or other
    write(compose(first.plan, second.plan, names, f"Plan {names[0]} beside {names[1]}"), form, out)


@click.command("what-if")
@click.argument("plan", default=LATEST)
@click.option("--window", metavar="START/END", help="One more window, with the usual limits.")
@click.option(
    "--throughput", type=Percent(), metavar="N", help="Everything moves N per cent faster: +20."
)
@click.option("--mode", type=click.Choice(["classic", "prestage"]), help="Copy in this mode.")
@click.option("--without-pin", metavar="MAILBOX", help="Leave the pins of this mailbox out.")
@SECONDS
@FORMAT
@click.option("--out", type=PATH, metavar="FILE", help="Write the other plan (JSON).")
def what_if(
    plan: str,
    window: str | None,
    throughput: float | None,
    mode: str | None,
    without_pin: str | None,
    seconds: float | None,
    form: str,
    out: Path | None,
) -> None:
    """Say what PLAN would cost if something were different. Nothing is kept."""
    from mailmig.model.migration import Mode
    from mailmig.reports.planning.comparing import compose
    from mailmig.rules.planning import what_if as changes
    from mailmig.rules.planning.capacity import split
    from mailmig.rules.planning.explain import find as mailbox
    from mailmig.wire.planning.plans import write_plan

    found, config = find(plan), settings()
    data, said = found.plan.data, []
    if window is not None:
        start, _, end = window.partition("/")
        times = _time("--window", start, config), _time("--window", end, config)
        if times[1] <= times[0] or times[1] <= data.calendar.project_start:
            raise click.UsageError(
                f"--window {window} ends before it starts, or before the project"
            )
        data = changes.with_window(data, *times)
        reason = dict(split(data.calendar)[1]).get(data.calendar.windows[-1].id)
        if reason:
            raise click.UsageError(f"--window {window} {reason}: nobody could move in it")
        said.append(f"with a window from {start} to {end}")
    if throughput is not None:
        data = changes.faster(data, 1 + throughput / 100)
        said.append(f"with {throughput:+g} % throughput")
    if mode is not None:
        data = changes.in_mode(data, Mode(mode))
        said.append(f"in mode {mode}")
    if without_pin is not None:
        identity = mailbox(found.plan, without_pin).identity
        data = changes.without_pin(data, identity)
        said.append(f"without the pins of {identity}")
    if not said:
        raise click.UsageError("say what: --window, --throughput, --mode or --without-pin")
    made = searched(data, config, found.plan.snapshot, seconds, found.plan.assignments)
    if out:
        deliver(write_plan(made), out)
    names = found.id or plan, "what if"
    write(compose(found.plan, made, names, f"What if: {', '.join(said)}"), form)


@click.command()
@click.argument("plan", default=LATEST)
@click.option(
    "--states",
    type=PATH,
    metavar="FILE",
    help="How far the moves are: mailbox,state,database (CSV).",
)
@SNAPSHOT
@CALENDAR
@DATA
@click.option("--at", metavar="TIME", help="When it is planned again (default: now).")
@click.option("--full", is_flag=True, help="Take the full plan that is offered otherwise.")
@SECONDS
@FORMAT
@click.option("--out", type=PATH, metavar="FILE", help="Write the plan, too (JSON).")
def replan(
    plan: str,
    states: Path | None,
    snapshot: str | None,
    calendar: Path | None,
    data: Path | None,
    at: str | None,
    full: bool,
    seconds: float | None,
    form: str,
    out: Path | None,
) -> None:
    """Make PLAN again in mid-migration, with as few changes as pay.

    Moved mailboxes stay, announced windows are kept, and who has a window keeps it unless a
    change pays; one in a hundred may change. A full plan is made beside it and offered.
    """
    from dataclasses import replace

    from mailmig.cli.progress import line
    from mailmig.reports.planning.again import compose
    from mailmig.run.replanning import replan as again
    from mailmig.sources.calendars import read_text
    from mailmig.store.plans import digest_of
    from mailmig.wire.planning.plans import write_plan
    from mailmig.wire.planning.tables import parse_states

    if data and (snapshot or calendar):
        raise click.UsageError(
            "--data brings its own calendar: leave --snapshot and --calendar out"
        )
    found, config = find(plan), settings()
    moment = _time("--at", at, config) if at else now()
    told = parse_states(read_text(states), states) if states else ()
    whole, origin = _data_again(found.plan, snapshot, calendar, data, config)
    _known_databases(states, told, whole)
    announced = session().plans().announced(found.id) if found.id else ()
    old = replace(found.plan, snapshot=origin)
    with line() as tell:
        both = again(
            old, whole, told, announced, moment, config, bool(calendar or data), seconds, tell
        )
    taken = both.full if full or both.anchored is None else both.anchored
    if taken.plan.assignments == old.assignments and taken.plan.data == old.data:
        click.echo(f"Nothing changed: plan {found.keep()} stands.")
        return
    found.keep()
    made = replace(taken.plan, previous=digest_of(found.text))
    text = write_plan(made)
    if out:
        deliver(text, out)
    id = session().plans().add(text, origin or None, announced)
    offer = None if taken is both.full else both.full
    write(compose(old, replace(taken, plan=made), id, offer), form)


def _known_databases(file: Path | None, told: "Sequence[Told]", data: "PlanData") -> None:
    """What was moved takes room of its database, so that has to be one of the target's."""
    from mailmig.model.errors import BadFile, nearest

    known = {database.id.casefold(): database.id for database in data.target.databases}
    for each in told:
        if each.database and each.database.casefold() not in known:
            hint = nearest(each.database, known.values())
            reason = f"there is no target database {each.database}{hint}"
            raise BadFile(file, reason, each.mailbox)


def _data_again(
    plan: "Plan",
    snapshot: str | None,
    calendar: Path | None,
    data: Path | None,
    config: "PlanSettings",
) -> "tuple[PlanData, str]":
    """What the new plan is made from: the old one's data, or what was read anew."""
    from dataclasses import replace

    from mailmig.sources.calendars import CalendarFolder, read_calendar

    if data:
        return from_folder(data, config)
    old = plan.data
    found = (
        read_calendar(calendar, config)
        if calendar
        else CalendarFolder(old.calendar, old.target, old.pins)
    )
    if snapshot:
        return from_store(snapshot, found, config)
    target = replace(found.target, log_factor=old.target.log_factor)
    kept = replace(old, calendar=found.calendar, target=target, pins=found.pins, notes=found.notes)
    return kept, plan.snapshot


def _time(option: str, text: str, config: "PlanSettings") -> datetime:
    """A moment; without a zone in that of the configuration. Raises `BadFile`."""
    from mailmig.wire.planning.records import Decoder

    return Decoder(option, config.tz).time(text, "")


COMMANDS = (compare, what_if, replan)
