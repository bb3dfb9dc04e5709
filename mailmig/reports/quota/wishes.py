"""What the reader of a quota report may choose."""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from mailmig.model.directory import Mailbox


class Grouping(Enum):
    """What people may be summed up by; always by what was last seen of them."""

    DEPARTMENT = "department"
    DATABASE = "database"
    KIND = "kind"
    SITE = "site"

    def of(self, mailbox: Mailbox) -> str:
        """The group that a mailbox belongs to; "" for one that has none."""
        if self is Grouping.KIND:
            return mailbox.kind.value
        return str(getattr(mailbox, self.value))


@dataclass(frozen=True, slots=True)
class Wishes:
    """`growth` is in per cent a year, `None` leaves it out.

    `with_archives` adds the gain of mailbox and archive together; by default archives stand
    in columns of their own and in no sum.
    """

    by: Grouping = Grouping.DEPARTMENT
    growth: Fraction | None = None
    with_archives: bool = False
