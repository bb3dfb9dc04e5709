"""Quota gains as a report: what every person may store before and after, and what it is worth.

Takes a `Comparison` and gives a `Document`; all numbers in it are exact. The order is the
one in which a manager and then an admin would ask: how much for how many, for whom, who
loses, who is stuck all the same, and at the end everybody by name.

    compose(comparison, Wishes(by=Grouping.SITE, growth=Fraction(10)), now) -> Document
"""

from datetime import datetime

from mailmig.model.document import Block, Document
from mailmig.reports.quota.first import key_figures, lead, subtitle, warnings
from mailmig.reports.quota.notes import footnotes
from mailmig.reports.quota.outlooks import Outlooks
from mailmig.reports.quota.people import People
from mailmig.reports.quota.tables import (
    changes,
    errors,
    groups,
    not_known,
    snapshots,
    spread,
    standings,
)
from mailmig.reports.quota.wishes import Grouping, Wishes
from mailmig.rules.quota_sums import sums
from mailmig.rules.quotas import Comparison

__all__ = ["NAME", "VERSION", "Grouping", "Wishes", "compose"]

NAME = "quota"
VERSION = 1  # of the shape that programs read


def compose(comparison: Comparison, wishes: Wishes, now: datetime) -> Document:
    """The whole report; `now` is printed as the time it was made."""
    total = sums(comparison.people)
    outlooks = Outlooks(comparison, wishes)
    people = People(comparison, outlooks, wishes)
    blocks: list[Block] = [
        lead(total),
        key_figures(comparison, total, outlooks, wishes),
        *warnings(comparison),
        groups(comparison, wishes.by),
        changes(comparison),
        *people.findings(),
        *outlooks.table(),
        spread(total),
        standings(comparison),
        *not_known(comparison),
        *errors(comparison),
        people.table(),
        snapshots(comparison),
        *footnotes(comparison, wishes),
    ]
    return Document(NAME, VERSION, "Quota gains", subtitle(comparison), now, tuple(blocks))
