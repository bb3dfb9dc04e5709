"""What the commands below `mailmig plan` share: plans found, reports written, settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailmig.cli.frame import deliver, session
from mailmig.model.errors import MailmigError

if TYPE_CHECKING:
    from mailmig.model.document import Document
    from mailmig.model.migration import Assignment, Plan, PlanData
    from mailmig.rules.planning.settings import PlanSettings
    from mailmig.sources.calendars import CalendarFolder

FINDINGS = 1
LATEST = "latest"

PATH = click.Path(path_type=Path)
FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json", "html"]), default="text",
    help="How the report is written (default: text).",
)  # fmt: skip
OUT = click.option("--out", type=PATH, metavar="FILE", help="Write it to FILE.")
SNAPSHOT = click.option(
    "--snapshot", metavar="REF", help="Inventory to plan for (default: the newest)."
)
CALENDAR = click.option(
    "--calendar", type=PATH, metavar="FOLDER",
    help="Folder with windows.json, databases.json and constraints.json.",
)  # fmt: skip
DATA = click.option(
    "--data", type=PATH, metavar="FOLDER",
    help="Plan these files instead of an inventory: mailboxes.csv and shares.csv beside the calendar.",
)  # fmt: skip
SECONDS = click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True),
    help="Wait for no search longer than this; the best plan so far counts, as after Ctrl-C.",
)  # fmt: skip


class NoCalendar(MailmigError):
    """A plan from an inventory needs a calendar: say where it lies."""

    def __init__(self) -> None:
        super().__init__(
            "a plan needs a calendar: --calendar FOLDER with windows.json and databases.json,"
            " or `calendar` in [plan] of mailmig.toml; or --data FOLDER with everything"
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A plan, its text, and its id; "" where it is a file that is not kept."""

    plan: "Plan"
    text: str
    id: str

    def keep(self) -> str:
        """The id of this plan, which is kept if it was not."""
        return self.id or session().plans().add(self.text, self.plan.snapshot or None)


def find(ref: str) -> Found:
    """The plan in a file, or the stored one."""
    from mailmig.sources.calendars import read_text
    from mailmig.store.plans import digest_of
    from mailmig.wire.planning.plans import read_plan

    file = Path(ref)
    plans = session().plans()
    if file.is_file():
        text = read_text(file)
        plan = read_plan(text, file)
        kept = [info.id for info in plans.list() if digest_of(text).startswith(info.id)]
        return Found(plan, text, kept[0] if kept else "")
    id = plans.id(ref)
    text = plans.load(id)
    return Found(read_plan(text, f"plan {id}"), text, id)


def settings() -> "PlanSettings":
    from mailmig.rules.planning.settings import PlanSettings

    return session().config.section("plan", PlanSettings)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def from_folder(folder: Path, settings: "PlanSettings") -> "tuple[PlanData, str]":
    from mailmig.sources.calendars import read_data

    return read_data(folder, settings), ""


def from_store(
    ref: str | None, found: "CalendarFolder", settings: "PlanSettings"
) -> "tuple[PlanData, str]":
    """The data of a snapshot under this calendar, and the snapshot's id."""
    from dataclasses import replace

    from mailmig.rules.planning.inventory import from_snapshot

    snapshot = session().snapshots().load(ref or LATEST)
    data = from_snapshot(snapshot, found.calendar, found.target, found.pins, settings)
    return replace(data, notes=(*found.notes, *data.notes)), snapshot.info.id


def searched(
    data: "PlanData",
    settings: "PlanSettings",
    origin: str,
    seconds: float | None,
    old: "Sequence[Assignment]" = (),
    at: datetime | None = None,
) -> "Plan":
    """The best plan that is found, with progress on a terminal."""
    from mailmig.cli.progress import line
    from mailmig.run.planning import make_plan

    with line() as tell:
        return make_plan(data, at or now(), settings, origin, seconds, tell, old)


def report(found: Found, form: str, out: Path | None = None, checked: bool = False) -> bool:
    """Write what is to be said about a plan; False when it breaks a rule."""
    from mailmig.reports.planning.whole import compose
    from mailmig.rules.planning.checker import check

    violations = check(found.plan) if checked else ()
    plans = session().plans()
    approvals = plans.approvals(found.id) if found.id else ()
    announced = plans.announced(found.id) if found.id else ()
    write(compose(found.plan, found.id, violations, approvals, announced), form, out)
    return not violations


def write(document: "Document", form: str, out: Path | None = None) -> None:
    from mailmig.cli.report import rendered, width_for

    deliver(rendered(document, form, width=width_for(out)), out)
