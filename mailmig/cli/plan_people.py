"""`mailmig plan approve | announce`: who answers for a plan, and whom it is told to."""

import re
from pathlib import Path

import click

from mailmig.cli.frame import CannotWrite, session, write_whole
from mailmig.cli.plan_frame import LATEST, PATH, find
from mailmig.model.errors import MailmigError


class Unsound(MailmigError):
    """A plan that breaks a hard rule is not approved: look at `mailmig plan show`."""

    def __init__(self, id: str, first: str, number: int) -> None:
        more = f", and {number - 1} more" if number > 1 else ""
        super().__init__(f"plan {id} breaks a hard rule and cannot be approved: {first}{more}")
        self.id = id


class NoName(MailmigError):
    """An approval is somebody's: say whose."""

    def __init__(self) -> None:
        super().__init__("--by is empty: say who approves the plan")


@click.command()
@click.argument("plan")
@click.option("--by", metavar="NAME", required=True, help="Who approves it.")
def approve(plan: str, by: str) -> None:
    """Write down that NAME approves PLAN, as it is now.

    The time and the hash of the plan are kept with the name. A plan that is changed
    afterwards is another plan, and nobody has approved that one.
    """
    from mailmig.render.units import plain
    from mailmig.rules.planning.checker import check

    name = plain(by).strip()
    if not name:
        raise NoName
    found = find(plan)
    violations = check(found.plan)
    if violations:
        raise Unsound(found.id or plan, violations[0].text, len(violations))
    id = found.keep()
    approval = session().plans().approve(id, name)
    click.echo(f"Plan {id} is approved by {approval.by}, {approval.at:%Y-%m-%d %H:%M} UTC.")


@click.command()
@click.argument("window")
@click.argument("plan", default=LATEST)
@click.option(
    "--out", type=PATH, metavar="FOLDER", help="Where the texts go (default: announce-WINDOW)."
)
@click.option("--release", is_flag=True, help="Take the announcement back; nothing is written.")
def announce(window: str, plan: str, out: Path | None, release: bool) -> None:
    """Write the mails for the people of WINDOW, and keep it as it is when planning again.

    Mails before and after the move, in English and German, and a line per person for mail
    merge (people.csv). From then on nobody leaves the window or enters it.
    """
    from mailmig.reports.planning.announcing import texts, window_of

    found = find(plan)
    id = window_of(found.plan, window).id
    plans = session().plans()
    if release:
        plans.release(found.keep(), id)
        click.echo(f"Window {id} of plan {found.keep()} is planned again like any other.")
        return
    files = texts(found.plan, id)
    folder = out or Path("announce-" + re.sub(r"[^\w-]", "_", id))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(folder, error) from error
    for name, text in files.items():
        write_whole(folder / name, text.encode("utf-8", "surrogatepass"))
    kept = found.keep()
    plans.announce(kept, id)
    click.echo(f"written: {folder} ({', '.join(files)})", err=True)
    if not plans.approvals(kept):
        click.echo(f"mind: nobody has approved plan {kept}", err=True)
    click.echo(f"Window {id} of plan {kept} is announced: planning again leaves it as it is.")


COMMANDS = (approve, announce)
