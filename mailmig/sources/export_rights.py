"""Who may use whose mailbox: permission rows become edges, and names become people.

An export names a trustee as it likes: `DOMAIN\\account`, a SID, a canonical name, a
distinguished name, an address. `Directory` knows the mailboxes and groups by all of these.
What it cannot place for sure is `OTHER`, counted with the reason, never guessed.

Kept are explicit, allowing rights of others: what is inherited, denied, or the owner's own
(`NT AUTHORITY\\SELF`, which every language calls differently) is counted and dropped.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from mailmig.model.directory import Edge, Group, Mailbox, Right, TrusteeKind
from mailmig.sources.export_rows import Cells
from mailmig.wire.quantities import name_of

# What Windows calls SELF (S-1-5-10); the manifest names the one of the machine itself.
SELF_NAMES: Final = (
    "NT AUTHORITY\\SELF",
    "NT-AUTORITÄT\\SELBST",
    "NT-AUTORITÄT\\SELF",
    "AUTORITE NT\\SELF",
    "AUTORITÉ NT\\SELF",
    "NT AUTHORITY\\SELBST",
    "S-1-5-10",
)

# The files of rights: the property that lists the rights, the one we want, and what it is here.
RIGHTS: Final = {
    "full_access": ("AccessRights", "FullAccess", Right.FULL_ACCESS),
    "send_as": ("ExtendedRights", "Send-As", Right.SEND_AS),
}

_SID: Final = re.compile(r"S-1(-[0-9]+)+", re.IGNORECASE)
_DOMAIN_OF_DN: Final = re.compile(r",DC=([^,]+)", re.IGNORECASE)

Trustee = tuple[TrusteeKind, str]
_OTHER: Final[Trustee] = (TrusteeKind.OTHER, "")
_ORPHAN: Final[Trustee] = (TrusteeKind.ORPHAN, "")
# Stands for a name that several have.
_MANY: Final[Trustee] = (TrusteeKind.OTHER, "several")


@dataclass(slots=True)
class Directory:
    """The names of mailboxes and groups, compared without case.

    `names` are whole names that are unique by their nature, `accounts` the part behind the
    backslash, `short` what people call each other. `linked` are accounts of other forests
    (`FOREST\\account`) that a mailbox here belongs to.
    """

    names: dict[str, Trustee] = field(default_factory=dict)
    accounts: dict[str, tuple[tuple[str, Trustee], ...]] = field(default_factory=dict)
    short: dict[str, Trustee] = field(default_factory=dict)
    linked: dict[str, Trustee] = field(default_factory=dict)
    groups: dict[str, DirectGroup] = field(default_factory=dict)
    _foreign: set[str] = field(default_factory=set)

    def add_mailbox(self, mailbox: Mailbox, linked_account: str) -> None:
        trustee = (TrusteeKind.MAILBOX, mailbox.exchange_guid)
        names = self.names
        for name in (
            mailbox.distinguished_name,
            mailbox.canonical_name,
            mailbox.user_principal_name,
            mailbox.address,
            mailbox.legacy_dn,
        ):
            if name:
                _learn(names, name.lower(), trustee)
        for name in (mailbox.alias, mailbox.display_name):
            if name:
                _learn(self.short, name.lower(), trustee)
        if mailbox.account:
            domain = _domain(mailbox.distinguished_name, mailbox.canonical_name)
            self._add_account(mailbox.account.lower(), domain, trustee)
        if linked_account and not _SID.fullmatch(linked_account):
            _learn(self.linked, linked_account.lower(), trustee)
            self._foreign.add(linked_account.lower().rpartition("\\")[0])

    def add_group(self, cells: Cells) -> None:
        """Learn a group and its direct members; the mailboxes have to be known already."""
        guid = cells.guid("Guid")
        if not guid:
            cells.note("Guid", "it has none, so this group is left out")
            return
        name = cells.text("Name")
        dn, canonical = cells.text("DistinguishedName"), cells.text("Identity")
        trustee = (TrusteeKind.GROUP, guid)
        for whole in {dn.lower(), canonical.lower()} - {""}:
            _learn(self.names, whole, trustee)
        account = cells.text("SamAccountName") or name
        self._add_account(account.lower(), _domain(dn, canonical), trustee)
        members = [self._member(member) for member in cells.names("Members")]
        self.groups[guid] = DirectGroup(guid, name or account, members)

    def trustee(self, name: str) -> Trustee:
        """What stands behind a name; `OTHER` with "several" when it may be more than one."""
        folded = name.strip().lower()
        found = self.names.get(folded) or self.short.get(folded)
        if found is not None:
            return found
        return _ORPHAN if _SID.fullmatch(folded) else self._account(folded)

    def members(self, guid: str) -> tuple[str, ...]:
        """All mailboxes in a group and the groups in it, each once, however they are nested."""
        found: dict[str, None] = {}
        seen = {guid}
        waiting = [guid]
        while waiting:
            for member in self.groups[waiting.pop()].members:
                kind, inner = member if isinstance(member, tuple) else self.trustee(member)
                if kind is TrusteeKind.MAILBOX:
                    found[inner] = None
                elif kind is TrusteeKind.GROUP and inner not in seen:
                    seen.add(inner)
                    waiting.append(inner)
        return tuple(found)

    def _add_account(self, account: str, domain: str, trustee: Trustee) -> None:
        self.accounts[account] = (*self.accounts.get(account, ()), (domain, trustee))

    def _member(self, name: str) -> Trustee | str:
        """A member that is a mailbox; any other stays a name until all groups are known."""
        found = self.names.get(name.lower())
        return found if found and found[0] is TrusteeKind.MAILBOX else name

    def _account(self, folded: str) -> Trustee:
        linked = self.linked.get(folded)
        if linked is not None:
            return linked
        domain, _, account = folded.rpartition("\\")
        if domain in self._foreign:  # another forest: an equal name here is somebody else
            return _OTHER
        found = self.accounts.get(account, ())
        if len(found) > 1:
            # The NetBIOS name of a domain is nearly always the first part of its DNS name.
            found = tuple(one for one in found if one[0] == domain) or found
        if len(found) > 1:
            return _MANY
        return found[0][1] if found else _OTHER


@dataclass(frozen=True, slots=True)
class DirectGroup:
    """A group with what stands in it: mailboxes, and names of whatever else."""

    guid: str
    name: str
    members: list[Trustee | str]


class Rights:
    """Makes edges of permission rows and counts what it drops and why."""

    def __init__(self, directory: Directory, owners: Iterable[str], self_name: str) -> None:
        self._directory = directory
        self._owners = frozenset(owners)
        self._selves = frozenset(n.lower() for n in (*SELF_NAMES, self_name) if n)
        self.counts: Counter[str] = Counter()
        self.groups_with_rights: dict[str, None] = {}
        self._trustees: dict[str, Trustee] = {}

    def edges(self, rows: Iterable[tuple[str, str]], right: Right) -> Iterator[Edge]:
        """Edges from pairs of an owner and the name of a trustee, equal ones once.

        The rows of one owner stand together, as each cmdlet call gives those of one mailbox.
        """
        last = ""
        of_owner: set[str] = set()
        for owner, name in rows:
            if owner != last:
                last, of_owner = owner, set()
            edge = self._edge(owner, name, right)
            if edge is None or name in of_owner:
                continue
            of_owner.add(name)
            self.counts["kept"] += 1
            yield edge

    def on_behalf(self, grants: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[Edge]:
        """Edges from what GrantSendOnBehalfTo names on each mailbox."""
        pairs = ((owner, name) for owner, names in grants for name in names)
        return self.edges(pairs, Right.SEND_ON_BEHALF)

    def groups(self) -> Iterator[Group]:
        """The groups that hold rights, with all mailboxes in them."""
        for guid in self.groups_with_rights:
            group = self._directory.groups[guid]
            yield Group(guid, group.name, self._directory.members(guid))

    def _edge(self, owner: str, name: str, right: Right) -> Edge | None:
        owner = self._owner(owner)
        if not owner:
            self.counts["owner not in the inventory"] += 1
            return None
        if name.lower() in self._selves:
            self.counts["of the owner himself"] += 1
            return None
        kind, delegate = self._trustee(name)
        if delegate == owner:
            self.counts["of the owner himself"] += 1
            return None
        if kind is TrusteeKind.GROUP:
            self.groups_with_rights[delegate] = None
        elif kind is TrusteeKind.OTHER:
            self.counts["name fits several" if delegate else "no mailbox behind the name"] += 1
            delegate = ""
        elif kind is TrusteeKind.ORPHAN:
            self.counts["orphaned"] += 1
        return Edge(owner, right, name, kind, delegate)

    def _owner(self, owner: str) -> str:
        """The ExchangeGuid of an owner, from one or from a name (whole objects have names)."""
        if owner in self._owners:
            return owner
        kind, guid = self._directory.trustee(owner) if owner else _OTHER
        return guid if kind is TrusteeKind.MAILBOX else ""

    def _trustee(self, name: str) -> Trustee:
        found = self._trustees.get(name)
        if found is None:
            found = self._trustees[name] = self._directory.trustee(name)
        return found


def permissions(
    rows: Iterable[Cells], column: str, wanted: str, counts: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Owner and trustee of each row that grants `wanted` (in the property `column`) explicitly.

    The owner is an ExchangeGuid where the row has one, else a name. `counts` gets what is
    left out and why.
    """
    wanted = wanted.lower()
    for cells in rows:
        if cells.flag("IsInherited"):
            counts["inherited"] += 1
        elif cells.flag("Deny"):
            counts["denied"] += 1
        elif not _grants(cells.names(column), wanted):
            counts["other rights"] += 1
        else:
            yield cells.guid("OwnerGuid") or cells.text("Identity"), cells.text("User")


@lru_cache(maxsize=4096)
def _grants(rights: tuple[str, ...], wanted: str) -> bool:
    return any(name_of(right).lower() == wanted for right in rights)


def _learn(names: dict[str, Trustee], name: str, trustee: Trustee) -> None:
    known = names.setdefault(name, trustee)
    if known is not trustee and known != trustee:
        names[name] = _MANY


def _domain(dn: str, canonical: str) -> str:
    """The first part of the domain's DNS name, in small letters."""
    found = _DOMAIN_OF_DN.search(dn)
    domain = found[1] if found else canonical.partition("/")[0].partition(".")[0]
    return sys.intern(domain.lower())
