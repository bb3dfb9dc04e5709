"""Sizes, days and times in words, alike in refusals, reports and explanations."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

from mailmig.model.migration import Note

# So many subjects of a note are kept; their number is always said.
LISTED = 200

# How a note ends that says why the search was no whole one.
UNFINISHED = "a better plan may exist"

UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def size_text(size: int) -> str:
    """Bytes in binary units, as Exchange prints them: "291.3 GB"."""
    value, unit = float(size), UNITS[0]
    for unit in UNITS:
        if abs(value) < 1024 or unit == UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.4g} {unit}"


def number_text(value: float) -> str:
    """A number with at most one decimal and separated thousands: "7,197.2", "31"."""
    return f"{value:,.1f}".removesuffix(".0")


def count_text(count: int, what: str, many: str = "") -> str:
    """ "1 mailbox", "7 mailboxes"."""
    return f"{count:,} {what if count == 1 else many or what + 's'}"


def days_text(days: float) -> str:
    """ "1 day", "1.9 days"."""
    text = number_text(days)
    return f"{text} day" if text == "1" else f"{text} days"


def mailboxes_text(count: int) -> str:
    return count_text(count, "mailbox", "mailboxes")


def time_text(moment: datetime, zone: tzinfo) -> str:
    """A moment in the zone of the plan: "Wed 2027-01-13 01:00"."""
    return moment.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")


def listed(text: str, subjects: Sequence[str]) -> Note:
    """A note about these subjects."""
    return Note(text, tuple(subjects[:LISTED]), len(subjects))
