"""Recipients in full, as the cmdlets return them: mailboxes, people, groups, sizes, rights.

This is what `--whole` writes; `mailmig.lab.rows` writes the same facts as selected columns.
"""

from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.mailboxes import Mailboxes, details, enum, limit
from mailmig.lab.objects import Live
from mailmig.lab.population import Mailbox, Principal
from mailmig.lab.rows import EXTENDED_RIGHTS, IDS, MAILBOX_RIGHTS, ORDINARY, Held
from mailmig.model.directory import Kind
from mailmig.wire.clixml import Obj, UInt32
from mailmig.wire.collection import Export


class Recipients(Mailboxes):
    """The organisation's recipients as whole objects: text and given properties of each."""

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

    def _common(self, path: tuple[str, ...], name: str, guid: str) -> Live:
        identity = self.recipient_id(path, name, guid)
        return {
            "Identity": identity, "Id": identity, "Name": name, "Guid": UUID(guid),
            "DistinguishedName": self.places.distinguished(path, name),
            "OrganizationalUnit": self.places.unit(path)[0],
        }  # fmt: skip

    def _users(self) -> Iterator[tuple[str, Live]]:
        for mailbox in self.organisation.present(*ORDINARY, Kind.PUBLIC_FOLDER):
            yield self.user(mailbox)
        for guid, account, department in self.organisation.accounts_only:
            yield self.plain_user(guid, account, department)

    def plain_user(self, guid: str, account: str, department: str) -> tuple[str, Live]:
        """What Get-User tells of an account without a mailbox."""
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
                "RecipientTypeDetails": details("User", 65536),
                "WindowsEmailAddress": v.smtp_address(""),
                **self.constants("Person", "person", "organizationalPerson", "user"),
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
                "RecipientTypeDetails": details("MailUniversalSecurityGroup", 1024),
                **self.constants("Group", "group"),
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
            "DisconnectReason": enum(reason, held.reason, 2) if held.reason else None,
            "DisplayName": held.display_name,
            "ItemCount": UInt32(held.items),
            "LastLoggedOnUserAccount": self.culture.system,
            "LastLogoffTime": held.last_logon,
            "LastLogonTime": held.last_logon,
            "LegacyDN": self.places.legacy(held.guid, held.display_name).upper(),
            "MailboxGuid": UUID(held.guid),
            "TotalDeletedItemSize": v.limit(self.culture, held.deleted),
            "TotalItemSize": v.limit(self.culture, held.used),
            "DatabaseIssueWarningQuota": limit(self.culture, found.quotas.warn),
            "DatabaseProhibitSendQuota": limit(self.culture, found.quotas.send),
            "DatabaseProhibitSendReceiveQuota": limit(self.culture, found.quotas.receive),
            "DatabaseName": database,
            "Database": self.database_id(database),
            "ServerName": found.server,
            "IsQuarantined": False,
            "IsArchiveMailbox": held.archive,
            "IsMoveDestination": held.coming_in,
            "MailboxTypeDetail": enum(
                f"{v.DATA}.Mapi.StoreMailboxTypeDetail", held.type_detail,
                2 if held.type_detail == "SharedMailbox" else 1,
            ),
            "Identity": identity,
            "MapiIdentity": identity,
            "MoveHistory": None,
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
