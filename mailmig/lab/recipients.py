"""Recipients in full, as the cmdlets return them: mailboxes, people, groups, sizes, rights.

This is what `--whole` writes; `mailmig.lab.rows` writes the same facts as selected columns.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.moving import STATUS_NUMBERS
from mailmig.lab.objects import Configuration, Live
from mailmig.lab.organisation import Mailbox, Principal
from mailmig.lab.rows import (
    EXTENDED_RIGHTS,
    IDS,
    KIND_NAMES,
    MAILBOX_RIGHTS,
    ORDINARY,
    Bulk,
    Held,
    holds,
)
from mailmig.model.directory import Kind
from mailmig.model.quota import GIB, UNLIMITED, Quota
from mailmig.wire.clixml import Obj, UInt32, Value
from mailmig.wire.collection import Export

_RECIPIENT: Final = f"{v.DIRECTORY}.Recipient"
# msExchRecipientTypeDetails (migration.md 2.1).
_NUMBERS: Final = {
    Kind.USER: 1, Kind.LINKED: 2, Kind.SHARED: 4, Kind.ROOM: 16, Kind.EQUIPMENT: 32,
    Kind.ARBITRATION: 8_388_608, Kind.DISCOVERY: 536_870_912, Kind.PUBLIC_FOLDER: 68_719_476_736,
    Kind.MONITORING: 549_755_813_888, Kind.AUDIT_LOG: 70_368_744_177_664,
}  # fmt: skip
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


class Recipients:
    """The organisation's recipients as whole objects: text and given properties of each."""

    def __init__(self, objects: Configuration, bulk: Bulk) -> None:
        self.objects = objects
        self.bulk = bulk
        self.organisation = objects.organisation
        self.places = objects.places
        self.culture = objects.culture

    def live(self, export: Export) -> Iterator[tuple[str, Live]]:
        """ToString and given properties of each object of a file, in order.

        Rows that are asked for per mailbox carry the note `OwnerGuid`.
        """
        if export.cmdlet == "Get-Mailbox":
            return map(self.mailbox, self.bulk.of_file(export))
        makers: dict[str, Callable[[], Iterator[tuple[str, Live]]]] = {
            "users": self._users,
            "groups": self._groups,
            "statistics": self._statistics,
            "archive_statistics": self._archive_statistics,
            "full_access": self._full_access,
            "send_as": self._send_as,
        }
        return makers[export.name]()

    def recipient_id(self, path: tuple[str, ...], name: str, guid: str) -> Obj:
        """The id of a recipient; it prints the canonical name."""
        return v.directory_id(
            self.places, self.places.distinguished(path, name), self.places.canonical(path, name),
            self.places.unit(path)[0], guid, name,
        )  # fmt: skip

    def mailbox_id(self, mailbox: Mailbox) -> Obj:
        """The id of a mailbox."""
        return self.recipient_id(mailbox.path, mailbox.name, mailbox.guid)

    def _common(self, path: tuple[str, ...], name: str, guid: str) -> Live:
        identity = self.recipient_id(path, name, guid)
        return {
            "Identity": identity, "Id": identity, "Name": name, "Guid": UUID(guid),
            "DistinguishedName": self.places.distinguished(path, name),
            "OrganizationalUnit": self.places.unit(path)[0],
            "OrganizationId": v.organization_id(),
            "OriginatingServer": f"ls-dc1.{self.places.domain}",
        }  # fmt: skip

    def _person(self, mailbox: Mailbox) -> Live:
        """What Get-Mailbox and Get-User both tell."""
        type_name = f"{_RECIPIENT}.RecipientTypeDetails"
        return {
            **self._common(mailbox.path, mailbox.name, mailbox.guid),
            **self.objects.dates(mailbox.created, mailbox.created),
            "SamAccountName": mailbox.account,
            "UserPrincipalName": f"{mailbox.account}@{self.places.domain}",
            "DisplayName": mailbox.display_name,
            "Office": mailbox.office,
            "IsLinked": mailbox.kind is Kind.LINKED,
            "LinkedMasterAccount": mailbox.linked_account,
            "AccountDisabled": mailbox.kind is not Kind.USER,
            "RecipientTypeDetails": v.enum(
                type_name, KIND_NAMES[mailbox.kind], _NUMBERS[mailbox.kind], long=True
            ),
            "WindowsEmailAddress": v.smtp_address(mailbox.address),
            "ObjectCategory": v.schema_id(self.places, "Person", "bf967a86-0de6-11d0-a285-00aa003049e2"),
            "ObjectClass": v.strings(("top", "person", "organizationalPerson", "user")),
        }  # fmt: skip

    def mailbox(self, mailbox: Mailbox) -> tuple[str, Live]:
        """What Get-Mailbox tells of one."""
        return mailbox.name, {
            **self._person(mailbox),
            **self._home(mailbox),
            **self._limits(mailbox),
            **self._archive(mailbox),
            **self._addresses(mailbox),
            **self._moves(mailbox),
            "ExchangeGuid": UUID(mailbox.exchange_guid),
            "IsResource": mailbox.kind in (Kind.ROOM, Kind.EQUIPMENT),
            "IsShared": mailbox.kind is Kind.SHARED,
            "IsRootPublicFolderMailbox": mailbox.root_public_folder,
            "ResourceType": self._resource(mailbox),
            "Languages": Obj(
                v.many(f"System.Globalization.CultureInfo, {v.MSCORLIB}"), value=[_german()]
            ),
            "LitigationHoldEnabled": mailbox.on_hold,
            "InPlaceHolds": v.strings(holds(mailbox)),
            "AuditAdmin": _audit(_AUDIT_ADMIN),
            "AuditDelegate": _audit(_AUDIT_DELEGATE),
            "RoleAssignmentPolicy": self._policy("Default Role Assignment Policy", "Policies"),
            "SharingPolicy": self._policy("Default Sharing Policy", "Federation"),
            "WhenMailboxCreated": mailbox.created,
            "DefaultPublicFolderMailbox": None,
            "ForwardingAddress": None,
            "ForwardingSmtpAddress": None,
            "UMDtmfMap": v.strings(("emailAddress:" + "".join(_dial(mailbox.alias)),)),
        }

    def _home(self, mailbox: Mailbox) -> Live:
        database = self.organisation.databases[mailbox.database]
        server = self.organisation.server(database.server)
        place = f"1;{mailbox.exchange_guid};Primary;{self.places.domain};{database.guid}"
        return {
            "Database": self.objects.database_id(mailbox.database),
            "MailboxLocations": Obj(
                (_LOCATIONS, "System.Object"),
                value=[place],
            ),
            "AdminDisplayVersion": v.server_version(server.build),
            "ServerLegacyDN": self.places.legacy_server(server.name),
            "ServerName": server.name.lower(),
        }

    def _limits(self, mailbox: Mailbox) -> Live:
        own, limit = mailbox.own, self._limit
        return {
            "UseDatabaseQuotaDefaults": mailbox.use_database_quotas,
            "IssueWarningQuota": limit(own.warn),
            "ProhibitSendQuota": limit(own.send),
            "ProhibitSendReceiveQuota": limit(own.receive),
            "RecoverableItemsQuota": limit(mailbox.recoverable),
            "RecoverableItemsWarningQuota": limit(20 * GIB),
            "CalendarLoggingQuota": limit(6 * GIB),
            "MaxSendSize": limit(UNLIMITED),
            "MaxReceiveSize": limit(UNLIMITED),
        }

    def _limit(self, quota: Quota) -> Obj:
        return v.limit(self.culture, quota)

    def _archive(self, mailbox: Mailbox) -> Live:
        archive = mailbox.archive
        state = "Local" if archive else "None"
        names = [f"Onlinearchiv - {mailbox.display_name}"] if archive else []
        return {
            "ArchiveDatabase": self.objects.database_id(archive.database) if archive else None,
            "ArchiveGuid": UUID(archive.guid) if archive else v.NO_GUID,
            "ArchiveName": v.strings(names),
            "ArchiveQuota": self._limit(archive.quota if archive else 100 * GIB),
            "ArchiveWarningQuota": self._limit(archive.warn if archive else 90 * GIB),
            "ArchiveStatus": v.enum(
                f"{_RECIPIENT}.ArchiveStatusFlags", "Active" if archive else "None",
                1 if archive else 0,
            ),
            "ArchiveState": v.enum(f"{_RECIPIENT}.ArchiveState", state, 1 if archive else 0),
        }  # fmt: skip

    def _addresses(self, mailbox: Mailbox) -> Live:
        lists = [] if mailbox.hidden else [
            v.configuration_id(
                self.places, (name, "All Address Lists", "Address Lists Container"), None,
                f"\\{name}",
            )
            for name in _LISTS
        ]  # fmt: skip
        return {
            "Alias": mailbox.alias,
            "PrimarySmtpAddress": v.smtp_address(mailbox.address),
            "EmailAddresses": v.proxy_addresses(
                [mailbox.address, f"{mailbox.alias}@{self.organisation.mail_domains[-1]}"]
            ),
            "AddressListMembership": v.identities(lists),
            "GrantSendOnBehalfTo": v.identities(
                [self.mailbox_id(other) for other in self.bulk.on_behalf(mailbox)]
            ),
            "HiddenFromAddressListsEnabled": mailbox.hidden,
            "LegacyExchangeDN": self.places.legacy(mailbox.guid, mailbox.name),
        }

    def _moves(self, mailbox: Mailbox) -> Live:
        """The directory knows of a running move."""
        flags, status = f"{_RECIPIENT}.RequestFlags", f"{_RECIPIENT}.RequestStatus"
        move = self.organisation.move_of(mailbox)
        if move is not None:
            name = move.status(self.organisation.now)
            return {
                "MailboxMoveTargetMDB": self.objects.database_id(move.target),
                "MailboxMoveSourceMDB": self.objects.database_id(move.source),
                "MailboxMoveFlags": v.enum(flags, "IntraOrg, Pull", 6),
                "MailboxMoveStatus": v.enum(status, name, STATUS_NUMBERS[name]),
            }
        return {
            "MailboxMoveTargetMDB": None,
            "MailboxMoveSourceMDB": None,
            "MailboxMoveFlags": v.enum(flags, "None", 0),
            "MailboxMoveStatus": v.enum(status, "None", 0),
        }

    def _resource(self, mailbox: Mailbox) -> Value:
        names = {Kind.ROOM: ("Room", 0), Kind.EQUIPMENT: ("Equipment", 1)}
        if mailbox.kind not in names:
            return None
        return v.enum(f"{_RECIPIENT}.ExchangeResourceType", *names[mailbox.kind])

    def _policy(self, name: str, container: str) -> Obj:
        return v.configuration_id(self.places, (name, container), None)

    def _users(self) -> Iterator[tuple[str, Live]]:
        for mailbox in self.organisation.present(*ORDINARY, Kind.PUBLIC_FOLDER):
            yield self.user(mailbox)
        for guid, account, department in self.organisation.accounts_only:
            yield self.plain_user(guid, account, department)

    def user(self, mailbox: Mailbox) -> tuple[str, Live]:
        """What Get-User tells of somebody with a mailbox."""
        return (
            mailbox.name,
            {
                **self._person(mailbox),
                "Department": mailbox.department,
                "Company": self.organisation.name,
                "Title": mailbox.title,
            },
        )

    def plain_user(self, guid: str, account: str, department: str) -> tuple[str, Live]:
        """What Get-User tells of an account without a mailbox."""
        type_name = f"{_RECIPIENT}.RecipientTypeDetails"
        created = self.organisation.now
        return (
            account,
            {
                **self._common(("Users",), account, guid),
                **self.objects.dates(created, created),
                "SamAccountName": account,
                "UserPrincipalName": f"{account}@{self.places.domain}",
                "DisplayName": account, "Office": "", "IsLinked": False,
                "LinkedMasterAccount": "", "AccountDisabled": False,
                "RecipientTypeDetails": v.enum(type_name, "User", 65536, long=True),
                "WindowsEmailAddress": v.smtp_address(""),
                "ObjectCategory": v.schema_id(
                    self.places, "Person", "bf967a86-0de6-11d0-a285-00aa003049e2"
                ),
                "ObjectClass": v.strings(("top", "person", "organizationalPerson", "user")),
                "Department": department, "Company": self.organisation.name, "Title": "",
            },
        )  # fmt: skip

    def _groups(self) -> Iterator[tuple[str, Live]]:
        for group in self.organisation.principals:
            if group.is_group:
                yield self.group(group)

    def group(self, group: Principal) -> tuple[str, Live]:
        """What Get-Group tells of one."""
        return (
            group.name,
            {
                **self._common(group.path, group.name, group.guid),
                **self.objects.dates(self.organisation.now, self.organisation.now),
                "SamAccountName": group.account,
                "DisplayName": group.name,
                "Members": Obj(IDS, value=list(self._members(group.members))),
                "RecipientTypeDetails": v.enum(
                    f"{_RECIPIENT}.RecipientTypeDetails", "MailUniversalSecurityGroup", 1024,
                    long=True,
                ),
                "ObjectCategory": v.schema_id(
                    self.places, "Group", "bf967a9c-0de6-11d0-a285-00aa003049e2"
                ),
                "ObjectClass": v.strings(("top", "group")),
            },
        )  # fmt: skip

    def _members(self, numbers: tuple[int, ...]) -> Iterator[Obj]:
        for number in numbers:
            if number < 0:
                group = self.organisation.principals[-1 - number]
                yield self.recipient_id(group.path, group.name, group.guid)
            elif not self.organisation.mailboxes[number].gone:
                yield self.mailbox_id(self.organisation.mailboxes[number])

    def _statistics(self) -> Iterator[tuple[str, Live]]:
        for database, rows in self.bulk.by_database().items():
            for held in rows:
                yield held.display_name, self.held(database, held)

    def _archive_statistics(self) -> Iterator[tuple[str, Live]]:
        for mailbox in self.organisation.present():
            if mailbox.archive is not None and mailbox.last_logon is not None:
                held = Held.of_archive(mailbox)
                live = self.held(mailbox.archive.database, held)
                yield held.display_name, {**live, "OwnerGuid": UUID(mailbox.exchange_guid)}

    def held(self, database: str, held: Held) -> Live:
        """A row of Get-MailboxStatistics."""
        found = self.organisation.databases[database]
        reason = f"{v.DATA}.Mapi.MailboxState"
        identity = Obj(
            (f"{v.DATA}.Mapi.MailboxId", f"{v.DATA}.Mapi.MapiObjectId", f"{v.DATA}.ObjectId",
             "System.Object"),
            held.guid, {"MailboxGuid": UUID(held.guid), "MailboxExchangeLegacyDn": ""},
        )  # fmt: skip
        return {
            "DeletedItemCount": UInt32(held.deleted_items),
            "DisconnectDate": held.disconnected,
            "DisconnectReason": v.enum(reason, held.reason, 2) if held.reason else None,
            "DisplayName": held.display_name,
            "ItemCount": UInt32(held.items),
            "LastLoggedOnUserAccount": self.culture.system,
            "LastLogoffTime": held.last_logon,
            "LastLogonTime": held.last_logon,
            "LegacyDN": self.places.legacy(held.guid, held.display_name).upper(),
            "MailboxGuid": UUID(held.guid),
            "TotalDeletedItemSize": self._limit(held.deleted),
            "TotalItemSize": self._limit(held.used),
            "DatabaseIssueWarningQuota": self._limit(found.quotas.warn),
            "DatabaseProhibitSendQuota": self._limit(found.quotas.send),
            "DatabaseProhibitSendReceiveQuota": self._limit(found.quotas.receive),
            "DatabaseName": database,
            "Database": self.objects.database_id(database),
            "ServerName": found.server,
            "IsQuarantined": False,
            "IsArchiveMailbox": held.archive,
            "IsMoveDestination": held.coming_in,
            "MailboxTypeDetail": v.enum(
                f"{v.DATA}.Mapi.StoreMailboxTypeDetail", held.type_detail,
                2 if held.type_detail == "SharedMailbox" else 1,
            ),
            "Identity": identity,
            "MapiIdentity": identity,
            "OriginatingServer": self.organisation.server(found.server).fqdn,
        }  # fmt: skip

    def _full_access(self) -> Iterator[tuple[str, Live]]:
        yield from self._rights("full_access", self._full_right())

    def _send_as(self) -> Iterator[tuple[str, Live]]:
        yield from self._rights("send_as", self._send_right())

    def rights_on(
        self, owner: Mailbox, name: str, trustees: Iterable[str]
    ) -> Iterator[tuple[str, Live]]:
        """All rows of one mailbox; `name` is "full_access" or "send_as"."""
        rights = self._full_right() if name == "full_access" else self._send_right()
        yield from self._always_there(owner, rights)
        for trustee in trustees:
            yield self._right(owner, trustee, rights)

    def _full_right(self) -> Live:
        types = "Microsoft.Exchange.Management.RecipientTasks.MailboxRights"
        return {"AccessRights": Obj(MAILBOX_RIGHTS, value=[v.enum(types, "FullAccess", 1)])}

    def _send_right(self) -> Live:
        access = "System.DirectoryServices.ActiveDirectoryRights"
        identity = Obj(
            ("Microsoft.Exchange.Configuration.Tasks.ExtendedRightIdParameter",
             "Microsoft.Exchange.Configuration.Tasks.ADIdParameter", "System.Object"),
            "Send-As", {"RawIdentity": "Send-As"},
        )  # fmt: skip
        return {
            "AccessRights": Obj(
                (f"{access}[]", "System.Array", "System.Object"),
                value=[v.enum(access, "ExtendedRight", 256)],
            ),
            "ExtendedRights": Obj(EXTENDED_RIGHTS, value=[identity]),
        }

    def _rights(self, name: str, rights: Live) -> Iterator[tuple[str, Live]]:
        """All rows that the cmdlet prints: the owner's own, inherited ones, and those granted."""
        before = None
        for owner, trustee in self.bulk.granted(name):
            if owner is not before:
                before = owner
                yield from self._always_there(owner, rights)
            yield self._right(owner, trustee, rights)

    def _always_there(self, owner: Mailbox, rights: Live) -> Iterator[tuple[str, Live]]:
        """The rights that every mailbox has: its owner's own, and inherited ones."""
        yield self._right(owner, self.culture.myself, rights)
        for account, deny in ((self.culture.admins, True), ("Exchange Servers", False)):
            text = f"{self.organisation.netbios}\\{account}"
            yield self._right(owner, text, rights, inherited=True, deny=deny)

    def _right(
        self,
        owner: Mailbox,
        trustee: str,
        rights: Live,
        *,
        inherited: bool = False,
        deny: bool = False,
    ) -> tuple[str, Live]:
        user = Obj(
            ("Microsoft.Exchange.Configuration.Tasks.SecurityPrincipalIdParameter",
             "Microsoft.Exchange.Configuration.Tasks.RecipientIdParameter",
             "Microsoft.Exchange.Configuration.Tasks.ADIdParameter", "System.Object"),
            trustee, {"RawIdentity": trustee},
        )  # fmt: skip
        live: Live = {
            **rights, "User": user, "Identity": self.mailbox_id(owner), "IsInherited": inherited,
            "Deny": deny, "OwnerGuid": UUID(owner.exchange_guid),
        }  # fmt: skip
        return self.bulk.canonical(owner), live


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
    return v.directory_values(
        type_name, [v.enum(type_name, name, number) for name, number in operations]
    )


def _dial(text: str) -> Iterator[str]:
    """The digits that somebody dials for a name."""
    for letter in text:
        if "a" <= letter <= "z":
            yield "22233344455566677778889999"[ord(letter) - 97]
