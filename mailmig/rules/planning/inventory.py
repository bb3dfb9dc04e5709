"""From a snapshot to the data of a plan.

Identity in plans is the primary address, or the exchange_guid where the address is missing
or not unique. Bytes that travel are primary, archive and the recoverable items of both. An
unknown size is no zero: the mean of the known ones stands in for it, and a note says so.

Left out, with a note: public-folder mailboxes (they have their own migration), mailboxes in
the cloud, and those that Exchange makes anew by itself. Mailboxes that live in a target
database already take part as moved ones: who shares with them is exposed until he follows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mailmig.model.directory import NEVER_MOVED, Edge, Kind, Mailbox, TrusteeKind, Usage, UsageState
from mailmig.model.errors import MailmigError
from mailmig.model.migration import (
    Calendar,
    Note,
    Pin,
    PlanData,
    PlanMailbox,
    Share,
    State,
    Target,
)
from mailmig.model.snapshot import Snapshot
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import configured, service_accounts, service_note
from mailmig.rules.planning.wording import count_text, listed, mailboxes_text, size_text

# Public folders move by a migration of their own; all others of these kinds never move.
LEFT_OUT = NEVER_MOVED | {Kind.PUBLIC_FOLDER}


class NoSizes(MailmigError):
    """Not one mailbox has a known size: collect the mailbox statistics."""

    def __init__(self, snapshot: str) -> None:
        super().__init__(
            f"snapshot {snapshot} knows the size of no mailbox, so nothing can be planned:"
            " import an export with mailbox statistics"
        )
        self.snapshot = snapshot


def from_snapshot(
    snapshot: Snapshot,
    calendar: Calendar,
    target: Target,
    pins: Sequence[Pin],
    settings: PlanSettings,
) -> PlanData:
    """What a plan for this inventory is made from.

    Raises `NoSizes` when the snapshot has no statistics at all.
    """
    taken = [mailbox for mailbox in snapshot.mailboxes if mailbox.kind not in LEFT_OUT]
    names, name_notes = _identities(taken)
    sizes, size_notes = _sizes(taken, target, names, snapshot.info.id)
    by_department = any(mailbox.department.strip() for mailbox in taken)
    homes = {database.id.casefold() for database in target.databases}
    mailboxes = tuple(
        _mailbox(mailbox, names[mailbox.exchange_guid], size, by_department, homes)
        for mailbox, size in zip(taken, sizes, strict=True)
    )
    shares, share_notes = _shares(snapshot, names, settings)
    kept, pin_notes = _pins(pins, snapshot, names)
    notes = (
        *(Note(f"the inventory has a gap: {gap.what}: {gap.cost}") for gap in snapshot.info.gaps),
        *_left_out(snapshot.mailboxes),
        *_other_kinds(taken, names),
        *name_notes,
        *size_notes,
        *_department_note(by_department, taken),
        *share_notes,
        *pin_notes,
    )
    data = PlanData(mailboxes, shares, calendar, target, kept, notes=notes)
    return configured(data, settings)


def _mailbox(
    mailbox: Mailbox, identity: str, size: int, by_department: bool, homes: set[str]
) -> PlanMailbox:
    usages = [mailbox.usage, *([mailbox.archive.usage] if mailbox.archive else [])]
    return PlanMailbox(
        identity=identity,
        size_bytes=size,
        item_count=sum((usage.items or 0) + (usage.deleted_items or 0) for usage in usages),
        kind=mailbox.kind.value,
        department=mailbox.department if by_department else mailbox.organisational_unit,
        site=mailbox.site,
        source_database=mailbox.database,
        guid=mailbox.exchange_guid,
        state=State.MOVED if mailbox.database.casefold() in homes else State.PENDING,
    )


def _identities(mailboxes: Sequence[Mailbox]) -> tuple[dict[str, str], list[Note]]:
    """Per exchange_guid: the address where it is unique, else the guid."""
    times = Counter(mailbox.address.casefold() for mailbox in mailboxes)
    names, unclear = {}, []
    for mailbox in mailboxes:
        unique = mailbox.address and times[mailbox.address.casefold()] == 1
        names[mailbox.exchange_guid] = mailbox.address if unique else mailbox.exchange_guid
        if not unique:
            named = mailbox.display_name or mailbox.alias or mailbox.address
            unclear.append(f"{mailbox.exchange_guid} ({named})")
    text = "named by their GUID, because the address is missing or not unique"
    return names, [listed(text, unclear)] if unclear else []


@dataclass(slots=True)
class _Part:
    """One part of a mailbox's size over all mailboxes; unknown values are filled in at the end."""

    name: str
    known: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)

    @property
    def mean(self) -> int:
        return round(sum(self.known) / len(self.known)) if self.known else 0


def _sizes(
    mailboxes: Sequence[Mailbox], target: Target, names: dict[str, str], snapshot: str
) -> tuple[list[int], list[Note]]:
    """Bytes that travel, per mailbox. An archive that is in the target already stays there."""
    homes = {database.id.casefold() for database in target.databases}
    totals = [0] * len(mailboxes)
    parts = [
        _Part("size"),
        _Part("size of recoverable items"),
        _Part("size of the archive"),
        _Part("size of recoverable items in the archive"),
    ]
    for place, mailbox in enumerate(mailboxes):
        _add(totals, place, mailbox.usage, parts[0], parts[1])
        archive = mailbox.archive
        if archive is not None and archive.database.casefold() not in homes:
            _add(totals, place, archive.usage, parts[2], parts[3])
    if parts[0].unknown and not parts[0].known:
        raise NoSizes(snapshot)
    notes = []
    for part in parts:
        for place in part.unknown:
            totals[place] += part.mean
        if part.unknown:
            who = [names[mailboxes[place].exchange_guid] for place in part.unknown]
            notes.append(listed(_guess(part), who))
    return totals, notes


def _add(totals: list[int], place: int, usage: Usage, items: _Part, deleted: _Part) -> None:
    if usage.state is UsageState.NEVER_USED:
        return
    for value, part in ((usage.size_bytes, items), (usage.deleted_bytes, deleted)):
        if value is None:
            part.unknown.append(place)
        else:
            part.known.append(value)
            totals[place] += value


def _guess(part: _Part) -> str:
    count = mailboxes_text(len(part.unknown))
    if not part.known:
        return f"{part.name} unknown for {count}, and for all others: counted as zero"
    mean = f"{size_text(part.mean)} each, the mean of the {len(part.known):,} known ones"
    return f"{part.name} unknown for {count}: planned with {mean}"


def _left_out(mailboxes: Iterable[Mailbox]) -> Iterator[Note]:
    by_kind: dict[Kind, list[str]] = defaultdict(list)
    for mailbox in mailboxes:
        if mailbox.kind in LEFT_OUT:
            named = mailbox.address or mailbox.display_name or mailbox.exchange_guid
            by_kind[mailbox.kind].append(named)
    reasons = {
        Kind.PUBLIC_FOLDER: "they have a migration of their own",
        Kind.REMOTE: "they are in the cloud",
    }
    for kind, names in by_kind.items():
        reason = reasons.get(kind, "they are never moved")
        yield listed(
            f"not planned: {mailboxes_text(len(names))} of kind {kind.value}, {reason}", names
        )


def _other_kinds(mailboxes: Sequence[Mailbox], names: dict[str, str]) -> Iterator[Note]:
    others = [m for m in mailboxes if m.kind is Kind.OTHER]
    if others:
        said = [f"{names[m.exchange_guid]} ({m.kind_text or 'no kind'})" for m in others]
        yield listed("planned, although of a kind that mailmig does not know", said)


def _department_note(by_department: bool, mailboxes: Sequence[Mailbox]) -> Iterator[Note]:
    if not by_department and any(mailbox.organisational_unit for mailbox in mailboxes):
        yield Note("no mailbox has a department: organisational units stand in for departments")


def _pins(
    pins: Sequence[Pin], snapshot: Snapshot, names: dict[str, str]
) -> tuple[tuple[Pin, ...], list[Note]]:
    """Pins may name an address or a GUID; those of mailboxes that are not planned are listed."""
    times = Counter(mailbox.address.casefold() for mailbox in snapshot.mailboxes)
    known: dict[str, str] = {}
    for mailbox in snapshot.mailboxes:
        identity, address = names.get(mailbox.exchange_guid, ""), mailbox.address.casefold()
        known[mailbox.exchange_guid.casefold()] = identity
        if times[address] == 1:
            known[address] = identity
    kept, idle = [], []
    for pin in pins:
        identity = known.get(pin.identity.casefold(), pin.identity)
        if identity:
            kept.append(replace(pin, identity=identity))
        else:
            idle.append(pin.identity)
    notes = [listed("pinned, but not planned: the pins have no effect", idle)] if idle else []
    return tuple(kept), notes


def _shares(
    snapshot: Snapshot, names: dict[str, str], settings: PlanSettings
) -> tuple[tuple[Share, ...], list[Note]]:
    sharing = _Sharing(snapshot, names, settings)
    found = sharing.expand()
    pairs = {(share.owner, share.delegate) for share in found}
    accounts = service_accounts(pairs, len(names), settings)
    shares = tuple(
        replace(s, weight=settings.service_weight) if s.delegate in accounts else s for s in found
    )
    notes = list(sharing.notes())
    return shares, [*notes, service_note(accounts)] if accounts else notes


class _Sharing:
    """Edges become shares: groups expanded once, everything else that is no share listed."""

    def __init__(self, snapshot: Snapshot, names: dict[str, str], settings: PlanSettings) -> None:
        self.edges = snapshot.edges
        self.groups = {group.guid: group for group in snapshot.groups}
        self.names = names
        self.settings = settings
        self.planned_out = {m.exchange_guid for m in snapshot.mailboxes} - names.keys()
        self.dropped: dict[str, Counter[str]] = defaultdict(Counter)

    def expand(self) -> tuple[Share, ...]:
        """One share per owner, delegate and right; a right of one's own comes before a group's."""
        found: dict[tuple[str, str, str], Share] = {}
        direct = [edge for edge in self.edges if edge.trustee_kind is not TrusteeKind.GROUP]
        by_group = [edge for edge in self.edges if edge.trustee_kind is TrusteeKind.GROUP]
        for edge in (*direct, *by_group):
            owner = self._owner(edge)
            if owner:
                weight = self.settings.weight(edge.right.value) or 0.0
                for delegate, group in self._delegates(edge):
                    if delegate != owner:
                        key = owner, delegate, edge.right.value
                        if key not in found:
                            found[key] = Share(*key, weight, group)
        return tuple(found.values())

    def notes(self) -> Iterator[Note]:
        for reason, names in self.dropped.items():
            said = [f"{name} ({count_text(number, 'right')})" for name, number in names.items()]
            yield listed(f"rights without effect on the plan: {reason}", said)

    def _owner(self, edge: Edge) -> str:
        if edge.owner in self.planned_out:
            self.dropped["the mailbox is not planned"][edge.owner] += 1
        elif edge.owner not in self.names:
            self.dropped["the mailbox is not in the inventory"][edge.owner] += 1
        return self.names.get(edge.owner, "")

    def _delegates(self, edge: Edge) -> Iterator[tuple[str, str]]:
        """Identities of those who hold the right, and the group they hold it through."""
        if edge.trustee_kind is TrusteeKind.GROUP:
            yield from self._members(edge)
        elif edge.trustee_kind is TrusteeKind.ORPHAN:
            self.dropped["the account no longer exists"][edge.trustee] += 1
        elif edge.delegate in self.names:
            yield self.names[edge.delegate], ""
        elif edge.delegate in self.planned_out:
            self.dropped["the delegate's mailbox is not planned"][edge.trustee] += 1
        else:
            self.dropped["the delegate has no mailbox"][edge.trustee] += 1

    def _members(self, edge: Edge) -> Iterator[tuple[str, str]]:
        group = self.groups.get(edge.delegate)
        if group is None:
            self.dropped["the group's members are not in the inventory"][edge.trustee] += 1
        elif len(group.members) > self.settings.group_everybody:
            most = f"{self.settings.group_everybody:,}"
            reason = f'a group of more than {most} is "everybody" and weighs nothing'
            self.dropped[reason][f"{group.name}, {len(group.members):,} members"] += 1
        elif not group.members:
            self.dropped["the group is empty"][group.name] += 1
        else:
            for member in group.members:
                if member in self.names:
                    yield self.names[member], group.name
