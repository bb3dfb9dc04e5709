"""Accounts and groups as objects of the directory; values are made when somebody asks.

Quotas are KB here, absent where unlimited (migration.md 2.3). Accounts that nobody logs on
with (shared, rooms, equipment) are disabled and have SELF as their master account; linked
ones have the account of the other forest.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mailmig.lab.directory import sids
from mailmig.lab.directory.replication import State
from mailmig.lab.directory.syntaxes import SPELLINGS
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind
from mailmig.model.quota import GIB, KIB, Limit, Quota
from mailmig.wire.security_descriptor import SELF

if TYPE_CHECKING:
    from mailmig.lab.directory.forest import Forest

# msExchRecipientTypeDetails (migration.md 2.1).
TYPE_NUMBERS: Final = {
    Kind.USER: 1, Kind.LINKED: 2, Kind.SHARED: 4, Kind.LEGACY: 8, Kind.ROOM: 16,
    Kind.EQUIPMENT: 32, Kind.ARBITRATION: 8_388_608, Kind.DISCOVERY: 536_870_912,
    Kind.PUBLIC_FOLDER: 68_719_476_736, Kind.TEAM: 137_438_953_472,
    Kind.MONITORING: 549_755_813_888, Kind.AUDIT_LOG: 70_368_744_177_664,
}  # fmt: skip
_SHARED_LIKE: Final = (Kind.SHARED, Kind.ROOM, Kind.EQUIPMENT)
_LOG_ON: Final = (Kind.USER, Kind.MONITORING)
_NORMAL, _DISABLED = 512, 514
# msExchELCMailboxFlags: the bit of a litigation hold.
_ON_HOLD: Final = 8
# Move status and flags (migration.md 4.2): queued, in progress; IntraOrg and Pull.
_QUEUED, _IN_PROGRESS, _FLAGS = 1, 2, 6
UNIVERSAL_SECURITY_GROUP: Final = -2_147_483_640

Values = list[bytes]


class Plain:
    """An object whose values are all known: `values` by attribute, in its right spelling."""

    __slots__ = ("_values", "dn", "parent")

    def __init__(self, dn: str, parent: str, values: dict[str, Values]) -> None:
        self.dn = dn
        self.parent = parent
        self._values = {name: of for name, of in _lowered(values).items() if of}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plain):
            return NotImplemented
        return self.dn == other.dn and self._values == other._values

    def __hash__(self) -> int:
        return hash(self.dn)

    def having(self, **values: Values) -> "Plain":
        """The same object with other values of some attributes."""
        return Plain(self.dn, self.parent, {**self._values, **_lowered(values)})

    def get(self, name: str) -> Values:
        return self._values.get(name, [])

    def names(self) -> Iterable[str]:
        """What it has values of, in small letters."""
        return self._values

    def descriptor(self, parts: int) -> bytes:
        """The object's own security descriptor."""
        return sids.object_descriptor([], parts)


def _lowered(values: dict[str, Values]) -> dict[str, Values]:
    return {name.lower(): of for name, of in values.items()}


class Person:
    """The account of a mailbox, in the state that a controller knows."""

    __slots__ = ("forest", "mailbox", "parent", "state")

    def __init__(self, forest: "Forest", mailbox: Mailbox, state: State, parent: str) -> None:
        self.forest = forest
        self.mailbox = mailbox
        self.state = state
        self.parent = parent

    @property
    def dn(self) -> str:
        return self.forest.places.distinguished(self.mailbox.path, self.mailbox.name)

    def get(self, name: str) -> Values:
        maker = _MAKERS.get(name)
        return maker(self) if maker else []

    def names(self) -> Iterable[str]:
        """What it may have values of, in small letters."""
        return _MAKERS

    def descriptor(self, parts: int) -> bytes:
        """The account's own security descriptor: who may send as it."""
        granted = self.forest.trustees("send_as", self.mailbox.number)
        return sids.object_descriptor(granted, parts)


def text(value: str) -> Values:
    """A text as the directory holds it; an empty one is no value."""
    return [value.encode()] if value else []


def number(value: int) -> Values:
    """A number as the directory holds it."""
    return [b"%d" % value]


def binary(guid: str) -> Values:
    """A GUID as the directory holds it."""
    return [UUID(guid).bytes_le]


def moment(value: datetime) -> Values:
    """A time as the directory holds it."""
    return [value.astimezone(UTC).strftime("%Y%m%d%H%M%S.0Z").encode()]


def kilobytes(quota: Quota) -> Values:
    """A limit as the directory holds it: whole KB, rounded up; nothing where unlimited."""
    return [] if isinstance(quota, Limit) else number(-(-quota // KIB))


def _addresses(person: Person) -> Values:
    mailbox = person.mailbox
    other = person.forest.organisation.mail_domains[-1]
    found = [b"SMTP:" + mailbox.address.encode()]
    if other != mailbox.domain:
        found.append(f"smtp:{mailbox.alias}@{other}".encode())
    return found


def _home(person: Person) -> Values:
    return [person.forest.database_dn(person.state.database)]


def _home_server(person: Person) -> Values:
    database = person.forest.organisation.databases[person.state.database]
    return text(person.forest.places.legacy_server(database.server))


def _on_behalf(person: Person) -> Values:
    return person.forest.account_dns(person.state.on_behalf)


def _master(person: Person) -> Values:
    if person.state.kind is Kind.LINKED:
        return [sids.linked_sid(person.mailbox.number)]
    return [SELF] if person.state.kind in _SHARED_LIKE else []


def _mailbox_descriptor(person: Person) -> Values:
    granted = person.forest.trustees("full_access", person.mailbox.number)
    linked = person.state.kind is Kind.LINKED
    external = sids.linked_sid(person.mailbox.number) if linked else None
    return [sids.mailbox_descriptor(granted, external)]


def _archive(part: int) -> Callable[[Person], Values]:
    def make(person: Person) -> Values:
        archive = person.state.archive
        if archive is None:
            return []
        guid, database, warn, quota = archive
        if part == 0:
            return binary(guid)
        if part == 1:
            return [person.forest.database_dn(database)]
        return kilobytes(warn if part == 2 else quota)

    return make


def _move(part: int) -> Callable[[Person], Values]:
    def make(person: Person) -> Values:
        move = person.state.move
        if move is None:
            return []
        source, target, started = move
        if part < 2:
            return [person.forest.database_dn((source, target)[part])]
        return number((_IN_PROGRESS if started else _QUEUED) if part == 2 else _FLAGS)

    return make


_MAKERS: Final[dict[str, Callable[[Person], Values]]] = {
    "objectclass": lambda p: [b"top", b"person", b"organizationalPerson", b"user"],
    "objectcategory": lambda p: text(p.forest.category("person")),
    "distinguishedname": lambda p: text(p.dn),
    "cn": lambda p: text(p.mailbox.name),
    "name": lambda p: text(p.mailbox.name),
    "objectguid": lambda p: binary(p.mailbox.guid),
    "objectsid": lambda p: [sids.mailbox_sid(p.mailbox.number)],
    "samaccountname": lambda p: text(p.mailbox.account),
    "userprincipalname": lambda p: text(f"{p.mailbox.account}@{p.forest.organisation.domain}"),
    "useraccountcontrol": lambda p: number(_NORMAL if p.state.kind in _LOG_ON else _DISABLED),
    "primarygroupid": lambda p: number(sids.DOMAIN_USERS),
    "displayname": lambda p: text(p.state.display_name),
    "department": lambda p: text(p.state.department),
    "company": lambda p: text(p.forest.organisation.name) if p.state.department else [],
    "title": lambda p: text(p.state.title),
    "physicaldeliveryofficename": lambda p: text(p.state.office),
    "mail": lambda p: text(p.mailbox.address),
    "mailnickname": lambda p: text(p.mailbox.alias),
    "proxyaddresses": _addresses,
    "legacyexchangedn": lambda p: text(p.forest.places.legacy(p.mailbox.guid, p.mailbox.name)),
    "memberof": lambda p: p.forest.member_of(p.mailbox.number),
    "homemdb": _home,
    "msexchhomeservername": _home_server,
    "msexchmailboxguid": lambda p: binary(p.mailbox.exchange_guid),
    "msexchrecipienttypedetails": lambda p: number(TYPE_NUMBERS[p.state.kind]),
    "msexchmasteraccountsid": _master,
    "msexchmailboxsecuritydescriptor": _mailbox_descriptor,
    "msexchwhenmailboxcreated": lambda p: moment(p.mailbox.created),
    "whencreated": lambda p: moment(p.mailbox.created),
    "mdbusedefaults": lambda p: [b"TRUE" if p.state.use_database_quotas else b"FALSE"],
    "mdbstoragequota": lambda p: kilobytes(p.state.own.warn),
    "mdboverquotalimit": lambda p: kilobytes(p.state.own.send),
    "mdboverhardquotalimit": lambda p: kilobytes(p.state.own.receive),
    "msexchdumpsterquota": lambda p: kilobytes(p.state.recoverable),
    "msexchdumpsterwarningquota": lambda p: kilobytes(20 * GIB),
    "msexchhidefromaddresslists": lambda p: [b"TRUE"] if p.state.hidden else [],
    "msexchelcmailboxflags": lambda p: number(_ON_HOLD) if p.state.on_hold else [],
    "msexcharchiveguid": _archive(0),
    "msexcharchivedatabaselink": _archive(1),
    "msexcharchivewarnquota": _archive(2),
    "msexcharchivequota": _archive(3),
    "msexchmailboxmovesourcemdblink": _move(0),
    "msexchmailboxmovetargetmdblink": _move(1),
    "msexchmailboxmovestatus": _move(2),
    "msexchmailboxmoveflags": _move(3),
    "publicdelegates": _on_behalf,
    "publicdelegatesbl": lambda p: p.forest.back_links("on_behalf", p.mailbox.number),
    "msexchdelegatelistlink": lambda p: p.forest.auto_mapped(p.mailbox.number),
    "msexchdelegatelistbl": lambda p: p.forest.back_links("auto_mapped", p.mailbox.number),
}
assert set(_MAKERS) <= set(SPELLINGS), set(_MAKERS) - set(SPELLINGS)
