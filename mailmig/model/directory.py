"""Users, mailboxes, groups and the edges between them.

Mailboxes are keyed on `exchange_guid`, never on a name or an address: those change.
GUIDs are lower-case text with hyphens.
"""

from dataclasses import dataclass, field
from enum import Enum

from mailmig.model.quota import UNKNOWN, Quota, Quotas


class Kind(Enum):
    """What a mailbox is for (Exchange: RecipientTypeDetails)."""

    USER = "user"
    LINKED = "linked"
    LEGACY = "legacy"
    SHARED = "shared"
    ROOM = "room"
    EQUIPMENT = "equipment"
    TEAM = "team"
    DISCOVERY = "discovery"
    ARBITRATION = "arbitration"
    AUDIT_LOG = "audit log"
    PUBLIC_FOLDER = "public folder"
    MONITORING = "monitoring"
    MIGRATION = "migration"
    SYSTEM = "system"
    REMOTE = "remote"
    OTHER = "other"


# What RecipientTypeDetails calls them (domain names of the cmdlets, compared without case).
KINDS: dict[str, Kind] = {
    "usermailbox": Kind.USER,
    "linkedmailbox": Kind.LINKED,
    "legacymailbox": Kind.LEGACY,
    "sharedmailbox": Kind.SHARED,
    "linkedroommailbox": Kind.ROOM,
    "roommailbox": Kind.ROOM,
    "equipmentmailbox": Kind.EQUIPMENT,
    "teammailbox": Kind.TEAM,
    "discoverymailbox": Kind.DISCOVERY,
    "arbitrationmailbox": Kind.ARBITRATION,
    "auditlogmailbox": Kind.AUDIT_LOG,
    "auxauditlogmailbox": Kind.AUDIT_LOG,
    "publicfoldermailbox": Kind.PUBLIC_FOLDER,
    "monitoringmailbox": Kind.MONITORING,
    "systemattendantmailbox": Kind.SYSTEM,
    "systemmailbox": Kind.SYSTEM,
    "remoteusermailbox": Kind.REMOTE,
    "remoteroommailbox": Kind.REMOTE,
    "remoteequipmentmailbox": Kind.REMOTE,
    "remotesharedmailbox": Kind.REMOTE,
}

# The kinds that belong to people: what quota reports and first plans are about.
PEOPLE = frozenset(
    {Kind.USER, Kind.LINKED, Kind.LEGACY, Kind.SHARED, Kind.ROOM, Kind.EQUIPMENT, Kind.TEAM}
)
# Exchange makes these anew by itself, or they cannot be moved at all.
NEVER_MOVED = frozenset({Kind.MONITORING, Kind.SYSTEM, Kind.REMOTE})


class UsageState(Enum):
    """What is known about the size of a mailbox."""

    KNOWN = "known"
    NEVER_USED = "never used"  # nobody ever logged on: there is no statistics row; usage is zero
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a mailbox holds.

    `size_bytes` counts against the quota; `deleted_bytes` (Recoverable Items) does not.
    Both are `None` when the state is unknown. `approximate` is set when the export gave
    only a rounded text.
    """

    state: UsageState = UsageState.UNKNOWN
    size_bytes: int | None = None
    items: int | None = None
    deleted_bytes: int | None = None
    deleted_items: int | None = None
    approximate: bool = False


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive mailbox of a person. Its quotas never come from the database."""

    guid: str
    database: str = ""
    warn: Quota = UNKNOWN
    quota: Quota = UNKNOWN
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox as the inventory knows it.

    `own` are the three limits written on the mailbox itself; they hold only where
    `use_database_quotas` is False, and nobody knows what holds where it is None.
    `site` is the site of the database's server; `version` that server's product version.
    """

    exchange_guid: str
    kind: Kind = Kind.OTHER
    kind_text: str = ""
    guid: str = ""
    address: str = ""
    display_name: str = ""
    alias: str = ""
    account: str = ""
    user_principal_name: str = ""
    canonical_name: str = ""
    distinguished_name: str = ""
    legacy_dn: str = ""
    department: str = ""
    organisational_unit: str = ""
    database: str = ""
    server: str = ""
    site: str = ""
    version: str = "unknown"
    use_database_quotas: bool | None = None
    own: Quotas = Quotas()
    recoverable: Quota = UNKNOWN
    usage: Usage = Usage()
    archive: Archive | None = None
    on_hold: bool | None = None
    hidden: bool | None = None
    root_public_folder: bool = False


class Right(Enum):
    """What a delegate may do with another's mailbox."""

    FULL_ACCESS = "FullAccess"
    SEND_AS = "SendAs"
    SEND_ON_BEHALF = "SendOnBehalf"
    DELEGATE = "Delegate"
    CALENDAR_EDITOR = "CalendarEditor"
    CALENDAR_REVIEWER = "CalendarReviewer"


class TrusteeKind(Enum):
    """What stands behind the name that holds a right."""

    MAILBOX = "mailbox"
    GROUP = "group"
    ORPHAN = "orphan"  # a SID that no longer resolves
    OTHER = "other"  # an account without a mailbox, or not in the export


@dataclass(frozen=True, slots=True)
class Edge:
    """One user may use another's mailbox: a directed pair from `owner` to `delegate`.

    `owner` is an exchange_guid; `delegate` too where the trustee is a mailbox, the group's
    guid where it is a group, else "". `trustee` is the name as the export spells it.
    """

    owner: str
    right: Right
    trustee: str
    trustee_kind: TrusteeKind
    delegate: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A security group that may hold rights; `members` are exchange_guids, nested ones resolved."""

    guid: str
    name: str
    members: tuple[str, ...] = ()
