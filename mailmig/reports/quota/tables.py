"""The tables that sum people up: by group, by change, by status, by the month they are full."""

from collections import Counter
from collections.abc import Iterator

from mailmig.model.document import UNDEFINED, Cell, Column, Row, Shown, Table, Tone, Unit
from mailmig.model.quota import UNKNOWN, Change, Standing
from mailmig.reports.quota.wishes import Grouping
from mailmig.rules.quota_sums import Spread, Sums, sums_by
from mailmig.rules.quotas import Comparison, Holding

_COUNT, _BYTES, _PERCENT = Unit.COUNT, Unit.BYTES, Unit.PERCENT


def groups(comparison: Comparison, by: Grouping) -> Table:
    """One line per group; groups add up to the total, to the byte."""
    columns = (
        Column("group", by.value.capitalize()),
        Column("people", "People", _COUNT),
        Column("compared", "Compared", _COUNT, Shown.SHEET),
        Column("mean_gain_bytes", "Average", _BYTES, signed=True),
        Column("median_gain_bytes", "Median", _BYTES, signed=True),
        Column("least_gain_bytes", "Smallest", _BYTES, signed=True),
        Column("largest_gain_bytes", "Largest", _BYTES, signed=True),
        Column("before_bytes", "Total before", _BYTES, Shown.SHEET),
        Column("after_bytes", "Total after", _BYTES, Shown.SHEET),
        Column("gain_bytes", "Total gain", _BYTES, signed=True),
        Column("percent_more", "More", _PERCENT, signed=True),
        Column("losing", "Losing", _COUNT),
        Column("over_quota", "Cannot send", _COUNT),
    )
    grouped = sums_by(comparison.people, lambda person: by.of(person.mailbox))
    rows = [_group_row(name, part) for name, part in grouped.items() if name]
    if "" in grouped:
        rows.append(_group_row(f"(no {by.value})", grouped[""]))
    return Table(
        f"by_{by.value}",
        f"Gains by {by.value}",
        columns,
        rows,
        "Averages and totals are over people with a finite quota on both sides.",
        sheet="Groups",
        rest="all of them: --lines 0, or --format json, html or xlsx",
    )


def _group_row(name: str, part: Sums) -> Row:
    gain = part.gain
    spread: tuple[Cell, ...] = (UNDEFINED,) * 4
    if gain:
        spread = (gain.mean, gain.median, gain.least, gain.largest)
    losing = part.changes.get(Change.REDUCED, 0) + part.changes.get(Change.NEWLY_LIMITED, 0)
    return (
        name,
        part.people,
        part.compared,
        *spread,
        part.before_bytes,
        part.after_bytes,
        part.gain_bytes,
        UNDEFINED if part.percent_more is None else part.percent_more,
        losing,
        part.over_after,
    )


_MEANINGS = {
    Change.REDUCED: "a smaller quota than before",
    Change.NEWLY_LIMITED: "was unlimited, has a quota now",
    Change.EATEN_BY_GROWTH: "a larger quota, but the mailbox grew by as much or more",
    Change.GAINED: "a larger quota, and more free space",
    Change.NOW_UNLIMITED: "had a quota, is unlimited now; in no average",
    Change.UNCHANGED: "the same quota",
    Change.UNKNOWN: "the quota before or after is unknown; in no average",
    Change.NEW: "was not there before; in no average",
    Change.GONE: "is no longer there; in no average",
    Change.CONVERTED: "of another kind than before; in no average",
}


def changes(comparison: Comparison) -> Table:
    """How many people fell into each kind of change; together they are everybody."""
    counts = Counter(person.change for person in comparison.people)
    columns = (
        Column("change", "Change", Unit.WORD),
        Column("people", "People", _COUNT),
        Column("meaning", "Meaning"),
    )
    rows = [(change.value, counts[change], words) for change, words in _MEANINGS.items()]
    return Table("changes", "What became of everybody", columns, rows)


def spread(total: Sums) -> Table:
    """From the smallest to the largest gain."""
    columns = (
        Column("measure", "Measure"),
        Column("gain_bytes", "Gain", _BYTES, signed=True),
        Column("percent_more", "More", _PERCENT, signed=True),
    )
    names = (
        ("least", "smallest"),
        ("p10", "10th percentile"),
        ("median", "median"),
        ("mean", "mean"),
        ("p90", "90th percentile"),
        ("largest", "largest"),
    )
    rows = [
        (name, _measure(total.gain, field), _measure(total.percent, field)) for field, name in names
    ]
    text = "Each column is sorted for itself: the largest gain need not be the most per cent."
    return Table("spread", "How the gain is spread", columns, rows, text)


def _measure(values: Spread[int] | Spread[float] | None, field: str) -> Cell:
    if values is None:
        return UNDEFINED
    number: Cell = getattr(values, field)
    return number


def standings(comparison: Comparison) -> Table:
    """How many people stood where, before and after."""
    before = Counter(p.before.standing for p in comparison.people if p.gain and p.before)
    after = Counter(p.after.standing for p in comparison.people if p.gain and p.after)
    columns = (
        Column("status", "Status", Unit.WORD),
        Column("people_before", "Before", _COUNT),
        Column("people_after", "After", _COUNT),
    )
    rows = [(standing.value, before[standing], after[standing]) for standing in Standing]
    return Table("status", "Usage against the limits", columns, rows)


def not_known(comparison: Comparison) -> Iterator[Table]:
    """Why quotas or usage are unknown, and for how many people."""
    reasons: Counter[str] = Counter()
    for person in comparison.people:
        for when, holding in (("before", person.before), ("after", person.after)):
            if holding:
                reasons.update(f"{why} ({when})" for why in _gaps(holding))
    if not reasons:
        return
    columns = (Column("reason", "What is not known"), Column("people", "People", _COUNT))
    rows = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    text = (
        "Unknown is not unlimited and not zero. People whose quota is unknown stand in no "
        "average; whose usage is unknown, in no status."
    )
    yield Table("not_known", "What is not known", columns, rows, text, Tone.WARNING, "Data errors")


def _gaps(holding: Holding) -> Iterator[str]:
    if holding.headline is UNKNOWN:
        if holding.limits_from == "unknown":
            yield "quota: the flag UseDatabaseQuotaDefaults is missing"
        elif holding.limits_from == "mailbox":
            yield "quota: a limit of the mailbox is missing"
        else:
            yield f"quota: the defaults of database {holding.database or '(none)'} are missing"
    if holding.used is UNKNOWN:
        yield "usage: the mailbox is not in the statistics"


def errors(comparison: Comparison) -> Iterator[Table]:
    """Values that contradict each other; nothing about them is guessed."""
    if not comparison.errors:
        return
    columns = (
        Column("subject", "Subject"),
        Column("problem", "Problem"),
        Column("snapshot", "Snapshot"),
    )
    rows = [(error.subject, error.problem, error.seen_in) for error in comparison.errors]
    text = "Exchange would not accept these values, or nobody can be followed by them."
    yield Table(
        "data_errors", "Data errors", columns, rows, text, Tone.WARNING, sheet="Data errors"
    )


def snapshots(comparison: Comparison) -> Table:
    """What was compared."""
    columns = (
        Column("role", "Compared"),
        Column("snapshot", "Snapshot"),
        Column("organisation", "Organisation"),
        Column("taken_at", "Taken at", Unit.TIME),
        Column("origin", "From"),
        Column("mailboxes", "Mailboxes", _COUNT),
    )
    infos = [("before", comparison.before)]
    if comparison.target is None:
        infos.append(("after", comparison.after))
    rows = [
        (role, info.id, info.organisation, info.taken_at, info.origin, info.mailboxes)
        for role, info in infos
    ]
    return Table("snapshots", "Snapshots", columns, rows)
