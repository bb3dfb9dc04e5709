"""Quotas, what a user gains by moving, and byte sizes.

Sizes are bytes, as `int`. Exchange prints binary units: its "1 GB" is 1024**3 bytes, and
it stores quotas as whole KB (1024 bytes). "Unlimited", "unknown" and zero are three
different things: a `Quota` is a number of bytes, `UNLIMITED` or `UNKNOWN`. Nothing here
ever turns one of the two words into a number, or an unknown limit into an absent one.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3


class Limit(Enum):
    """The two quotas that are no number."""

    UNLIMITED = "unlimited"
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return self.name


UNLIMITED: Final = Limit.UNLIMITED
UNKNOWN: Final = Limit.UNKNOWN

Quota = int | Limit


def whole_kib(quota: Quota) -> Quota:
    """The quota as Exchange stores it: whole KB, a broken one rounded up."""
    return quota if isinstance(quota, Limit) else -(-quota // KIB) * KIB


class Standing(Enum):
    """Where usage stands against the three limits, in the words of Exchange."""

    BELOW_LIMIT = "BelowLimit"
    ISSUE_WARNING = "IssueWarning"
    PROHIBIT_SEND = "ProhibitSend"
    MAILBOX_DISABLED = "MailboxDisabled"  # can neither send nor receive
    NO_CHECKING = "NoChecking"  # all three limits are unlimited
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Quotas:
    """The three limits of a mailbox or a database, in bytes.

    At `warn` the user is warned, at `send` he can no longer send, at `receive` he can
    neither send nor receive (Exchange: IssueWarningQuota, ProhibitSendQuota,
    ProhibitSendReceiveQuota). Each limit bites when usage reaches or exceeds it.
    """

    warn: Quota = UNKNOWN
    send: Quota = UNKNOWN
    receive: Quota = UNKNOWN

    @property
    def headline(self) -> Quota:
        """What the user may store: the smaller of the finite ones among `send` and `receive`.

        `UNKNOWN` as soon as one of the two is: it could be the smaller one.
        """
        send, receive = self.send, self.receive
        if send is UNKNOWN or receive is UNKNOWN:
            return UNKNOWN
        if isinstance(send, Limit):
            return receive
        if isinstance(receive, Limit):
            return send
        return min(send, receive)

    def in_whole_kib(self) -> "Quotas":
        """The same limits as Exchange stores them."""
        warn, send, receive = self.warn, self.send, self.receive
        if (
            (isinstance(warn, Limit) or not warn % KIB)
            and (isinstance(send, Limit) or not send % KIB)
            and (isinstance(receive, Limit) or not receive % KIB)
        ):
            return self
        return Quotas(whole_kib(warn), whole_kib(send), whole_kib(receive))

    def standing(self, used: Quota) -> Standing:
        """Where `used` bytes stand. Unknown usage, or an unknown limit that matters: unknown."""
        if isinstance(used, Limit):
            return Standing.UNKNOWN
        warn, send, receive = self.warn, self.send, self.receive
        if receive is UNKNOWN:
            return Standing.UNKNOWN
        if isinstance(receive, int) and used >= receive:
            return Standing.MAILBOX_DISABLED
        if send is UNKNOWN:
            return Standing.UNKNOWN
        if isinstance(send, int) and used >= send:
            return Standing.PROHIBIT_SEND
        if warn is UNKNOWN:
            return Standing.UNKNOWN
        if isinstance(warn, int):
            return Standing.ISSUE_WARNING if used >= warn else Standing.BELOW_LIMIT
        return Standing.NO_CHECKING if receive is send is UNLIMITED else Standing.BELOW_LIMIT


class Change(Enum):
    """What became of one person's quota. Everybody falls into exactly one of these."""

    REDUCED = "reduced"
    NEWLY_LIMITED = "newly_limited"  # was unlimited, is finite: a loss that is no number
    EATEN_BY_GROWTH = "eaten_by_growth"  # more quota, but the mailbox grew by as much or more
    GAINED = "gained"
    NOW_UNLIMITED = "now_unlimited"  # was finite: a gain that is no number
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"
    NEW = "new"
    GONE = "gone"
    CONVERTED = "converted"  # of another kind than before: a user's mailbox became a shared one


@dataclass(frozen=True, slots=True)
class QuotaGain:
    """The headline quota of one user before and after, and what he used at both times.

    All four are bytes, quotas in whole KB; usage is a number or `UNKNOWN`. In the results
    `None` means that the question has no number for an answer because "unlimited" is on one
    side, or because per cent of zero are asked for.
    """

    before: Quota
    after: Quota
    used_before: Quota = UNKNOWN
    used_after: Quota = UNKNOWN

    @property
    def assigned(self) -> Quota | None:
        """Bytes of quota gained, negative when lost."""
        return _difference(self.before, self.after)

    @property
    def used_growth(self) -> Quota | None:
        """Bytes by which the mailbox grew, negative when it shrank."""
        return _difference(self.used_before, self.used_after)

    @property
    def usable(self) -> Quota | None:
        """What growth left of the gain: free bytes after minus free bytes before."""
        assigned, growth = self.assigned, self.used_growth
        if assigned is None or assigned is UNKNOWN:
            return assigned
        return _difference(growth, assigned)

    @property
    def percent_more(self) -> float | Limit | None:
        """The gain in per cent of the quota before: 200 is three times as much."""
        assigned, before = self.assigned, self.before
        if isinstance(assigned, Limit):
            return assigned
        if assigned is None or isinstance(before, Limit) or before == 0:
            return None
        return 100 * assigned / before

    @property
    def multiple(self) -> float | Limit | None:
        """How many times the quota before fits into the one after."""
        before, after = self.before, self.after
        if before is UNKNOWN or after is UNKNOWN:
            return UNKNOWN
        if isinstance(before, Limit) or isinstance(after, Limit) or before == 0:
            return None
        return after / before

    @property
    def change(self) -> Change:
        """The kind of change; to or from "unlimited" is a kind of its own."""
        assigned = self.assigned
        if assigned is UNKNOWN:
            return Change.UNKNOWN
        if assigned is None or isinstance(assigned, Limit):
            if self.before is self.after:
                return Change.UNCHANGED
            return Change.NOW_UNLIMITED if self.after is UNLIMITED else Change.NEWLY_LIMITED
        if assigned <= 0:
            return Change.REDUCED if assigned else Change.UNCHANGED
        usable = self.usable
        eaten = isinstance(usable, int) and usable <= 0
        return Change.EATEN_BY_GROWTH if eaten else Change.GAINED


def _difference(one: Quota | None, other: Quota | None) -> Quota | None:
    """`other` minus `one`; unknown wins over unlimited, which leaves no number."""
    if one is UNKNOWN or other is UNKNOWN:
        return UNKNOWN
    if one is None or other is None or isinstance(one, Limit) or isinstance(other, Limit):
        return None
    return other - one


class Month(NamedTuple):
    """A month of the calendar; it prints as `2031-04` and sorts in time."""

    year: int
    month: int

    def plus(self, months: int) -> "Month":
        """So many months later."""
        years, month = divmod(self.month - 1 + months, 12)
        return Month(self.year + years, month + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


class Outlook(Enum):
    """The answers to "when is the mailbox full?" that are no month."""

    ALREADY_FULL = "already_full"
    BEYOND = "beyond_100_years"
    NEVER = "never"  # no growth, nothing to grow from, or no limit
    UNKNOWN = "unknown"
