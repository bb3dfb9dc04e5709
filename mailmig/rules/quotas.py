"""Effective quotas, and what each person gains between two moments.

Sizes are bytes as `int`; quotas are compared in whole KB (1024 bytes), as Exchange stores
them. A person is one mailbox, joined over time by its ExchangeGuid, never by a name.

Traps: the three values on a mailbox are ignored while its flag UseDatabaseQuotaDefaults is
set, and setting them does not clear it. Nobody knows what holds where the flag, the
database or a value is missing: that is `UNKNOWN`, never "unlimited". The archive's quotas
always stand on the mailbox; no database gives defaults for them.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from math import ceil

from mailmig.model.database import Database
from mailmig.model.directory import PEOPLE, Kind, Mailbox, Usage, UsageState
from mailmig.model.errors import MailmigError
from mailmig.model.quota import (
    UNKNOWN,
    UNLIMITED,
    Change,
    Limit,
    Quota,
    QuotaGain,
    Quotas,
    Standing,
    whole_kib,
)
from mailmig.model.snapshot import Snapshot, SnapshotInfo
from mailmig.rules.quota_errors import DataError, by_guid, name_of, order_errors
from mailmig.rules.quota_target import Target, find_target

NOTHING_KNOWN = Quotas()


class Cause(Enum):
    """Why somebody's headline quota is another one now."""

    DATABASE_DEFAULT = "db_default"  # the same database, its default was changed
    MOVED = "moved"  # another database, with another default
    OWN_VALUE = "own_value"  # the value on the mailbox was changed
    FLAG_TO_DATABASE = "flag_to_db_default"  # was the mailbox's own value, now the default holds
    FLAG_TO_OWN = "flag_to_own_value"  # was the database's default, now the own value holds


@dataclass(frozen=True, slots=True)
class Holding:
    """What one mailbox may hold, and what it holds, at one moment.

    `used` is bytes or `UNKNOWN`; `counted` is the same as the server counts it, which differs
    only on arrival from an old version (see `size_factor`). `archive` and `archive_used` are `None` for somebody who
    has no archive. `limits_from` is "database", "mailbox" or "unknown".
    """

    quotas: Quotas
    used: Quota
    database: str
    limits_from: str
    archive: Quota | None = None
    archive_used: Quota | None = None
    factor: Fraction | None = None
    counted: Quota = field(init=False)
    headline: Quota = field(init=False)  # of the quotas
    standing: Standing = field(init=False)  # of what is counted against them

    def __post_init__(self) -> None:
        counted = self.used
        if self.factor is not None and not isinstance(counted, Limit):
            counted = ceil(counted * self.factor)
        object.__setattr__(self, "counted", counted)
        object.__setattr__(self, "headline", self.quotas.headline)
        object.__setattr__(self, "standing", self.quotas.standing(counted))

    @property
    def headroom(self) -> Quota:
        """Free bytes below the headline quota; negative when it is exceeded."""
        headline, used = self.headline, self.counted
        if headline is UNKNOWN or isinstance(used, Limit):
            return UNKNOWN
        return UNLIMITED if isinstance(headline, Limit) else headline - used

    @property
    def over_quota(self) -> bool:
        """Whether this person can no longer send."""
        standing = self.standing
        return standing is Standing.PROHIBIT_SEND or standing is Standing.MAILBOX_DISABLED


@dataclass(frozen=True, slots=True)
class PersonGain:
    """One person in a comparison.

    `seen_before` and `before` are `None` for a mailbox that is new, `seen_after` and `after`
    for one that is gone. `gain` is there only for somebody who was there both times with the
    same kind of mailbox: these alone are in sums and averages.
    """

    seen_before: Mailbox | None
    seen_after: Mailbox | None
    before: Holding | None
    after: Holding | None
    gain: QuotaGain | None
    change: Change
    causes: tuple[Cause, ...] = ()

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox as last seen: somebody who was moved back is judged by the last snapshot."""
        seen = self.seen_after or self.seen_before
        if seen is None:
            raise ValueError("a person was seen at least once")
        return seen

    @property
    def has_archive(self) -> bool:
        return any(at is not None and at.archive is not None for at in (self.before, self.after))

    @property
    def archive_gain(self) -> Quota | None:
        """Bytes of archive quota gained; an archive that was not there counts as no room.

        `None` when "unlimited" is on one side, or when there is nothing to compare.
        """
        if self.gain is None or self.before is None or self.after is None or not self.has_archive:
            return None
        before, after = (
            0 if at is None else at for at in (self.before.archive, self.after.archive)
        )
        return QuotaGain(before, after).assigned

    @property
    def gain_with_archive(self) -> Quota | None:
        """The gain of mailbox and archive together, for those who ask for it."""
        if self.gain is None or not self.has_archive:
            return self.gain.assigned if self.gain else None
        parts = self.gain.assigned, self.archive_gain
        if UNKNOWN in parts:
            return UNKNOWN
        numbers = [part for part in parts if isinstance(part, int)]
        return sum(numbers) if len(numbers) == len(parts) else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everybody's quota at two moments: two snapshots, or one and the move into `target`.

    `left_out` counts the mailboxes of the system, by kind. `approximate` counts the people
    whose usage was only known as a rounded text.
    """

    before: SnapshotInfo
    after: SnapshotInfo
    people: tuple[PersonGain, ...]
    target: Target | None = None
    left_out: Mapping[Kind, int] | None = None
    errors: tuple[DataError, ...] = ()
    approximate: int = 0


class DifferentOrganisations(MailmigError):
    """Two snapshots that have nobody in common: choose two of the same organisation."""

    def __init__(self, before: SnapshotInfo, after: SnapshotInfo) -> None:
        super().__init__(
            f"snapshot {before.id} is of {before.organisation} and {after.id} of "
            f"{after.organisation}: choose two snapshots of the same organisation"
        )
        self.before = before
        self.after = after


def effective(mailbox: Mailbox, database: Quotas) -> Quotas:
    """The three limits that hold, in whole KB; `database` are the defaults of its database.

    The flag decides between the two; without it nobody knows.
    """
    if mailbox.use_database_quotas is None:
        return NOTHING_KNOWN
    return (database if mailbox.use_database_quotas else mailbox.own).in_whole_kib()


def used_bytes(usage: Usage) -> Quota:
    """What counts against the quota: TotalItemSize, without Recoverable Items.

    Nobody ever logged on to a never-used mailbox: that is a known zero.
    """
    if usage.state is UsageState.NEVER_USED:
        return 0
    if usage.state is UsageState.UNKNOWN or usage.size_bytes is None:
        return UNKNOWN
    return usage.size_bytes


def compare(before: Snapshot, after: Snapshot, *, all_kinds: bool = False) -> Comparison:
    """Everybody who was there before or after; the mailboxes of the system on request only.

    Raises `DifferentOrganisations` when the snapshots are not of the same one.
    """
    names = {info.organisation for info in (before.info, after.info) if info.organisation}
    if len(names) > 1:
        raise DifferentOrganisations(before.info, after.info)
    earlier, later = _Defaults(before), _Defaults(after)
    olds, errors = by_guid(before)
    news, more_errors = by_guid(after)
    pairs = [(olds.get(guid), news.get(guid)) for guid in olds | news]
    asked, left_out = _asked_for(pairs, all_kinds)
    errors += more_errors
    errors += order_errors(before, (old for old, _ in asked if old))
    if after.info.id != before.info.id:
        errors += order_errors(after, (new for _, new in asked if new))
    return Comparison(
        before.info,
        after.info,
        _sorted(_between(old, new, earlier, later) for old, new in asked),
        left_out=left_out,
        errors=tuple(errors),
        approximate=_count_approximate(asked),
    )


def at_target_defaults(snapshot: Snapshot, *, all_kinds: bool = False) -> Comparison:
    """What everybody has once he sits in a target database: one of a DAG, with its defaults.

    Usage is taken as it is, and counted as the target counts it. Nothing changes for a mailbox that is there already, and a
    mailbox with its own limits keeps them. Raises `NoTarget` without such a database.
    """
    target = find_target(snapshot)
    defaults = _Defaults(snapshot)
    there = {name.casefold() for name in target.databases}
    olds, errors = by_guid(snapshot)
    pairs = [(mailbox, mailbox) for mailbox in olds.values()]
    asked, left_out = _asked_for(pairs, all_kinds)
    mailboxes = [new for _, new in asked if new]
    errors += order_errors(snapshot, mailboxes)
    return Comparison(
        snapshot.info,
        snapshot.info,
        _sorted(
            _between(box, box, defaults, defaults)
            if box.database.casefold() in there
            else _into(target, box, defaults)
            for box in mailboxes
        ),
        target,
        left_out,
        tuple(errors),
        _count_approximate(asked),
    )


def size_factor(version: str) -> Fraction:
    """How much larger a mailbox is counted in the target, by the product version it comes from.

    Exchange 2013 and later count alike. Mailboxes of 2007 and 2010 are reported 30 to 40 per
    cent larger there, though they use no more disk (release notes for Exchange 2013).
    """
    return Fraction(14, 10) if version in ("2007", "2010") else Fraction(1)


_NO_DATABASE = Database("")


class _Defaults:
    """The databases of a snapshot by name, with their quotas in whole KB."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.of = {
            database.name.casefold(): replace(database, quotas=database.quotas.in_whole_kib())
            for database in snapshot.databases
        }

    def __getitem__(self, name: str) -> Database:
        """The database, or one of which nothing is known."""
        return self.of.get(name.casefold(), _NO_DATABASE)


_Pair = tuple[Mailbox | None, Mailbox | None]


def _asked_for(pairs: Iterable[_Pair], all_kinds: bool) -> tuple[list[_Pair], Counter[Kind]]:
    """The pairs that are about people, at least at one of the two moments; the rest counted."""
    asked: list[_Pair] = []
    left_out: Counter[Kind] = Counter()
    for old, new in pairs:
        kinds = [mailbox.kind for mailbox in (old, new) if mailbox]
        if all_kinds or not PEOPLE.isdisjoint(kinds):
            asked.append((old, new))
        else:
            left_out[kinds[-1]] += 1
    return asked, left_out


def _between(
    old: Mailbox | None, new: Mailbox | None, earlier: _Defaults, later: _Defaults
) -> PersonGain:
    was_in = earlier[old.database] if old else _NO_DATABASE
    is_in = later[new.database] if new else _NO_DATABASE
    before = _holding(old, was_in) if old else None
    after = _holding(new, is_in) if new else None
    if old is None or before is None:
        return PersonGain(None, new, None, after, None, Change.NEW)
    if new is None or after is None:
        return PersonGain(old, None, before, None, None, Change.GONE)
    if old.kind is not new.kind:
        return PersonGain(old, new, before, after, None, Change.CONVERTED)
    gain = _gain(before, after)
    change = gain.change
    causes = _causes(old, new, was_in, is_in, gain, change)
    return PersonGain(old, new, before, after, gain, change, causes)


def _into(target: Target, mailbox: Mailbox, defaults: _Defaults) -> PersonGain:
    before = _holding(mailbox, defaults[mailbox.database])
    factor = size_factor(mailbox.version)
    after = replace(
        before,
        quotas=effective(mailbox, target.quotas),
        database=" or ".join(target.dags),
        factor=None if factor == 1 else factor,
    )
    gain = _gain(before, after)
    change = gain.change
    moved = gain.before != gain.after and change is not Change.UNKNOWN
    causes = (Cause.MOVED,) if moved else ()
    return PersonGain(mailbox, mailbox, before, after, gain, change, causes)


_SOURCE = {True: "database", False: "mailbox", None: "unknown"}


def _holding(mailbox: Mailbox, database: Database) -> Holding:
    archive = mailbox.archive
    return Holding(
        effective(mailbox, database.quotas),
        used_bytes(mailbox.usage),
        mailbox.database,
        _SOURCE[mailbox.use_database_quotas],
        whole_kib(archive.quota) if archive else None,
        used_bytes(archive.usage) if archive else None,
    )


def _gain(before: Holding, after: Holding) -> QuotaGain:
    return QuotaGain(before.headline, after.headline, before.used, after.used)


def _causes(
    old: Mailbox,
    new: Mailbox,
    old_database: Database,
    new_database: Database,
    gain: QuotaGain,
    change: Change,
) -> tuple[Cause, ...]:
    """Why the headline changed; a switched flag is told even where nothing came of it."""
    was, now = old.use_database_quotas, new.use_database_quotas
    if was is None or now is None:
        return ()
    causes = []
    if was != now:
        causes.append(Cause.FLAG_TO_DATABASE if now else Cause.FLAG_TO_OWN)
    if change is Change.UNKNOWN or gain.before == gain.after:
        return tuple(causes)
    if not now:
        # after a switch the own value may be one that stood there, ignored, all the time
        if not was or old.own.in_whole_kib().headline != gain.after:
            causes.append(Cause.OWN_VALUE)
    elif not _same_database(old, new, old_database, new_database):
        causes.append(Cause.MOVED)
    elif old_database.quotas.headline != new_database.quotas.headline:
        causes.append(Cause.DATABASE_DEFAULT)
    return tuple(causes)


def _same_database(
    old: Mailbox, new: Mailbox, old_database: Database, new_database: Database
) -> bool:
    """Whether the mailbox stayed where it was; a database may have got another name."""
    same_guid = old_database.guid == new_database.guid != ""
    return same_guid or old.database.casefold() == new.database.casefold()


def _sorted(people: Iterable[PersonGain]) -> tuple[PersonGain, ...]:
    """The largest gain first, then those whose gain is no number, by name: never by chance."""
    return tuple(sorted(people, key=_place))


_LAST = (
    Change.NOW_UNLIMITED,
    Change.UNCHANGED,
    Change.NEWLY_LIMITED,
    Change.UNKNOWN,
    Change.NEW,
    Change.CONVERTED,
    Change.GONE,
)


def _place(person: PersonGain) -> tuple[int, int, str, str]:
    mailbox = person.mailbox
    name = _spelt(name_of(mailbox))
    assigned = person.gain.assigned if person.gain else None
    if isinstance(assigned, int):
        return 0, -assigned, name, mailbox.exchange_guid
    return 1 + _LAST.index(person.change), 0, name, mailbox.exchange_guid


def _spelt(name: str) -> str:
    """Sorts an accented letter beside the plain one."""
    if name.isascii():
        return name.casefold()
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _count_approximate(pairs: Iterable[_Pair]) -> int:
    return sum(any(box and box.usage.approximate for box in pair) for pair in pairs)
