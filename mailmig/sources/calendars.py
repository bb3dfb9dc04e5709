"""Planning input from folders: a calendar, or everything a plan needs.

A calendar folder has windows.json and databases.json and, where something is pinned,
constraints.json. A data folder has mailboxes.csv and shares.csv as well. Files are UTF-8, or
UTF-16 with a byte order mark; meta.json and other files are not looked at.
"""

from dataclasses import dataclass
from pathlib import Path

from mailmig.model.errors import BadFile
from mailmig.model.migration import Calendar, Note, Pin, PlanData, Target
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import configured
from mailmig.wire.planning.calendars import parse_calendar, parse_pins, parse_target
from mailmig.wire.planning.tables import parse_mailboxes, parse_shares

WINDOWS = "windows.json"
DATABASES = "databases.json"
CONSTRAINTS = "constraints.json"
MAILBOXES = "mailboxes.csv"
SHARES = "shares.csv"

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class CalendarFolder:
    """When, where to, and what was decided before."""

    calendar: Calendar
    target: Target
    pins: tuple[Pin, ...]
    notes: tuple[Note, ...] = ()


def read_calendar(folder: Path, settings: PlanSettings) -> CalendarFolder:
    """The calendar of a folder; times without a zone are in the zone of the settings.

    Raises `BadFile`, which names the file.
    """
    if not folder.is_dir():
        raise BadFile(folder, "there is no such folder")
    windows, databases, constraints = (folder / name for name in (WINDOWS, DATABASES, CONSTRAINTS))
    pins: tuple[Pin, ...] = ()
    notes: tuple[Note, ...] = ()
    if constraints.exists():
        pins = parse_pins(read_text(constraints), constraints)
    else:
        notes = (Note(f"there is no {CONSTRAINTS}: nothing is pinned"),)
    return CalendarFolder(
        calendar=parse_calendar(read_text(windows), settings.tz, windows),
        target=parse_target(read_text(databases), databases),
        pins=pins,
        notes=notes,
    )


def read_data(folder: Path, settings: PlanSettings) -> PlanData:
    """All that a plan is made from. Raises `BadFile`, which names the file."""
    found = read_calendar(folder, settings)
    mailboxes, shares = folder / MAILBOXES, folder / SHARES
    data = PlanData(
        mailboxes=parse_mailboxes(read_text(mailboxes), mailboxes),
        shares=parse_shares(read_text(shares), settings.weight, shares),
        calendar=found.calendar,
        target=found.target,
        pins=found.pins,
        notes=found.notes,
    )
    return configured(data, settings)


def read_text(path: Path) -> str:
    """The text of one file. Raises `BadFile`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise BadFile(path, "there is no such file") from error
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from error
    encoding = "utf-16" if raw.startswith(UTF_16_MARKS) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadFile(path, "is neither UTF-8 nor UTF-16: save it as UTF-8") from error
