"""One line for each person, and the lists of people who need a look."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import repeat

from mailmig.model.document import NONE, UNDEFINED, Cell, Column, Row, Shown, Table, Tone, Unit
from mailmig.model.quota import Change, Quota, Standing
from mailmig.reports.quota.outlooks import Outlooks
from mailmig.reports.quota.wishes import Wishes
from mailmig.rules.quota_errors import name_of
from mailmig.rules.quotas import Comparison, Holding, PersonGain

REST = "all of them: --lines 0, or --format csv, json, html or xlsx"

_BYTES, _WORD = Unit.BYTES, Unit.WORD
_SHEET, _DATA = Shown.SHEET, Shown.DATA

_WHO = (
    Column("exchange_guid", "ExchangeGuid", shown=_DATA),
    Column("name", "Name"),
    Column("address", "Address", shown=_SHEET),
    Column("kind", "Kind", _WORD, _SHEET),
    Column("department", "Department"),
    Column("site", "Site", shown=_DATA),
    Column("database_before", "Database before", shown=_DATA),
    Column("database_after", "Database", shown=_SHEET),
)
_GAIN = (
    Column("quota_before_bytes", "Before", _BYTES),
    Column("quota_after_bytes", "After", _BYTES),
    Column("gain_bytes", "Gain", _BYTES, signed=True),
    Column("percent_more", "More", Unit.PERCENT, signed=True),
    Column("multiple", "Multiple", Unit.MULTIPLE, _DATA),
)
_USAGE = (
    Column("used_before_bytes", "Used before", _BYTES, _DATA),
    Column("used_after_bytes", "Used", _BYTES),
    Column("used_growth_bytes", "Growth", _BYTES, _DATA, signed=True),
    Column("usable_gain_bytes", "Usable gain", _BYTES, _SHEET, signed=True),
)
_VERDICT = (
    Column("status_after", "Status", _WORD),
    Column("change", "Change", _WORD),
    Column("causes", "Why", _WORD, _DATA),
)
_FULL = Column("full_month", "Full", Unit.MONTH)
_BEFORE = (
    Column("warn_before_bytes", "Warning before", _BYTES, _DATA),
    Column("send_before_bytes", "Send before", _BYTES, _DATA),
    Column("receive_before_bytes", "Send and receive before", _BYTES, _DATA),
    Column("limits_from_before", "Limits before from", _WORD, _DATA),
    Column("free_before_bytes", "Free before", _BYTES, _DATA, signed=True),
    Column("status_before", "Status before", _WORD, _DATA),
    Column("archive_before_bytes", "Archive quota before", _BYTES, _DATA),
    Column("archive_used_before_bytes", "Archive used before", _BYTES, _DATA),
)
_AFTER = (
    Column("warn_after_bytes", "Warning", _BYTES, _SHEET),
    Column("send_after_bytes", "Send", _BYTES, _SHEET),
    Column("receive_after_bytes", "Send and receive", _BYTES, _SHEET),
    Column("limits_from_after", "Limits from", _WORD, _DATA),
    Column("free_after_bytes", "Free", _BYTES, _DATA, signed=True),
    Column("archive_after_bytes", "Archive quota", _BYTES, _DATA),
    Column("archive_used_after_bytes", "Archive used", _BYTES, _DATA),
    Column("archive_gain_bytes", "Archive gain", _BYTES, _DATA, signed=True),
)
_WITH_ARCHIVE = Column("gain_with_archive_bytes", "Gain with archive", _BYTES, _SHEET, signed=True)

# The columns of the lists of people who need a look; on paper they tell why.
_LISTED = (
    "exchange_guid",
    "name",
    "address",
    "kind",
    "department",
    "quota_before_bytes",
    "quota_after_bytes",
    "gain_bytes",
    "used_after_bytes",
    "usable_gain_bytes",
    "status_after",
    "causes",
)
_ALSO_ON_PAPER = frozenset({"usable_gain_bytes", "causes"})

_Chosen = Iterable[tuple[PersonGain, Row]]


class People:
    """Everybody of a comparison as rows, made once, and the lists that are picked from them."""

    def __init__(self, comparison: Comparison, outlooks: Outlooks, wishes: Wishes) -> None:
        self._comparison = comparison
        self._archives = wishes.with_archives
        self.columns = (
            *_WHO,
            *_GAIN,
            *_USAGE,
            *_VERDICT,
            *([_FULL] if outlooks.cells else []),
            *_AFTER,
            *([_WITH_ARCHIVE] if self._archives else []),
            *_BEFORE,
        )
        extras: Iterable[Row] = ((cell,) for cell in outlooks.cells)
        if not outlooks.cells:
            extras = repeat(())
        self.rows: list[Row] = list(map(self._row, comparison.people, extras))
        self._places = {column.key: place for place, column in enumerate(self.columns)}

    def table(self) -> Table:
        """One line for each person, the largest gain first."""
        return Table(
            "people",
            "Everybody",
            self.columns,
            self.rows,
            "The largest gain first; those whose gain is no number stand at the end.",
            sheet="People",
            detail=True,
            rest=REST,
        )

    def findings(self) -> Iterator[Table]:
        """The lists of people who need a look, losses first; a list without people is left out."""
        lists = (
            self._losses(),
            self._pick(
                "eaten_by_growth",
                "Eaten by growth",
                "They have more quota, but their mailboxes grew by as much or more.",
                Tone.WARNING,
                Change.EATEN_BY_GROWTH,
            ),
            [self._arrivals() if self._comparison.target else self._over_quota()],
            self._pick(
                "now_unlimited",
                "Unlimited now",
                "They had a quota before. A gain without end is in no average.",
                Tone.PLAIN,
                Change.NOW_UNLIMITED,
            ),
            self._pick("new", "New", "They were not there before.", Tone.PLAIN, Change.NEW),
            self._pick("gone", "Gone", "They are no longer there.", Tone.PLAIN, Change.GONE),
            self._pick(
                "converted",
                "Converted",
                "Their mailboxes are of another kind than before.",
                Tone.PLAIN,
                Change.CONVERTED,
            ),
        )
        return (table for tables in lists for table in tables if table.rows)

    def _losses(self) -> Iterator[Table]:
        yield from self._pick(
            "reduced",
            "Reduced",
            "They have a smaller quota than before. Marked: they cannot send any more.",
            Tone.BAD,
            Change.REDUCED,
            largest_first=False,
        )
        yield from self._pick(
            "newly_limited",
            "No longer unlimited",
            "They had no quota before. Marked: they are over the new one and cannot send.",
            Tone.BAD,
            Change.NEWLY_LIMITED,
        )

    def _pick(
        self,
        key: str,
        title: str,
        text: str,
        tone: Tone,
        change: Change,
        *,
        largest_first: bool = True,
    ) -> Iterator[Table]:
        """The people of one kind of change, as they are sorted anyway or the other way round."""
        chosen = [entry for entry in self._everybody() if entry[0].change is change]
        marks = change in (Change.REDUCED, Change.NEWLY_LIMITED)
        yield self._list(key, title, text, tone, chosen[:: 1 if largest_first else -1], marks=marks)

    def _over_quota(self) -> Table:
        chosen = [(p, row) for p, row in self._everybody() if p.after and p.after.over_quota]
        return self._list(
            "over_quota",
            "Over quota",
            "They have reached the limit and can no longer send, or not even receive.",
            Tone.BAD,
            sorted(chosen, key=lambda entry: _free(entry[0])),
        )

    def _arrivals(self) -> Table:
        """Who meets a limit in the target at once."""
        chosen = [(p, row) for p, row in self._everybody() if p.after and _at_a_limit(p.after)]
        return self._list(
            "on_arrival",
            "At a limit on arrival",
            "In the target they reach a limit as soon as they are moved. Marked: they cannot send.",
            Tone.WARNING,
            sorted(chosen, key=lambda entry: _free(entry[0])),
            marks=True,
        )

    def _everybody(self) -> _Chosen:
        return zip(self._comparison.people, self.rows, strict=True)

    def _list(
        self,
        key: str,
        title: str,
        text: str,
        tone: Tone,
        chosen: _Chosen,
        *,
        marks: bool = False,
    ) -> Table:
        entries = list(chosen)
        places = [self._places[name] for name in _LISTED]
        over = (i for i, (p, _) in enumerate(entries) if p.after and p.after.over_quota)
        return Table(
            key,
            title,
            tuple(_on_paper(self.columns[place]) for place in places),
            [tuple(row[place] for place in places) for _, row in entries],
            text,
            tone,
            "Findings",
            marked=frozenset(over if marks else ()),
            rest=REST,
        )

    def _row(self, person: PersonGain, full: Row) -> Row:
        box, before, after = person.mailbox, person.before, person.after
        return (
            box.exchange_guid,
            name_of(box),
            box.address,
            box.kind.value,
            box.department,
            box.site,
            before.database if before else NONE,
            after.database if after else NONE,
            before.headline if before else NONE,
            after.headline if after else NONE,
            *_gain_cells(person, before, after),
            after.standing.value if after else NONE,
            person.change.value,
            " + ".join(cause.value for cause in person.causes) or NONE,
            *full,
            *_after_cells(person, after),
            *([_cell(person.gain_with_archive)] if self._archives else []),
            *_before_cells(before),
        )


def _on_paper(column: Column) -> Column:
    return replace(column, shown=Shown.PAPER) if column.key in _ALSO_ON_PAPER else column


def _at_a_limit(holding: Holding) -> bool:
    return holding.over_quota or holding.standing is Standing.ISSUE_WARNING


def _free(person: PersonGain) -> int:
    """Sorts the fullest first."""
    free = person.after.headroom if person.after else 0
    return free if isinstance(free, int) else 0


def _gain_cells(person: PersonGain, before: Holding | None, after: Holding | None) -> Row:
    """From the gain to the usable gain; there is no gain for somebody who cannot be compared."""
    used_before: Cell = before.used if before else NONE
    used_after: Cell = after.used if after else NONE
    gain = person.gain
    if gain is None:
        nothing = UNDEFINED
        return nothing, nothing, nothing, used_before, used_after, nothing, nothing
    return (
        _cell(gain.assigned),
        _cell(gain.percent_more),
        _cell(gain.multiple),
        used_before,
        used_after,
        _cell(gain.used_growth),
        _cell(gain.usable),
    )


def _before_cells(before: Holding | None) -> Row:
    if before is None:
        return (NONE,) * len(_BEFORE)
    return (
        before.quotas.warn,
        before.quotas.send,
        before.quotas.receive,
        before.limits_from,
        before.headroom,
        before.standing.value,
        NONE if before.archive is None else before.archive,
        NONE if before.archive_used is None else before.archive_used,
    )


def _after_cells(person: PersonGain, after: Holding | None) -> Row:
    if after is None:
        return (*(NONE,) * (len(_AFTER) - 1), UNDEFINED)
    return (
        after.quotas.warn,
        after.quotas.send,
        after.quotas.receive,
        after.limits_from,
        after.headroom,
        NONE if after.archive is None else after.archive,
        NONE if after.archive_used is None else after.archive_used,
        _cell(person.archive_gain) if person.has_archive else NONE,
    )


def _cell(number: Quota | float | None) -> Cell:
    return UNDEFINED if number is None else number
