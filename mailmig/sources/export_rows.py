"""What the rows of an export mean: servers, databases, groups and plain facts.

A row is anything with `.get(property)`: an object from a CLIXML file or a line of a CSV
file. A single value that cannot be read never stops an import: it is noted in `Faults` with
file, row and property, and counts as missing. Sizes are bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from mailmig.model.database import Dag, Database, DatabaseCopy
from mailmig.model.directory import KINDS, Kind
from mailmig.model.organisation import NO_BUILD, Build, Server
from mailmig.model.quota import UNKNOWN, Quota, Quotas
from mailmig.model.snapshot import Gap
from mailmig.wire import quantities
from mailmig.wire.collection import BY_NAME
from mailmig.wire.quantities import BadValue

NO_GUID: Final = "00000000-0000-0000-0000-000000000000"
LARGEST: Final = 2**63 - 1
EXAMPLES: Final = 3  # of the values that could not be read, per file and property

# msExchRecipientTypeDetails (migration.md 2.1), as the directory and some exports have it.
RECIPIENT_TYPES: Final = {
    1: "UserMailbox",
    2: "LinkedMailbox",
    4: "SharedMailbox",
    8: "LegacyMailbox",
    16: "RoomMailbox",
    32: "EquipmentMailbox",
    64: "MailContact",
    128: "MailUser",
    2048: "DynamicDistributionGroup",
    8192: "SystemAttendantMailbox",
    16384: "SystemMailbox",
    8388608: "ArbitrationMailbox",
    536870912: "DiscoveryMailbox",
    1073741824: "RoleGroup",
    2147483648: "RemoteUserMailbox",
    8589934592: "RemoteRoomMailbox",
    17179869184: "RemoteEquipmentMailbox",
    34359738368: "RemoteSharedMailbox",
    68719476736: "PublicFolderMailbox",
    137438953472: "TeamMailbox",
    549755813888: "MonitoringMailbox",
    70368744177664: "AuditLogMailbox",
}

# What the file says where the type of a mailbox does not: a switch of Get-Mailbox each.
_KIND_OF_FILE: Final = {
    "arbitration_mailboxes": Kind.ARBITRATION,
    "public_folder_mailboxes": Kind.PUBLIC_FOLDER,
    "monitoring_mailboxes": Kind.MONITORING,
    "audit_log_mailboxes": Kind.AUDIT_LOG,
    "aux_audit_log_mailboxes": Kind.AUDIT_LOG,
    "migration_mailboxes": Kind.MIGRATION,
}
_SAYS_LITTLE: Final = frozenset({Kind.USER, Kind.OTHER})

_GUID: Final = re.compile("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_HALVES: Final = re.compile("[\ud800-\udfff]")

T = TypeVar("T")


class Row(Protocol):
    """One object of an export."""

    def get(self, name: str, /) -> Any: ...


@dataclass(slots=True)
class Fault:
    """How often one property of one file could not be read, and the first times."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


class Faults:
    """All values that cannot be used: unreadable ones, and rows that cannot be told apart."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Fault] = {}

    def note(self, file: str, number: int, subject: str, what: str) -> None:
        fault = self.found.setdefault((file, subject), Fault())
        fault.count += 1
        if len(fault.examples) < EXAMPLES:
            fault.examples.append(f"object {number}: {whole(what)}")

    def gaps(self) -> tuple[Gap, ...]:
        """One line for each file and property."""
        return tuple(
            Gap(f"{file}: {subject} {_times(fault)} ({'; '.join(fault.examples)})", _TAKEN_AS)
            for (file, subject), fault in self.found.items()
        )


_TAKEN_AS: Final = "what cannot be used counts as missing"


def _times(fault: Fault) -> str:
    return "cannot be used once" if fault.count == 1 else f"cannot be used {fault.count:,} times"


class Cells:
    """The values of one row after the other; what cannot be read is noted and missing.

    Whoever reads the file puts the next row into `row` and its number, from 1, into `number`.
    """

    __slots__ = ("_faults", "file", "number", "row")

    def __init__(self, file: str, faults: Faults) -> None:
        self.file = file
        self._faults = faults
        self.number = 0
        self.row: Row = {}

    def text(self, name: str) -> str:
        """The text of a value as Exchange prints it."""
        value = self.row.get(name)
        if type(value) is str:
            return value.strip() if value.isascii() else whole(value.strip())
        if value is None:
            return ""
        try:
            return whole(quantities.canonical(value))
        except BadValue as error:
            return self._bad(name, error, "")

    def name(self, name: str) -> str:
        """The short name of an object that the row points to."""
        value = self.row.get(name)
        if value is None:
            return ""
        try:
            return whole(quantities.name_of(value))
        except BadValue as error:
            return self._bad(name, error, "")

    def guid(self, name: str) -> str:
        """A GUID in small letters with hyphens; "" when it is missing or all zero."""
        value = self.row.get(name)
        if value is None or value == "":
            return ""
        if type(value) is str and _GUID.fullmatch(value):
            return "" if value == NO_GUID else value.lower()
        try:
            guid = str(value if type(value) is UUID else UUID(quantities.canonical(value)))
        except ValueError:
            return self._bad(name, BadValue(value, "a GUID"), "")
        return "" if guid == NO_GUID else guid

    def quota(self, name: str) -> Quota:
        value = self.row.get(name)
        if value is None:
            return UNKNOWN
        try:
            return _quota(value) if type(value) is str else _storable(quantities.quota(value))
        except BadValue as error:
            return self._bad(name, error, UNKNOWN)

    def size(self, name: str) -> quantities.Size | None:
        value = self.row.get(name)
        if value is None:
            return None
        try:
            size = quantities.optional_size(value)
            if size is not None:
                _storable(size.bytes)
            return size
        except BadValue as error:
            return self._bad(name, error, None)

    def bytes(self, name: str) -> int | None:
        size = self.size(name)
        return None if size is None else size.bytes

    def number_of(self, name: str) -> int | None:
        """A whole number that is not negative."""
        value = self.row.get(name)
        if type(value) is int and 0 <= value <= LARGEST:
            return value
        if value is None or value == "":
            return None
        try:
            text = quantities.canonical(value)
            if not text:
                return None
            if not text.isascii() or not text.isdigit() or len(text) > 18:
                raise BadValue(value, "a number")
            return int(text)
        except BadValue as error:
            return self._bad(name, error, None)

    def flag(self, name: str) -> bool | None:
        value = self.row.get(name)
        if value is None or type(value) is bool:
            return value
        try:
            return quantities.flag(value)
        except BadValue as error:
            return self._bad(name, error, None)

    def enum(self, name: str, table: Mapping[int, str] | None = None) -> str:
        value = self.row.get(name)
        if value is None:
            return ""
        try:
            return whole(quantities.enum_name(value, table))
        except BadValue as error:
            return self._bad(name, error, "")

    def names(self, name: str) -> tuple[str, ...]:
        """The values of a property that may have several, each as its text."""
        value = self.row.get(name)
        if value is None or value == "":
            return ()
        if type(value) is list:  # texts, as clixml_rows gives them
            return tuple(map(whole, value))
        try:
            return tuple(map(whole, quantities.texts(value)))
        except BadValue as error:
            return self._bad(name, error, ())

    def build(self, name: str) -> Build:
        value = self.row.get(name)
        if value is None:
            return NO_BUILD
        try:
            return quantities.build(value)
        except BadValue as error:
            return self._bad(name, error, NO_BUILD)

    def is_set(self, name: str) -> bool:
        """Whether there is any value at all, whatever it means."""
        value = self.row.get(name)
        return not (value is None or value == "" or getattr(value, "text", value) == "")

    def quotas(self) -> Quotas:
        """The three limits, which mailboxes and databases call the same."""
        return Quotas(
            self.quota("IssueWarningQuota"),
            self.quota("ProhibitSendQuota"),
            self.quota("ProhibitSendReceiveQuota"),
        )

    def note(self, subject: str, what: str) -> None:
        """Note something about this row that is no unreadable value."""
        self._faults.note(self.file, self.number, subject, what)

    def _bad(self, name: str, error: BadValue, instead: T) -> T:
        self._faults.note(self.file, self.number, name, str(error))
        return instead


@lru_cache(maxsize=4096)
def _quota(text: str) -> Quota:
    """The same few limits stand on a hundred thousand mailboxes."""
    return _storable(quantities.quota(text))


def _storable(quota: Quota) -> Quota:
    """Exchange counts bytes in 64 bits without a sign, databases with one."""
    if isinstance(quota, int) and quota > LARGEST:
        raise BadValue(f"{quota:,}", "a size that can be")
    return quota


def kind_of(type_name: str, file: str) -> Kind:
    """What a mailbox is for, from its type and from the file that it stands in."""
    kind = KINDS.get(type_name.casefold(), Kind.OTHER)
    return _KIND_OF_FILE.get(file, kind) if kind in _SAYS_LITTLE else kind


def server(cells: Cells, dag: str) -> Server:
    return Server(
        name=cells.text("Name") or short(cells.text("Fqdn")),
        fqdn=cells.text("Fqdn"),
        site=cells.name("Site"),
        build=cells.build("AdminDisplayVersion"),
        edition=cells.enum("Edition"),
        dag=dag,
    )


def dag(cells: Cells) -> Dag:
    return Dag(
        name=cells.text("Name"),
        servers=tuple(map(quantities.name_of, cells.names("Servers"))),
        witness=cells.text("WitnessServer"),
        activation_mode=cells.enum("DatacenterActivationMode"),
    )


def database(cells: Cells, dags: Iterable[str], servers: Mapping[str, str]) -> Database:
    """A database; it belongs to a DAG when its master is one that the export knows.

    `servers` are the names of the servers by the same in small letters: exports write
    `MountedOnServer` as the host calls itself.
    """
    master = cells.name("MasterServerOrAvailabilityGroup")
    known = {dag.casefold(): dag for dag in dags}
    of_dag = cells.enum("MasterType") == "DatabaseAvailabilityGroup"
    holders = cells.names("Servers") or tuple(_preferred(cells.names("ActivationPreference")))
    mounted = short(cells.text("MountedOnServer")) or cells.name("Server")
    return Database(
        name=cells.text("Name"),
        guid=cells.guid("Guid"),
        server=servers.get(mounted.casefold(), mounted),
        servers=tuple(servers.get(h.casefold(), h) for h in map(quantities.name_of, holders)),
        dag=known.get(master.casefold(), master if of_dag else ""),
        quotas=cells.quotas(),
        recoverable=cells.quota("RecoverableItemsQuota"),
        size_bytes=cells.bytes("DatabaseSize"),
        white_space_bytes=cells.bytes("AvailableNewMailboxSpace"),
        circular_logging=cells.flag("CircularLoggingEnabled"),
    )


def copy(cells: Cells, servers: Mapping[str, str]) -> DatabaseCopy:
    """A copy; its identity is `database\\server`, where the two do not stand apart."""
    database, _, server = cells.text("Identity").rpartition("\\")
    holder = short(cells.text("MailboxServer") or server)
    return DatabaseCopy(
        database=cells.text("DatabaseName") or database,
        server=servers.get(holder.casefold(), holder),
        status=cells.enum("Status"),
        activation_preference=cells.number_of("ActivationPreference"),
        copy_queue_logs=cells.number_of("CopyQueueLength"),
        replay_queue_logs=cells.number_of("ReplayQueueLength"),
        disk_free_bytes=cells.bytes("DiskFreeSpace"),
    )


def fact(cells: Cells) -> dict[str, object]:
    """The properties that the table lists, as plain JSON values; missing ones are left out.

    Of whole objects too only these: one server has hundreds of others.
    """
    name = cells.file.partition(".")[0]
    values = ((p, cells.row.get(p)) for p in BY_NAME[name].properties)
    return {p: plain(value) for p, value in values if value is not None}


def plain(value: object, depth: int = 3) -> object:
    """A value as JSON can hold it: objects as their text, lists as lists of it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return whole(str(value))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Decimal | timedelta | Enum):
        return str(value)
    inner = getattr(value, "value", value)
    if isinstance(inner, list | tuple) and depth:
        return [plain(item, depth - 1) for item in inner]
    text = getattr(value, "text", None)
    if isinstance(text, str):
        return whole(text)
    return plain(inner, depth - 1) if inner is not value and depth else ""


def whole(text: str) -> str:
    """Text that can be stored: PowerShell may write half of a surrogate pair, UTF-8 may not."""
    return text if text.isascii() else _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)


def short(name: str) -> str:
    """The host name of a fully qualified one; server names have no dots."""
    return name.partition(".")[0]


def _preferred(pairs: Iterable[str]) -> Iterator[str]:
    """The servers in "[EX1, 1]", "[EX2, 2]"."""
    for pair in pairs:
        yield pair.strip("[] ").partition(",")[0].strip()
