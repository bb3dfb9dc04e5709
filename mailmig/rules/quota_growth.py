"""When is a mailbox full again, if it grows by so many per cent a year?

Growth is compound: after m months `used` bytes have become used * (1 + g)**(m / 12), where
g is the growth of a year. It is counted in whole months from the month in which usage was
seen; the answer is the first month in which the headline quota is reached.
"""

from datetime import datetime
from fractions import Fraction
from math import ceil, log, log1p

from mailmig.model.quota import UNKNOWN, Limit, Month, Outlook, Quota

HORIZON_MONTHS = 1200  # a hundred years; what lies beyond is a guess about nothing
# Floating point says 12.000000000000002 where exactly 12 months are meant: so near to a
# whole number the question is decided in integers.
_NEAR = 1e-7


class Growth:
    """A growth of `percent_a_year`, counted from the month `since`.

    Raises `ValueError` for a negative one: no mailbox would ever be full.
    """

    def __init__(self, percent_a_year: Fraction | int, since: Month) -> None:
        if percent_a_year < 0:
            raise ValueError(f"a growth of {percent_a_year} % a year never fills a mailbox")
        self.percent_a_year = Fraction(percent_a_year)
        self.since = since
        self._factor = 1 + self.percent_a_year / 100
        self._months_per_log = 12 / log1p(self.percent_a_year / 100) if percent_a_year else 0.0

    def full(self, used: Quota, quota: Quota) -> Month | Outlook:
        """The month in which `used` bytes have become `quota` bytes.

        Unknown usage or an unknown quota give `UNKNOWN`. Without a limit, without growth, or
        with nothing to grow from the answer is `NEVER`.
        """
        if quota is UNKNOWN or isinstance(used, Limit):
            return Outlook.UNKNOWN
        if isinstance(quota, Limit):
            return Outlook.NEVER
        if used >= quota:
            return Outlook.ALREADY_FULL
        if used == 0 or not self.percent_a_year:
            return Outlook.NEVER
        months = self._months(used, quota)
        return Outlook.BEYOND if months > HORIZON_MONTHS else self.since.plus(months)

    def _months(self, used: int, quota: int) -> int:
        """The fewest whole months m with used * factor**(m/12) >= quota."""
        months = (log(quota) - log(used)) * self._months_per_log
        nearest = round(months)
        if nearest > HORIZON_MONTHS or abs(months - nearest) > _NEAR:
            return max(1, ceil(months))
        if nearest and used**12 * self._factor**nearest >= quota**12:
            return nearest
        return nearest + 1


def month_of(moment: datetime) -> Month:
    """The month of a moment, in the time zone that it carries."""
    return Month(moment.year, moment.month)
