"""What is said first: the lead in one sentence, the key figures, and what must not be missed."""

from collections import Counter
from collections.abc import Iterator, Sequence

from mailmig.model.document import UNDEFINED, Cell, Figure, Figures, Note, Paragraph, Tone, Unit
from mailmig.model.quota import Change, Limit, Quota
from mailmig.render.units import count_text, percent_text, size_text, time_text
from mailmig.reports.quota.outlooks import Outlooks
from mailmig.reports.quota.wishes import Wishes
from mailmig.rules.quota_errors import name_of
from mailmig.rules.quota_sums import Spread, Sums
from mailmig.rules.quotas import Comparison

_FEW = 10  # people of whom eight in ten are not worth saying
_NAMED = 4  # of a list of databases in a sentence


def subtitle(comparison: Comparison) -> str:
    """Whose quotas, and which moments are compared."""
    before, after, target = comparison.before, comparison.after, comparison.target
    who = f"{after.organisation}: " if after.organisation else ""
    one = f"snapshot {before.id} of {time_text(before.taken_at)}"
    if target:
        databases = some(target.databases)
        return f"{who}{one} against the defaults of {databases} in {some(target.dags)}."
    return f"{who}{one} against snapshot {after.id} of {time_text(after.taken_at)}."


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {more:,} more" if more > 0 else shown


def lead(total: Sums) -> Paragraph:
    """The report in a sentence or two."""
    gain, percent = total.gain, total.percent
    if gain is None:
        return Paragraph("Nobody has a finite quota both before and after: there is no average.")
    people = "one person" if total.compared == 1 else f"each of {total.compared:,} people"
    if gain.mean == 0:
        text = f"On average {people} may store as much as before"
    else:
        more = "more" if gain.mean > 0 else "less"
        text = f"On average {people} may store {size_text(abs(gain.mean))} {more}"
    text += (
        f", in single cases {size_text(gain.largest)} more." if gain.largest > gain.mean else "."
    )
    text += _span(percent, total.compared) if percent else ""
    lost = _losses(total)
    if lost:
        one = lost == 1
        text += f" {lost:,} {'person loses' if one else 'people lose'} room, by name below."
    return Paragraph(text)


def _span(percent: Spread[float], people: int) -> str:
    """From how much to how much more, for most people or, where they are few, for all."""
    few = people < _FEW
    least, most = (percent.least, percent.largest) if few else (percent.p10, percent.p90)
    if least <= 0:
        return ""
    low, high = percent_text(least), percent_text(most)
    span = low if low == high else f"{low.removesuffix(' %')} to {high}"
    return f" {'That' if few else 'For eight in ten of them that'} is {span} more than before."


def key_figures(comparison: Comparison, total: Sums, outlooks: Outlooks, wishes: Wishes) -> Figures:
    """The numbers to remember, gains first."""
    figures = [*_gains(comparison, total), *_cares(comparison, total), *outlooks.figure()]
    if wishes.with_archives:
        figures.append(_with_archives(comparison))
    return Figures(tuple(figures))


def warnings(comparison: Comparison) -> Iterator[Note]:
    """What changes the meaning of all the numbers."""
    before, after, target = comparison.before, comparison.after, comparison.target
    if before.taken_at > after.taken_at:
        yield Note(
            f"Snapshot {before.id} is younger than {after.id}: this report looks back in time.",
            Tone.WARNING,
        )
    if target and target.differing:
        quotas = [f"{name} {_quota(quota)}" for name, quota in target.differing]
        yield Note(
            "The target databases do not promise the same, so everybody is given the least "
            f"that one of them would give him: {some(quotas)}.",
            Tone.WARNING,
        )


def _gains(comparison: Comparison, total: Sums) -> Iterator[Figure]:
    gain, percent = total.gain, total.percent
    others = Counter(person.change for person in comparison.people)
    besides = [
        f"{count_text(others[change])} {change.value}"
        for change in (Change.NEW, Change.GONE, Change.CONVERTED)
        if others[change]
    ]
    remark = f"{total.compared:,} with a finite quota on both sides"
    yield Figure("people", "People", total.people, remark="; ".join([remark, *besides]))
    sizes: list[tuple[str, str, Cell, str]] = [
        ("mean_gain_bytes", "Average gain", gain.mean if gain else UNDEFINED, "per person"),
        (
            "median_gain_bytes",
            "Median gain",
            gain.median if gain else UNDEFINED,
            "half get at least that",
        ),
        ("largest_gain_bytes", "Largest", gain.largest if gain else UNDEFINED, _top(comparison)),
    ]
    for key, title, size, words in sizes:
        yield Figure(key, title, size, Unit.BYTES, True, words)
    span = ""
    if percent:
        span = f"eight in ten: {percent_text(percent.p10)} to {percent_text(percent.p90)}"
    middle: Cell = percent.median if percent else UNDEFINED
    yield Figure("median_percent_more", "More, median", middle, Unit.PERCENT, True, span)
    room = f"from {size_text(total.before_bytes)} to {size_text(total.after_bytes)}"
    yield Figure("total_gain_bytes", "Total gain", total.gain_bytes, Unit.BYTES, True, room)
    whole: Cell = UNDEFINED if total.percent_more is None else total.percent_more
    yield Figure("total_percent_more", "More in total", whole, Unit.PERCENT, True, "of all quotas")


def _cares(comparison: Comparison, total: Sums) -> Iterator[Figure]:
    lost, changes = _losses(total), total.changes
    remark = (
        f"{changes.get(Change.REDUCED, 0):,} reduced, "
        f"{changes.get(Change.NEWLY_LIMITED, 0):,} no longer unlimited"
    )
    tone = Tone.BAD if lost else Tone.GOOD
    yield Figure("people_who_lose", "People who lose", lost, remark=remark, tone=tone)
    eaten = changes.get(Change.EATEN_BY_GROWTH, 0)
    if eaten:
        words = "more quota, but no more free space"
        yield Figure("eaten_by_growth", "Eaten by growth", eaten, remark=words, tone=Tone.WARNING)
    over = sum(1 for person in comparison.people if person.after and person.after.over_quota)
    earlier = sum(1 for person in comparison.people if person.before and person.before.over_quota)
    before = f"before: {earlier:,}"
    tone = Tone.BAD if over else Tone.GOOD
    title = "Cannot send after the move" if comparison.target else "Cannot send now"
    yield Figure("over_quota", title, over, remark=before, tone=tone)
    unknown = changes.get(Change.UNKNOWN, 0)
    if unknown:
        words = "the exports do not say what holds"
        yield Figure("unknown", "Quota unknown", unknown, remark=words, tone=Tone.WARNING)


def _losses(total: Sums) -> int:
    return total.changes.get(Change.REDUCED, 0) + total.changes.get(Change.NEWLY_LIMITED, 0)


def _top(comparison: Comparison) -> str:
    """Who gains most; the people of a comparison are sorted by that."""
    if not comparison.people:
        return ""
    first = comparison.people[0]
    assigned = first.gain.assigned if first.gain else None
    if not isinstance(assigned, int) or assigned <= 0:
        return ""
    same = sum(1 for p in comparison.people if p.gain and p.gain.assigned == assigned)
    name = name_of(first.mailbox)
    return f"{name} and {same - 1:,} more" if same > 1 else name


def _with_archives(comparison: Comparison) -> Figure:
    """Mailbox and archive together; people for whom that is no number are named by count."""
    total = left_out = 0
    for person in comparison.people:
        if person.gain is None:
            continue
        both = person.gain_with_archive
        if isinstance(both, int):
            total += both
        else:
            left_out += 1
    remark = f"without {left_out:,} people for whom it is no number" if left_out else "everybody"
    return Figure(
        "total_gain_with_archives_bytes",
        "Total gain with archives",
        total,
        Unit.BYTES,
        True,
        remark,
    )


def _quota(quota: Quota) -> str:
    return quota.value if isinstance(quota, Limit) else size_text(quota)
