"""Who is in the organisation: departments, mailboxes, groups, rights, and what is left of them.

Sizes are bytes, times are aware. `number` is a mailbox's place in the organisation's list; it
never changes and nobody outside the lab sees it. A trustee below zero stands for
`principals[-1 - trustee]`.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from mailmig.model.directory import Kind
from mailmig.model.quota import GIB, UNLIMITED, Quota, Quotas


@dataclass(frozen=True, slots=True)
class Department:
    """An organisational unit with the people in it; `path` leads to it from the domain."""

    number: int
    name: str
    path: tuple[str, ...]
    site: str
    quota_class: str
    branch: int = 0


@dataclass(slots=True)
class Archive:
    """The archive mailbox of a person."""

    guid: str
    database: str
    used: int
    items: int
    warn: Quota = UNLIMITED
    quota: Quota = UNLIMITED


@dataclass(frozen=True, slots=True)
class Protocols:
    """By which protocols clients may reach a mailbox; None: as the organisation has it.

    Ask `mailmig.lab.protocols_of`, which knows what the organisation has.
    """

    mapi: bool = True
    mapi_http: bool | None = None
    ews: bool | None = None
    owa: bool = True
    ecp: bool = True
    active_sync: bool = True
    pop: bool = True
    imap: bool = True


@dataclass(slots=True)
class Mailbox:
    """One mailbox. `used` counts against the quota, `deleted` (Recoverable Items) does not.

    `last_logon` is `None` when nobody ever logged on: then there are no statistics.
    `growth` is the share by which `used` grows in a year.
    """

    number: int
    kind: Kind
    guid: str
    exchange_guid: str
    name: str
    display_name: str
    alias: str
    account: str
    domain: str
    path: tuple[str, ...]
    database: str
    created: datetime
    department: str = ""
    office: str = ""
    title: str = ""
    use_database_quotas: bool = True
    own: Quotas = Quotas(UNLIMITED, UNLIMITED, UNLIMITED)
    recoverable: Quota = 30 * GIB
    used: int = 0
    items: int = 0
    deleted: int = 0
    deleted_items: int = 0
    last_logon: datetime | None = None
    growth: float = 0.0
    archive: Archive | None = None
    on_behalf: tuple[int, ...] = ()
    on_hold: bool = False
    hidden: bool = False
    root_public_folder: bool = False
    linked_account: str = ""
    protocols: Protocols = Protocols()
    gone: bool = False

    @property
    def address(self) -> str:
        return f"{self.alias}@{self.domain}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who may hold a right and is no mailbox: a group, or a SID that no longer resolves."""

    text: str
    guid: str = ""
    name: str = ""
    account: str = ""
    path: tuple[str, ...] = ()
    members: tuple[int, ...] = ()

    def address(self, domain: str) -> str:
        """The address of a group."""
        return f"{self.guid[:8]}@{domain}"

    @property
    def is_group(self) -> bool:
        return bool(self.guid)


@dataclass(slots=True)
class Rights:
    """Rights of one sort: `trustees[i]` may use the mailbox `owners[i]`.

    `unmapped` are pairs that Outlook does not open by itself, `version` counts the changes.
    """

    owners: "array[int]" = field(default_factory=lambda: array("i"))
    trustees: "array[int]" = field(default_factory=lambda: array("i"))
    unmapped: set[tuple[int, int]] = field(default_factory=set)
    version: int = 0

    def grant(self, owner: int, trustee: int) -> None:
        """The trustee may use the mailbox of the owner from now on."""
        self.owners.append(owner)
        self.trustees.append(trustee)
        self.version += 1

    def revoke(self, owner: int, trustee: int) -> None:
        """He may no longer. Raises `ValueError` when he never might."""
        at = list(self).index((owner, trustee))
        del self.owners[at], self.trustees[at]
        self.unmapped.discard((owner, trustee))
        self.version += 1

    def __len__(self) -> int:
        return len(self.owners)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.owners, self.trustees, strict=True)


@dataclass(frozen=True, slots=True)
class PstFile:
    """A PST file that somebody left on a share or a disk; owner is a mailbox number."""

    owner: int
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a database still keeps of a mailbox that was disabled or moved away."""

    database: str
    exchange_guid: str
    display_name: str
    since: datetime
    moved: bool
    used: int
    items: int
