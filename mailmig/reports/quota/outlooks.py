"""When everybody of a comparison is full again: worked out once, shown in three places."""

from collections import Counter
from collections.abc import Iterator

from mailmig.model.document import NONE, Cell, Column, Figure, Table, Tone, Unit
from mailmig.model.quota import Month, Outlook
from mailmig.render.units import percent_text
from mailmig.reports.quota.wishes import Wishes
from mailmig.rules.quota_growth import Growth, month_of
from mailmig.rules.quotas import Comparison, PersonGain

HORIZONS_YEARS = (1, 2, 3, 5, 10)
SOON_YEARS = 3  # for the key figure

_Counts = Counter[Month | Outlook]


class Outlooks:
    """The months in which people are full, with the quota before and with the one after.

    Usage is that of the later snapshot for both: the question is what the new quota is worth.
    Those who came, went or were converted are in no count, as in every sum.
    """

    def __init__(self, comparison: Comparison, wishes: Wishes) -> None:
        self._since = month_of(comparison.after.taken_at)
        self._growth = None if wishes.growth is None else Growth(wishes.growth, self._since)
        self._olds: _Counts = Counter()
        self._news: _Counts = Counter()
        self.cells: list[Cell] = []  # one for each person, in their order
        if self._growth is not None:
            self.cells = [self._look(person, self._growth) for person in comparison.people]

    def _look(self, person: PersonGain, growth: Growth) -> Cell:
        if person.after is None:
            return NONE
        full = growth.full(person.after.counted, person.after.headline)
        if person.gain is not None:
            self._olds[growth.full(person.after.used, person.gain.before)] += 1
            self._news[full] += 1
        return full

    def figure(self) -> Iterator[Figure]:
        """How many are full soon."""
        if self._growth is None:
            return
        limit = self._since.plus(12 * SOON_YEARS)
        old, new = (_full_by(limit, counts) for counts in (self._olds, self._news))
        yield Figure(
            f"full_within_{SOON_YEARS}_years",
            f"Full within {SOON_YEARS} years",
            new,
            remark=f"at {self._rate()} growth a year; with the old quotas: {old:,}",
            tone=Tone.WARNING if new else Tone.GOOD,
        )

    def table(self) -> Iterator[Table]:
        """How many are full by when."""
        if self._growth is None:
            return
        columns = (
            Column("full", "Full"),
            Column("with_quota_before", "With the old quota", Unit.COUNT),
            Column("with_quota_after", "With the new quota", Unit.COUNT),
        )
        olds, news = dict(self._lines(self._olds)), dict(self._lines(self._news))
        rows = [(label, olds[label], news[label]) for label in olds]
        text = "The lines with a month count everybody who is full by then, the already full too."
        title = f"Full again at {self._rate()} growth a year"
        yield Table("growth", title, columns, rows, text)

    def _lines(self, counts: _Counts) -> Iterator[tuple[str, int]]:
        yield "already", counts[Outlook.ALREADY_FULL]
        full = 0
        for years in HORIZONS_YEARS:
            end = self._since.plus(12 * years)
            full = _full_by(end, counts)
            yield f"by {end} ({years} year{'s' if years > 1 else ''})", full
        never, unknown = counts[Outlook.NEVER], counts[Outlook.UNKNOWN]
        yield "later", counts.total() - full - never - unknown
        yield "never", never
        yield "unknown", unknown

    def _rate(self) -> str:
        return percent_text(float(self._growth.percent_a_year)) if self._growth else ""


def _full_by(limit: Month, counts: _Counts) -> int:
    months = (n for full, n in counts.items() if isinstance(full, Month) and full <= limit)
    return counts[Outlook.ALREADY_FULL] + sum(months)
