"""Sums and averages of quota gains.

Only people whose quota was finite before and is finite after are compared; the others are
counted by the kind of their change and stand in no average. All sums are exact bytes; an
average is an exact fraction, rounded once at the very end to the nearest byte.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import fsum
from typing import Generic, TypeVar

from mailmig.model.quota import Change
from mailmig.rules.quotas import PersonGain

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Spread(Generic[Number]):
    """How numbers are spread.

    `mean` is their sum over their count. `median` is the middle one in order, or the mean
    of the two in the middle. `p10` and `p90` are nearest-rank percentiles: the smallest
    number with at least 10 (90) per cent of all numbers at or below it, so always one that
    somebody really has. Of bytes, mean and median are whole bytes, rounded half to even.
    """

    least: Number
    p10: Number
    median: Number
    mean: Number
    p90: Number
    largest: Number


@dataclass(frozen=True, slots=True)
class Sums:
    """What a set of people gains together.

    `people` were there both times with the same kind of mailbox; `compared` of them have a
    finite quota on both sides. `gain` and `percent` are `None` where nobody is compared (for
    `percent`: nobody whose quota before was more than zero).
    """

    people: int
    compared: int
    before_bytes: int
    after_bytes: int
    gain: Spread[int] | None
    percent: Spread[float] | None
    changes: Mapping[Change, int]
    over_before: int
    over_after: int

    @property
    def gain_bytes(self) -> int:
        """The total gain."""
        return self.after_bytes - self.before_bytes

    @property
    def percent_more(self) -> float | None:
        """The total gain in per cent of the total before; `None` when that is zero."""
        return 100 * self.gain_bytes / self.before_bytes if self.before_bytes else None


def sums(people: Iterable[PersonGain]) -> Sums:
    """What these people gain together; those who came, went or were converted are passed over."""
    stayed = over_before = over_after = before_bytes = after_bytes = 0
    changes: Counter[Change] = Counter()
    gains: list[int] = []
    percents: list[float] = []
    for person in people:
        gain = person.gain
        if gain is None or person.before is None or person.after is None:
            continue
        stayed += 1
        changes[person.change] += 1
        over_before += person.before.over_quota
        over_after += person.after.over_quota
        before, after = gain.before, gain.after
        if isinstance(before, int) and isinstance(after, int):
            before_bytes += before
            after_bytes += after
            gains.append(after - before)
            if before:
                percents.append(100 * (after - before) / before)
    return Sums(
        stayed,
        len(gains),
        before_bytes,
        after_bytes,
        byte_spread(gains),
        spread(percents),
        changes,
        over_before,
        over_after,
    )


def sums_by(people: Iterable[PersonGain], group_of: Callable[[PersonGain], str]) -> dict[str, Sums]:
    """The same for each group of people, in the order of the groups' names."""
    groups: defaultdict[str, list[PersonGain]] = defaultdict(list)
    for person in people:
        if person.gain is not None:
            groups[group_of(person)].append(person)
    return {name: sums(groups[name]) for name in sorted(groups, key=lambda n: (n.casefold(), n))}


def byte_spread(numbers: Sequence[int]) -> Spread[int] | None:
    """How bytes are spread; `None` when there are none."""
    if not numbers:
        return None
    ordered = sorted(numbers)
    low, high = _middle(ordered)
    median = round(Fraction(low + high, 2))
    return _spread(ordered, median, round(Fraction(sum(ordered), len(ordered))))


def spread(numbers: Sequence[float]) -> Spread[float] | None:
    """How real numbers are spread; `None` when there are none."""
    if not numbers:
        return None
    ordered = sorted(numbers)
    low, high = _middle(ordered)
    # fsum is exact before its one rounding, so the order of people cannot matter
    return _spread(ordered, (low + high) / 2, fsum(ordered) / len(ordered))


def percentile(ordered: Sequence[Number], percent: int) -> Number:
    """The nearest-rank percentile of numbers in order: the one at rank ceil(n * percent / 100)."""
    return ordered[max(1, -(-len(ordered) * percent // 100)) - 1]


def _spread(ordered: Sequence[Number], median: Number, mean: Number) -> Spread[Number]:
    low, high = percentile(ordered, 10), percentile(ordered, 90)
    return Spread(ordered[0], low, median, mean, high, ordered[-1])


def _middle(ordered: Sequence[Number]) -> tuple[Number, Number]:
    half = len(ordered) // 2
    return ordered[half if len(ordered) % 2 else half - 1], ordered[half]
