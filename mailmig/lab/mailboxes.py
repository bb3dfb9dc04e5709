"""Mailboxes and people in full: how each property of Get-Mailbox and Get-User is made.

Whoever wants a few properties pays for these alone, and what is the same for many is made once:
an inventory of 10,000 mailboxes asks for 39 properties of each.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from operator import attrgetter
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.moving import STATUS_NUMBERS, Move, flags_of
from mailmig.lab.objects import Configuration, Live, Made, Makers
from mailmig.lab.population import Archive, Mailbox
from mailmig.lab.protocols_of import SWITCHES
from mailmig.lab.rows import KIND_NAMES, Bulk, holds
from mailmig.model.directory import Kind
from mailmig.model.organisation import Server
from mailmig.model.quota import GIB, UNLIMITED
from mailmig.wire.clixml import Obj, Value

RECIPIENT: Final = f"{v.DIRECTORY}.Recipient"
# msExchRecipientTypeDetails (migration.md 2.1).
_NUMBERS: Final = {
    Kind.USER: 1, Kind.LINKED: 2, Kind.SHARED: 4, Kind.ROOM: 16, Kind.EQUIPMENT: 32,
    Kind.ARBITRATION: 8_388_608, Kind.DISCOVERY: 536_870_912, Kind.PUBLIC_FOLDER: 68_719_476_736,
    Kind.MONITORING: 549_755_813_888, Kind.AUDIT_LOG: 70_368_744_177_664,
}  # fmt: skip
_SCHEMA: Final = {
    "Person": "bf967a86-0de6-11d0-a285-00aa003049e2",
    "Group": "bf967a9c-0de6-11d0-a285-00aa003049e2",
}
_AUDIT_ADMIN: Final = (
    ("Update", 1), ("Move", 4), ("MoveToDeletedItems", 8), ("SoftDelete", 16), ("HardDelete", 32),
    ("FolderBind", 64), ("SendAs", 128), ("SendOnBehalf", 256), ("Create", 1024),
)  # fmt: skip
_AUDIT_DELEGATE: Final = (
    ("Update", 1), ("SoftDelete", 16), ("HardDelete", 32), ("SendAs", 128), ("Create", 1024),
)  # fmt: skip
_LISTS: Final = ("Mailboxes(VLV)", "All Mailboxes(VLV)", "All Recipients(VLV)",
                 "Default Global Address List", "All Users")  # fmt: skip
_LOCATIONS: Final = (
    f"System.Collections.Generic.List`1[[{v.DIRECTORY}.IMailboxLocationInfo, {v.DIRECTORY}, "
    f"{v.TOKEN}]]"
)


class Mailboxes:
    """Text and given properties of mailboxes, and of the people who have them."""

    def __init__(self, objects: Configuration, bulk: Bulk) -> None:
        self.objects = objects
        self.bulk = bulk
        self.organisation = objects.organisation
        self.places = objects.places
        self.culture = objects.culture
        self._databases: dict[str, Obj] = {}
        self._of_mailbox = self._mailbox()
        self._of_clients: Makers[Mailbox] = {
            **self._of_mailbox,
            **{name: attrgetter(f"protocols.{field}") for name, field in SWITCHES.items()},
        }
        self._of_user: Makers[Mailbox] = {
            **self._person(),
            "Department": lambda one: one.department,
            "Company": _always(self.organisation.name),
            "Title": lambda one: one.title,
        }

    def mailbox(self, mailbox: Mailbox) -> tuple[str, Live]:
        """What Get-Mailbox tells of one."""
        return mailbox.name, Made(self._of_mailbox, mailbox)

    def client_access(self, mailbox: Mailbox) -> tuple[str, Live]:
        """What Get-CASMailbox tells of one."""
        return mailbox.name, Made(self._of_clients, mailbox)

    def user(self, mailbox: Mailbox) -> tuple[str, Live]:
        """What Get-User tells of somebody with a mailbox."""
        return mailbox.name, Made(self._of_user, mailbox)

    def recipient_id(self, path: tuple[str, ...], name: str, guid: str) -> Obj:
        """The id of a recipient; it prints the canonical name."""
        return v.directory_id(
            self.places, self.places.distinguished(path, name), self.places.canonical(path, name),
            self.places.unit(path)[0], guid, name,
        )  # fmt: skip

    def mailbox_id(self, mailbox: Mailbox) -> Obj:
        """The id of a mailbox."""
        return self.recipient_id(mailbox.path, mailbox.name, mailbox.guid)

    def _person(self) -> Makers[Mailbox]:
        """What Get-Mailbox and Get-User both tell."""
        places = self.places
        constants = self.constants("Person", "person", "organizationalPerson", "user")
        return {
            "Identity": self.mailbox_id,
            "Id": "Identity",
            "Name": lambda one: one.name,
            "Guid": lambda one: UUID(one.guid),
            "DistinguishedName": lambda one: places.distinguished(one.path, one.name),
            "OrganizationalUnit": lambda one: places.unit(one.path)[0],
            "WhenChanged": lambda one: one.created,
            "WhenCreated": lambda one: one.created,
            "WhenChangedUTC": lambda one: one.created.astimezone(UTC),
            "WhenCreatedUTC": lambda one: one.created.astimezone(UTC),
            "SamAccountName": lambda one: one.account,
            "UserPrincipalName": lambda one: f"{one.account}@{places.domain}",
            "DisplayName": lambda one: one.display_name,
            "Office": lambda one: one.office,
            "IsLinked": lambda one: one.kind is Kind.LINKED,
            "LinkedMasterAccount": lambda one: one.linked_account,
            "AccountDisabled": lambda one: one.kind is not Kind.USER,
            "RecipientTypeDetails": lambda one: details(KIND_NAMES[one.kind], _NUMBERS[one.kind]),
            "WindowsEmailAddress": lambda one: v.smtp_address(one.address),
            **{name: _always(value) for name, value in constants.items()},
        }

    def _mailbox(self) -> Makers[Mailbox]:
        """What Get-Mailbox tells."""
        return {
            **self._person(),
            **self._home(),
            **self._limits(),
            **self._archive(),
            **self._addresses(),
            **self._moves(),
            "ExchangeGuid": lambda one: UUID(one.exchange_guid),
            "IsResource": lambda one: one.kind in _RESOURCES,
            "IsShared": lambda one: one.kind is Kind.SHARED,
            "IsRootPublicFolderMailbox": lambda one: one.root_public_folder,
            "ResourceType": lambda one: _RESOURCES.get(one.kind),
            "Languages": _always(_LANGUAGES),
            "LitigationHoldEnabled": lambda one: one.on_hold,
            "InPlaceHolds": lambda one: v.strings(holds(one)),
            "AuditAdmin": _always(_audit(_AUDIT_ADMIN)),
            "AuditDelegate": _always(_audit(_AUDIT_DELEGATE)),
            "RoleAssignmentPolicy": _always(
                self._policy("Default Role Assignment Policy", "Policies")
            ),
            "SharingPolicy": _always(self._policy("Default Sharing Policy", "Federation")),
            "WhenMailboxCreated": lambda one: one.created,
            "DefaultPublicFolderMailbox": _always(None),
            "ForwardingAddress": _always(None),
            "ForwardingSmtpAddress": _always(None),
            "UMDtmfMap": lambda one: v.strings(("emailAddress:" + "".join(_dial(one.alias)),)),
        }

    def _home(self) -> Makers[Mailbox]:
        databases, places = self.organisation.databases, self.places

        def server(one: Mailbox) -> Server:
            return self.organisation.server(databases[one.database].server)

        def place(one: Mailbox) -> Value:
            guid = databases[one.database].guid
            text = f"1;{one.exchange_guid};Primary;{places.domain};{guid}"
            return Obj((_LOCATIONS, "System.Object"), value=[text])

        return {
            "Database": lambda one: self.database_id(one.database),
            "MailboxLocations": place,
            "AdminDisplayVersion": lambda one: _version(server(one).build),
            "ServerLegacyDN": lambda one: places.legacy_server(databases[one.database].server),
            "ServerName": lambda one: databases[one.database].server.lower(),
        }

    def database_id(self, name: str) -> Obj:
        """The id of a database, made once."""
        found = self._databases.get(name)
        if found is None:
            found = v.Constant.of(self.objects.database_id(name))
            self._databases[name] = found
        return found

    def _limits(self) -> Makers[Mailbox]:
        culture = self.culture
        return {
            "UseDatabaseQuotaDefaults": lambda one: one.use_database_quotas,
            "IssueWarningQuota": lambda one: limit(culture, one.own.warn),
            "ProhibitSendQuota": lambda one: limit(culture, one.own.send),
            "ProhibitSendReceiveQuota": lambda one: limit(culture, one.own.receive),
            "RecoverableItemsQuota": lambda one: limit(culture, one.recoverable),
            "RecoverableItemsWarningQuota": _always(limit(culture, 20 * GIB)),
            "CalendarLoggingQuota": _always(limit(culture, 6 * GIB)),
            "MaxSendSize": _always(limit(culture, UNLIMITED)),
            "MaxReceiveSize": _always(limit(culture, UNLIMITED)),
        }

    def _archive(self) -> Makers[Mailbox]:
        culture = self.culture

        def made(name: str, make: Callable[[Archive], Value], none: Value) -> Makers[Mailbox]:
            return {name: lambda one: none if one.archive is None else make(one.archive)}

        return {
            "ArchiveName": lambda one: v.strings(
                [f"Onlinearchiv - {one.display_name}"] if one.archive else []
            ),
            **made("ArchiveDatabase", lambda archive: self.database_id(archive.database), None),
            **made("ArchiveGuid", lambda archive: UUID(archive.guid), v.NO_GUID),
            **made("ArchiveQuota", lambda archive: limit(culture, archive.quota),
                   limit(culture, 100 * GIB)),
            **made("ArchiveWarningQuota", lambda archive: limit(culture, archive.warn),
                   limit(culture, 90 * GIB)),
            **made("ArchiveStatus", _always(enum(f"{RECIPIENT}.ArchiveStatusFlags", "Active", 1)),
                   enum(f"{RECIPIENT}.ArchiveStatusFlags", "None", 0)),
            **made("ArchiveState", _always(enum(f"{RECIPIENT}.ArchiveState", "Local", 1)),
                   enum(f"{RECIPIENT}.ArchiveState", "None", 0)),
        }  # fmt: skip

    def _addresses(self) -> Makers[Mailbox]:
        second = self.organisation.mail_domains[-1]
        lists = _constant_list(
            v.configuration_id(
                self.places, (name, "All Address Lists", "Address Lists Container"), None,
                f"\\{name}",
            )
            for name in _LISTS
        )  # fmt: skip
        nobody = _constant_list(())

        def on_behalf(one: Mailbox) -> Value:
            if not one.on_behalf:
                return nobody
            return v.identities([self.mailbox_id(other) for other in self.bulk.on_behalf(one)])

        return {
            "Alias": lambda one: one.alias,
            "PrimarySmtpAddress": lambda one: v.smtp_address(one.address),
            "EmailAddresses": lambda one: v.proxy_addresses(
                [one.address, f"{one.alias}@{second}"]
            ),
            "AddressListMembership": lambda one: nobody if one.hidden else lists,
            "GrantSendOnBehalfTo": on_behalf,
            "HiddenFromAddressListsEnabled": lambda one: one.hidden,
            "LegacyExchangeDN": lambda one: self.places.legacy(one.guid, one.name),
        }  # fmt: skip

    def _moves(self) -> Makers[Mailbox]:
        """The directory knows of a move until its request is removed (migration.md 4.2, 4.5)."""
        state = self.organisation

        def made(name: str, make: Callable[[Move], Value], none: Value) -> Makers[Mailbox]:
            def value(one: Mailbox) -> Value:
                move = state.request_of(one)
                return none if move is None else make(move)

            return {name: value}

        def status(move: Move) -> Value:
            name = move.status(state.now)
            return enum(f"{RECIPIENT}.RequestStatus", name, STATUS_NUMBERS[name])

        flags = f"{RECIPIENT}.RequestFlags"
        return {
            **made("MailboxMoveTargetMDB", lambda move: self.database_id(move.target), None),
            **made("MailboxMoveSourceMDB", lambda move: self.database_id(move.source), None),
            **made("MailboxMoveFlags", lambda move: enum(flags, *flags_of(move)),
                   enum(flags, "None", 0)),
            **made("MailboxMoveStatus", status, enum(f"{RECIPIENT}.RequestStatus", "None", 0)),
        }  # fmt: skip

    def _policy(self, name: str, container: str) -> Obj:
        return v.Constant.of(v.configuration_id(self.places, (name, container), None))

    def constants(self, schema: str, *classes: str) -> Live:
        """What all recipients of one class have."""
        guid = _SCHEMA[schema]
        return {
            "OrganizationId": v.Constant.of(v.organization_id()),
            "OriginatingServer": f"ls-dc1.{self.places.domain}",
            "ObjectCategory": v.Constant.of(v.schema_id(self.places, schema, guid)),
            "ObjectClass": v.Constant.of(v.strings(("top", *classes))),
        }


enum: Final = v.kept(v.enum)
limit: Final = v.kept(v.limit)
_version: Final = v.kept(v.server_version)


def _always(value: Value) -> Callable[[object], Value]:
    return lambda subject: value


def details(name: str, number: int) -> Obj:
    return enum(f"{RECIPIENT}.RecipientTypeDetails", name, number, long=True)


def _constant_list(ids: Iterable[Value]) -> Obj:
    return v.Constant.of(v.identities(list(ids)))


def _german() -> Obj:
    return Obj(
        ("System.Globalization.CultureInfo", "System.Object"), "de-DE",
        {
            "LCID": 1031, "Name": "de-DE", "DisplayName": "German (Germany)",
            "IetfLanguageTag": "de-DE", "ThreeLetterISOLanguageName": "deu",
            "ThreeLetterWindowsLanguageName": "DEU", "TwoLetterISOLanguageName": "de",
        },
    )  # fmt: skip


def _audit(operations: tuple[tuple[str, int], ...]) -> Obj:
    type_name = f"{v.DIRECTORY}.MailboxAuditOperations"
    return v.Constant.of(
        v.directory_values(
            type_name, [v.enum(type_name, name, number) for name, number in operations]
        )
    )


_LANGUAGES: Final = v.Constant.of(
    Obj(v.many(f"System.Globalization.CultureInfo, {v.MSCORLIB}"), value=[_german()])
)
_RESOURCES: Final[dict[Kind, Value]] = {
    Kind.ROOM: enum(f"{RECIPIENT}.ExchangeResourceType", "Room", 0),
    Kind.EQUIPMENT: enum(f"{RECIPIENT}.ExchangeResourceType", "Equipment", 1),
}


def _dial(text: str) -> Iterator[str]:
    """The digits that somebody dials for a name."""
    for letter in text:
        if "a" <= letter <= "z":
            yield "22233344455566677778889999"[ord(letter) - 97]
