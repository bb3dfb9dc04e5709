"""The bulk files of an export, row by row: mailboxes, people, groups, sizes, rights.

These are what `Select-Object` and `Export-Clixml -Depth 1` leave of the objects: every
property is a primitive, its text, or a list of texts. The texts are written straight into
the file; `mailmig.lab.objects` builds the same objects in full, and a test holds the two
together. Row values come in the order of the export's properties.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Final

from mailmig.lab.cultures import Culture
from mailmig.lab.moving import Move
from mailmig.lab.organisation import Organisation
from mailmig.lab.places import Places
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind
from mailmig.model.quota import GIB
from mailmig.wire.clixml_text import escape, write_moment
from mailmig.wire.collection import Each, Export

HEADER: Final = (
    b'\xef\xbb\xbf<Objs Version="1.1.0.1" '
    b'xmlns="http://schemas.microsoft.com/powershell/2004/04">\r\n'
)
FOOTER: Final = b"</Objs>"
EMPTY: Final = HEADER[:-3] + b" />"
NO_GUID: Final = "00000000-0000-0000-0000-000000000000"

_CUSTOM: Final = ("System.Management.Automation.PSCustomObject", "System.Object")
_DIRECTORY: Final = "Microsoft.Exchange.Data.Directory"
_ASSEMBLY: Final = "Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35"
STRINGS: Final = (
    (
        "Microsoft.Exchange.Data.MultiValuedProperty`1[[System.String, mscorlib, "
        "Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089]]"
    ),
    "Microsoft.Exchange.Data.MultiValuedPropertyBase",
    "System.Object",
)


def directory_list(element: str) -> tuple[str, ...]:
    """The type names of a list of directory values."""
    argument = f"[[{_DIRECTORY}.{element}, {_DIRECTORY}, {_ASSEMBLY}]]"
    return (
        f"{_DIRECTORY}.ADMultiValuedProperty`1{argument}",
        f"Microsoft.Exchange.Data.MultiValuedProperty`1{argument}",
        "Microsoft.Exchange.Data.MultiValuedPropertyBase",
        "System.Object",
    )


IDS: Final = directory_list("ADObjectId")
MAILBOX_RIGHTS: Final = (
    "Microsoft.Exchange.Management.RecipientTasks.MailboxRights[]", "System.Array", "System.Object",
)  # fmt: skip
EXTENDED_RIGHTS: Final = (
    "Microsoft.Exchange.Configuration.Tasks.ExtendedRightIdParameter[]",
    "System.Array",
    "System.Object",
)

# The first type name of what each cmdlet returns.
TYPES: Final = {
    "Get-Mailbox": f"{_DIRECTORY}.Management.Mailbox",
    "Get-User": f"{_DIRECTORY}.Management.User",
    "Get-Group": f"{_DIRECTORY}.Management.WindowsGroup",
    "Get-MailboxStatistics": "Microsoft.Exchange.Data.Mapi.MailboxStatistics",
    "Get-MailboxPermission": (
        "Microsoft.Exchange.Management.RecipientTasks.MailboxAcePresentationObject"
    ),
    "Get-ADPermission": "Microsoft.Exchange.Management.RecipientTasks.ADAcePresentationObject",
}

# Which node a property becomes at depth 1; whatever is not named here is a text.
_NODES: Final[dict[str, str | tuple[str, ...]]] = {
    "OwnerGuid": "G", "ExchangeGuid": "G", "Guid": "G", "ArchiveGuid": "G", "MailboxGuid": "G",
    "UseDatabaseQuotaDefaults": "B", "LitigationHoldEnabled": "B", "IsInherited": "B", "Deny": "B",
    "HiddenFromAddressListsEnabled": "B", "IsRootPublicFolderMailbox": "B",
    "IsArchiveMailbox": "B", "IsMoveDestination": "B", "IsQuarantined": "B",
    "WhenMailboxCreated": "DT", "DisconnectDate": "DT", "LastLogonTime": "DT",
    "ItemCount": "U32", "DeletedItemCount": "U32",
    "GrantSendOnBehalfTo": IDS, "Members": IDS, "InPlaceHolds": STRINGS,
    "AccessRights": MAILBOX_RIGHTS, "ExtendedRights": EXTENDED_RIGHTS,
}  # fmt: skip

Cell = str | Sequence[str] | None

KIND_NAMES: Final = {
    Kind.USER: "UserMailbox", Kind.LINKED: "LinkedMailbox", Kind.SHARED: "SharedMailbox",
    Kind.ROOM: "RoomMailbox", Kind.EQUIPMENT: "EquipmentMailbox",
    Kind.DISCOVERY: "DiscoveryMailbox", Kind.ARBITRATION: "ArbitrationMailbox",
    Kind.AUDIT_LOG: "AuditLogMailbox", Kind.PUBLIC_FOLDER: "PublicFolderMailbox",
    Kind.MONITORING: "MonitoringMailbox",
}  # fmt: skip
ORDINARY: Final = (
    Kind.USER, Kind.LINKED, Kind.SHARED, Kind.ROOM, Kind.EQUIPMENT, Kind.DISCOVERY,
)  # fmt: skip
# Which mailboxes each file holds.
KINDS_OF_FILE: Final[dict[str, tuple[Kind, ...]]] = {
    "mailboxes": ORDINARY,
    "arbitration_mailboxes": (Kind.ARBITRATION,),
    "public_folder_mailboxes": (Kind.PUBLIC_FOLDER,),
    "monitoring_mailboxes": (Kind.MONITORING,),
    "audit_log_mailboxes": (Kind.AUDIT_LOG,),
    "aux_audit_log_mailboxes": (),
    "migration_mailboxes": (),
}


class RowFile:
    """Writes one bulk file: rows of one selected type, with the references of the whole file."""

    def __init__(self, stream: BinaryIO, type_name: str, properties: Sequence[str]) -> None:
        self._stream = stream
        self._types = (f"Selected.{type_name}", *_CUSTOM)
        self._columns = [self._column(name) for name in properties]
        self._object = 0
        self._type_lists: dict[tuple[str, ...], int] = {}
        self._waiting: list[str] = []
        self.count = 0

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write all rows and close the document."""
        for row in rows:
            if not self.count:
                self._stream.write(HEADER)
            self._waiting.append(self._row(row))
            self.count += 1
            if not self.count % 256:
                self._flush()
        self._flush()
        self._stream.write(FOOTER if self.count else EMPTY)

    def _flush(self) -> None:
        self._stream.write("".join(self._waiting).encode())
        self._waiting.clear()

    @staticmethod
    def _column(name: str) -> tuple[str, str, str, tuple[str, ...] | None, bool]:
        node = _NODES.get(name, "S")
        nil = f'      <Nil N="{name}" />\r\n'
        if isinstance(node, tuple):
            return f'      <Obj N="{name}" RefId="', "", nil, node, False
        return f'      <{node} N="{name}">', f"</{node}>\r\n", nil, None, node == "S"

    def _row(self, row: Sequence[Cell]) -> str:
        parts = [
            f'  <Obj RefId="{self._object}">\r\n',
            self._type_list(self._types, "    "),
            "    <MS>\r\n",
        ]
        self._object += 1
        for (opening, closing, nil, types, is_text), cell in zip(self._columns, row, strict=True):
            if cell is None:
                parts.append(nil)
            elif types is not None:
                parts.append(self._list(opening, types, cell))
            elif is_text:
                parts += (opening, escape(cell), closing)  # type: ignore[arg-type]
            else:
                parts += (opening, cell, closing)  # type: ignore[arg-type]
        parts.append("    </MS>\r\n  </Obj>\r\n")
        return "".join(parts)

    def _list(self, opening: str, types: tuple[str, ...], cell: Sequence[str]) -> str:
        parts = [f'{opening}{self._object}">\r\n', self._type_list(types, "        ")]
        self._object += 1
        if cell:
            parts.append("        <LST>\r\n")
            parts += [f"          <S>{escape(text)}</S>\r\n" for text in cell]
            parts.append("        </LST>\r\n")
        else:
            parts.append("        <LST />\r\n")
        parts.append("      </Obj>\r\n")
        return "".join(parts)

    def _type_list(self, types: tuple[str, ...], margin: str) -> str:
        known = self._type_lists.get(types)
        if known is not None:
            return f'{margin}<TNRef RefId="{known}" />\r\n'
        number = self._type_lists[types] = len(self._type_lists)
        names = "".join(f"{margin}  <T>{escape(name)}</T>\r\n" for name in types)
        return f'{margin}<TN RefId="{number}">\r\n{names}{margin}</TN>\r\n'


@dataclass(frozen=True, slots=True)
class Bulk:
    """The rows of an organisation's bulk files, in one culture's texts."""

    organisation: Organisation
    places: Places
    culture: Culture

    def rows(self, export: Export) -> Iterator[Sequence[Cell]]:
        """The rows of one file."""
        if export.cmdlet == "Get-Mailbox":
            return map(self._mailbox, self.of_file(export))
        makers: dict[str, Callable[[], Iterator[Sequence[Cell]]]] = {
            "users": self._users,
            "groups": self._groups,
            "statistics": self._statistics,
            "archive_statistics": self._archive_statistics,
            "full_access": self._full_access,
            "send_as": self._send_as,
        }
        return makers[export.name]()

    def of_file(self, export: Export) -> Iterator[Mailbox]:
        """The mailboxes that one of the Get-Mailbox files lists."""
        kinds = KINDS_OF_FILE[export.name]
        return self.organisation.present(*kinds) if kinds else iter(())

    def canonical(self, mailbox: Mailbox) -> str:
        """The canonical name of a mailbox."""
        return self.places.canonical(mailbox.path, mailbox.name)

    def on_behalf(self, mailbox: Mailbox) -> list[Mailbox]:
        """Who may send on behalf; the directory forgets those who are gone."""
        others = [self.organisation.mailboxes[number] for number in mailbox.on_behalf]
        return [other for other in others if not other.gone]

    def trustee(self, number: int) -> str:
        """How the cmdlets print who holds a right."""
        if number < 0:
            return self.organisation.principals[-1 - number].text
        return f"{self.organisation.netbios}\\{self.organisation.mailboxes[number].account}"

    def _mailbox(self, mailbox: Mailbox) -> Sequence[Cell]:
        unit, _ = self.places.unit(mailbox.path)
        quota, archive = self.culture.quota, mailbox.archive
        own = mailbox.own
        return (
            mailbox.exchange_guid, mailbox.guid, self.canonical(mailbox),
            self.places.distinguished(mailbox.path, mailbox.name), mailbox.display_name,
            mailbox.alias, mailbox.account, f"{mailbox.account}@{self.organisation.domain}",
            mailbox.address, self.places.legacy(mailbox.guid, mailbox.name),
            mailbox.linked_account, KIND_NAMES[mailbox.kind], unit, mailbox.office,
            mailbox.database, self.organisation.databases[mailbox.database].server.lower(),
            archive.guid if archive else NO_GUID, archive.database if archive else None,
            "Active" if archive else "None",
            quota(archive.quota if archive else 100 * GIB),
            quota(archive.warn if archive else 90 * GIB),
            quota(own.warn), quota(own.send), quota(own.receive),
            quota(mailbox.recoverable), quota(20 * GIB), quota(6 * GIB),
            truth(mailbox.use_database_quotas),
            [self.canonical(other) for other in self.on_behalf(mailbox)],
            truth(mailbox.on_hold), holds(mailbox), truth(mailbox.hidden),
            "Unlimited", "Unlimited", moment(mailbox.created), None,
            truth(mailbox.root_public_folder), None, None,
        )  # fmt: skip

    def _users(self) -> Iterator[Sequence[Cell]]:
        company = self.organisation.name
        for mailbox in self.organisation.present(*ORDINARY, Kind.PUBLIC_FOLDER):
            yield (
                mailbox.guid, mailbox.account, mailbox.department, mailbox.office, company,
                mailbox.title,
            )  # fmt: skip
        for guid, account, department in self.organisation.accounts_only:
            yield guid, account, department, "", company, ""

    def _groups(self) -> Iterator[Sequence[Cell]]:
        for group in self.organisation.principals:
            if group.is_group:
                yield (
                    group.guid, group.name, group.account,
                    self.places.canonical(group.path, group.name),
                    self.places.distinguished(group.path, group.name),
                    "MailUniversalSecurityGroup", list(self.members(group.members)),
                )  # fmt: skip

    def members(self, numbers: Iterable[int]) -> Iterator[str]:
        """The members of a group as its property lists them: people and groups."""
        for number in numbers:
            if number < 0:
                group = self.organisation.principals[-1 - number]
                yield self.places.canonical(group.path, group.name)
            elif not self.organisation.mailboxes[number].gone:
                yield self.canonical(self.organisation.mailboxes[number])

    def _statistics(self) -> Iterator[Sequence[Cell]]:
        """Database by database: mailboxes, archives, moves that come in, and what was left."""
        for database, rows in self.by_database().items():
            for row in rows:
                yield self.statistics_row(database, row)

    def by_database(self) -> dict[str, list["Held"]]:
        """What Get-MailboxStatistics tells of each database, in the databases' order."""
        held: dict[str, list[Held]] = {name: [] for name in self.organisation.databases}
        for mailbox in self.organisation.present():
            if mailbox.last_logon is not None:
                held[mailbox.database].append(Held.of(mailbox))
                if mailbox.archive is not None:
                    held[mailbox.archive.database].append(Held.of_archive(mailbox))
        for move in self.organisation.moves:
            for database, one in arriving(self.organisation, move):
                held[database].append(one)
        for left in self.organisation.leftovers:
            reason = "SoftDeleted" if left.moved else "Disabled"
            held[left.database].append(
                Held(
                    left.exchange_guid, left.display_name, "UserMailbox", left.used, left.items,
                    0, 0, left.since, left.since, reason,
                )
            )  # fmt: skip
        return held

    def statistics_row(self, database: str, held: "Held") -> Sequence[Cell]:
        """One row of Get-MailboxStatistics."""
        return (
            held.guid, held.display_name, database, str(held.items), self.culture.size(held.used),
            str(held.deleted_items), self.culture.size(held.deleted),
            moment(held.disconnected) if held.disconnected else None, held.reason or None,
            truth(held.archive), truth(held.coming_in), "false", moment(held.last_logon),
            held.type_detail,
        )  # fmt: skip

    def _archive_statistics(self) -> Iterator[Sequence[Cell]]:
        for mailbox in self.organisation.present():
            if mailbox.archive is not None and mailbox.last_logon is not None:
                row = self.statistics_row(mailbox.archive.database, Held.of_archive(mailbox))
                yield (mailbox.exchange_guid, *row)

    def _full_access(self) -> Iterator[Sequence[Cell]]:
        rights = ("FullAccess",)
        for owner, trustee in self.granted("full_access"):
            yield owner.exchange_guid, trustee, rights, "false", "false"

    def _send_as(self) -> Iterator[Sequence[Cell]]:
        rights = ("Send-As",)
        for owner, trustee in self.granted("send_as"):
            yield owner.exchange_guid, trustee, rights, "false", "false"

    def granted(self, name: str) -> Iterator[tuple[Mailbox, str]]:
        """Owner and the trustee's text, owner by owner in the mailboxes' order."""
        rights = getattr(self.organisation, name)
        mailboxes = self.organisation.mailboxes
        for i in sorted(range(len(rights)), key=rights.owners.__getitem__):
            owner, trustee = mailboxes[rights.owners[i]], rights.trustees[i]
            if owner.gone:
                continue
            if trustee >= 0 and mailboxes[trustee].gone:
                yield owner, sid(self.organisation, trustee)
            else:
                yield owner, self.trustee(trustee)


@dataclass(frozen=True, slots=True)
class Held:
    """What one database holds of one mailbox: a row of the statistics."""

    guid: str
    display_name: str
    type_detail: str
    used: int
    items: int
    deleted: int
    deleted_items: int
    last_logon: datetime
    disconnected: datetime | None = None
    reason: str = ""
    archive: bool = False
    coming_in: bool = False

    @classmethod
    def of(cls, mailbox: Mailbox) -> "Held":
        """A mailbox in the database that it lives in."""
        assert mailbox.last_logon is not None
        return cls(
            mailbox.exchange_guid, mailbox.display_name, type_detail(mailbox), mailbox.used,
            mailbox.items, mailbox.deleted, mailbox.deleted_items, mailbox.last_logon,
        )  # fmt: skip

    @classmethod
    def of_archive(cls, mailbox: Mailbox) -> "Held":
        """The archive of a mailbox."""
        archive = mailbox.archive
        assert archive is not None and mailbox.last_logon is not None
        return cls(
            archive.guid, f"Onlinearchiv - {mailbox.display_name}", type_detail(mailbox),
            archive.used, archive.items, 0, 0, mailbox.last_logon, archive=True,
        )  # fmt: skip

    def coming(self, part: float) -> "Held":
        """What a running move has copied of it so far: that share."""
        return replace(
            self, used=round(self.used * part), items=round(self.items * part), deleted=0,
            deleted_items=0, coming_in=True,
        )  # fmt: skip


def arriving(organisation: Organisation, move: Move) -> Iterator[tuple[str, "Held"]]:
    """What a running move has copied so far, with the database: of the mailbox, of its archive.

    Of who never logged on there is nothing.
    """
    part, mailbox = move.done_share(organisation.now), organisation.mailboxes[move.mailbox]
    if part <= 0 or mailbox.last_logon is None:
        return
    if move.primary:
        yield move.target, Held.of(mailbox).coming(part)
    if move.archive and mailbox.archive is not None:
        yield move.archive_target or move.target, Held.of_archive(mailbox).coming(part)


def type_detail(mailbox: Mailbox) -> str:
    """The statistics' own word for the kind of a mailbox (names not verified beyond these)."""
    return "SharedMailbox" if mailbox.kind is Kind.SHARED else "UserMailbox"


def columns(export: Export) -> tuple[str, ...]:
    """The columns of a file: calls for each mailbox carry the mailbox they were made for."""
    if export.each in (Each.MAILBOX, Each.ARCHIVE):
        return ("OwnerGuid", *export.properties)
    return export.properties


def truth(value: bool) -> str:
    """A boolean as CLIXML writes it."""
    return "true" if value else "false"


def moment(value: datetime) -> str:
    """A time as .NET writes it: local with its offset, a fraction only where there is one."""
    text = value.isoformat()
    return write_moment(value) if value.microsecond or text.endswith("+00:00") else text


def holds(mailbox: Mailbox) -> list[str]:
    """The in-place holds that a mailbox is under."""
    return [mailbox.guid.replace("-", "")] if mailbox.on_hold and mailbox.number % 2 else []


def sid(organisation: Organisation, number: int) -> str:
    """The SID that is left of somebody who is gone."""
    return f"S-1-5-21-1004336348-1177238915-682003330-{100_000 + number}"
